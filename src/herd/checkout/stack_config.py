"""The settings of a local environment: a copy of the tracked Pulumi.<environment>.yaml, so that this stays clean.

Pulumi writes into a stack's file (the salt of its encryption, `pulumi config set`). In the copy it may: what is set
there stays until the tracked file itself is changed, which then wins.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from herd.checkout.find import Checkout
from herd.errors import WrongInput
from herd.infra.settings.keys import NAMESPACE, config_key, misplaced, own, without_prefix
from herd.toolchain import atomic

TEMPLATE = "dev"
"""An environment without a file of its own (`herd up -e pr-17`) has dev's settings."""

LIFETIME = ("ttl", "ends_at", "made_by")
"""Settings of an environment that ends by itself, which `herd up` writes."""

LOCAL_REGION = "eu-west-1"
LOCAL_ACCOUNT = "123456789012"


def path_of(checkout: Checkout, environment: str) -> Path:
    """The copy that Pulumi reads and writes."""
    return checkout.pulumi / f"Pulumi.{environment}.yaml"


def tracked(checkout: Checkout, environment: str) -> Path | None:
    """The file in the checkout that the copy is made from."""
    candidates = (checkout.root / f"Pulumi.{name}.yaml" for name in (environment, TEMPLATE))
    return next((path for path in candidates if path.exists()), None)


def prepare(
    checkout: Checkout,
    environment: str,
    region: str = LOCAL_REGION,
    expired: Sequence[str] | None = None,
    lifetime: Mapping[str, str] | None = None,
) -> Path:
    """Bring the copy up to date; its path. Raises WrongInput if the tracked file is not YAML of the right shape.

    `expired`: the workloads that have, by the calendar; None: those that had when somebody last looked. `lifetime`: the
    settings of LIFETIME, empty for an environment that stays; None: as they were.
    """
    import yaml

    source = tracked(checkout, environment)
    text = source.read_text() if source else ""
    copy = path_of(checkout, environment)
    there = read(copy) if copy.exists() else {}
    old = _without_earlier(checkout.project, there)
    origin = f"# made by herd from {source.name if source else 'nothing'}, {hashlib.sha256(text.encode()).hexdigest()}"
    if old and copy.read_text().startswith(origin):
        new = dict(old)
    else:
        new = read(source) if source else {}
        # Encrypted values are encrypted with the salt that is here, whatever another machine's file says.
        new.pop("encryptionsalt", None)
        if "encryptionsalt" in old:
            new["encryptionsalt"] = old["encryptionsalt"]
    # The local cloud is one account with one region and speaks plain HTTP: facts of the place, no choices of the team.
    new["config"] = {
        **_without_adopted(new.get("config") or {}),
        "aws:region": region,
        "aws:allowedAccountIds": [LOCAL_ACCOUNT],
        config_key("account"): LOCAL_ACCOUNT,
        config_key("scheme"): "http",
    }
    key = config_key("expired")
    if expired is None:
        expired = (old.get("config") or {}).get(key, ())
    new["config"] = _with(new["config"], key, expired)
    if lifetime is None:
        lifetime = {name: value for name in LIFETIME if (value := (old.get("config") or {}).get(config_key(name)))}
    new["config"] = _lasting(new["config"], lifetime)
    written = f"{origin}\n{yaml.safe_dump(new, sort_keys=False)}"
    if new != there or not copy.read_text().startswith(origin):
        # `pulumi stack init` is run in this folder, where it may write: it needs a project.
        (checkout.folder("pulumi") / "Pulumi.yaml").write_text(f"name: {checkout.project}\nruntime: python\n")
        atomic.write(copy, written, 0o600)
    return copy


def region_of_project(checkout: Checkout) -> str:
    """The region that Pulumi.yaml has for all stacks; "" where it has none. Raises WrongInput if it is not YAML."""
    project = checkout.root / "Pulumi.yaml"
    value = (read(project).get("config") or {}).get("aws:region") if project.exists() else None
    if isinstance(value, dict):  # Pulumi's other way to write it: with a type, a description, a default
        value = value.get("value", value.get("default"))
    return str(value or "")


