"""The lines of an estimate: what each resource that the program makes costs, and what the tasks of a workload do.

Every type of resource is in one of three tables: it has lines (`COUNTED`), it is paid by use that nobody can foresee
(`BY_USE`), or it is free by itself (`FREE`, with the reason). What is in none of them is unpriced, never nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from herd.engine.plan import ENVIRONMENT, Resource
from herd.infra import capacity, prices
from herd.infra.prices import HOURS_A_MONTH, Price, Prices, Thing
from herd.review import usage
from herd.review.settings import Plain, Written
from herd.review.usage import Usage

FREE_DISK_GB = 20
"""That come with every task on Fargate."""

SHARE = {"fargate": 1.0, "fargate-spot": 1 - prices.SPOT_DISCOUNT_PERCENT / 100}
"""Hardware that is paid by vCPU and GB -> the share of the price."""

TRANSITIONS = (10, 40)
"""Of the state machine in a run that succeeds at once, and in one that waits for another and is tried again."""

CALLS = (HOURS_A_MONTH * 12, HOURS_A_MONTH * 24)
"""Of the watch in a month: every five minutes, and as often again by events."""

CALL_SECONDS = (0.5, 5.0)

CAPACITY_UNITS = (0, 1)
"""Of a load balancer on average. One is 25 new connections a second, 3,000 open ones or 1 GB an hour."""

IDLE_HOURS = 0.25
"""So long ECS leaves a machine of a pool that has nothing to do (Amazon ECS developer guide, "managed scaling")."""


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
        """Of `herd cost --json`."""
        low, high = self.usd
        return {
            "owner": self.owner, "what": self.what, "unit": self.price.unit, "usd_each": self.price.usd,
            "units": {"from": round(self.low, 4), "to": round(self.high, 4)},
            "from": round(low, 2), "to": round(high, 2), "basis": self.basis,
            "source": self.price.source, "as_of": self.price.as_of.isoformat(), "confirmed": self.price.confirmed,
        }  # fmt: skip


@dataclass
class Bill:
    """Lines as they are added. `by_use`: prices of what is not counted; `unpriced`: what has no price -> how many."""

    prices: Prices
    written: Written
    measured: Usage = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    by_use: dict[Price, None] = field(default_factory=dict)
    unpriced: Counter[str] = field(default_factory=Counter)

    @property
    def zones(self) -> int:
        """Of the environment's network."""
        return int(self.written.stack.get("zones", 2))

    def add(self, owner: str, what: str, thing: Thing, low: float, high: float, basis: str = "") -> None:
        """A line; what the region has no price of is unpriced."""
        if price := self.prices.get(thing):
            self.items.append(Item(owner, what, price, low, high, basis))
        else:
            self.unpriced[f"{thing.unit} in {self.prices.region}"] += 1

    def add_by_use(self, thing: Thing) -> None:
        """A price of what is not counted."""
        if price := self.prices.get(thing):
            self.by_use[price] = None

    def add_resources(self, resources: Sequence[Resource]) -> None:
        """The lines of all of them, but for tasks."""
        for resource in resources:
            if resource.type in COUNTED:
                COUNTED[resource.type](self, resource)
            for thing in BY_USE.get(resource.type, ()):
                self.add_by_use(thing)
            if resource.type not in COUNTED and resource.type not in BY_USE and not is_free(resource.type):
                self.unpriced[resource.type] += 1
        for pool in pools(resources):
            _pool(self, pool)

    def add_workloads(self) -> None:
        """The lines of every workload's runs and tasks."""
        if count := len(secrets(self.written)):
            self.add(ENVIRONMENT, "secrets", prices.SECRET, count, count, f"{count} that workloads name")
        for name, settings in sorted(self.written.workloads.items()):
            _workload(self, name, settings)


# --- resources ------------------------------------------------------------------------------------------------------

Lines = Callable[[Bill, Resource], None]


def _hours(thing: Thing, what: str) -> Lines:
    return lambda bill, resource: bill.add(resource.owner, what, thing, HOURS_A_MONTH, HOURS_A_MONTH)


def _each(thing: Thing, what: str) -> Lines:
    return lambda bill, resource: bill.add(resource.owner, what, thing, 1, 1)


def _endpoint(bill: Bill, resource: Resource) -> None:
    if resource.inputs.get("vpcEndpointType") == "Interface":
        hours = HOURS_A_MONTH * bill.zones
        bill.add(resource.owner, "interface endpoint", prices.ENDPOINT, hours, hours, f"in {bill.zones} zones")
        bill.add_by_use(prices.ENDPOINT_TRAFFIC)


