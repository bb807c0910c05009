"""For training only: can be imported, not called."""

from hostmaker_runtime.placeholders import names

globals().update(names("sagemaker_xgboost_container.training", "main", "run_algorithm_mode", "train"))
