"""sagemaker-containers, for scripts."""

from hostmaker_runtime.placeholders import TrainingOnly

training_env = TrainingOnly("sagemaker_containers.training_env")
