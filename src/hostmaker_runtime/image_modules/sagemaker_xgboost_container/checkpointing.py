"""For training only: can be imported, not called."""

from hostmaker_runtime.placeholders import names

globals().update(
    names(
        "sagemaker_xgboost_container.checkpointing",
        "PrintCheckpoint",
        "SaveCheckpoint",
        "SaveCheckpointCallBack",
        "SaveIntermediateModel",
        "SaveIntermediateModelCallBack",
        "load_checkpoint",
        "print_checkpointed_evaluation",
        "save_checkpoint",
        "save_intermediate_model",
        "train",
    )
)