def with_calendar(
    checkout: Checkout, stack: str, expired: Sequence[str] | None, lifetime: Mapping[str, str] | None = None
) -> Path | None:
    """A copy of a stack's settings on AWS that says which workloads have expired and when it ends; None where its file
    says the same.
    """
    import yaml

    # A person may have told Pulumi of another file.
    configured = os.environ.get("PULUMI_OPTION_CONFIG_FILE")
    source = Path(configured) if configured else checkout.root / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
    key = config_key("expired")
    known = expired is not None or lifetime is not None
    settings = read(source) if known and source.exists() else {}
    config = settings.get("config") or {}
    wanted = config if expired is None else _with(config, key, expired)
    wanted = wanted if lifetime is None else _lasting(wanted, lifetime)
    if wanted == config:
        return None
    copy = checkout.folder("stacks") / source.name
    atomic.write(copy, yaml.safe_dump({**settings, "config": wanted}, sort_keys=False), 0o600)
    return copy


def _lasting(config: dict[str, Any], lifetime: Mapping[str, str]) -> dict[str, Any]:
    """The settings with this lifetime. What a file says of `ttl` stays where nothing else is known."""
    rest = {key: value for key, value in config.items() if key not in map(config_key, LIFETIME) or not lifetime}
    return {**rest, **{config_key(name): value for name, value in lifetime.items()}}


def _with(config: dict[str, Any], key: str, names: Sequence[str]) -> dict[str, Any]:
    """The settings with these names; without the setting where there are none."""
    rest = {known: value for known, value in config.items() if known != key}
    return {**rest, key: list(names)} if names else rest


def _without_adopted(config: dict[str, Any]) -> dict[str, Any]:
    """The settings without what they adopt from another account: it is not here, and dev can do without.

    So one file is dev's on the laptop and on AWS. prod cannot be without its data and its boundary, and is refused.
    """
    elsewhere = str(config.get(config_key("account")) or LOCAL_ACCOUNT) != LOCAL_ACCOUNT
    if not elsewhere or config.get(config_key("profile")) == "prod":
        return config
    from herd.infra.settings.schema import OF_ITS_ACCOUNT  # with pydantic, which most commands do without

    adopted = {config_key(name) for name in OF_ITS_ACCOUNT}
    return {key: value for key, value in config.items() if key not in adopted or value == "create"}


def values(checkout: Checkout, environment: str) -> dict[str, Any]:
    """The settings of an environment, read only: the tracked file's, and what was set in the copy beside them."""
    copy, source = path_of(checkout, environment), tracked(checkout, environment)
    copied = _without_earlier(checkout.project, read(copy)) if copy.exists() else {}
    files = [copied, read(source) if source else {}]
    configs = [file.get("config") or {} for file in files]
    return {key: value for config in configs for key, value in config.items()}


def _without_earlier(project: str, file: dict[str, Any]) -> dict[str, Any]:
    """A copy without what earlier versions of Herd wrote into it by themselves, below the project's name."""
    if project == NAMESPACE or "config" not in file:
        return file
    earlier = {f"{project}:{name}" for name in ("account", "scheme", "expired")}
    return {**file, "config": {key: value for key, value in (file["config"] or {}).items() if key not in earlier}}


def settings(checkout: Checkout, config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Herd's settings among those of a stack's file: `{"profile": "prod"}`. Raises WrongInput for those of an earlier
    Herd, which stand below the project's name.
    """
    if problems := list(misplaced(checkout.project, config)):
        raise WrongInput("\n".join(f"{name}: {problem}" for problem in problems))
    return own(config)


def read(path: Path) -> dict[str, Any]:
    """A stack's file. Raises WrongInput if it is not YAML of the right shape."""
    import yaml

    from herd.checkout import stack_yaml

    try:
        value = stack_yaml.load(path.read_text()) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise WrongInput(f"{path.name}: {stack_yaml.words(error)}") from None
    if not isinstance(value, dict) or not isinstance(value.get("config") or {}, dict):
        raise WrongInput(f"{path.name}: must be a table with `config:` in it")
    if path.name != "Pulumi.yaml" and (problems := list(without_prefix(value.get("config") or {}))):
        raise WrongInput("\n".join(f"{path.name}: {problem}" for problem in problems))
    return value
