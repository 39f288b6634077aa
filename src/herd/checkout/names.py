"""What may be a name on the command line: empty text and what no name can be is refused before anything is looked at.

An empty name is what a script hands over whose variable is not set. It never means "the default one".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn

from herd.errors import WrongInput
from herd.infra import addresses, lifetime
from herd.runner.contract import names

OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""An organisation or a project, before the stack's own name. Source: "Stacks", Pulumi's manual."""

REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
WEB_ADDRESS = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")


def environment(text: str | None) -> str | None:
    """`dev`, `prod`, `pr-17`; None: not said. Raises WrongInput."""
    if text is None or names.ENVIRONMENT.fullmatch(text):
        return text
    _refuse(text, "an environment's name", "like 'dev', 'prod' or 'pr-17', a hyphen only before a number")


def stack(text: str | None) -> str | None:
    """`prod`, or as Pulumi Cloud has it, `acme/prod` or `acme/herd/prod`; None: not said. Raises WrongInput."""
    if text is None:
        return None
    *owners, own = text.split("/")
    if len(owners) <= 2 and all(map(OWNER.fullmatch, owners)) and names.ENVIRONMENT.fullmatch(own):
        return text
    _refuse(text, "a stack's name", "like 'prod' or 'acme/prod', as `pulumi stack ls` shows it")


def workload(text: str) -> str:
    """The name of a workload's folder. Raises WrongInput."""
    if names.WORKLOAD.fullmatch(text):
        return text
    better = re.sub(r"[\s_.]+", "-", text.strip()).lower()
    hint = f"; did you mean {better!r}?" if names.WORKLOAD.fullmatch(better) else ""
    _refuse(text, "a name of a workload", names.WORKLOAD_RULE + hint)


def workloads(texts: list[str] | None) -> list[str] | None:
    """Several of them, or what they share (`environment`); None: not said. Raises WrongInput."""
    return texts if texts is None else [workload(text) for text in texts]


def run(text: str | None) -> str | None:
    """A run's id; None: not said. Raises WrongInput."""
    if text is None or names.RUN_ID.fullmatch(text):
        return text
    _refuse(text, "a run's id", "like '20270131T060000-manual-4f2a', as `herd status` shows it")


def address(text: str | None) -> str | None:
    """An e-mail address; None: not said. Raises WrongInput."""
    if text is None or addresses.is_address(text):
        return text
    _refuse(text, "an e-mail address", "like 'data@example.com'")


def time_to_live(text: str | None) -> str | None:
    """How long an environment lasts, like `48h`; None: not said. Raises WrongInput."""
    try:
        if text is not None:
            lifetime.parse(text)
    except ValueError:
        _refuse(text or "", "how long an environment lasts", lifetime.ALLOWED)
    return text


def snapshot(text: str | None) -> str | None:
    """The name of a snapshot; None: not said. Raises WrongInput."""
    if text is None or names.SNAPSHOT.fullmatch(text):
        return text
    _refuse(text, "a snapshot's name", names.SNAPSHOT_RULE)


def secret(text: str) -> str:
    """The name of a secret. Raises WrongInput, which does not repeat it: it may be the value, by mistake."""
    if names.SECRET.fullmatch(text):
        return text
    raise WrongInput(
        f"that cannot be the name of a secret; allowed: {names.SECRET_RULE}. The value is asked for, or read from "
        "standard input"
    )


def regions(texts: list[str] | None) -> list[str] | None:
    """Regions of AWS; None: not said. Raises WrongInput."""
    for text in texts or ():
        if not REGION.fullmatch(text):
            _refuse(text, "a region of AWS", "like 'eu-west-1'")
    return texts


def web_address(text: str | None) -> str | None:
    """The address of a server; None: not said. Raises WrongInput."""
    if text is None or WEB_ADDRESS.fullmatch(text):
        return text
    _refuse(text, "the address of a server", "like 'https://mirror.example.com/prices'")


def path(text: str) -> Path:
    """A file or folder. `Path("")` would be the folder that one stands in. Raises WrongInput."""
    if text.strip() and "\0" not in text:
        return Path(text)
    _refuse(text, "the path of a file or folder", "something like 'changes.json'")


def some(text: str | None) -> str | None:
    """Any text but none; None: not said. Raises WrongInput."""
    if text is None or text.strip():
        return text
    _refuse(text, "a value", "leave the option out, or say one")


def _refuse(text: str, what: str, allowed: str) -> NoReturn:
    raise WrongInput(f"{text!r} cannot be {what}; allowed: {allowed}")
