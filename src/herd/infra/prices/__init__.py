"""What parts of an environment cost: the one table that messages, estimates and documentation take prices from.

`table.csv` has AWS's list prices in USD, without tax: region × thing, price, the day of the list that it was read from,
the page or list, and whether the figure was compared with AWS's own price list of that region. `herd prices update`
writes rows of the same form into a project's own `prices.csv`, which go before these. What a thing is, and what AWS's
price list calls it, is said here once.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path

HOURS_A_MONTH = 730

BASE = "us-east-1"
"""The region whose prices messages name, and that stand in for those of a region without any."""

GLOBAL = "global"
"""The region of what costs the same everywhere."""

MOST_USD = 10_000
"""No unit of anything costs so much: a price that is higher was misread."""

TABLE = Path(__file__).with_name("table.csv")
COLUMNS = ("region", "thing", "usd", "as_of", "confirmed", "source")

INSTANCE = "ec2."
"""What the name of an instance type begins with among the things: `ec2.m7i.large`."""


@dataclass(frozen=True)
class Thing:
    """Something that has a price. `unit`: of what; `page`: AWS's page of prices.

    In AWS's price list it is in the file of `service`, under the usage type `usage` behind the region's own beginning,
    and, where several prices have that, with `operation`.
    """

    name: str
    unit: str
    page: str
    service: str
    usage: str
    operation: str = ""

    @property
    def source(self) -> str:
        """The address of the page."""
        return f"https://aws.amazon.com/{self.page}/pricing/"

    @property
    def usd(self) -> float:
        """In BASE."""
        return of(BASE).price(self).usd

    @property
    def a_month(self) -> float:
        """In BASE, of what is paid by the hour, and is there day and night."""
        return self.usd * HOURS_A_MONTH


ADDRESS = Thing("address", "public IPv4 address and hour", "vpc", "AmazonVPC", "PublicIPv4:InUseAddress")
NAT_GATEWAY = Thing("nat-gateway", "NAT gateway and hour", "vpc", "AmazonEC2", "NatGateway-Hours")
NAT_TRAFFIC = Thing("nat-traffic", "GB through a NAT gateway", "vpc", "AmazonEC2", "NatGateway-Bytes")
ENDPOINT = Thing("endpoint", "interface endpoint, zone and hour", "privatelink", "AmazonVPC", "VpcEndpoint-Hours")
ENDPOINT_TRAFFIC = Thing(
    "endpoint-traffic", "GB through an interface endpoint", "privatelink", "AmazonVPC", "VpcEndpoint-Bytes"
)
LOAD_BALANCER = Thing(
    "load-balancer", "load balancer and hour", "elasticloadbalancing", "AWSELB", "LoadBalancerUsage",
    "LoadBalancing:Application",
)  # fmt: skip
LOAD_BALANCER_USE = Thing(
    "load-balancer-use", "capacity unit and hour of a load balancer", "elasticloadbalancing", "AWSELB", "LCUUsage",
    "LoadBalancing:Application",
)  # fmt: skip
FARGATE_VCPU = Thing("fargate-vcpu", "vCPU and hour", "fargate", "AmazonECS", "Fargate-vCPU-Hours:perCPU")
FARGATE_GB = Thing("fargate-gb", "GB of memory and hour", "fargate", "AmazonECS", "Fargate-GB-Hours")
FARGATE_DISK_GB = Thing(
    "fargate-disk-gb", "GB of disk above 20 and hour", "fargate", "AmazonECS", "Fargate-EphemeralStorage-GB-Hours"
)
DISK_GB = Thing("disk-gb", "GB of disk (gp3) and month", "ebs", "AmazonEC2", "EBS:VolumeUsage.gp3")
SECRET = Thing("secret", "secret and month", "secrets-manager", "AWSSecretsManager", "AWSSecretsManager-Secrets")
ZONE = Thing("zone", "hosted zone and month", "route53", "AmazonRoute53", "HostedZone")
STORAGE = Thing("storage", "GB in S3 and month", "s3", "AmazonS3", "TimedStorage-ByteHrs")
OBJECT_WRITE = Thing("object-write", "write or listing in S3", "s3", "AmazonS3", "Requests-Tier1")
OBJECT_READ = Thing("object-read", "read of an object in S3", "s3", "AmazonS3", "Requests-Tier2")
TRAFFIC_OUT = Thing("traffic-out", "GB sent to the internet", "ec2", "AWSDataTransfer", "DataTransfer-Out-Bytes")
IMAGE_STORAGE = Thing("image-storage", "GB of images and month", "ecr", "AmazonECR", "TimedStorage-ByteHrs")
CDN_TRAFFIC = Thing(
    "cdn-traffic", "GB that CloudFront delivers", "cloudfront", "AmazonCloudFront", "DataTransfer-Out-Bytes"
)
SCHEDULE = Thing("schedule", "start by EventBridge Scheduler", "eventbridge", "AWSEvents", "ScheduledInvocation")
QUEUE_CALL = Thing("queue-call", "call of SQS", "sqs", "AWSQueueService", "Requests-Tier1")
KEY = Thing("key", "KMS key and month", "kms", "awskms", "KMS-Keys")
KEY_CALL = Thing("key-call", "use of a KMS key", "kms", "awskms", "KMS-Requests")
LOGS = Thing("logs", "GB taken by CloudWatch Logs", "cloudwatch", "AmazonCloudWatch", "DataProcessing-Bytes")
FLOW_LOGS = Thing("flow-logs", "GB of flow logs written to S3", "cloudwatch", "AmazonCloudWatch", "S3-Egress-Bytes")
ALARM = Thing("alarm", "CloudWatch alarm and month", "cloudwatch", "AmazonCloudWatch", "CW:AlarmMonitorUsage")
METRIC = Thing("metric", "CloudWatch metric and month", "cloudwatch", "AmazonCloudWatch", "CW:MetricMonitorUsage")
FUNCTION_CALL = Thing("function-call", "call of a Lambda function", "lambda", "AWSLambda", "Request-ARM")
FUNCTION_GB_SECOND = Thing(
    "function-gb-second", "GB and second of a Lambda function on Arm", "lambda", "AWSLambda", "Lambda-GB-Second-ARM"
)
TRANSITION = Thing(
    "transition", "state transition of Step Functions", "step-functions", "AmazonStates", "StateTransition"
)
MAIL = Thing("mail", "mail sent by SNS", "sns", "AmazonSNS", "DeliveryAttempts-SMTP")
REPORT_MAIL = Thing("report-mail", "mail of a report, for each recipient", "ses", "AmazonSES", "Recipients")

THINGS: Mapping[str, Thing] = {thing.name: thing for thing in list(globals().values()) if isinstance(thing, Thing)}

EVERYWHERE = frozenset({ZONE.name, CDN_TRAFFIC.name})
"""Things whose price is of no region; of CloudFront that of Europe and North America."""

SPOT_DISCOUNT_PERCENT = 70
"""How much less Fargate Spot costs than Fargate, about. Source: https://aws.amazon.com/fargate/pricing/"""

