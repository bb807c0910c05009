"""For training and the image's own server: can be imported, not called."""

from hostmaker_runtime.placeholders import names

globals().update(
    names("sagemaker_containers.beta.framework.process", "ProcessRunner", "check_error", "create", "python_executable")
)
