"""The settings file of a copy: Pulumi.<copy>.yaml, made from that of the environment that is copied.

It says whose copy it is (`herd:copy_of`), that its schedules are off, and what else was chosen to be different. What
belongs to one environment alone must be chosen anew; what is encrypted for the other is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herd.checkout import stack_config
from herd.checkout.find import Checkout
from herd.errors import WrongInput, unknown
from herd.infra.settings.keys import config_key, own
from herd.toolchain import atomic

COPY_OF, SCHEDULES = "copy_of", "schedules"

ALONE: Mapping[str, str] = {
    "data_bucket": "its data stays its own. Name the copy's bucket, which `herd bootstrap` makes; or, for data "
    "that goes with the copy, --set profile=dev --set data_bucket=",
    "domain": "two environments cannot answer at the same addresses. Name the copy's own domain",
    "certificate": "it is for the other's domain. Name the copy's own, or none: --set certificate=",
}
"""Settings that no two environments share, and what to do."""

BY_PLACE = ("account", "scheme", "expired")
"""What a local environment's file has of its place and of the calendar."""


@dataclass(frozen=True)
class StackCopy:
    """`file`: the content. `encrypted`: settings that only the other can decrypt."""

    path: Path
    file: dict[str, Any]
    encrypted: tuple[str, ...]

    def write(self, source: str) -> None:
        """Write the file."""
        import yaml

        head = (
            f"# A copy of {source}, made by `herd clone`. Nothing starts by itself until herd:schedules is on.\n"
            f"# What differs from {source} on purpose stands here: `herd diff` names it.\n"
        )
        atomic.write(self.path, head + yaml.safe_dump(self.file, sort_keys=False, allow_unicode=True), 0o644)


def path_of(checkout: Checkout, name: str) -> Path:
    """Where the settings of a stack stand."""
    return checkout.root / f"Pulumi.{name.rpartition('/')[2]}.yaml"


def source_of(checkout: Checkout, name: str) -> str:
    """Of which environment the file of this one says that it is a copy; "" where it says nothing, or is not there."""
    path = path_of(checkout, name)
    if not path.exists():
        return ""
    return str(own(stack_config.read(path).get("config") or {}).get(COPY_OF, ""))


def made(checkout: Checkout, source: str, name: str, source_file: Path, chosen: Mapping[str, Any]) -> StackCopy:
    """The settings of a copy. `chosen`: settings with another value on purpose, "" to leave one out.

    Raises WrongInput with everything that has to be chosen first.
    """
    file = stack_config.read(source_file) if source_file.exists() else {}
    config = dict(file.get("config") or {})
    said = own(config)
    problems = [
        f"herd:{key} = {said[key]} is of {source} alone: {why} (--set {key}=…)"
        for key, why in ALONE.items()
        if said.get(key) and key not in chosen
    ]
    if said.get(COPY_OF):
        problems.append(f"{source} is itself a copy of {said[COPY_OF]}: clone {said[COPY_OF]}")
    if problems:
        raise WrongInput("\n".join(problems))
    if "profile" in chosen and chosen["profile"] != said.get("profile", "dev"):
        config = {**_pinned(str(said.get("profile", "dev"))), **config}
    encrypted = tuple(sorted(str(key) for key, value in config.items() if is_encrypted(value)))
    kept = {key: value for key, value in config.items() if key not in (*encrypted, config_key("expired"))}
    of_copy = {COPY_OF: source, SCHEDULES: "off", **chosen}
    kept |= {config_key(key): value for key, value in of_copy.items()}
    kept = {key: value for key, value in kept.items() if value != ""}
    other = {key: value for key, value in file.items() if key not in ("config", "encryptionsalt", "encryptedkey")}
    return StackCopy(path_of(checkout, name), {**other, "config": kept}, encrypted)


def chosen(entries: Sequence[str]) -> dict[str, Any]:
    """`["zones=3"]` -> `{"zones": "3"}`, values as a file has them. Raises WrongInput with all problems."""
    from herd.infra.settings import reading
    from herd.infra.settings.schema import SETTINGS
    from herd.infra.settings.values import from_json

    values: dict[str, Any] = {}
    problems = []
    for entry in entries:
        key, equals, text = entry.partition("=")
        key = key.strip().removeprefix("herd:")
        if not equals:
            problems.append(f"--set {entry!r} cannot be a setting with its value; allowed: SETTING=VALUE, like zones=3")
        elif key not in SETTINGS:
            problems.append(f"--set {entry}: {unknown(key, list(SETTINGS), 'setting of a stack')}")
        elif key in (COPY_OF, "expired"):
            problems.append(f"--set {entry}: {key} is written by Herd itself")
        elif text and (wrong := reading.read(SETTINGS, {key: text})[1]):
            problems += [f"--set {line}" for _, line in wrong]
        else:
            values[key] = from_json(text) if SETTINGS[key].is_collection else text
    if problems:
        raise WrongInput("\n".join(problems))
    return values


def _pinned(profile: str) -> dict[str, Any]:
    """What a profile sets where a file says nothing: another profile must not change it."""
    from herd.infra.settings.schema import PROFILES, SETTINGS

    values = PROFILES["prod" if profile == "prod" else "dev"]
    return {config_key(name): values.get(name, SETTINGS[name].default) for name in PROFILES["prod"]}


def is_encrypted(value: Any) -> bool:
    """Has it an encrypted value in it, at any depth?"""
    match value:
        case {"secure": _}:
            return True
        case dict():
            return any(map(is_encrypted, value.values()))
        case list():
            return any(map(is_encrypted, value))
        case _:
            return False
