"""Exceptions that scripts raise and catch by name: those of the images' serving packages, which re-export them."""

from typing import Any, Optional


class UnsupportedFormatError(Exception):
    """A content type that no decoder or encoder is known for."""

    def __init__(self, content_type: Optional[str], **_: Any) -> None:
        self.content_type = content_type
        self.message = (
            "Content type %s is not supported by this framework.\n\n"
            "            Please implement input_fn to to deserialize the request data or an output_fn to\n"
            "            serialize the response. For more information, see the SageMaker Python SDK README."
            % content_type
        )
        super().__init__(self.message)


class ClientError(Exception):
    """An error of the script or of the data, as sagemaker-containers separates it from its own."""


class BaseInferenceToolkitError(Exception):
    """An error whose status the script chooses: `status_code`, with `message` for the client."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        self.status_code = status_code
        self.message = message
        self.phrase = phrase
        super().__init__(status_code, message, phrase)


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """The same, with a default message."""

    def __init__(self, status_code: int, message: Optional[str] = None, phrase: Optional[str] = None) -> None:
        message = message or "Invalid Request"
        super().__init__(status_code, message, phrase or message)


class PredictionException(Exception):
    """An error with a status, as multi-model-server knows one."""

    def __init__(self, message: str, error_code: int = 500) -> None:
        self.message = message
        self.error_code = error_code
        super().__init__(message)

    def __str__(self) -> str:
        return "%s : %s" % (self.message, self.error_code)
