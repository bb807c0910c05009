"""Names of the images' packages that are of no use here: they can be imported, and say so when they are called.

One script often has both parts, so what is used in training is imported when the model is served.
"""

from typing import Any, Dict


class NotServedError(RuntimeError):
    """Something was called that is of no use where a model is served."""


class TrainingOnly:
    """A function or class that is of no use in a model server."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Raise NotServedError."""
        raise NotServedError(
            "%s is part of training, which does not run here: call it under `if __name__ == '__main__':`." % self._name
        )

    def __repr__(self) -> str:
        return "<%s, which cannot be called here>" % self._name


class ServerOnly(TrainingOnly):
    """A function or class of the image's own server."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Raise NotServedError."""
        raise NotServedError("%s is part of the image's server: the model server takes its place." % self._name)


def names(module: str, *wanted: str) -> Dict[str, TrainingOnly]:
    """Return placeholders by name, for the namespace of `module`."""
    return {name: TrainingOnly("%s.%s" % (module, name)) for name in wanted}
