"""From the text that Pulumi passes to the value of a setting, a reader for each kind.

Each raises ValueError with what is allowed.
Source of the patterns: the API references of the services named beside them.
"""

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network
from typing import Any

from herd.infra.capacity import FARGATE
from herd.infra.messages import did_you_mean, quoted, show
from herd.infra.settings.tables import DRIVER_PORTS, Connection, Dataset, Pool, SignIn
from herd.runner.contract import names

Reader = Callable[[str], Any]

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288)
"""What CloudWatch Logs takes. Source: PutRetentionPolicy, CloudWatch Logs API reference."""

BUCKET = re.compile(r"(?!xn--|sthree-)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
REPOSITORIES = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*")
DOMAIN = re.compile(r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
INSTANCE_TYPE = re.compile(r"[a-z]+(?P<generation>[0-9]+)(?P<options>[a-z-]*)\.[a-z0-9-]+")
DRIVER = re.compile(r"[a-z][a-z0-9]*(\+[a-z][a-z0-9_]*)?")
KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
POLICY_ARN = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]+", re.ASCII)
CERTIFICATE_ARN = re.compile(r"arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+")
IAM_PATH = re.compile(r"/(?:[A-Za-z0-9._-]{1,64}/){1,4}")
TAG = re.compile(r"[\w .:/=+@-]*")


def text(pattern: re.Pattern[str], rule: str, *, empty: bool = True) -> Reader:
    """Text of a form; with `empty` none is allowed too, and means "none"."""

    def read(value: str) -> str:
        if not (empty and not value) and not pattern.fullmatch(value):
            raise ValueError(f"must be {rule}")
        return value

    return read


def one_of(*words: str) -> Reader:
    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"is not allowed; allowed: {', '.join(words)}")
        return value

    return read


def boolean(value: str) -> bool:
    return bool(one_of("true", "false")(value) == "true")


def switch(value: str) -> bool:
    """YAML libraries turn a bare `on` into `true`, so both are read."""
    if value not in ("on", "off", "true", "false"):
        raise ValueError("is not allowed; allowed: on, off")
    return value in ("on", "true")


def number(allowed: Callable[[int], bool], what: str) -> Reader:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) < 6 and allowed(int(value))):
            raise ValueError(f"is not allowed; allowed: {what}")
        return int(value)

    return read


