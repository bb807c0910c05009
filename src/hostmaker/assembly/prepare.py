"""Makes one instance ready to start: model data, code, environment. A child process of the node agent.

    python -m hostmaker.assembly.prepare INSTANCE_DIRECTORY

Reads `spec.json`, writes `prepared.json`; or, ending with code 3, `failure.json`. What it says goes to the instance's
log (`HOSTMAKER_LOG`). It starts with every instance, so what is slow to import is imported where it is needed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from hostmaker.assembly.prepared_environment import container_environment, script_directory
from hostmaker.domain.errors import ApiError
from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceSpec
from hostmaker.domain.model import DataLayout, ModelData
from hostmaker.domain.preparation import SOCKET_PLACEHOLDER, Prepared
from hostmaker.environments.build import Cache, Environment, Wanted, default_cache
from hostmaker.environments.catalog import CatalogError, Match, UnknownImageError, load_catalog, match_image
from hostmaker.environments.choice import Choice, choose_release
from hostmaker.environments.installer import BuildError
from hostmaker.environments.interpreters import find_interpreters, own_interpreter
from hostmaker.environments.lock import Recipe, sha256
from hostmaker.environments.requirements import read_requirements
from hostmaker.fleet.model_data import DataError, Downloads, fetch
from hostmaker.kit.codec import decode, encode
from hostmaker.kit.files import write_atomically
from hostmaker.logs.write import append_line

EXIT_FAILED = 3