VERIFY_AT_MOST_USD = 1
"""A run of `herd verify`: all that it makes, while it is there."""


def instance(type_: str) -> Thing:
    """An EC2 instance type, Linux, on demand, paid by the hour."""
    return Thing(f"{INSTANCE}{type_}", f"{type_} and hour", "ec2", "AmazonEC2", f"BoxUsage:{type_}")


def thing(name: str) -> Thing:
    """By the name that the table has. Raises KeyError where there is none of that name."""
    return instance(name.removeprefix(INSTANCE)) if name.startswith(INSTANCE) else THINGS[name]


@dataclass(frozen=True)
class Price:
    """`usd` for one `unit` in `region`; `as_of`: the day of the list that it was read from, `source`: where that is.

    `confirmed`: compared with AWS's own price list of the region, and not only with a page.
    """

    thing: str
    region: str
    usd: float
    unit: str
    as_of: date
    source: str
    confirmed: bool = False


@dataclass(frozen=True)
class Prices:
    """The prices of one region. `stand_in`: the region has none of its own, these are those of BASE."""

    region: str
    by_thing: Mapping[str, Price] = field(repr=False)
    stand_in: bool = False

    def get(self, wanted: Thing) -> Price | None:
        """None where the table has none."""
        return self.by_thing.get(wanted.name)

    def price(self, wanted: Thing) -> Price:
        """Raises KeyError where the table has none."""
        return self.by_thing[wanted.name]

    @property
    def newest(self) -> date:
        """The day of the newest of them."""
        return max(price.as_of for price in self.by_thing.values())

    @property
    def oldest(self) -> date:
        """The day of the oldest of them."""
        return min(price.as_of for price in self.by_thing.values())


