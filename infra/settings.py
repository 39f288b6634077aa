"""The stack's settings: the only reader of `pulumi.Config`.

Every setting is declared in Pulumi.yaml with its type, default and meaning; here each becomes a plain value that was
checked, so that the rest of the program knows nothing of Pulumi's configuration and tests make a `Settings` by hand.
All problems are shown at once, in the words of the file:

    Pulumi.dev.yaml: herd:log_retention_days = 15 is not allowed; allowed: 1, 3, 5, 7, 14, …
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network
from typing import Any, Literal

import pulumi
from pulumi.runtime import config as runtime_config

from infra import naming
from infra.spec_errors import did_you_mean, printable, quoted, show

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288)
"""What CloudWatch Logs takes. Source: PutRetentionPolicy, CloudWatch Logs API reference."""


class SettingsError(pulumi.RunError):
    """One line per problem. Pulumi prints a RunError without a traceback."""


@dataclass(frozen=True)
class Settings:
    """What an environment is told from outside. Defaults are those of Pulumi.yaml (a test compares them).

    `schedules`: off, everything is deployed and nothing starts by the clock. `scheme`: of the addresses that are shown.
    """

    project: str
    environment: str
    region: str
    scheme: Literal["http", "https"] = "https"
    allow_public: bool = False
    schedules: bool = True
    log_retention_days: int = 14
    keep_versions_days: int = 30
    vpc_cidr: str = "10.0.0.0/16"
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls) -> "Settings":
        """The settings of the stack that Pulumi runs; raises SettingsError."""
        # pulumi.Config answers for one key at a time; only the runtime knows which keys there are.
        values = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
        secret = frozenset(key for key in values if runtime_config.is_config_secret(key))
        return parse(pulumi.get_project(), pulumi.get_stack(), values, secret)


def parse(project: str, environment: str, config: Mapping[str, str], secret: frozenset[str] = frozenset()) -> Settings:
    """Pulumi's configuration (`{"herd:schedules": "false", "aws:region": …}`) -> Settings; raises SettingsError."""
    problems: list[str] = []
    values: dict[str, Any] = {}
    try:
        naming.Naming(project, environment)
    except ValueError as error:
        problems.append(f"the stack: {error}")
    own = {key.partition(":")[2]: value for key, value in config.items() if key.startswith(f"{project}:")}
    for key, text in sorted(own.items()):
        if key not in _READERS:
            problems.append(f"{project}:{printable(key)}: unknown setting {quoted(key)}{did_you_mean(key, _READERS)}")
            continue
        try:
            values[key] = _READERS[key](text)
        except ValueError as error:
            shown = "" if f"{project}:{key}" in secret else f" = {show(text)[1:-1]}"
            problems.append(f"{project}:{key}{shown} {error}")
    region = config.get("aws:region", "")
    if not region:
        problems.append("aws:region is missing; set it with: pulumi config set aws:region eu-west-1")
    if problems:
        raise SettingsError("\n".join(f"Pulumi.{printable(environment)}.yaml: {problem}" for problem in problems))
    return Settings(project=project, environment=environment, region=region, **values)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("is not allowed; allowed: true, false")
    return text == "true"


def _days(allowed: Callable[[int], bool], what: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 6 and allowed(int(text))):
            raise ValueError(f"is not allowed; allowed: {what}")
        return int(text)

    return read


def _scheme(text: str) -> str:
    if text not in ("http", "https"):
        raise ValueError("is not allowed; allowed: http, https")
    return text


def _network(text: str) -> str:
    # A subnet takes a sixteenth of the network, and AWS has none smaller than /28.
    rule = 'must be a private network from /16 to /24, like "10.0.0.0/16"'
    try:
        network = IPv4Network(text)
    except ValueError:
        raise ValueError(rule) from None
    if not (16 <= network.prefixlen <= 24 and network.is_private):
        raise ValueError(rule)
    return str(network)


def _tags(text: str) -> dict[str, str]:
    """Source of the limits: "Tag your AWS resources", AWS general reference. Ten of the fifty are left to Herd."""
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        tags = None
    if not isinstance(tags, dict) or len(tags) > 40:
        raise ValueError("must be up to 40 names and texts, like {cost-centre: research}")
    for key, value in tags.items():
        if not 0 < len(key) <= 128 or key.lower().startswith(("aws:", "herd:")):
            raise ValueError(
                f"has the tag {quoted(key)}; allowed: 1 to 128 characters, not beginning with aws: or herd:"
            )
        if not isinstance(value, str) or len(value) > 256:
            raise ValueError(
                f"has the tag {quoted(key)} with {show(value)}; allowed: text of up to 256 characters in quotes"
            )
    return tags


_READERS: dict[str, Callable[[str], Any]] = {
    "scheme": _scheme,
    "allow_public": _boolean,
    "schedules": _boolean,
    "log_retention_days": _days(LOG_RETENTION_DAYS.__contains__, ", ".join(map(str, LOG_RETENTION_DAYS))),
    "keep_versions_days": _days(range(1, 3651).__contains__, "1 to 3650"),
    "vpc_cidr": _network,
    "tags": _tags,
}
GIVEN = frozenset({"project", "environment", "region"})
"""Fields that the project, the stack and the AWS provider give."""
assert _READERS.keys() == {setting.name for setting in fields(Settings)} - GIVEN