def _load_balancer(bill: Bill, resource: Resource) -> None:
    bill.add(resource.owner, "load balancer", prices.LOAD_BALANCER, HOURS_A_MONTH, HOURS_A_MONTH)
    low, high = (units * HOURS_A_MONTH for units in CAPACITY_UNITS)
    bill.add(
        resource.owner, "requests", prices.LOAD_BALANCER_USE, low, high,
        f"{CAPACITY_UNITS[0]} to {CAPACITY_UNITS[1]} capacity unit on average",
    )  # fmt: skip
    if not resource.inputs.get("internal"):
        hours = HOURS_A_MONTH * bill.zones
        what = "addresses of the load balancer"
        bill.add(resource.owner, what, prices.ADDRESS, hours, hours, f"in {bill.zones} zones")
        bill.add_by_use(prices.TRAFFIC_OUT)


def _function(bill: Bill, resource: Resource) -> None:
    memory_gb = float(resource.inputs.get("memorySize") or 128) / 1024
    low, high = CALLS
    shortest, longest = CALL_SECONDS
    basis = f"{low:,} to {high:,} calls"
    bill.add(resource.owner, "calls of the function", prices.FUNCTION_CALL, low, high, basis)
    bill.add(
        resource.owner, "seconds of the function", prices.FUNCTION_GB_SECOND,
        low * shortest * memory_gb, high * longest * memory_gb, f"{basis} of {shortest:g} to {longest:g} seconds",
    )  # fmt: skip


COUNTED: Mapping[str, Lines] = {
    "aws:ec2:NatGateway": _hours(prices.NAT_GATEWAY, "NAT gateway"),
    "aws:ec2:Eip": _hours(prices.ADDRESS, "address of the NAT gateway"),
    "aws:ec2:VpcEndpoint": _endpoint,
    "aws:lb:LoadBalancer": _load_balancer,
    "aws:kms:Key": _each(prices.KEY, "encryption key"),
    "aws:cloudwatch:MetricAlarm": _each(prices.ALARM, "alarm"),
    "aws:secretsmanager:Secret": _each(prices.SECRET, "secret"),
    "aws:route53:Zone": _each(prices.ZONE, "hosted zone"),
    "aws:lambda:Function": _function,
}
"""Type -> adds the lines of one of them."""

BY_USE: Mapping[str, tuple[Thing, ...]] = {
    "aws:s3:Bucket": (prices.STORAGE, prices.OBJECT_WRITE, prices.OBJECT_READ),
    "aws:ecr:Repository": (prices.IMAGE_STORAGE,),
    "aws:cloudwatch:LogGroup": (prices.LOGS,),
    "aws:ec2:NatGateway": (prices.NAT_TRAFFIC,),
    "aws:ec2:FlowLog": (prices.FLOW_LOGS,),
    "aws:cloudfront:Distribution": (prices.CDN_TRAFFIC,),
    "aws:sns:Topic": (prices.MAIL,),
    "aws:sqs:Queue": (prices.QUEUE_CALL,),
    "aws:kms:Key": (prices.KEY_CALL,),
}
"""Type -> what is paid by use, and not estimated."""

BY_WORKLOAD = "its tasks and runs are counted by the settings of its workload"
BY_POOL = "the machines of its pool are counted, by its launch template and Auto Scaling group"
NO_CHARGE = "AWS makes no charge for it"

