"""The rules for single values of a stack's settings, as pydantic's annotations.

Each raises ValueError with the rest of a sentence that begins with the setting and its value:
`data_bucket = Acme` + `must be …`. Pulumi passes every value as text, lists and tables as JSON.
Source of the patterns: the API references of the services named beside them.
"""

import json
import re
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from herd.infra import addresses, lifetime
from herd.runner.contract import names

BUCKET = re.compile(r"(?!xn--|sthree-)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
REPOSITORIES = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*")
DOMAIN = re.compile(r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
INSTANCE_TYPE = re.compile(r"[a-z]+(?P<generation>[0-9]+)(?P<options>[a-z-]*)\.[a-z0-9-]+")
DRIVER = re.compile(r"[a-z][a-z0-9]*(\+[a-z][a-z0-9_]*)?")
ACCOUNT = re.compile(r"[0-9]{12}")
KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
POLICY_ARN = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]+", re.ASCII)
CERTIFICATE_ARN = re.compile(r"arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+")
IAM_PATH = re.compile(r"/(?:[A-Za-z0-9._-]{1,64}/){1,4}")
ADDRESS = re.compile(r"https://[^\s/?#@]+[^\s?#@]*")
TAG = re.compile(r"[\w .:/=+@-]*")
TAG_LETTERS = "letters, digits, spaces and _.:/=+-@"

LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288
]  # fmt: skip
"""What CloudWatch Logs takes. Source: PutRetentionPolicy, CloudWatch Logs API reference."""


# --- from the text that Pulumi passes ------------------------------------------------------------------------------


def _flag(value: Any) -> Any:
    if value not in ("true", "false", True, False):
        raise ValueError("is not allowed; allowed: true, false")
    return value in ("true", True)


def _switch(value: Any) -> Any:
    """YAML libraries turn a bare `on` into `true`, so both are read."""
    if value not in ("on", "off", "true", "false", True, False):
        raise ValueError("is not allowed; allowed: on, off")
    return value in ("on", "true", True)


def _digits(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6 else value


def _whole(value: Any) -> Any:
    """Pulumi's numbers come through JSON, some as floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def from_json(value: Any) -> Any:
    """What is no JSON stays text, which no list or table is made of."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


Flag = Annotated[bool, BeforeValidator(_flag, json_schema_input_type=bool)]
Switch = Annotated[
    bool,
    BeforeValidator(_switch, json_schema_input_type=Literal["on", "off"]),
    PlainSerializer(lambda on: "on" if on else "off"),
]
FROM_DIGITS = BeforeValidator(_digits)
FROM_NUMBER = BeforeValidator(_whole)
FROM_JSON = BeforeValidator(from_json)


# --- what it must be ------------------------------------------------------------------------------------------------


def form(pattern: re.Pattern[str], rule: str, *, empty: bool = True) -> AfterValidator:
    """Text of a form; with `empty` none is allowed too, and means that it is not used."""

    def check(value: str) -> str:
        if not (empty and not value) and not pattern.fullmatch(value):
            raise ValueError(rule)
        return value

    return AfterValidator(check)


def identifier(kind: str) -> AfterValidator:
    """One id as EC2 makes them: `subnet-0a1b2c3d`."""
    pattern = re.compile(rf"{kind}-[0-9a-f]{{8,17}}")
    return form(pattern, f"is not allowed; allowed: ids like {kind}-0123456789abcdef0")


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"names {value!r} twice")
    return values


UNIQUE = AfterValidator(_unique)


def _not_empty(values: tuple[str, ...]) -> tuple[str, ...]:
    """Not by a least length, which pydantic also misses where each entry is wrong."""
    if not values:
        raise ValueError("must not be empty")
    return values


NOT_EMPTY = AfterValidator(_not_empty)

Bucket = Annotated[str, form(BUCKET, "must be the name of a bucket")]
Domain = Annotated[str, form(DOMAIN, "must be the name of a domain, like data.example.com")]
IamPath = Annotated[str, form(IAM_PATH, 'must be a path of IAM that begins and ends with "/", like /acme/')]
AccountId = Annotated[
    str, form(ACCOUNT, 'must be the 12 digits of the AWS account in quotes, like "123456789012"', empty=False)
]
Filled = Annotated[str, form(re.compile(r"(?s).+"), "must not be empty", empty=False)]
Https = Annotated[str, form(ADDRESS, "is not allowed; allowed: an address with https://", empty=False)]


def workload(value: str) -> str:
    if not names.WORKLOAD.fullmatch(value):
        raise ValueError(f"is not a name of a workload; allowed: {names.WORKLOAD_RULE}")
    return value


def entry_name(value: str) -> str:
    """Of a pool, a connection or a dataset, which workloads write as they write other workloads' names."""
    if not names.WORKLOAD.fullmatch(value):
        raise ValueError(f"is not a name; allowed: {names.WORKLOAD_RULE}")
    return value


def time_to_live(value: str) -> str:
    """How long an environment lasts; none: it stays."""
    if value:
        lifetime.parse(value)
    return value


