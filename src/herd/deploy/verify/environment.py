"""The small environment of `herd verify`: the checkout's own program and settings, with other workloads.

It is written as a checkout of its own in the user's cache. A record of it is written before anything is made and
removed last, so that a later `herd verify` finds the leftovers of a killed one.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from herd import PACKAGE
from herd.checkout import stack_config
from herd.checkout.find import Checkout
from herd.deploy import down
from herd.errors import HerdError, WrongInput
from herd.infra.settings.keys import config_key
from herd.targets.aws import AwsTarget
from herd.targets.local import LocalTarget
from herd.targets.target import Target
from herd.toolchain import atomic

WORKLOADS = Path(__file__).with_name("workloads")
PROGRAM = ("infra", "images")
ENTRY = Path(__file__).with_name("entry.txt")
FILES = ("Pulumi.yaml", "pyproject.toml", "requirements.lock", "requirements-dev.lock")
IMAGE = "python"

NOT_TAKEN = ("data_bucket", "log_bucket", "sign_in", "connections", "datasets", "pools")
"""Settings of the stack that are left out: not needed, or granted to the stack itself only."""

LASTS_DAYS = 90
"""Days until the review date of its workloads, which exist for minutes."""


@dataclass(frozen=True)
class Record:
    """What is needed to remove the environment. `stack`: the stack on AWS that is verified; None: this machine.
    `word`: a random text that its job publishes.
    """

    name: str
    folder: str
    stack: str | None
    word: str
    made: bool = False
    """True once Pulumi may have a stack of that name."""


@contextmanager
def verification_lock(checkout: Checkout) -> Iterator[None]:
    """Hold the lock of verifications in this checkout. Raises HerdError where another one runs."""
    with (checkout.folder("verify") / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HerdError("another `herd verify` of this checkout is running; wait until it has ended") from None
        yield


def plan(checkout: Checkout, stack: str | None) -> Record:
    """A new record with a random name: `verify-48213`."""
    name = f"verify-{secrets.randbelow(90000) + 10000}"
    return Record(name, str(checkout.cache / "verify" / name), stack, secrets.token_hex(8))


def note(checkout: Checkout, record: Record) -> None:
    """Write the record."""
    path = checkout.folder("verify") / f"{record.name}.json"
    atomic.write(path, json.dumps(asdict(record)))


def forget(checkout: Checkout, record: Record) -> None:
    """Remove the files of a removed environment, the record last."""
    shutil.rmtree(record.folder, ignore_errors=True)
    (checkout.folder("verify") / f"{record.name}.json").unlink(missing_ok=True)


def left_behind(checkout: Checkout) -> list[Record]:
    """Records of verifications that were killed."""
    records = []
    for path in sorted(checkout.folder("verify").glob("verify-*.json")):
        try:
            records.append(Record(**json.loads(path.read_text())))
        except (ValueError, TypeError):
            path.unlink()  # incomplete, so it was killed before anything was made
    return records


def stage(checkout: Checkout, record: Record) -> Target:
    """Write the environment's own checkout, anew; its target."""
    folder = Path(record.folder)
    source = checkout.root / f"Pulumi.{_own(record.stack)}.yaml" if record.stack else None
    file = stack_config.read(source) if source and source.exists() else _local(checkout)
    kept = folder / ".herd"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in folder.iterdir():
        if path != kept:  # the local cloud's state, if there is one: it says what is there
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name in PROGRAM:
        shutil.copytree(checkout.root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copyfile(ENTRY, folder / "infra" / "__main__.py")
    for name in FILES:
        if (checkout.root / name).exists():
            shutil.copy2(checkout.root / name, folder / name)
    (folder / "lib").mkdir()
    (folder / ".venv").symlink_to(checkout.root / ".venv")
    _write_workloads(
        checkout, folder, record, is_public=_settings(checkout, file).get("allow_public") in (True, "true")
    )
    _write_settings(checkout, folder, record, file)
    here = Checkout(folder, checkout.cache)
    return AwsTarget(here, record.name) if record.stack else LocalTarget(here, record.name)


def _local(checkout: Checkout) -> dict[str, Any]:
    tracked = stack_config.tracked(checkout, stack_config.TEMPLATE)
    return stack_config.read(tracked) if tracked else {}


def _own(stack: str | None) -> str:
    """The stack's name without Pulumi Cloud's organization: `acme/prod` -> `prod`, of Pulumi.prod.yaml."""
    return (stack or "").rpartition("/")[2]


def _settings(checkout: Checkout, file: Mapping[str, Any]) -> dict[str, Any]:
    return stack_config.settings(checkout, file.get("config") or {}, "the stack's settings")


def settings(checkout: Checkout, record: Record, file: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the verification's environment: the stack's, but where they lead to the stack's own resources.

    The profile is expanded, because prod's requires an adopted data bucket. Protection and logs are off. It has a
    certificate for a domain of its own, so that the stack's validation record stays, and a key of its own, because the
    policy of a company's key admits the stack's own logs only.
    """
    from herd.infra.settings.schema import PROFILES

    own = _settings(checkout, file)
    profile = PROFILES["prod" if own.get("profile") == "prod" else "dev"]
    own = {**profile, **{key: value for key, value in own.items() if value != "profile"}}
    own = {key: value for key, value in own.items() if key not in NOT_TAKEN and not _has_secret(value)}
    own |= {"profile": "dev", "protect": False, "log_retention_days": 1, "keep_versions_days": 1, "schedules": "on"}
    if own.get("domain") and not own.get("certificate"):
        own["domain"] = f"{record.name}.{own['domain']}"
    if str(own.get("encryption_key", "")).startswith("arn:"):
        own["encryption_key"] = "create"
    return own


def _has_secret(value: Any) -> bool:
    """Whether the value has a part that is encrypted with the stack's own key, which another stack does not have."""
    if isinstance(value, dict):
        return "secure" in value or any(map(_has_secret, value.values()))
    return isinstance(value, list) and any(map(_has_secret, value))


def _write_settings(checkout: Checkout, folder: Path, record: Record, file: Mapping[str, Any]) -> None:
    import yaml

    own = settings(checkout, record, file)
    others = {key: value for key, value in (file.get("config") or {}).items() if key.startswith("aws:")}
    path = folder / f"Pulumi.{record.name}.yaml"
    config = {**others, **{config_key(key): value for key, value in own.items()}}
    # As `stack init` wrote it: with another provider the stack's state could not be decrypted.
    encryption = {key: file[key] for key in ("secretsprovider",) if key in file}
    path.write_text(yaml.safe_dump({**encryption, "config": config}, sort_keys=False))


def _write_workloads(checkout: Checkout, folder: Path, record: Record, is_public: bool) -> None:
    values = {"word": record.word, "access": "public" if is_public else "internal"}
    for source in sorted(WORKLOADS.rglob("*.txt")):
        target = folder / source.relative_to(WORKLOADS).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text()
        target.write_text(string.Template(text).substitute(values) if target.suffix == ".toml" else text)
        # The runner's own packages: boto3, pinned, and made in every image already.
        shutil.copy2(PACKAGE / "runner" / "requirements.lock", target.parent / "requirements.lock")
    if not (checkout.root / "images" / IMAGE / "Dockerfile").exists():
        raise WrongInput(f"images/{IMAGE}/Dockerfile is missing: the workloads of the verification need it")
    review = date.today() + timedelta(days=LASTS_DAYS)
    (folder / "defaults.toml").write_text(
        f'owner = "verify@example.com"\nreview_by = {review}\nimage = "{IMAGE}"\ntimezone = "UTC"\n'
    )


def make_stack(target: Target, record: Record) -> None:
    """Create the stack with the secrets provider of the stack that is verified."""
    file = stack_config.read(target.checkout.root / f"Pulumi.{record.name}.yaml")
    target.init_stack(file.get("secretsprovider"))


def take_down(target: Target, record: Record) -> None:
    """Remove the environment and check that nothing is left. Raises HerdError that names leftovers."""
    if not target.may_exist():
        return
    pushed = _shared_images(target)
    down.take_down(target, yes=True, confirmed=target.name)
    _remove_images(target, pushed)


def _shared_images(target: Target) -> list[tuple[str, str]]:
    """Repository and tag of each image that it pushed into shared repositories, which `herd down` does not remove."""
    images = []
    for entry in target.state_resources():
        if entry["type"] == "docker:index/image:Image" and entry.get("retainOnDelete"):
            address, _, tag = str((entry.get("inputs") or {}).get("imageName", "")).rpartition(":")
            if tag.startswith("verify-"):
                images.append((address.partition("/")[2], tag))
    return images


def _remove_images(target: Target, pushed: list[tuple[str, str]]) -> None:
    for repository, tag in pushed:
        answer = target.client("ecr").batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": tag}])
        left = [one for one in answer.get("failures") or [] if one.get("failureCode") != "ImageNotFound"]
        if left:
            raise HerdError(f"this is left: image {repository}:{tag} ({left[0].get('failureReason')})")
