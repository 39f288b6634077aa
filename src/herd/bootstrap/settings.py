"""The settings of the bootstrap project: declared once, read and checked, all problems at once.

The `config` of src/herd/bootstrap/Pulumi.yaml, which Pulumi itself checks, is written from here by docs/generate.py.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import AfterValidator, Field

from herd.infra.naming import PROJECT
from herd.infra.settings import reading, values
from herd.runner.contract import names

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_IMAGE = re.compile(r"[a-z][a-z0-9-]{0,29}(?<!-)")
_PROVIDER = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/token\.actions\.githubusercontent\.com")
_NUMBER = values.form(re.compile("[0-9]{1,20}"), "must be a number in quotes")


def _iam_path(value: str) -> str:
    if value != "/" and not values.IAM_PATH.fullmatch(value):
        raise ValueError('must be a path of IAM that begins and ends with "/", like /acme/')
    return value


_Buckets = tuple[Annotated[str, values.form(values.BUCKET, "is not the name of a bucket", empty=False)], ...]


@dataclass(frozen=True)
class Settings:
    """What bootstrap/Pulumi.main.yaml says. Empty text or an empty collection: not used."""

    region: str
    account: Annotated[values.AccountId, Field(description="The AWS account, 12 digits in quotes")]
    project: Annotated[
        str,
        values.form(PROJECT, "must be the `name` of Pulumi.yaml", empty=False),
        Field(description="The project whose environments are deployed - `name` in Pulumi.yaml"),
    ] = "herd"
    environments: Annotated[
        tuple[
            Annotated[str, values.form(names.ENVIRONMENT, "is not the name of an environment, like prod", empty=False)],
            ...,
        ],
        values.UNIQUE,
        values.FROM_JSON,
        Field(
            description="Environments whose data outlives them; each gets a data bucket. dev owns its data and takes "
            "it along"
        ),
    ] = ("prod",)
    images: Annotated[
        tuple[Annotated[str, values.form(_IMAGE, "is not the name of a folder below images/", empty=False)], ...],
        values.UNIQUE,
        values.FROM_JSON,
        Field(description="Folders below images/; each gets a repository that all environments share"),
    ] = ("python",)
    repository: Annotated[
        str,
        values.form(_REPOSITORY, "must be owner/name"),
        Field(description="The GitHub repository that deploys, owner/name. Empty, nobody deploys from GitHub"),
    ] = ""
    repository_id: Annotated[
        str,
        _NUMBER,
        Field(
            description="Its number, which a repository of the same name made later does not have: "
            "gh api repos/OWNER/NAME --jq .id"
        ),
    ] = ""
    owner_id: Annotated[
        str, _NUMBER, Field(description="The number of its owner: gh api repos/OWNER/NAME --jq .owner.id")
    ] = ""
    oidc_provider: Annotated[
        str,
        values.form(_PROVIDER, "must be the ARN of the account's provider for GitHub"),
        Field(
            description="The ARN of the account's provider for GitHub, where there is one. An account can have only one"
        ),
    ] = ""
    iam_path: Annotated[
        str,
        AfterValidator(_iam_path),
        Field(
            description="The path of IAM that environments' roles lie below - `iam_path` of their settings, like /acme/"
        ),
    ] = "/"
    read_buckets: Annotated[
        _Buckets,
        values.UNIQUE,
        values.FROM_JSON,
        Field(description="Buckets made elsewhere that workloads may read as datasets"),
    ] = ()
    adopted_buckets: Annotated[
        _Buckets,
        values.UNIQUE,
        values.FROM_JSON,
        Field(
            description="Buckets made elsewhere that environments keep their data or logs in - data_bucket and "
            "log_bucket of their settings, where those are not called <project>-<environment>-<account>-…"
        ),
    ] = ()
    tags: Annotated[values.Tags, Field(description="The company's own tags")] = field(default_factory=dict)


SETTINGS = reading.declared(Settings)


def load() -> Settings:
    """The settings of the stack that Pulumi runs; raises pulumi.RunError with a line for each problem."""
    config = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    return parse(pulumi.get_project(), config)


def parse(name: str, config: Mapping[str, str]) -> Settings:
    """Pulumi's configuration (`{"herd-bootstrap:account": …}`) -> Settings; raises pulumi.RunError."""
    own = {key.removeprefix(f"{name}:"): text for key, text in config.items() if key.startswith(f"{name}:")}
    chosen, wrong = reading.read(SETTINGS, own)
    problems = [f"{name}:{line}" for _, line in wrong]
    if "account" not in own:
        problems.append(f'{name}:account is missing; set it with: pulumi config set {name}:account "123456789012"')
    region = config.get("aws:region", "")
    if not region:
        problems.append("aws:region is missing, like eu-west-1")
    settings = Settings(region, **{"account": "", **chosen})
    problems += [f"{name}:{problem}" for problem in _contradictions(settings, {setting for setting, _ in wrong})]
    if problems:
        raise pulumi.RunError("\n".join(f"bootstrap/Pulumi.main.yaml: {problem}" for problem in problems))
    return settings


def _contradictions(settings: Settings, wrong: set[str]) -> Iterator[str]:
    for key in ("repository_id", "owner_id"):
        if settings.repository and not vars(settings)[key] and key not in wrong:
            yield (
                f"{key} must be given with repository, as a number in quotes: names can be taken over, numbers not "
                f"(gh api repos/{settings.repository} --jq '[.id, .owner.id]')"
            )
