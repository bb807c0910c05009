"""The parts of sagemaker-containers under their public names."""

from ... import (
    _content_types,
    _encoders,
    _env,
    _errors,
    _files,
    _functions,
    _logging,
    _mapping,
    _modules,
    _mpi,
    _params,
    _process,
    _runner,
    _server,
    _trainer,
    _transformer,
    _worker,
    entry_point,
    training_env,
)

content_types = _content_types
encoders = _encoders
env = _env
errors = _errors
files = _files
functions = _functions
logging = _logging
mapping = _mapping
modules = _modules
mpi = _mpi
params = _params
process = _process
runner = _runner
server = _server
trainer = _trainer
transformer = _transformer
worker = _worker

__all__ = [
    "content_types", "encoders", "entry_point", "env", "errors", "files", "functions", "logging", "mapping", "modules",
    "mpi", "params", "process", "runner", "server", "trainer", "training_env", "transformer", "worker",
]  # fmt: skip
