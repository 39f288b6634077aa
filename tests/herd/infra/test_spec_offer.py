"""What a stack offers, and what a workload may take of it."""

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import moto
import pytest

from herd.infra import capacity
from herd.infra.offer import Offer
from herd.infra.settings.tables import Connection, Dataset, Pool
from herd.infra.spec.load import SpecErrors, load_specs

Write = Callable[[Mapping[str, str | bytes | None]], Path]

JOB = "jobs/churn/workload.toml"
OFFER = Offer(
    pools={"gpu": Pool("g5.xlarge", max=2, gpu=1), "tiny": Pool("t3.small"), "novel": Pool("x99zz.huge")},
    connections={name: Connection("postgresql", f"{name}-login", 5432) for name in ("warehouse", "mart")}
    | {"old": Connection("mysql", "old-login", 3306)},
    datasets={"lake": Dataset("s3://lake/raw/"), "ingest": Dataset("s3://lake/ingest/")},
)
TYPES = Path(moto.__file__).parent / "ec2/resources/instance_types.json.gz"


def refusal(root: Path) -> list[str]:
    with pytest.raises(SpecErrors) as error:
        load_specs(root, "dev", OFFER)
    return [line.removeprefix(f"{JOB}: ") for line in str(error.value).split("\n")]


@pytest.mark.parametrize(
    "settings",
    [
        'hardware = "gpu"\ncpu = 4\nmemory_gb = 15',
        'hardware = "tiny"\ncpu = 0.75\nmemory_gb = 1.7',
        'hardware = "novel"\ncpu = 96\nmemory_gb = 1000',
        'hardware = "vm"\ncpu = 1.25',
        'connects = ["warehouse"]\nreads = ["lake"]',
        '[environments.prod]\nhardware = "of-prod"\nconnects = ["of-prod"]',
    ],
)
def test_what_is_offered_can_be_taken(settings: str, write_project: Write) -> None:
    assert "churn" in load_specs(write_project({JOB: settings}), "dev", OFFER).workloads


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ('hardware = "gpus"', ["hardware = \"gpus\" is not hardware of this environment; did you mean 'gpu'?"]),
        (
            'hardware = "gpu"\ncpu = 8\nmemory_gb = 16',
            [
                'cpu = 8 with memory_gb = 16 does not fit on "gpu": a g5.xlarge has room for up to cpu = 4 and '
                "memory_gb = 15"
            ],
        ),
        (
            'hardware = "tiny"',
            [
                'cpu = 1 with memory_gb = 2 does not fit on "tiny": a t3.small has room for up to cpu = 2 and '
                "memory_gb = 1.8"
            ],
        ),
        (
            'connects = ["warehose"]',
            ["connects: \"warehose\" is not a connection in the stack's settings; did you mean 'warehouse'?"],
        ),
        (
            '[[check]]\nconnection = "warehouse"\nquery = "SELECT 1"\nmin = 1',
            ['[[check]] no. 1: connection = "warehouse" is not in connects; write: connects = ["warehouse"]'],
        ),
        (
            'connects = ["warehouse"]\n[[check]]\nconnection = "warehose"\nquery = "SELECT 1"\nmin = 1',
            [
                "[[check]] no. 1: connection = \"warehose\" is not in connects; did you mean 'warehouse'?; "
                'write: connects = ["warehouse", "warehose"]'
            ],
        ),
        (
            'connects = ["old"]\n[[check]]\nconnection = "old"\nquery = "SELECT 1"\nmin = 1',
            [
                '[[check]] no. 1: a check cannot ask a connection with driver = "mysql"; allowed: postgresql, '
                "redshift; a check with `command` can run a program that asks it"
            ],
        ),
        (
            'fan_out = ["a", "b"]\npublish = ["python", "main.pi"]',
            [
                "publish and fan_out exclude each other: items end one by one, so none of them can publish for all; "
                "let a job that comes `after` this one check and publish what its items have staged"
            ],
        ),
        (
            'publish = ["python", "mian.py"]',
            ["publish: \"mian.py\" is not a file of jobs/churn; did you mean 'main.py'?"],
        ),
        ('publish = ["x", "hush\\u0000"]', ["publish must not contain the character NUL"]),
        ('reads = ["laker"]', ["reads: \"laker\" is not a job, report or dataset; did you mean 'lake'?"]),
        (
            'reads = ["ingest"]',
            ['reads: "ingest" is a workload and a dataset in the stack\'s settings; rename one of them'],
        ),
    ],
)
def test_what_is_not_offered_is_refused(settings: str, told: list[str], write_project: Write) -> None:
    assert refusal(write_project({JOB: settings})) == told


def test_all_connections_of_a_workload_fit_on_its_network_interface(write_project: Write) -> None:
    offer = Offer(connections={f"db-{n}": Connection("mysql", "login", 3306) for n in range(5)})
    root = write_project({JOB: f"connects = {json.dumps(sorted(offer.connections))}"})
    with pytest.raises(SpecErrors, match="connects has 5 entries; allowed: up to 4"):
        load_specs(root, "dev", offer)


def test_instance_types_are_those_of_ec2() -> None:
    """Against what DescribeInstanceTypes answered when moto was made."""
    with gzip.open(TYPES) as file:
        described = json.load(file)
    known = {name: found for name in described if (found := capacity.machine(name)) is not None}
    wrong = {}
    for name, found in known.items():
        told = described[name]
        cards = sum(card["Count"] for card in told.get("GpuInfo", {}).get("Gpus", []))
        is_ = (told["VCpuInfo"]["DefaultVCpus"], told["MemoryInfo"]["SizeInMiB"] / 1024, cards)
        if is_ != tuple(found):
            wrong[name] = (is_, found)
    assert not wrong
    families = {"t3", "t4g", "m7i", "m7i-flex", "m7g", "c7i", "r7i", "g4dn", "g5", "g6", "g6e", "m8g"}
    assert families <= {name.partition(".")[0] for name in known}
    assert capacity.machine("m7i.metal-24xl") is None and capacity.machine("nonsense") is None