class BadTable(ValueError):
    """A file of prices that cannot be read: the file, the line, and what is wrong there."""


def of(region: str, own: Iterable[Price] = ()) -> Prices:
    """The prices of a region; `own` are a project's, which go before Herd's. Those of BASE where there are none."""
    rows = {(row.region, row.thing): row for row in (*shipped(), *own)}
    regional = {row.thing: row for row in rows.values() if row.region == region}
    everywhere = {row.thing: row for row in rows.values() if row.region == GLOBAL}
    if regional or region == BASE:
        return Prices(region, {**everywhere, **regional})
    return Prices(region, of(BASE, own).by_thing, stand_in=True)


@cache
def shipped() -> tuple[Price, ...]:
    """Herd's own table."""
    return read(TABLE)


def regions() -> list[str]:
    """The regions that Herd's own table has."""
    return sorted({row.region for row in shipped()} - {GLOBAL})


def read(path: Path) -> tuple[Price, ...]:
    """The rows of a file. Raises BadTable, OSError."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadTable(f"{path.name}: is not UTF-8") from None
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadTable(f"{path.name}: its first line must be {','.join(COLUMNS)}")
    return tuple(_row(path, reader.line_num, row) for row in reader)


def _row(path: Path, line: int, row: Mapping[str, str | None]) -> Price:
    where = f"{path.name}, line {line}"
    cells = {name: row.get(name) or "" for name in COLUMNS}
    if missing := [name for name in COLUMNS if not cells[name]]:
        raise BadTable(f"{where}: {', '.join(missing)} is empty")
    try:
        known = thing(cells["thing"])
    except KeyError:
        raise BadTable(f"{where}: {cells['thing']!r} is nothing that Herd has a price for") from None
    try:
        usd, as_of = float(cells["usd"]), date.fromisoformat(cells["as_of"])
    except ValueError as error:
        raise BadTable(f"{where}: {error}") from None
    if not 0 < usd < MOST_USD:
        raise BadTable(f"{where}: usd is {cells['usd']}, and must be more than 0 and less than {MOST_USD}")
    if cells["confirmed"] not in ("yes", "no"):
        raise BadTable(f"{where}: confirmed is {cells['confirmed']!r}, and must be yes or no")
    return Price(known.name, cells["region"], usd, known.unit, as_of, cells["source"], cells["confirmed"] == "yes")


def written(rows: Iterable[Price]) -> str:
    """The text of a file with these rows: the same rows give the same text."""
    lines = [",".join(COLUMNS)]
    for row in sorted(rows, key=lambda row: (row.region, row.thing)):
        confirmed = "yes" if row.confirmed else "no"
        lines.append(f"{row.region},{row.thing},{plain(row.usd)},{row.as_of.isoformat()},{confirmed},{row.source}")
    return "\n".join(lines) + "\n"


def plain(usd: float) -> str:
    """Without an exponent, and without zeros that say nothing.

    >>> plain(2.5e-05), plain(0.0225)
    ('0.000025', '0.0225')
    """
    return f"{usd:.10f}".rstrip("0").rstrip(".")
