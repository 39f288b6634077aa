"""`herd bootstrap`: deploy the project in bootstrap/ into an AWS account, and move its state into the bucket it makes.

No resource of the project has a secret, so its passphrase is empty and the next person needs none. Until the bucket
exists the state lies below `.herd/bootstrap/`; an interrupted run continues from it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from herd import PACKAGE, console
from herd.checkout import stack_config
from herd.checkout.find import find_checkout
from herd.deploy import local_stack
from herd.engine.plan import Plan
from herd.engine.pulumi import Engine
from herd.errors import HerdError, WrongInput
from herd.targets import exports, pulumi_env, stack_env
from herd.targets.choose import local
from herd.targets.exports import AccountExports
from herd.targets.local import LocalTarget
from herd.targets.stack import Stack
from herd.toolchain import atomic

STACK = "main"
OF_ONE = "run-"
"""Begin of the names of roles that belong to one environment each."""

PROJECT = "herd-bootstrap"
SETTINGS = f"bootstrap/Pulumi.{STACK}.yaml"


class Account(Stack):
    """The one stack of the bootstrap project in an account. Its backend is the bucket, before that a local folder."""

    _kind = "aws"

    def __init__(self, config: Mapping[str, Any]) -> None:
        checkout = find_checkout()
        # Pulumi runs in the project's own folder; the command writes below the checkout's `.herd/` only.
        super().__init__(replace(checkout, root=PACKAGE / "bootstrap"), STACK)
        self.config = {**config}
        self.folder = checkout.folder("bootstrap", self._kind)

    @property
    def region(self) -> str:
        return str(self.config.get("aws:region", ""))

    @property
    def bucket(self) -> str:
        """The bucket for the state of the account's stacks (src/herd/bootstrap/permissions.py has the name too)."""
        return f"{self.config.get(f'{PROJECT}:project', 'herd')}-{self.config[f'{PROJECT}:account']}-state"

    @property
    def is_moved(self) -> bool:
        """Whether the bucket exists and has this project's state."""
        s3, state = self.client("s3"), f".pulumi/stacks/{PROJECT}/{STACK}.json"
        try:
            return bool(s3.list_objects_v2(Bucket=self.bucket, Prefix=state).get("KeyCount"))
        except s3.exceptions.NoSuchBucket:
            return False

    @property
    def backend(self) -> str:
        """PULUMI_BACKEND_URL of the bucket."""
        return f"s3://{self.bucket}?region={self.region}"

    @abstractmethod
    def base(self) -> dict[str, str | None]:
        """The variables by which Pulumi reaches the account."""

    def pulumi_environment(self) -> dict[str, str]:
        return self.environment(self.backend if self.is_moved else self.folder.as_uri())

    def environment(self, backend: str) -> dict[str, str]:
        own = {
            "PULUMI_BACKEND_URL": backend,
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_CONFIG_PASSPHRASE_FILE": None,
            "PULUMI_OPTION_STACK": STACK,
            "PULUMI_OPTION_CONFIG_FILE": str(self._settings()),
            # The policy pack is for environments; the roles here have wide permissions on purpose.
            "PULUMI_OPTION_POLICY_PACK": "",
        }
        if not backend.startswith("file://"):
            own["PULUMI_SKIP_CHECKPOINTS"] = None  # no ledger covers a state in a bucket (docs/decisions/0004)
        return pulumi_env.apply({**self.base(), **own})

    def _settings(self) -> Path:
        """A copy of the settings file, because Pulumi writes its encryption salt into the file that it uses."""
        import yaml

        copy = self.folder / f"Pulumi.{STACK}.yaml"
        old = stack_config.read(copy) if copy.exists() else {}
        copy.write_text(yaml.safe_dump({**old, "config": self.config}, sort_keys=False))
        return copy

    def outputs(self) -> dict[str, Any]:
        return dict(json.loads(run(self, self.pulumi_environment(), "stack", "output", "--json")))

    def state_resources(self) -> list[dict[str, Any]]:
        return []

    def announce(self) -> None:
        account = self.client("sts").get_caller_identity()["Account"]
        console.note(f"AWS account {account}, region {self.region}", style="bold")
        if about := stack_env.about_host(self.pulumi):
            console.note(about)


class AwsAccount(Account):
    """The account of the person's own credentials."""

    plugins = ("aws",)
    is_shared = True

    def client(self, service: str) -> Any:
        import boto3

        return boto3.Session(region_name=self.region).client(service)

    def base(self) -> dict[str, str | None]:
        return stack_env.variables(self.checkout.root, self.pulumi)


class LocalAccount(Account):
    """The local cloud's account, to try it."""

    _kind = "local"
    is_shared = False

    def __init__(self, config: Mapping[str, Any], environment: LocalTarget) -> None:
        self._environment = environment
        self._base: dict[str, str | None] | None = None
        super().__init__(config)

    def client(self, service: str) -> Any:
        return self._environment.client(service)

    @property
    def backend(self) -> str:
        return f"{super().backend}&endpoint={self._environment.cloud.endpoint}&use_path_style=true"

    def base(self) -> dict[str, str | None]:
        if self._base is None:
            target = self._environment
            self._base = pulumi_env.prepare(target.checkout, target.name, target.cloud, target.pulumi)
        return self._base

    def approve(self, action: str, yes: bool) -> None:
        """The local cloud needs no confirmation."""


