"""Fargate's sizes."""

import pytest

from herd.infra.capacity import FARGATE_MEMORY_GB, cpu_units, describe, known_cpu, least_memory, memory_mib

# CPU units -> MiB as the ECS developer guide lists them ("Task CPU and memory").
GUIDE = {
    256: [512, 1024, 2048],
    512: [1024 * n for n in range(1, 5)],
    1024: [1024 * n for n in range(2, 9)],
    2048: [1024 * n for n in range(4, 17)],
    4096: [1024 * n for n in range(8, 31)],
    8192: [1024 * n for n in range(16, 61, 4)],
    16384: [1024 * n for n in range(32, 121, 8)],
}


def test_the_table_is_that_of_the_guide() -> None:
    table = {cpu_units(cpu): [memory_mib(memory) for memory in sizes] for cpu, sizes in FARGATE_MEMORY_GB.items()}
    assert table == GUIDE


def test_least_memory() -> None:
    assert [least_memory(cpu) for cpu in (0.25, 1, 16)] == [0.5, 2, 32]


def test_unknown_cpu() -> None:
    with pytest.raises(ValueError, match="is not a size that Fargate has; allowed: 0.25, 0.5, 1, 2, 4, 8, 16"):
        known_cpu(3)


@pytest.mark.parametrize(
    ("sizes", "text"),
    [((0.5, 1, 2), "0.5, 1, 2"), ((1, 2, 3, 4), "1 to 4"), ((16, 20, 24, 28), "16 to 28 in steps of 4"), ((1,), "1")],
)
def test_describe(sizes: tuple[float, ...], text: str) -> None:
    assert describe(sizes) == text
