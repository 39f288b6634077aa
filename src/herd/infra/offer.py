"""What a stack offers to workloads by name: hardware, connections and datasets.

Plain values from the stack's settings, which the program and the command line read each in its way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from herd.infra import addresses
from herd.infra.capacity import MANAGED
from herd.infra.settings.tables import Connection, Dataset, Notifications, Pool

ZONES_WITHOUT_FARGATE = ("apne1-az3", "cac1-az3", "cnn1-az3", "use1-az3", "usw1-az2")
"""Zones by the ids that are the same in every account: a task that is put there never starts. Source: "Linux containers
on AWS Fargate", ECS developer guide, which names the zones that have it where not all of a region do.
"""

VM = "vm"
VM_POOL = Pool("m7i-flex.large", min=0, max=4)
"""What `hardware = "vm"` is where nobody chose another machine: 2 vCPU and 8 GB, none while nothing runs."""


def is_arm64(pool: Pool | None) -> bool:
    """Whether images must be built for Arm's processors; Fargate here has the others."""
    return pool is not None and pool.arm64


class Offering(Protocol):
    """The stack's settings, as far as they concern this module."""

    @property
    def pools(self) -> Mapping[str, Pool]: ...
    @property
    def connections(self) -> Mapping[str, Connection]: ...
    @property
    def datasets(self) -> Mapping[str, Dataset]: ...


class OfferingWithTeams(Offering, Protocol):
    """The same, who is told, and whose settings of workloads apply too."""

    @property
    def notifications(self) -> Notifications: ...
    @property
    def copy_of(self) -> str: ...


@dataclass(frozen=True)
class Offer:
    """What there is in one environment. `Offer()`: what every environment has."""

    pools: Mapping[str, Pool] = field(default_factory=dict)
    connections: Mapping[str, Connection] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    teams: Mapping[str, tuple[str, ...]] | None = None
    """Who can own a workload beside an address, and their addresses; None: not known, so that no owner is refused."""
    mail_from: str | None = None
    """By whom reports are mailed; empty: by nobody. None: not known, as `teams`."""
    copy_of: str = ""
    """The environment whose tables in workload.toml apply here too; empty: none."""

    @classmethod
    def of(cls, settings: OfferingWithTeams) -> "Offer":
        notifications = settings.notifications
        return cls(
            settings.pools,
            settings.connections,
            settings.datasets,
            notifications.owners,
            notifications.mail_from,
            settings.copy_of,
        )

    def owners(self, owner: str) -> tuple[str, ...]:
        """The addresses of an owner, each in its mailbox's one form; none where it is neither address nor team."""
        teams = self.teams or {}
        if owner in teams:
            return teams[owner]
        return (addresses.canonical(owner),) if addresses.is_address(owner) else ()

    @property
    def hardware(self) -> tuple[str, ...]:
        """Everything that `hardware` may be."""
        return (*MANAGED, VM, *sorted(set(self.pools) - {VM}))

    def pool(self, hardware: str) -> Pool | None:
        """The machines of that hardware; None where AWS runs them, or where there is no such hardware."""
        return self.pools.get(hardware, VM_POOL if hardware == VM else None)

    def used(self, hardware: Iterable[str]) -> dict[str, Pool]:
        """The pools among `hardware`, by name."""
        pools = {name: self.pool(name) for name in sorted(set(hardware))}
        return {name: pool for name, pool in pools.items() if pool is not None}
