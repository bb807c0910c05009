"""For training only: can be imported, not called."""

from hostmaker_runtime.placeholders import names

globals().update(
    names(
        "sagemaker_xgboost_container.metrics.custom_metrics",
        "accuracy",
        "balanced_accuracy",
        "configure_feval",
        "f1",
        "f1_binary",
        "f1_macro",
        "get_custom_metrics",
        "mae",
        "mse",
        "precision",
        "precision_macro",
        "precision_micro",
        "r2",
        "recall",
        "recall_macro",
        "recall_micro",
        "rmse",
    )
)
