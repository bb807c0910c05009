"""Helps AWS clients that read less of the environment than today's boto3.

botocore before 1.31 (boto3 before 1.28) does not read AWS_ENDPOINT_URL; nothing happens until a script imports it.
Libraries on Rust's object_store (obstore, polars, deltalake) read the token of the container's credentials from a file.
"""

import importlib.util
import os
import re
import sys
from typing import Any, Optional, Sequence, Tuple

ADDRESS = "AWS_ENDPOINT_URL"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = TOKEN + "_FILE"
FILE_NAME = ".aws-authorization-token"
WATCHED = "botocore.session"
READS_IT = (1, 31)
BEFORE_ADDRESS = 5  # positional parameters of create_client between the service's name and its address


def install() -> None:
    """Keep the token in a file, and watch for botocore, where there is an address."""
    if ADDRESS in os.environ:
        sys.meta_path.insert(0, _Watch())
        _keep_token()


def _keep_token() -> None:
    token, home = os.environ.get(TOKEN), os.environ.get("HOME")
    if not token or not home or TOKEN_FILE in os.environ:
        return
    path = os.path.join(home, FILE_NAME)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(token)
    except OSError:
        return  # a full disk: boto3 reads the variable as well
    os.environ[TOKEN_FILE] = path


class _Watch:
    """Steps in once, at the import of one module."""

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Any:
        """Find the module as everyone else does, and change it when it has been executed."""
        if name != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None and hasattr(loader, "exec_module"):
            execute = loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                _teach(module)

            loader.exec_module = exec_module
        return spec


def _teach(module: Any) -> None:
    if _version(sys.modules.get("botocore")) >= READS_IT or not hasattr(module, "Session"):
        return
    create = module.Session.create_client

    def create_client(self: Any, service_name: str, *further: Any, **named: Any) -> Any:
        if len(further) < BEFORE_ADDRESS and named.get("endpoint_url") is None:
            named["endpoint_url"] = _address(service_name)
        return create(self, service_name, *further, **named)

    module.Session.create_client = create_client


def _address(service_name: str) -> Optional[str]:
    own = "%s_%s" % (ADDRESS, service_name.upper().replace("-", "_"))
    return os.environ.get(own) or os.environ.get(ADDRESS)


def _version(package: Any) -> Tuple[int, ...]:
    numbers = re.findall(r"\d+", str(getattr(package, "__version__", "")))
    return tuple(int(number) for number in numbers[:2]) or READS_IT