def account(value: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", value):
        raise ValueError('must be the 12 digits of the AWS account in quotes, like "123456789012"')
    return value


def encryption_key(value: str) -> str:
    if value not in ("none", "create") and not KEY_ARN.fullmatch(value):
        raise ValueError("is not allowed; allowed: none, create, or the ARN of a KMS key (arn:aws:kms:…:key/…)")
    return value


def network(value: str) -> str:
    # A subnet takes a sixteenth of the network, and a load balancer wants a /27 (ELB, "Availability Zones").
    rule = 'must be a private network from /16 to /23, like "10.0.0.0/16"'
    try:
        cidr = IPv4Network(value)
    except ValueError:
        raise ValueError(rule) from None
    if not (16 <= cidr.prefixlen <= 23 and cidr.is_private):
        raise ValueError(rule)
    return str(cidr)


def cidrs(value: str) -> tuple[str, ...]:
    def one(item: str) -> str:
        try:
            cidr = IPv4Network(item)
        except ValueError:
            raise ValueError('allowed: networks, like "203.0.113.0/24"') from None
        if cidr.prefixlen < 8:
            raise ValueError("that is a large part of the world: name the company's own networks")
        return str(cidr)

    found: tuple[str, ...] = listed(one)(value)
    return found


def ids(kind: str) -> Callable[[str], str]:
    """One id as EC2 makes them: `subnet-0a1b2c3d`."""

    def read(item: str) -> str:
        if not re.fullmatch(rf"{kind}-[0-9a-f]{{8,17}}", item):
            raise ValueError(f"allowed: ids like {kind}-0123456789abcdef0")
        return item

    return read


def workload(item: str) -> str:
    if not names.WORKLOAD.fullmatch(item):
        raise ValueError(f"allowed: names of workloads, {names.WORKLOAD_RULE}")
    return item


def listed(one: Callable[[str], str]) -> Reader:
    def read(value: str) -> tuple[str, ...]:
        items = _json(value)
        if not isinstance(items, list):
            raise ValueError("must be a list")
        found = []
        for item in items:
            try:
                if not isinstance(item, str):
                    raise ValueError("allowed: text in quotes")
                found.append(one(item))
            except ValueError as error:
                raise ValueError(f"has the entry {show(item)}; {error}") from None
        if len(set(found)) < len(found):
            raise ValueError("names something twice")
        return tuple(found)

    return read


def tags(value: str) -> dict[str, str]:
    """Source of the limits: "Tag your AWS resources", AWS general reference. Ten of the fifty are left to Herd."""
    found = _json(value)
    if not isinstance(found, dict) or len(found) > 40:
        raise ValueError("must be up to 40 names and texts, like {cost-centre: research}")
    letters = "letters, digits, spaces and _.:/=+-@"
    for key, word in found.items():
        if not 0 < len(key) <= 128 or not TAG.fullmatch(key) or key.lower().startswith(("aws:", "herd:")):
            raise ValueError(
                f"has the tag {quoted(key)}; allowed: 1 to 128 characters, {letters}; not beginning with aws: or herd:"
            )
        if not isinstance(word, str) or len(word) > 256 or not TAG.fullmatch(word):
            raise ValueError(
                f"has the tag {quoted(key)} with {show(word)}; allowed: text of up to 256 characters in quotes"
                f" ({letters})"
            )
    if len({key.lower() for key in found}) < len(found):
        raise ValueError("has a tag twice, in small and in capital letters, which IAM takes for one")
    return found


# --- tables of tables ----------------------------------------------------------------------------------------------


def pools(value: str) -> dict[str, Pool]:
    def one(name: str, table: dict[str, Any]) -> Pool:
        if name in FARGATE:
            raise ValueError("is hardware that every environment has; give the pool another name")
        _keys(table, {"instance_type"}, {"min", "max", "gpu", "arm64"})
        kind = _text(table, "instance_type", INSTANCE_TYPE, "the name of an EC2 instance type, like m7i.large")
        low, high = _whole(table, "min", 0, 0, 100), _whole(table, "max", Pool.max, 1, 100)
        if low > high:
            raise ValueError(f"min = {low} is more than max = {high}")
        arm64 = table.get("arm64", is_arm64(kind))
        if arm64 is not is_arm64(kind):
            raise ValueError(f"arm64 = {show(arm64)} does not fit {kind}; leave it out")
        return Pool(kind, low, high, _whole(table, "gpu", 0, 0, 16), arm64)

    return _tables(value, one)


def connections(value: str) -> dict[str, Connection]:
    def one(name: str, table: dict[str, Any]) -> Connection:
        _keys(table, {"driver", "secret"}, {"port", "host", "cidr"})
        driver = _text(table, "driver", DRIVER, "the scheme of a connection URL, like postgresql")
        port = table.get("port", DRIVER_PORTS.get(driver.partition("+")[0]))
        if port is None:
            raise ValueError(f"port is missing; it is known for {', '.join(DRIVER_PORTS)}")
        secret = _text(table, "secret", names.SECRET, f"the name of a secret of the environment: {names.SECRET_RULE}")
        host = _text(table, "host", HOST, "the name of a server") if table.get("host") else ""
        try:
            cidr = str(IPv4Network(table["cidr"])) if table.get("cidr") else ""
        except ValueError:
            raise ValueError(f'cidr = {show(table["cidr"])} must be a network, like "10.1.0.0/16"') from None
        return Connection(driver, secret, _whole({"port": port}, "port", 0, 1, 65535), host, cidr)

    return _tables(value, one)


def datasets(value: str) -> dict[str, Dataset]:
    def one(name: str, table: dict[str, Any]) -> Dataset:
        _keys(table, {"uri"}, set())
        uri = table["uri"]
        bucket, _, prefix = uri.removeprefix("s3://").partition("/") if isinstance(uri, str) else ("", "", "")
        if not isinstance(uri, str) or not uri.startswith("s3://") or not BUCKET.fullmatch(bucket):
            raise ValueError(f"uri = {show(uri)} is not allowed; allowed: s3://bucket/prefix/")
        if re.search(r"[*?$\s]|//|(^|/)\.\.?(/|$)", prefix) or len(prefix) > 512 or not prefix.isprintable():
            raise ValueError(f"uri = {show(uri)} is not allowed: it is an exact prefix, without * ? $ or spaces")
        return Dataset(uri if uri.endswith("/") else f"{uri}/")

    return _tables(value, one)


def sign_in(value: str) -> SignIn | None:
    table = _json(value)
    if not isinstance(table, dict):
        raise ValueError("must be a table, like {issuer: https://…, client_id: …}")
    if not table:
        return None
    urls = ("issuer", "authorization_endpoint", "token_endpoint", "user_info_endpoint")
    _keys(table, {*urls, "client_id", "client_secret"}, set())
    for key in urls:
        if not isinstance(table[key], str) or not re.fullmatch(r"https://[^\s/?#@]+[^\s?#@]*", table[key]):
            raise ValueError(f"{key} = {show(table[key])} is not allowed; allowed: an address with https://")
    for key in ("client_id", "client_secret"):
        if not isinstance(table[key], str) or not table[key]:
            raise ValueError(f"{key} must be text in quotes")
    return SignIn(**table)


def is_arm64(instance_type: str) -> bool:
    """Graviton types have a `g` behind the generation (m7g, c6gn, g5g, im4gn); a1 is the first of them."""
    found = INSTANCE_TYPE.fullmatch(instance_type)
    return bool(found and "g" in found["options"].partition("-")[0]) or instance_type.startswith("a1.")


def _tables(value: str, one: Callable[[str, dict[str, Any]], Any]) -> dict[str, Any]:
    tables = _json(value)
    if not isinstance(tables, dict):
        raise ValueError("must be a table of tables")
    found = {}
    for name, table in tables.items():
        try:
            if not names.WORKLOAD.fullmatch(name):
                raise ValueError(f"is no name; allowed: {names.WORKLOAD_RULE}")
            if not isinstance(table, dict):
                raise ValueError("must be a table")
            found[name] = one(name, table)
        except ValueError as error:
            raise ValueError(f"has {quoted(name)}, which is wrong: {error}") from None
    return found


def _keys(table: Mapping[str, Any], needed: set[str], optional: set[str]) -> None:
    for key in sorted(table.keys() - needed - optional):
        raise ValueError(f"unknown setting {quoted(key)}{did_you_mean(key, needed | optional)}")
    for key in sorted(needed - table.keys()):
        raise ValueError(f"{key} is missing")


def _text(table: Mapping[str, Any], key: str, pattern: re.Pattern[str], rule: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{key} = {show(value)} must be {rule}")
    return value


def _whole(table: Mapping[str, Any], key: str, default: int, low: int, high: int) -> int:
    value = table.get(key, default)
    # Pulumi's numbers come through JSON, some as floats.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or value != int(value):
        raise ValueError(f"{key} = {show(value)} is out of range; allowed: {low} to {high}")
    return int(value)


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
