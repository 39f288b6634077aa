"""The settings of the bootstrap project: plain values that were checked, all problems at once."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import config as runtime_config

from herd.infra.naming import PROJECT
from herd.infra.settings.readers import IAM_PATH
from herd.runner.contract import names

_ACCOUNT = re.compile(r"[0-9]{12}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_IMAGE = re.compile(r"[a-z][a-z0-9-]{0,29}(?<!-)")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PROVIDER = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/token\.actions\.githubusercontent\.com")


@dataclass(frozen=True)
class Settings:
    """What Pulumi.main.yaml says; the meaning of each is in src/herd/bootstrap/Pulumi.yaml."""

    region: str
    account: str
    project: str = "herd"
    environments: tuple[str, ...] = ("prod",)
    images: tuple[str, ...] = ("python",)
    repository: str = ""
    repository_id: str = ""
    owner_id: str = ""
    oidc_provider: str = ""
    read_buckets: tuple[str, ...] = ()
    adopted_buckets: tuple[str, ...] = ()
    iam_path: str = "/"
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls) -> "Settings":
        """The settings of the stack that Pulumi runs; raises pulumi.RunError with a line for each problem."""
        values = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
        return parse(pulumi.get_project(), values)


def parse(name: str, config: Mapping[str, str]) -> Settings:
    """Pulumi's configuration (`{"herd-bootstrap:account": …}`) -> Settings; raises pulumi.RunError."""
    problems: list[str] = []
    values: dict[str, Any] = {}
    defaults = Settings("", "")
    for key, text in sorted(config.items()):
        setting = key.removeprefix(f"{name}:")
        if setting == key:
            continue
        if setting not in vars(defaults) or setting == "region":
            problems.append(
                f"unknown setting {setting!r}; there are: {', '.join(sorted(vars(defaults).keys() - {'region'}))}"
            )
            continue
        value = _read(text, type(vars(defaults)[setting]))
        if value is None:
            problems.append(f"{setting} = {text!r} must be a {_WORDS[type(vars(defaults)[setting])]}")
        else:
            values[setting] = value
    settings = Settings(config.get("aws:region", ""), **{"account": "", **values})
    problems += _problems(settings)
    if problems:
        raise pulumi.RunError("\n".join(f"bootstrap/Pulumi.main.yaml: {problem}" for problem in problems))
    return settings


_WORDS: Mapping[type, str] = {str: "text in quotes", tuple: "list of texts", dict: "table of texts"}


def _read(text: str, kind: type) -> Any:
    if kind is str:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if kind is tuple and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(dict.fromkeys(value))
    if kind is dict and isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
        return value
    return None


def _problems(settings: Settings) -> Iterator[str]:
    if not settings.region:
        yield "aws:region is missing, like eu-west-1"
    if not _ACCOUNT.fullmatch(settings.account):
        yield f"account = {settings.account!r} must be the 12 digits of the AWS account, in quotes"
    if not PROJECT.fullmatch(settings.project):
        yield f"project = {settings.project!r} must be the `name` of Pulumi.yaml"
    for key, pattern, values in (
        ("environments", names.ENVIRONMENT, settings.environments),
        ("images", _IMAGE, settings.images),
        ("read_buckets", _BUCKET, settings.read_buckets),
        ("adopted_buckets", _BUCKET, settings.adopted_buckets),
    ):
        yield from (
            f"{key}: {value!r} is not a name that it may have" for value in values if not pattern.fullmatch(value)
        )
    if settings.iam_path != "/" and not IAM_PATH.fullmatch(settings.iam_path):
        yield f"iam_path = {settings.iam_path!r} must be a path of IAM that begins and ends with /, like /acme/"
    if settings.oidc_provider and not _PROVIDER.fullmatch(settings.oidc_provider):
        yield f"oidc_provider = {settings.oidc_provider!r} must be the ARN of the account's provider for GitHub"
    if not settings.repository:
        return
    if not _REPOSITORY.fullmatch(settings.repository):
        yield f"repository = {settings.repository!r} must be owner/name"
    for key in ("repository_id", "owner_id"):
        if not vars(settings)[key].isdecimal():
            yield (
                f"{key} must be given with repository, as a number in quotes: names can be taken over, numbers not "
                f"(gh api repos/{settings.repository or 'OWNER/NAME'} --jq '[.id, .owner.id]')"
            )