def moment(value: str) -> str:
    if value:
        try:
            lifetime.read(value)
        except ValueError:
            raise ValueError("is not a moment in UTC, like 2027-01-31T06:00:00Z") from None
    return value


def person(value: str) -> str:
    """It becomes a tag."""
    if len(value) > 128 or not TAG.fullmatch(value):
        raise ValueError(f"is not who a person is; allowed: up to 128 {TAG_LETTERS}")
    return value


def encryption_key(value: str) -> str:
    if value not in ("none", "create") and not KEY_ARN.fullmatch(value):
        raise ValueError("is not allowed; allowed: none, create, or the ARN of a KMS key (arn:aws:kms:…:key/…)")
    return value


def _cidr(value: str, rule: str) -> IPv4Network:
    try:
        return IPv4Network(value)
    except ValueError:
        raise ValueError(rule) from None


def network(value: str) -> str:
    # A subnet takes a sixteenth of the network, and a load balancer wants a /27 (ELB, "Availability Zones").
    rule = 'must be a private network from /16 to /23, like "10.0.0.0/16"'
    cidr = _cidr(value, rule)
    if not (16 <= cidr.prefixlen <= 23 and cidr.is_private):
        raise ValueError(rule)
    return str(cidr)


def company_network(value: str) -> str:
    cidr = _cidr(value, 'is not a network; allowed: networks, like "203.0.113.0/24"')
    if cidr.prefixlen < 8:
        raise ValueError("is not allowed: that is a large part of the world; name the company's own networks")
    return str(cidr)


def server_network(value: str) -> str:
    return str(_cidr(value, 'must be a network, like "10.1.0.0/16"')) if value else ""


def tag_name(value: str) -> str:
    """Source of the limits of tags: "Tag your AWS resources", AWS general reference. Ten of the fifty are Herd's."""
    if not 0 < len(value) <= 128 or not TAG.fullmatch(value) or value.lower().startswith(("aws:", "herd:")):
        raise ValueError(
            f"is not a name of a tag; allowed: 1 to 128 characters, {TAG_LETTERS}; not beginning with aws: or herd:"
        )
    return value


def tag_value(value: Any) -> Any:
    if not isinstance(value, str) or len(value) > 256 or not TAG.fullmatch(value):
        raise ValueError(f"is not allowed; allowed: text of up to 256 characters in quotes ({TAG_LETTERS})")
    return value


def tags(value: dict[str, str]) -> dict[str, str]:
    if len({key.lower() for key in value}) < len(value):
        raise ValueError("has a tag twice, in small and in capital letters, which IAM takes for one")
    return value


def dataset_uri(value: Any) -> Any:
    """An exact prefix, which ends with "/": permissions are made of it."""
    bucket, _, prefix = value.removeprefix("s3://").partition("/") if isinstance(value, str) else ("", "", "")
    if not isinstance(value, str) or not value.startswith("s3://") or not BUCKET.fullmatch(bucket):
        raise ValueError("is not allowed; allowed: s3://bucket/prefix/")
    if re.search(r"[*?$\s]|//|(^|/)\.\.?(/|$)", prefix) or len(prefix) > 512 or not prefix.isprintable():
        raise ValueError("is not allowed: it is an exact prefix, without * ? $ or spaces")
    return value if value.endswith("/") else f"{value}/"


def address(value: str) -> str:
    """An e-mail address, in the one form that its mailbox has everywhere."""
    return addresses.canonical(value)


def optional_address(value: str) -> str:
    return addresses.canonical(value) if value else ""


def team_name(value: str) -> str:
    """As it may stand in `owner`, which becomes a tag."""
    if addresses.is_web_address(value):
        raise ValueError(addresses.WEB_ADDRESS)
    if "@" in value:
        raise ValueError("is an address; a workload can name it as its owner, and only teams are mapped here")
    if not 0 < len(value) <= 128 or not TAG.fullmatch(value) or value != value.strip():
        raise ValueError(f"is not a name of a team; allowed: up to 128 {TAG_LETTERS}")
    return value


def one_or_more(value: Any) -> Any:
    """One word is a list of one."""
    return [value] if isinstance(value, str) else value


def different_keys(value: dict[str, Any]) -> dict[str, Any]:
    """Two spellings of a name would be two entries, of which people mean one."""
    seen: dict[str, str] = {}
    for key in value:
        if key.lower() in seen:
            raise ValueError(f"has {seen[key.lower()]!r} and {key!r}, which differ in capital letters only")
        seen[key.lower()] = key
    return value


def is_arm64(instance_type: str) -> bool:
    """Graviton types have a `g` behind the generation (m7g, c6gn, g5g, im4gn); a1 is the first of them."""
    match = INSTANCE_TYPE.fullmatch(instance_type)
    return bool(match and "g" in match["options"].partition("-")[0]) or instance_type.startswith("a1.")


Tags = Annotated[
    dict[Annotated[str, AfterValidator(tag_name)], Annotated[str, BeforeValidator(tag_value)]],
    Field(max_length=40),
    AfterValidator(tags),
    FROM_JSON,
]
