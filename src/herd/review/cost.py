"""What an environment costs a month: a range, the assumptions of each line, and what has no price here.

Things that are there day and night are counted. Tasks run as long as their schedule, time limits and copies let them:
at least the minute that Fargate charges, at most the whole limit. What is paid by use (traffic, storage, log lines) is
named with its price and not guessed. A type of resource that no table has is `unpriced`, never nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from herd.engine.changes import group_of, short, type_and_name
from herd.engine.plan import ENVIRONMENT, Resource
from herd.infra import prices
from herd.infra.prices import HOURS_A_MONTH, Price
from herd.review.settings import Plain, Written
from herd.runner.contract import schedule

SHORTEST_MINUTES = 1
"""What Fargate charges at least (AWS Fargate pricing, "Duration")."""

FREE_DISK_GB = 20

DAYS = 364
"""Of the year that starts are counted in: whole weeks."""

A_START = datetime(2027, 1, 3, 23, 59, 59, tzinfo=UTC)
"""Where starts are counted from, so that the same files cost the same on every day."""

ON_FARGATE = {"fargate": 1.0, "fargate-spot": 1 - prices.SPOT_DISCOUNT_PERCENT / 100}
"""Hardware that is paid by vCPU and GB -> the share of the price."""


@dataclass(frozen=True)
class Item:
    """One line: `low` to `high` units of `price` a month. `basis`: what was assumed."""

    owner: str
    what: str
    price: Price
    low: float
    high: float
    basis: str = ""

    @property
    def usd(self) -> tuple[float, float]:
        """From, to."""
        return self.low * self.price.usd, self.high * self.price.usd

    def as_json(self) -> dict[str, Any]:
        """Of `herd cost --format json`."""
        low, high = self.usd
        return {
            "owner": self.owner, "what": self.what, "unit": self.price.unit, "usd_each": self.price.usd,
            "from": round(low, 2), "to": round(high, 2), "basis": self.basis, "source": self.price.source,
        }  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """`items` are counted; `by_use` are prices of what is not; `unpriced`: types without a price -> how many."""

    items: tuple[Item, ...]
    by_use: tuple[Price, ...] = ()
    unpriced: Mapping[str, int] = field(default_factory=dict)

    @property
    def usd(self) -> tuple[float, float]:
        """From, to, a month."""
        return _sum(self.items)

    @property
    def by_owner(self) -> dict[str, tuple[float, float]]:
        """Workload, or part of the environment -> from, to; the dearest first."""
        owners = dict.fromkeys(item.owner for item in self.items)
        sums = {owner: _sum(item for item in self.items if item.owner == owner) for owner in owners}
        return dict(sorted(sums.items(), key=lambda entry: (-entry[1][1], -entry[1][0], entry[0])))

    def as_json(self) -> dict[str, Any]:
        """Of `herd cost --format json`."""
        low, high = self.usd
        return {
            "currency": "USD",
            "a_month": {"from": round(low, 2), "to": round(high, 2)},
            "as_of": prices.AS_OF,
            "items": [item.as_json() for item in self.items],
            "by_use": [{"unit": price.unit, "usd_each": price.usd, "source": price.source} for price in self.by_use],
            "unpriced": dict(self.unpriced),
        }


def _sum(items: Iterable[Item]) -> tuple[float, float]:
    ranges = [item.usd for item in items]
    return sum(low for low, _ in ranges), sum(high for _, high in ranges)


@dataclass(frozen=True)
class Saving:
    """What another choice would save a month, from and to. `choice`: the setting, as it would be written."""

    choice: str
    usd: tuple[float, float]
    but: str

    def as_json(self) -> dict[str, Any]:
        """Of `herd cost --format json`."""
        return {"choice": self.choice, "from": round(self.usd[0], 2), "to": round(self.usd[1], 2), "but": self.but}


def savings(resources: Sequence[Resource], written: Written) -> list[Saving]:
    """What the choices would save that the environment has not made, the largest first."""
    spot = {
        name: {**settings, "hardware": "fargate-spot"} if settings.get("hardware", "fargate") == "fargate" else settings
        for name, settings in written.workloads.items()
        if "port" not in settings
    }
    choices = [
        (
            'hardware = "fargate-spot" for jobs and reports',
            resources,
            replace(written, workloads={**written.workloads, **spot}),
            "AWS may interrupt a run, which is then tried again",
        )
    ]
    if any(resource.type == "aws:ec2:NatGateway" for resource in resources):
        kept = [one for one in resources if one.type not in ("aws:ec2:NatGateway", "aws:ec2:Eip")]
        public = replace(written, stack={**written.stack, "network": "public"})
        choices.append(("network: public", kept, public, "each task has an address of its own, which lets nothing in"))
    now = estimate(resources, written).usd
    saved = []
    for choice, others, settings, but in choices:
        then = estimate(others, settings).usd
        low, high = sorted((now[0] - then[0], now[1] - then[1]))
        if high >= 0.01:
            saved.append(Saving(choice, (low, high), but))
    return sorted(saved, key=lambda saving: -saving.usd[1])


def of_state(resources: Iterable[Mapping[str, Any]]) -> list[Resource]:
    """The resources of Pulumi's state, as `pulumi stack export` has them."""
    declared = []
    for state in resources:
        type_, name = type_and_name(state["urn"])
        if state.get("custom") and not state.get("delete") and not type_.startswith("pulumi:"):
            owner = group_of({"new": state}) or ENVIRONMENT
            declared.append(Resource(short(type_), name, owner, state.get("inputs") or {}))
    return declared