FREE: Mapping[str, str] = {
    "aws:acm:Certificate": "public certificates are free with a load balancer or CloudFront",
    "aws:acm:CertificateValidation": "no resource of AWS, Pulumi's own wait",
    "aws:appautoscaling:Policy": "its two alarms are made by AWS and are free of charge",
    "aws:appautoscaling:Target": NO_CHARGE,
    "aws:autoscaling:Group": BY_POOL,
    "aws:cloudfront:OriginAccessControl": NO_CHARGE,
    "aws:cloudwatch:EventBus": NO_CHARGE,
    "aws:cloudwatch:EventRule": "events of AWS's own services are free",
    "aws:cloudwatch:EventTarget": NO_CHARGE,
    "aws:cloudwatch:LogStream": NO_CHARGE,
    "aws:ec2:DefaultSecurityGroup": NO_CHARGE,
    "aws:ec2:InternetGateway": "its traffic is paid, and named where something sends to the internet",
    "aws:ec2:KeyPair": NO_CHARGE,
    "aws:ec2:LaunchTemplate": BY_POOL,
    "aws:ec2:NetworkAcl": NO_CHARGE,
    "aws:ec2:Route": NO_CHARGE,
    "aws:ec2:RouteTable": NO_CHARGE,
    "aws:ec2:RouteTableAssociation": NO_CHARGE,
    "aws:ec2:SecurityGroup": NO_CHARGE,
    "aws:ec2:SecurityGroupRule": NO_CHARGE,
    "aws:ec2:Subnet": NO_CHARGE,
    "aws:ec2:Vpc": NO_CHARGE,
    "aws:ecr:LifecyclePolicy": NO_CHARGE,
    "aws:ecr:RepositoryPolicy": NO_CHARGE,
    "aws:ecs:CapacityProvider": NO_CHARGE,
    "aws:ecs:Cluster": NO_CHARGE,
    "aws:ecs:ClusterCapacityProviders": NO_CHARGE,
    "aws:ecs:Service": BY_WORKLOAD,
    "aws:ecs:TaskDefinition": BY_WORKLOAD,
    "aws:iam:": NO_CHARGE,
    "aws:kms:Alias": NO_CHARGE,
    "aws:lambda:Alias": NO_CHARGE,
    "aws:lambda:EventSourceMapping": NO_CHARGE,
    "aws:lambda:FunctionEventInvokeConfig": NO_CHARGE,
    "aws:lambda:Permission": NO_CHARGE,
    "aws:lb:Listener": NO_CHARGE,
    "aws:lb:ListenerCertificate": NO_CHARGE,
    "aws:lb:ListenerRule": NO_CHARGE,
    "aws:lb:TargetGroup": NO_CHARGE,
    "aws:rds:SubnetGroup": NO_CHARGE,
    "aws:route53:Record": "queries of records that point to AWS's own resources are free",
    "aws:s3:AccountPublicAccessBlock": NO_CHARGE,
    "aws:s3:Bucket": "a setting of a bucket, which is paid by what lies in it",
    "aws:scheduler:Schedule": BY_WORKLOAD,
    "aws:scheduler:ScheduleGroup": NO_CHARGE,
    "aws:secretsmanager:SecretPolicy": NO_CHARGE,
    "aws:secretsmanager:SecretVersion": "a secret is paid, however many versions it has",
    "aws:ses:EmailIdentity": NO_CHARGE,
    "aws:sesv2:EmailIdentity": NO_CHARGE,
    "aws:sfn:Activity": NO_CHARGE,
    "aws:sfn:Alias": NO_CHARGE,
    "aws:sfn:StateMachine": BY_WORKLOAD,
    "aws:sns:TopicPolicy": NO_CHARGE,
    "aws:sns:TopicSubscription": "what is sent is paid, and named with its topic",
    "aws:sqs:QueuePolicy": NO_CHARGE,
    "aws:sqs:RedriveAllowPolicy": NO_CHARGE,
    "aws:sqs:RedrivePolicy": NO_CHARGE,
    "aws:vpc:SecurityGroup": NO_CHARGE,
    "docker:index:Image": "an image is paid by its size in its repository",
}
"""Type, or what those of one family begin with -> why there is no line for it."""

FAMILIES = tuple(name for name in FREE if name in ("aws:iam:", "aws:vpc:SecurityGroup", "aws:s3:Bucket"))


def is_free(type_: str) -> bool:
    """Does a resource of this type cost nothing by itself?"""
    return type_ in FREE or type_.startswith(FAMILIES)


# --- pools ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pool:
    """Machines of one type. `owner`: the name of its component, `pool-<name>`."""

    owner: str
    instance_type: str
    disk_gb: float
    least: int
    most: int

    @property
    def name(self) -> str:
        """As `hardware` has it."""
        return self.owner.removeprefix("pool-")


def pools(resources: Iterable[Resource]) -> list[Pool]:
    """Those that have machines, by their launch templates and Auto Scaling groups."""
    listed = list(resources)
    groups = {one.owner: one.inputs for one in listed if one.type == "aws:autoscaling:Group"}
    return [
        Pool(
            one.owner,
            str(one.inputs.get("instanceType", "")),
            _disk_gb(one.inputs),
            int(groups[one.owner].get("minSize") or 0),
            int(groups[one.owner].get("maxSize") or 0),
        )
        for one in listed
        if one.type == "aws:ec2:LaunchTemplate" and one.owner in groups
    ]


def _disk_gb(template: Mapping[str, Any]) -> float:
    devices = template.get("blockDeviceMappings") or []
    return sum(float((device.get("ebs") or {}).get("volumeSize") or 0) for device in devices)


def _pool(bill: Bill, pool: Pool) -> None:
    low, high, basis = _machine_hours(bill, pool)
    machines = f"{pool.instance_type}, {basis}"
    bill.add(pool.owner, "machines", prices.instance(pool.instance_type), low, high, machines)
    gb_months = pool.disk_gb / HOURS_A_MONTH
    disks = f"{pool.disk_gb:g} GB each, {basis}"
    bill.add(pool.owner, "disks of machines", prices.DISK_GB, low * gb_months, high * gb_months, disks)


