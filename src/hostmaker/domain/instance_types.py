"""What an instance type has. Source: the families' sizes as AWS publishes them; memory in GiB follows vCPUs."""

from __future__ import annotations

GIB = 1 << 30
VCPUS = {"medium": 1, "large": 2, "xlarge": 4, "metal": 96}  # and N xlarge has 4 N
GIB_PER_VCPU = {
    "m4": 4.0, "m5": 4.0, "m5d": 4.0, "m6i": 4.0, "m6id": 4.0, "m6a": 4.0, "m6g": 4.0, "m6gd": 4.0, "m7i": 4.0,
    "m7g": 4.0,
    "m8g": 4.0, "c4": 1.875, "c5": 2.0, "c5d": 2.0, "c5n": 2.625, "c6i": 2.0, "c6id": 2.0, "c6g": 2.0, "c6gd": 2.0,
    "c6gn": 2.0, "c7i": 2.0, "c7g": 2.0, "c8g": 2.0, "r5": 8.0, "r5d": 8.0, "r6i": 8.0, "r6id": 8.0, "r6g": 8.0,
    "r6gd": 8.0, "r7i": 8.0, "r7g": 8.0, "r8g": 8.0, "g4dn": 4.0, "g5": 4.0, "g6": 4.0, "g6e": 8.0, "inf1": 2.0,
    "inf2": 4.0, "trn1": 4.0, "trn1n": 4.0,
}  # fmt: skip
EXCEPTIONS_GIB = {
    "t2.medium": 4.0, "t2.large": 8.0, "t2.xlarge": 16.0, "t2.2xlarge": 32.0, "t3.medium": 4.0, "t3.large": 8.0,
    "t3.xlarge": 16.0, "t3.2xlarge": 32.0, "c4.8xlarge": 60.0, "m4.10xlarge": 160.0, "p2.xlarge": 61.0,
    "p2.8xlarge": 488.0, "p2.16xlarge": 732.0, "p3.2xlarge": 61.0, "p3.8xlarge": 244.0, "p3.16xlarge": 488.0,
    "p4d.24xlarge": 1152.0, "p4de.24xlarge": 1152.0, "p5.48xlarge": 2048.0, "p5e.48xlarge": 2048.0,
    "c5n.18xlarge": 192.0,
}  # fmt: skip


def memory_bytes(instance_type: str) -> int | None:
    """Give the memory of an instance type such as `ml.m5.large`; None for one that is not in the table."""
    family, _, size = instance_type.removeprefix("ml.").partition(".")
    gib = EXCEPTIONS_GIB.get(f"{family}.{size}")
    if gib is None:
        vcpus, per_vcpu = _vcpus(size), GIB_PER_VCPU.get(family)
        if vcpus is None or per_vcpu is None:
            return None
        gib = vcpus * per_vcpu
    return int(gib * GIB)


def _vcpus(size: str) -> int | None:
    number = size.removesuffix("xlarge")
    if size != number and number.isdigit():
        return 4 * int(number)
    return VCPUS.get(size)
