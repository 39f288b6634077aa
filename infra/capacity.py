"""What Fargate offers: the pairs of CPU and memory, and the disk.

Source: "Task CPU and memory", Amazon ECS developer guide for Fargate (Linux). A pair outside the table is refused by
RegisterTaskDefinition, so it is refused here first, with the alternatives.
"""

from typing import NamedTuple


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


def known_cpu(cpu: float) -> float:
    """`cpu` itself when Fargate has it; raises ValueError with the choice."""
    if cpu not in FARGATE_MEMORY_GB:
        raise ValueError(f"is not a size that Fargate has; allowed: {', '.join(f'{c:g}' for c in FARGATE_MEMORY_GB)}")
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
