"""What hardware offers: Fargate's pairs of CPU and memory, and what fits on a machine of a pool.

Source: "Task CPU and memory", Amazon ECS developer guide for Fargate (Linux). A pair outside the table is refused by
RegisterTaskDefinition, so it is refused here first, with the alternatives. On EC2 a task that fits on no machine waits
for ever, which is worse.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from herd.infra.prices import SPOT_DISCOUNT_PERCENT


class Bounds(NamedTuple):
    """An inclusive range."""

    min: int
    max: int


DISK_GB = Bounds(21, 200)
"""Ephemeral storage that can be asked for; 20 GB come with every task and cannot be asked for."""

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


@dataclass(frozen=True)
class Placement:
    """What ECS does with a task on a kind of hardware.

    `compatibility`: of its task definition. `memory_gb`: vCPU -> the sizes that go with it; None: whatever fits.
    `own_disk`: a task has a disk of the size that it asks for; else tasks share their machine's. `own_address`: it can
    have a public address. `endpoints`: what its machine calls besides, by the last part of the endpoint's name.
    `start_minutes`: how much later than the task's own limit the state machine gives up: for a machine to be there, and
    for the task to end itself.
    """

    compatibility: Literal["FARGATE", "EC2"]
    memory_gb: Mapping[float, tuple[float, ...]] | None
    own_disk: bool
    own_address: bool
    endpoints: tuple[str, ...]
    start_minutes: int


ON_FARGATE = Placement("FARGATE", FARGATE_MEMORY_GB, own_disk=True, own_address=True, endpoints=(), start_minutes=10)

ON_VMS = Placement(
    "EC2",
    memory_gb=None,
    own_disk=False,
    # Tasks on EC2 have addresses of the network only. Source: "awsvpc network mode", ECS developer guide.
    own_address=False,
    # Source: "Amazon ECS interface VPC endpoints", ECS developer guide.
    endpoints=("ecs", "ecs-agent", "ecs-telemetry"),
    # A pool that rests has to start a machine first; a GPU may be hard to get.
    start_minutes=30,
)


@dataclass(frozen=True)
class Managed:
    """Hardware whose machines AWS runs: there is nothing to make for it.

    `provider`: ECS's capacity provider. `about`: what a person is told of it. `quota`: its name, and its code among the
    service quotas of `fargate`.
    """

    provider: str
    about: str
    quota: tuple[str, str]
    placement: Placement = ON_FARGATE


MANAGED: Mapping[str, Managed] = {
    "fargate": Managed("FARGATE", "", ("Fargate vCPUs", "L-3032A538")),
    "fargate-spot": Managed(
        "FARGATE_SPOT",
        f"about {SPOT_DISCOUNT_PERCENT} % cheaper, and AWS may stop it with two minutes' notice",
        ("Fargate Spot vCPUs", "L-36FBB829"),
    ),
}
"""By the name that `hardware` has. All else is a pool: one may be called `fargate-gpu` and is none of these."""

PROVIDERS = tuple(entry.provider for entry in MANAGED.values())


def choices() -> str:
    """Managed hardware as the reference has it."""
    return "; ".join(f"`{name}`{': ' if entry.about else ''}{entry.about}" for name, entry in MANAGED.items())


def placement(hardware: str) -> Placement:
    """How tasks run on it."""
    return MANAGED[hardware].placement if hardware in MANAGED else ON_VMS


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
