"""Makes botocore before 1.31 (boto3 before 1.28) read AWS_ENDPOINT_URL, as the ones after it do by themselves.

Nothing happens until a script imports botocore.
"""

import importlib.util
import os
import re
import sys
from typing import Any, Optional, Sequence, Tuple

ADDRESS = "AWS_ENDPOINT_URL"
WATCHED = "botocore.session"
READS_IT = (1, 31)
BEFORE_ADDRESS = 5  # positional parameters of create_client between the service's name and its address


def install() -> None:
    """Watch for botocore, where there is an address."""
    if ADDRESS in os.environ:
        sys.meta_path.insert(0, _Watch())


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