def estimate(resources: Iterable[Resource], written: Written) -> Estimate:
    """Of what is deployed, or would be."""
    items: list[Item] = []
    by_use: dict[Price, None] = {}
    unpriced: Counter[str] = Counter()
    zones = int(written.stack.get("zones", 2))
    for resource in resources:
        if resource.type in COUNTED:
            items += COUNTED[resource.type](resource, zones)
        for price in BY_USE.get(resource.type, ()):
            by_use[price] = None
        if resource.type not in COUNTED and resource.type not in BY_USE and not is_free(resource.type):
            unpriced[resource.type] += 1
    for name, settings in sorted(written.workloads.items()):
        items += _workload(name, settings, written)
    return Estimate(tuple(items), tuple(by_use), dict(sorted(unpriced.items())))


# --- things that are there day and night ----------------------------------------------------------------------------


def _hours(price: Price, what: str, count: int = 1) -> Callable[[Resource, int], Iterator[Item]]:
    def items(resource: Resource, zones: int) -> Iterator[Item]:
        hours = HOURS_A_MONTH * count
        yield Item(resource.owner, what, price, hours, hours)

    return items


def _each(price: Price, what: str) -> Callable[[Resource, int], Iterator[Item]]:
    def items(resource: Resource, zones: int) -> Iterator[Item]:
        yield Item(resource.owner, what, price, 1, 1)

    return items


def _endpoint(resource: Resource, zones: int) -> Iterator[Item]:
    if resource.inputs.get("vpcEndpointType") == "Interface":
        hours = HOURS_A_MONTH * zones
        yield Item(resource.owner, "interface endpoint", prices.ENDPOINT, hours, hours, f"in {zones} zones")


def _load_balancer(resource: Resource, zones: int) -> Iterator[Item]:
    yield Item(resource.owner, "load balancer", prices.LOAD_BALANCER, HOURS_A_MONTH, HOURS_A_MONTH)
    if not resource.inputs.get("internal"):
        hours = HOURS_A_MONTH * zones
        yield Item(resource.owner, "addresses of the load balancer", prices.ADDRESS, hours, hours, f"in {zones} zones")


COUNTED: Mapping[str, Callable[[Resource, int], Iterator[Item]]] = {
    "aws:ec2:NatGateway": _hours(prices.NAT_GATEWAY, "NAT gateway"),
    "aws:ec2:Eip": _hours(prices.ADDRESS, "address of the NAT gateway"),
    "aws:ec2:VpcEndpoint": _endpoint,
    "aws:lb:LoadBalancer": _load_balancer,
    "aws:kms:Key": _each(prices.KEY, "encryption key"),
    "aws:cloudwatch:MetricAlarm": _each(prices.ALARM, "alarm"),
    "aws:secretsmanager:Secret": _each(prices.SECRET, "secret"),
    "aws:route53:Zone": _each(prices.ZONE, "hosted zone"),
}
"""Type -> the lines of one of them, by its declaration and the number of zones."""

BY_USE: Mapping[str, tuple[Price, ...]] = {
    "aws:s3:Bucket": (prices.STORAGE, prices.OBJECT_WRITE, prices.OBJECT_READ),
    "aws:ecr:Repository": (prices.IMAGE_STORAGE,),
    "aws:cloudwatch:LogGroup": (prices.LOGS,),
    "aws:lb:LoadBalancer": (prices.LOAD_BALANCER_USE,),
    "aws:ec2:NatGateway": (prices.NAT_TRAFFIC,),
    "aws:ec2:FlowLog": (prices.LOGS,),
    "aws:cloudfront:Distribution": (prices.CDN_TRAFFIC,),
    "aws:sfn:StateMachine": (prices.TRANSITION,),
    "aws:scheduler:Schedule": (prices.SCHEDULE,),
    "aws:lambda:Function": (prices.FUNCTION_CALL, prices.FUNCTION_GB_SECOND),
    "aws:sns:Topic": (prices.MAIL,),
    "aws:sqs:Queue": (prices.QUEUE_CALL,),
}
"""Type -> what is paid by use, and not estimated."""

