"""A filter of system calls: what container engines refuse by default, an instance cannot call either.

Refused are the calls that change the machine or its namespaces, load code into the kernel, or reach what no namespace
divides (keyrings, memory policies, host sockets of a virtual machine). Everything else is allowed; a number later than
those known here does not exist for the instance, so that new calls are not allowed unseen.
Source: seccomp(2); Docker's documentation, Seccomp security profiles, and its default profile as of 2026; the
numbers are those of the kernel's asm/unistd_64.h and asm-generic/unistd.h.
"""

import ctypes
import errno
import platform
import struct
from typing import Dict, List, Optional, Tuple

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*

# By name: the number on x86-64, that on arm64; None where there is no such call.
REFUSED: Dict[str, Tuple[Optional[int], Optional[int]]] = {
    # namespaces, mounts and names of the machine
    "chroot": (161, 51),
    "mount": (165, 40),
    "pivot_root": (155, 41),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    # files past their directories, and notice of all files
    "fanotify_init": (300, 262),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # code in the kernel, and what watches it
    "bpf": (321, 280),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "get_kernel_syms": (177, None),
    "init_module": (175, 105),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "perf_event_open": (298, 241),
    "query_module": (178, None),
    "syslog": (103, 116),
    # the machine itself
    "acct": (163, 89),
    "clock_settime": (227, 112),
    "ioperm": (173, None),
    "iopl": (172, None),
    "reboot": (169, 142),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "_sysctl": (156, None),
    "sysfs": (139, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "vhangup": (153, 58),
    # keyrings, which no namespace divides
    "add_key": (248, 217),
    "keyctl": (250, 219),
    "request_key": (249, 218),
    # memory: its places on the machine, that of other processes, and faults that a program answers
    "get_mempolicy": (239, 236),
    "mbind": (237, 235),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "process_madvise": (440, 440),
    "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450),
    "userfaultfd": (323, 282),
    # other processes' descriptors
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # a second way to make system calls
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
}
ABSENT = {"clone3": (435, 435)}  # its flags are behind a pointer; C libraries then take clone, whose flags can be seen
LAST_KNOWN = 466  # removexattrat, of Linux 6.13
CLONE, SOCKET, PERSONALITY = (56, 220), (41, 198), (135, 92)
NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
FAMILIES = (38, 40)  # AF_ALG, the kernel's own cryptography; AF_VSOCK, the host of a virtual machine
PERSONALITIES = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)  # Linux, of 32 bits, with the old release's name; the question

# Instructions of classic BPF, and what a filter answers.
LOAD, JUMP_EQUAL, JUMP_ABOVE, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # places in struct seccomp_data; of the argument, the lower half
ALLOW, ERROR = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
SECCOMP = {"x86_64": 317, "aarch64": 277}
SET_MODE_FILTER, SPEC_ALLOW = 1, 4

Instruction = Tuple[int, int, int, int]  # code, steps when true, steps when false, operand

_libc = ctypes.CDLL(None, use_errno=True)


def is_known(machine: str = platform.machine()) -> bool:
    """Whether there is a filter for this kind of machine."""
    return machine in ARCHITECTURES and struct.calcsize("P") == 8


def program(machine: str) -> List[Instruction]:
    """Return the filter for `x86_64` or `aarch64`; raises KeyError for another machine."""
    column = 0 if machine == "x86_64" else 1
    architecture = ARCHITECTURES[machine]
    refusal, absence = _answer(ERROR | errno.EPERM), _answer(ERROR | errno.ENOSYS)
    found: List[Instruction] = [(LOAD, 0, 0, ARCHITECTURE), (JUMP_EQUAL, 1, 0, architecture), refusal]
    found += [(LOAD, 0, 0, NUMBER), (JUMP_ABOVE, 0, 1, LAST_KNOWN), absence]
    argument = (LOAD, 0, 0, FIRST_ARGUMENT)
    is_new_namespace: List[Instruction] = [(JUMP_ANY_BIT, 0, 1, NAMESPACES), refusal, _answer(ALLOW)]
    found += _for(CLONE[column], [argument, *is_new_namespace])
    refused_families = [step for family in FAMILIES for step in _for(family, [refusal])]
    found += _for(SOCKET[column], [argument, *refused_families, _answer(ALLOW)])
    allowed_personalities = [step for value in PERSONALITIES for step in _for(value, [_answer(ALLOW)])]
    found += _for(PERSONALITY[column], [argument, *allowed_personalities, refusal])
    for answer, calls in ((refusal, REFUSED), (absence, ABSENT)):
        for numbers in calls.values():
            number = numbers[column]
            found += [] if number is None else _for(number, [answer])
    return [*found, _answer(ALLOW)]


def install() -> None:
    """Filter what this process and its children call, for good; raises OSError.

    Needs PR_SET_NO_NEW_PRIVS.
    """
    machine = platform.machine()
    if not is_known(machine):
        raise OSError(errno.ENOSYS, "there is no filter for %s" % machine)
    steps = program(machine)
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    filtered = struct.pack("HP", len(steps), ctypes.addressof(buffer))
    # Without the flag, kernels before 5.16 make every memory access of the process slower.
    if _libc.syscall(SECCOMP[machine], SET_MODE_FILTER, SPEC_ALLOW, filtered) == 0:
        return
    if _libc.prctl(PR_SET_SECCOMP, MODE_FILTER, filtered, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "seccomp")


def _for(value: int, steps: List[Instruction]) -> List[Instruction]:
    """Do these steps when what was loaded is `value`, else go on behind them."""
    return [(JUMP_EQUAL, 0, len(steps), value), *steps]


def _answer(value: int) -> Instruction:
    return (RETURN, 0, 0, value)