def _machine_hours(bill: Bill, pool: Pool) -> tuple[float, float, str]:
    """From and to, and what was assumed. A machine is there for the copies that always run, and for each run a while
    longer than it takes; at least one for all tasks of a run together, at most one for each.
    """
    users = {name: one for name, one in bill.written.workloads.items() if one.get("hardware") == pool.name}
    always = [(settings, usage.replicas(settings)) for settings in users.values() if usage.is_service(settings)]
    least = max(pool.least, _machines(pool, [(settings, fewest) for settings, (fewest, _) in always]))
    low, high = float(least * HOURS_A_MONTH), float(sum(most for _, (_, most) in always) * HOURS_A_MONTH)
    for name, settings in users.items():
        if not usage.is_service(settings):
            hours, tasks = (
                usage.hours(name, settings, bill.written, bill.measured.get(name)),
                usage.tasks_a_run(settings),
            )
            low = max(low, min(hours.low / tasks + hours.runs * IDLE_HOURS, HOURS_A_MONTH))
            high += hours.high + hours.runs * tasks * IDLE_HOURS
    high = min(max(high, low), float(max(pool.most, least) * HOURS_A_MONTH))
    return low, high, f"{least} day and night, and {IDLE_HOURS * 60:.0f} minutes longer than a run, {pool.most} at most"


def _machines(pool: Pool, copies: Sequence[tuple[Plain, int]]) -> int:
    """How many machines hold these copies where nothing is lost between them."""
    machine = capacity.machine(pool.instance_type)
    running = sum(count for _, count in copies)
    if machine is None or not running:
        return min(running, 1)
    cpu = sum(float(settings.get("cpu", 1)) * count for settings, count in copies)
    memory = sum(float(settings.get("memory_gb", 2)) * count for settings, count in copies)
    return min(pool.most, max(1, math.ceil(cpu / machine.cpu), math.ceil(memory / machine.for_tasks_gb)))


# --- workloads ------------------------------------------------------------------------------------------------------


def secrets(written: Written) -> set[str]:
    """What lies in Secrets Manager for the workloads: people put it there, so that no resource says so.

    A connection has one, whose name is not exported; that of a database that the program makes is a resource.
    """
    named = {str(secret) for one in written.workloads.values() for secret in (one.get("secrets") or {}).values()}
    connected = {str(name) for one in written.workloads.values() for name in one.get("connects") or ()}
    own = written.stack.get("connections") or {}
    return named | {f"the connection {name}" for name in connected if name in own}


def _workload(bill: Bill, name: str, settings: Plain) -> None:
    measured = bill.measured.get(name)
    hours = usage.hours(name, settings, bill.written, measured)
    if hours.high:
        _tasks(bill, name, settings, hours)
    if hours.runs:
        low, high = (hours.runs * transitions for transitions in TRANSITIONS)
        basis = f"{hours.runs:.1f} runs of {TRANSITIONS[0]} to {TRANSITIONS[1]}"
        bill.add(name, "state transitions", prices.TRANSITION, low, high, basis)
        if "schedule" in settings:
            bill.add(name, "starts", prices.SCHEDULE, hours.runs, hours.runs, f"{hours.runs:.1f} runs")
    if measured is not None and measured.gigabytes:
        kept = usage.versions_kept(name, bill.written)
        basis = f"1 to {max(1, round(kept))} versions of {size(measured.gigabytes)}"
        bill.add(name, "output in S3", prices.STORAGE, measured.gigabytes, measured.gigabytes * kept, basis)
    if settings.get("mail_to"):
        bill.add_by_use(prices.REPORT_MAIL)


def size(gigabytes: float) -> str:
    """For people.

    >>> size(2.5), size(0.0044), size(0.0000004)
    ('2.5 GB', '4.4 MB', '0.4 kB')
    """
    for unit, times in (("GB", 1.0), ("MB", 1e3)):
        if gigabytes * times >= 1:
            return f"{gigabytes * times:.3g} {unit}"
    return f"{gigabytes * 1e6:.3g} kB"


def _tasks(bill: Bill, name: str, settings: Plain, hours: usage.Hours) -> None:
    hardware = str(settings.get("hardware", "fargate"))
    if hardware not in SHARE:
        return  # the machines of its pool are counted
    size = f"{hours.basis}{', Spot' if hardware == 'fargate-spot' else ''}"

    def add(what: str, thing: Thing, each: float, basis: str = size) -> None:
        bill.add(name, what, thing, hours.low * each, hours.high * each, basis)

    add("vCPU", prices.FARGATE_VCPU, float(settings.get("cpu", 1)) * SHARE[hardware])
    add("memory", prices.FARGATE_GB, float(settings.get("memory_gb", 2)) * SHARE[hardware])
    if (disk := float(settings.get("disk_gb", FREE_DISK_GB)) - FREE_DISK_GB) > 0:
        add("disk", prices.FARGATE_DISK_GB, disk)
    if bill.written.stack.get("network", "public") == "public":
        add("addresses of tasks", prices.ADDRESS, 1, hours.basis)
