"""What hardware offers: Fargate's pairs of CPU and memory, and what fits on a machine of a pool.

Source: "Task CPU and memory", Amazon ECS developer guide for Fargate (Linux). A pair outside the table is refused by
RegisterTaskDefinition, so it is refused here first, with the alternatives. On EC2 a task that fits on no machine waits
for ever, which is worse.
"""

import math
from typing import NamedTuple


class Bounds(NamedTuple):
    """An inclusive range."""

    min: int
    max: int


DISK_GB = Bounds(21, 200)
"""Ephemeral storage that can be asked for; 20 GB come with every task and cannot be asked for."""

FARGATE: dict[str, str] = {"fargate": "FARGATE", "fargate-spot": "FARGATE_SPOT"}
"""Hardware that AWS runs for us -> its capacity provider."""


def is_fargate(hardware: str) -> bool:
    """Whether AWS runs the machines: a pool may be called `fargate-gpu` and is none of these."""
    return hardware in FARGATE


FARGATE_MEMORY_GB: dict[float, tuple[float, ...]] = {
    0.25: (0.5, 1, 2),
    0.5: (1, 2, 3, 4),
    1: tuple(range(2, 9)),
    2: tuple(range(4, 17)),
    4: tuple(range(8, 31)),
    8: tuple(range(16, 61, 4)),
    16: tuple(range(32, 121, 8)),
}
"""vCPU -> memory sizes in GB."""


MOST_CPU = 192
"""vCPU of a task on EC2. Source: `cpu` in "Amazon ECS task definition parameters", ECS developer guide."""

GB_PER_CPU = {"c": 2, "m": 4, "r": 8}
"""Families for computing, of all trades, for memory -> GB of memory for each vCPU."""

CPU_OF_SIZE = {"medium": 1, "large": 2, "xlarge": 4}
BURSTABLE_GB = {"nano": 0.5, "micro": 1, "small": 2, "medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32}
GRAPHICS_GB_PER_CPU = {"g4dn": 4, "g5": 4, "g6": 4, "g6e": 8}
GRAPHICS_CARDS = {
    "g4dn": {"12xlarge": 4},
    "g5": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "g6": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "g6e": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
}
"""Sizes with more than the one card that all others have."""

SHARE_FOR_TASKS = 0.94
"""Of a machine's memory; the kernel and the agent take the rest (about 8 % of 1 GB, 4 % of 8 GB)."""


class Machine(NamedTuple):
    """What one machine has."""

    cpu: int
    memory_gb: float
    gpu: int

    @property
    def for_tasks_gb(self) -> float:
        """Memory that tasks can have, rounded down to a tenth."""
        return math.floor(self.memory_gb * SHARE_FOR_TASKS * 10) / 10


def machine(instance_type: str) -> Machine | None:
    """What an instance type has: `m7i.large` -> 2 vCPU, 8 GB; None for one of a family that is not known here.

    Source: "Specifications for Amazon EC2 instance types", Amazon EC2 instance types guide; a test compares all of them
    with what DescribeInstanceTypes answered.
    """
    family, _, size = instance_type.partition(".")
    if family in ("t3", "t3a", "t4g"):
        if size not in BURSTABLE_GB:
            return None
        return Machine({"xlarge": 4, "2xlarge": 8}.get(size, 2), BURSTABLE_GB[size], 0)
    times = size.removesuffix("xlarge")
    cpu = CPU_OF_SIZE.get(size) or (int(times) * 4 if size.endswith("xlarge") and times.isdecimal() else None)
    if cpu is None or (family in GRAPHICS_GB_PER_CPU and cpu < 4):
        return None
    if family in GRAPHICS_GB_PER_CPU:
        return Machine(cpu, cpu * GRAPHICS_GB_PER_CPU[family], GRAPHICS_CARDS[family].get(size, 1))
    if family[:1] in GB_PER_CPU and family[1:2] in ("6", "7", "8"):
        return Machine(cpu, cpu * GB_PER_CPU[family[0]], 0)
    return None


def known_cpu(cpu: float) -> float:
    """`cpu` itself when Fargate has it; raises ValueError with the choice."""
    if cpu not in FARGATE_MEMORY_GB:
        raise ValueError(f"is not a size that Fargate has; allowed: {', '.join(f'{c:g}' for c in FARGATE_MEMORY_GB)}")
    return cpu


def possible_cpu(cpu: float) -> float:
    """`cpu` itself when a task can have it on some hardware; raises ValueError."""
    if cpu not in FARGATE_MEMORY_GB and not (0.25 <= cpu <= MOST_CPU and (cpu * 4).is_integer()):
        known_cpu(cpu)
    return cpu


def least_memory(cpu: float) -> float:
    """The smallest memory in GB that goes with `cpu`: what a workload gets that names a CPU only."""
    return FARGATE_MEMORY_GB[known_cpu(cpu)][0]


def cpu_units(cpu: float) -> int:
    """vCPU -> the units of a task definition: 0.25 -> 256."""
    return round(cpu * 1024)


def memory_mib(memory_gb: float) -> int:
    """GB -> the MiB of a task definition: 0.5 -> 512."""
    return round(memory_gb * 1024)


def describe(sizes: tuple[float, ...]) -> str:
    """Sizes as a person would list them: `(2, 3, 4, 5)` -> `2 to 5`, `(16, 20, 24)` -> `16 to 24 in steps of 4`."""
    steps = {b - a for a, b in zip(sizes, sizes[1:], strict=False)}
    if len(sizes) < 4 or len(steps) > 1:
        return ", ".join(f"{size:g}" for size in sizes)
    (step,) = steps
    return f"{sizes[0]:g} to {sizes[-1]:g}" + (f" in steps of {step:g}" if step != 1 else "")
