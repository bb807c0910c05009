"""The service that a model server asks: `initialize(context)` once, `handle(data, context)` for each request."""

import os
from typing import Any, List, Optional

from .transformer import Transformer

PYTHON_PATH_ENV = "PYTHONPATH"


class DefaultHandlerService:
    """Passes on to a transformer; scripts subclass it to bring their own defaults."""

    def __init__(self, transformer: Optional[Transformer] = None) -> None:
        self._service = transformer if transformer else Transformer()

    def handle(self, data: Any, context: Any) -> List[Any]:
        """Return the answers to a batch of requests, each `{"body": ...}`."""
        return self._service.transform(data, context)

    def initialize(self, context: Any) -> None:
        """Load the model of the directory that the context names."""
        model_dir = context.system_properties.get("model_dir")
        before = os.environ.get(PYTHON_PATH_ENV, "")
        os.environ[PYTHON_PATH_ENV] = "%s/code:%s" % (model_dir, before)
        self._service.validate_and_initialize(model_dir=model_dir, context=context)
