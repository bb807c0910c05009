"""Nothing for CUDA is installed unless it is asked for by name."""

from __future__ import annotations

import platform
import sys

import pytest

from hostmaker.environments.cpu import cuda_packages, names_cuda, on_cpu

LABEL = "+cpu" if (sys.platform, platform.machine()) == ("linux", "x86_64") else ""


@pytest.mark.parametrize(
    ("requirement", "wanted"),
    [
        ("torch==2.6.0", "torch==2.6.0" + LABEL),
        ("torchvision==0.21.0", "torchvision==0.21.0" + LABEL),
        ("torch==2.6.0+cu124", "torch==2.6.0+cu124"),
        ("torch>=2", "torch>=2"),
        ("torchmetrics==1.0", "torchmetrics==1.0"),
    ],
)
def test_exact_releases_of_pytorch(requirement: str, wanted: str) -> None:
    assert on_cpu(requirement) == wanted


def test_what_is_for_cuda() -> None:
    lock = "numpy==2.0\nnvidia-nccl-cu12==2.3\ntorch==2.9.1\ntriton==3.5\nnvidia-cublas==13.0\n"
    assert cuda_packages(lock) == ["nvidia-cublas", "nvidia-nccl-cu12", "triton"]
    assert cuda_packages("tritonclient==2\nnvidia==1\ntorch==2.13.0+cpu\n") == []
    assert names_cuda("numpy\nnvidia-cudnn-cu12>=9\n")
    assert not names_cuda("torch\nnumpy>=1\n")
