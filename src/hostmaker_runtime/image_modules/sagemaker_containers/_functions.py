"""Functions about functions."""

import inspect
from typing import Any, Callable, Dict, Type

from . import _mapping


def matching_args(fn: Callable[..., Any], dictionary: Dict[str, Any]) -> Dict[str, Any]:
    """Return the entries that a function has arguments for; all of them when it takes any."""
    spec = inspect.getfullargspec(fn)
    return dictionary if spec.varkw else _mapping.split_by_criteria(dictionary, spec.args).included


def error_wrapper(fn: Callable[..., Any], error_class: Type[Exception]) -> Callable[..., Any]:
    """Return a function that raises `error_class` for whatever `fn` raises."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except Exception as error:
            raise error_class(error).with_traceback(error.__traceback__) from error

    return wrapper
