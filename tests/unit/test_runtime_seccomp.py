"""The filter of system calls as a program: interpreted here, so that both kinds of machine are judged."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker_runtime import seccomp

MACHINES = sorted(seccomp.ARCHITECTURES)
COLUMN = {"x86_64": 0, "aarch64": 1}
EPERM, ENOSYS = seccomp.ERROR | errno.EPERM, seccomp.ERROR | errno.ENOSYS


def answer(machine: str, number: int, argument: int = 0, architecture: int | None = None) -> int:
    """Run the program as the kernel does; every program ends, as it only jumps forward."""
    data = struct.pack("<iIQQ", number, architecture or seccomp.ARCHITECTURES[machine], 0, argument)
    accumulator, at, steps = 0, 0, seccomp.program(machine)
    while True:
        code, when_true, when_false, operand = steps[at]
        at += 1
        match code:
            case seccomp.LOAD:
                accumulator = int.from_bytes(data[operand : operand + 4], "little")
            case seccomp.RETURN:
                return operand
            case seccomp.JUMP_EQUAL:
                at += when_true if accumulator == operand else when_false
            case seccomp.JUMP_ABOVE:
                at += when_true if accumulator > operand else when_false
            case seccomp.JUMP_ANY_BIT:
                at += when_true if accumulator & operand else when_false
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("machine", MACHINES)
@given(st.data())
def test_each_call_is_allowed_or_refused_as_the_tables_say(machine: str, data: st.DataObject) -> None:
    column = COLUMN[machine]
    refused = {numbers[column] for numbers in seccomp.REFUSED.values()}
    judged_by_argument = {seccomp.CLONE[column], seccomp.SOCKET[column], seccomp.PERSONALITY[column]}
    number = data.draw(st.integers(0, 600).filter(lambda each: each not in judged_by_argument))
    argument = data.draw(st.integers(0, 1 << 64).map(lambda each: each & (1 << 64) - 1))
    absent = number > seccomp.LAST_KNOWN or number == seccomp.ABSENT["clone3"][column]
    assert answer(machine, number, argument) == (ENOSYS if absent else EPERM if number in refused else seccomp.ALLOW)


@pytest.mark.parametrize("machine", MACHINES)
def test_what_depends_on_an_argument(machine: str) -> None:
    clone, socket = seccomp.CLONE[COLUMN[machine]], seccomp.SOCKET[COLUMN[machine]]
    personality = seccomp.PERSONALITY[COLUMN[machine]]
    threads, fork, vfork = 0x3D0F00, 0x1200011, 0x4111  # what glibc asks for
    assert [answer(machine, clone, flags) for flags in (threads, fork, vfork)] == [seccomp.ALLOW] * 3
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert answer(machine, clone, flag | fork) == EPERM
    assert [answer(machine, socket, family) for family in (1, 2, 10, 16)] == [seccomp.ALLOW] * 4
    assert [answer(machine, socket, family) for family in (38, 40)] == [EPERM] * 2
    assert answer(machine, personality, 0) == answer(machine, personality, 0xFFFFFFFF) == seccomp.ALLOW
    assert answer(machine, personality, 0x40000) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_by_the_numbers_of_another_machine_are_refused(machine: str) -> None:
    i386, x32 = 0x40000003, 0x40000000
    assert answer(machine, 1, architecture=i386) == EPERM
    assert answer(machine, 1 | x32) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_the_kernel_takes_the_program(machine: str) -> None:
    steps = seccomp.program(machine)
    assert len(steps) <= 4096
    for at, (_, when_true, when_false, _) in enumerate(steps):
        assert at + max(when_true, when_false) < len(steps)
        assert max(when_true, when_false) <= 255