@dataclass(frozen=True)
class Options:
    """The values of the command's options; None where the person left one out."""

    account: str | None = None
    region: str | None = None
    repository: str | None = None
    repository_id: str | None = None
    owner_id: str | None = None

    def config(self) -> dict[str, str]:
        own = {key: value for key, value in vars(self).items() if value is not None and key != "region"}
        region = {"aws:region": self.region} if self.region is not None else {}
        return {**region, **{f"{PROJECT}:{key}": value for key, value in own.items()}}


def choose(options: Options, here: bool) -> Account:
    """The account to deploy into; `here`: the local cloud's. Writes the tracked settings file if they change.

    Raises WrongInput where neither the file nor the options name the account and region.
    """
    checkout = find_checkout()
    path = checkout.root / SETTINGS
    config = dict((stack_config.read(path) if path.exists() else {}).get("config") or {})
    if here:
        environment = local(None)
        environment.announce()
        local_stack.prepare_locked(environment)
        region, account = environment.client("s3").meta.region_name, _account_of(environment)
        return LocalAccount(
            {**config, **options.config(), "aws:region": region, f"{PROJECT}:account": account}, environment
        )
    merged = {**config, **options.config()}
    if missing := [f"--{name}" for name, key in _NEEDED.items() if not merged.get(key)]:
        raise WrongInput(
            f"{SETTINGS} {'lacks' if path.exists() else 'is not there; to write it give'} {' and '.join(missing)}: the "
            "12 digits of the AWS account, and a region like eu-west-1"
        )
    if merged != config:
        _write(path, merged)
        console.note(f"{SETTINGS} was written from the options; commit it")
    return AwsAccount(merged)


_NEEDED = {"account": f"{PROJECT}:account", "region": "aws:region"}


def make_ready(account: Account, yes: bool) -> AccountExports:
    """Preview, confirm, deploy, move the state into the bucket; the project's outputs."""
    engine = Engine(account)
    variables = account.pulumi_environment()
    if STACK not in _stacks(account, variables):
        _init(account, variables)
    plan = engine.preview(Plan(PROJECT, STACK, account.checkout.root))
    if plan.done:
        for change in plan.done:
            console.say(str(change))
        account.approve("do this", yes)
        engine.up()
    if not account.is_moved:
        _move(account, variables)
    return exports.parse_account(account.outputs(), STACK)


def advice(made: AccountExports) -> str:
    """The settings and variables to write down, as text, from the project's outputs."""
    lines = [
        f"the account {made.account} is ready; in the file of each environment that is kept (Pulumi.prod.yaml):",
        *(f"    herd:data_bucket: {bucket}    # of {name}" for name, bucket in sorted(made.data_buckets.items())),
        f"    herd:boundary: {made.boundary}",
        f"    herd:image_repositories: {made.image_repositories}",
        "its stack is made with:",
        f"    export PULUMI_BACKEND_URL='{made.backend}'",
        f"    pulumi stack init prod --secrets-provider='{made.secrets_provider}'",
    ]
    everywhere = {name: arn for name, arn in made.roles.items() if not name.startswith(OF_ONE)}
    if made.roles:
        lines += [
            "variables of the GitHub repository (Settings, Secrets and variables, Actions):",
            *(f"    AWS_{name.upper()}_ROLE={arn}" for name, arn in sorted(everywhere.items(), reverse=True)),
            f"    AWS_REGION={made.region}",
            f"    PULUMI_BACKEND_URL={made.backend}",
        ]
        lines += [
            line
            for name, arn in sorted(made.roles.items())
            if name not in everywhere
            for line in (
                f"a variable of its GitHub environment {name.removeprefix(OF_ONE)} (Settings, Environments):",
                f"    AWS_RUN_ROLE={arn}",
            )
        ]
    return "\n".join(lines)


def _move(account: Account, variables: dict[str, str]) -> None:
    """Move the state from the local folder into the bucket; the local one is removed last."""
    with console.step(f"moving its state into {account.bucket}"):
        exported = account.folder / "moved.json"
        run(account, variables, "stack", "export", "--file", str(exported))
        there = account.environment(account.backend)
        _init(account, there)
        run(account, there, "stack", "import", "--file", str(exported))
        exported.unlink()
        shutil.rmtree(account.folder / ".pulumi")


def _init(account: Account, variables: dict[str, str]) -> None:
    """`pulumi stack init` in another folder, because it writes its salt beside Pulumi.yaml, whatever is configured."""
    (account.folder / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
    run(account, variables, "stack", "init", STACK, folder=account.folder)


def run(account: Account, variables: dict[str, str], *arguments: str, folder: Path | None = None) -> str:
    """Run one command of Pulumi in the project's folder; its stdout. Raises HerdError with its stderr."""
    environment = {**variables, "PULUMI_OPTION_NON_INTERACTIVE": "true", "PULUMI_OPTION_COLOR": "never"}
    if arguments[:2] in (("stack", "init"), ("stack", "ls")):
        # These commands fail if the stack is named by the variable too.
        environment.pop("PULUMI_OPTION_STACK", None)
    command = [str(account.pulumi), "-C", str(folder or account.checkout.root), *arguments]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise HerdError(f"pulumi {' '.join(arguments[:2])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _stacks(account: Account, variables: dict[str, str]) -> list[str]:
    return [
        str(entry["name"]).rpartition("/")[2] for entry in json.loads(run(account, variables, "stack", "ls", "--json"))
    ]


def _account_of(environment: LocalTarget) -> str:
    return str(environment.client("sts").get_caller_identity()["Account"])


def _write(path: Path, config: Mapping[str, Any]) -> None:
    import yaml

    atomic.write(path, yaml.safe_dump({"config": dict(config)}, sort_keys=False))
