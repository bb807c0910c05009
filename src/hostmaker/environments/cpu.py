"""Keeps environments on the processor: no package for CUDA is installed unless a model asks for it by name."""

from __future__ import annotations

import platform
import re
import sys

TORCH_INDEX = ("--torch-backend", "cpu")  # of uv: PyTorch's own index of CPU wheels, for PyTorch's own packages
TORCH = re.compile(r"(?P<name>torch|torchvision|torchaudio)==(?P<version>\d+(?:\.\d+)*)")
CUDA = re.compile(r"(?m)^(?P<name>(?:nvidia|cuda|cupy)-[a-z0-9-]+|triton|pytorch-triton|xgboost-gpu)==")

# XGBoost's wheels run without it; nothing but several machines with GPUs needs it.
WITHOUT = "\n".join(f"nvidia-nccl-cu{major}; python_version < '0'" for major in (11, 12, 13)) + "\n"


def on_cpu(requirement: str) -> str:
    """Give a requirement of an exact release of PyTorch as that of its CPU build; any other as it is."""
    found = TORCH.fullmatch(requirement)
    has_label = sys.platform == "linux" and platform.machine() == "x86_64"
    return f"{requirement}+cpu" if found and has_label else requirement


def cuda_packages(lock: str) -> list[str]:
    """Name the packages in a lock that are for CUDA."""
    return sorted({match["name"] for match in CUDA.finditer(lock)})


def names_cuda(requirements: str) -> bool:
    """Tell whether requirements ask for such packages by name."""
    return any(CUDA.match(f"{re.split('[=<>!~;@ ]', line, maxsplit=1)[0]}==") for line in requirements.splitlines())
