"""For training only: can be imported, not called."""

from hostmaker_runtime.placeholders import names

globals().update(
    names("sagemaker_xgboost_container.algorithm_mode.train", "get_validated_dmatrices", "sagemaker_train", "train_job")
)
