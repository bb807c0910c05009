"""For training only: can be imported, not called."""

from hostmaker_runtime.placeholders import names

globals().update(
    names("sagemaker_xgboost_container.distributed", "Rabit", "RabitHelper", "rabit_run", "wait_hostname_resolution")
)