_FREE = frozenset(
    {
        "aws:acm:Certificate", "aws:acm:CertificateValidation", "aws:cloudfront:OriginAccessControl",
        "aws:cloudwatch:CompositeAlarm", "aws:cloudwatch:EventRule", "aws:cloudwatch:EventTarget",
        "aws:ec2:DefaultSecurityGroup", "aws:ec2:InternetGateway", "aws:ec2:LaunchTemplate", "aws:ec2:Route",
        "aws:ec2:RouteTable", "aws:ec2:RouteTableAssociation", "aws:ec2:SecurityGroup", "aws:ec2:Subnet",
        "aws:ec2:Vpc", "aws:ecr:LifecyclePolicy", "aws:ecs:CapacityProvider", "aws:ecs:Cluster",
        "aws:ecs:ClusterCapacityProviders", "aws:ecs:Service", "aws:ecs:TaskDefinition", "aws:kms:Alias",
        "aws:lambda:Permission", "aws:lb:Listener", "aws:lb:ListenerRule", "aws:lb:TargetGroup", "aws:route53:Record",
        "aws:scheduler:ScheduleGroup", "aws:sns:TopicPolicy", "aws:sns:TopicSubscription", "aws:sqs:QueuePolicy",
        "aws:rds:SubnetGroup", "docker:index:Image",
    }
)  # fmt: skip
_FREE_PARTS = ("aws:iam:", "aws:vpc:SecurityGroup", "aws:appautoscaling:", "aws:s3:Bucket")


def is_free(type_: str) -> bool:
    """Does a resource of this type cost nothing by itself? Tasks are counted by the settings of their workloads."""
    return type_ in _FREE or type_.startswith(_FREE_PARTS)


# --- tasks ----------------------------------------------------------------------------------------------------------


def _workload(name: str, settings: Plain, written: Written) -> Iterator[Item]:
    hardware = str(settings.get("hardware", "fargate"))
    if hardware not in ON_FARGATE:
        return  # the machines of its pool are paid, and named as unpriced
    low, high, basis = _task_hours(name, settings, written)
    if not high:
        return
    share, spot = ON_FARGATE[hardware], ", Spot" if hardware == "fargate-spot" else ""
    size = f"{basis}{spot}"
    cpu, memory = float(settings.get("cpu", 1)) * share, float(settings.get("memory_gb", 2)) * share
    yield Item(name, "vCPU", prices.FARGATE_VCPU, low * cpu, high * cpu, size)
    yield Item(name, "memory", prices.FARGATE_GB, low * memory, high * memory, size)
    if (disk := float(settings.get("disk_gb", FREE_DISK_GB)) - FREE_DISK_GB) > 0:
        yield Item(name, "disk", prices.FARGATE_DISK_GB, low * disk, high * disk, size)
    if written.stack.get("network", "public") == "public":
        yield Item(name, "addresses of tasks", prices.ADDRESS, low, high, basis)


def _task_hours(name: str, settings: Plain, written: Written) -> tuple[float, float, str]:
    """Hours of tasks in a month, from and to, and what was assumed."""
    if "port" in settings:
        replicas = settings.get("replicas") or {}
        least, most = int(replicas.get("min", 1)), int(replicas.get("max", 1))
        basis = f"{least} to {most} copies" if most > least else f"{least} {'copies' if least > 1 else 'copy'}"
        return least * HOURS_A_MONTH, most * HOURS_A_MONTH, f"{basis}, day and night"
    runs = starts_a_month(name, written)
    if not runs:
        return 0, 0, ""
    items = len(settings.get("fan_out") or ())
    tasks = items + 1 if items else 1  # the last one publishes
    minutes = int(settings.get("timeout_minutes", 60))
    basis = f"{runs:.1f} runs of {f'{tasks} tasks of ' if tasks > 1 else ''}{SHORTEST_MINUTES} to {minutes} minutes"
    return runs * tasks * SHORTEST_MINUTES / 60, runs * tasks * minutes / 60, basis


def starts_a_month(name: str, written: Written) -> float:
    """How often a job or report starts by itself; one that runs after others starts as often as the rarest of them."""
    if written.stack.get("schedules") is False:
        return 0
    settings = written.workloads.get(name, {})
    if settings.get("paused"):
        return 0
    if before := settings.get("after"):
        return min(starts_a_month(one, written) for one in before)
    if "schedule" not in settings:
        return 0
    parsed = schedule.parse(str(settings["schedule"]))
    return _starts(parsed, str(settings.get("timezone", "UTC"))) / DAYS * HOURS_A_MONTH / 24


def _starts(parsed: schedule.Schedule, timezone: str) -> float:
    """In DAYS. What starts often is counted over four weeks only."""
    if step := schedule.rate_of(parsed.expression):
        return timedelta(days=DAYS) / step
    weeks = _count(parsed, timezone, 28)
    return weeks * DAYS / 28 if weeks >= DAYS // 28 else _count(parsed, timezone, DAYS)


def _count(parsed: schedule.Schedule, timezone: str, days: int) -> int:
    end = A_START + timedelta(days=days)
    return sum(1 for _ in takewhile(lambda time: time < end, schedule.runs(parsed, timezone, A_START)))


def dollars(usd: tuple[float, float]) -> str:
    """A range for people.

    >>> dollars((1.0, 1.0)), dollars((0.25, 12.5))
    ('1.00', '0.25 to 12.50')
    """
    low, high = (f"{amount:.2f}" for amount in usd)
    return low if low == high else f"{low} to {high}"
