"""Where releases of Herd come from: a folder of wheels, a checkout, a Git repository with tags like v0.2.0.

`herd init` notes where its own came from, and `herd upgrade` looks for the newest one there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from herd import PACKAGE
from herd.errors import WrongInput

DISTRIBUTIONS = ("herd-environments", "herd-localcloud")

RELEASE_TAG = re.compile(r"v?\d+\.\d+\.\d+")
REMOTE = re.compile(r"[a-z]+://|[\w.-]+@[\w.-]+:")
"""How the address of a repository begins that is no folder: https://…, git@host:…"""

PROTOCOLS = {"GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}
"""Git would also take an address that is a command (`ext::…`), and an address may come from a file of somebody else."""

ALLOWED = "a wheel, a folder with both wheels, a checkout of Herd, a repository, REPOSITORY@TAG, or a tag of {known}"


@dataclass(frozen=True)
class Release:
    """`source`: a folder or a repository's address; in it a `tag`, or the wheels of a `version`. With neither: what the
    folder holds, whichever release that is."""

    source: str
    tag: str = ""
    version: str = ""

    @property
    def number(self) -> str:
        """As `0.2.0`; empty where only its files say it."""
        return self.version or (self.tag.removeprefix("v") if RELEASE_TAG.fullmatch(self.tag) else "")

    def __str__(self) -> str:
        return f"{self.source}@{self.tag}" if self.tag else f"{self.source} {self.version}".strip()


def resolve(text: str | None, known: str) -> Release:
    """The release that somebody means. None: the newest of `known`, the source that the project's release came from.

    Raises WrongInput where there is none, with those that there are.
    """
    if text is None:
        if not known:
            raise WrongInput("nothing says where this project's releases come from: name one with --to, once")
        return newest(known)
    path = Path(text)
    if text.endswith(".whl") and path.is_file() and path.name.count("-") >= 4:
        return Release(str(path.parent), version=path.name.split("-")[1])
    if text.strip() and (is_checkout(path) or _has_wheels(path)):
        return Release(text)
    if RELEASE_TAG.fullmatch(text) and known:
        return _named(known, text)
    repository, tag = _divide(text)
    if tag and repository:
        return Release(repository, tag)
    if REMOTE.match(text) or (text.strip() and _is_repository(path)):
        return newest(text)
    allowed = ALLOWED.format(known=known or "the source that the project knows")
    raise WrongInput(f"{text!r} cannot be a release of Herd; allowed: {allowed}")


def newest(source: str) -> Release:
    """The newest release of a source; of a checkout without tags what it holds. Raises WrongInput."""
    if not REMOTE.match(source) and not Path(source).is_dir():
        raise WrongInput(f"{source}, where releases come from, is not on this machine; name another with --to")
    releases = sorted(_of(source), key=lambda release: order(release.number))
    if releases:
        return releases[-1]
    if is_checkout(Path(source)):
        return Release(source)
    raise WrongInput(f"{source}: has no release: no wheels of Herd, and no tag like v0.2.0")


def clone(release: Release, folder: Path) -> None:
    """The files of a tag. Raises WrongInput with the releases that there are."""
    quiet = ["-c", "advice.detachedHead=false", "clone", "--quiet", "--depth", "1", f"--branch={release.tag}"]
    try:
        _git(*quiet, "--", release.source, str(folder))
    except WrongInput as error:
        raise WrongInput(f"{release}: Git could not fetch that tag: {error}{_there_are(release.source)}") from None
    if not is_checkout(folder):
        raise WrongInput(f"{release}: holds no Herd: there is no src/herd/pyproject.toml")


def of_this_herd(root: Path) -> str:
    """Where the Herd that runs came from, as a project at `root` notes it; empty where nothing says so."""
    checkout = PACKAGE.parents[1]
    if is_checkout(checkout):
        return noted(_origin(checkout) or str(checkout), root)
    distribution = metadata.distribution(DISTRIBUTIONS[0])
    if (wheel := _wheel(distribution)) is not None:
        return noted(str(wheel.parent), root)
    record = _record(distribution)
    return without_password(record["url"]) if "vcs_info" in record else ""


def _origin(checkout: Path) -> str:
    """The repository that it is a clone of; empty for none."""
    if not (checkout / ".git").exists():
        return ""
    try:
        return _git("-C", str(checkout), "remote", "get-url", "origin").strip()
    except WrongInput:
        return ""


def noted(source: str, root: Path) -> str:
    """As a project's file has it: a folder by its way from the project, an address without a password."""
    if REMOTE.match(source):
        return without_password(source)
    folder, here = os.path.abspath(source), str(root.resolve())
    return folder if os.path.commonpath([folder, here]) == os.sep else os.path.relpath(folder, here)


def read(noted: str, root: Path) -> str:
    """The source that a project's file means."""
    return noted if not noted or REMOTE.match(noted) else os.path.normpath(root / noted)


def without_password(address: str) -> str:
    """The file with it is everybody's."""
    parts = urlsplit(address) if "://" in address else None
    if parts is None or parts.password is None:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def order(number: str) -> tuple[int, ...]:
    """By which releases are sorted."""
    return tuple(map(int, re.findall(r"\d+", number)))


def is_checkout(folder: Path) -> bool:
    """Is it Herd's own source?"""
    return (folder / "src/herd/pyproject.toml").is_file()


def installed_from(distribution: metadata.Distribution) -> Path | None:
    """The wheel file that it was installed from, if it is still there and has the hash that was recorded."""
    path = _wheel(distribution)
    try:
        digest = _record(distribution)["archive_info"]["hashes"]["sha256"]
    except (KeyError, TypeError):
        return None
    return path if path and hashlib.sha256(path.read_bytes()).hexdigest() == digest else None


def _wheel(distribution: metadata.Distribution) -> Path | None:
    """The wheel file that it was installed from, if there is one of that name; whatever it holds by now."""
    url = urlsplit(str(_record(distribution).get("url", "")))
    path = Path(unquote(url.path))
    return path if url.scheme == "file" and path.suffix == ".whl" and path.is_file() else None


def _record(distribution: metadata.Distribution) -> dict[str, Any]:
    """What the installer noted about where it came from."""
    try:
        record = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _named(source: str, tag: str) -> Release:
    for release in _of(source):
        if tag in (release.tag, release.number) or tag.removeprefix("v") == release.number:
            return release
    raise WrongInput(f"{source}: has no release {tag}{_there_are(source)}")


def _of(source: str) -> list[Release]:
    """Its releases, in no order."""
    folder = Path(source)
    if not REMOTE.match(source) and _has_wheels(folder):
        first, second = (
            {path.name.split("-")[1] for path in folder.glob(f"{name.replace('-', '_')}-*.whl")}
            for name in DISTRIBUTIONS
        )
        return [Release(source, version=version) for version in first & second]
    if REMOTE.match(source) or _is_repository(folder):
        lines = _git("ls-remote", "--tags", "--refs", "--", source).splitlines()
        tags = [line.rpartition("refs/tags/")[2] for line in lines]
        return [Release(source, tag) for tag in tags if RELEASE_TAG.fullmatch(tag)]
    return []


def _there_are(source: str) -> str:
    try:
        numbers = sorted((release.number for release in _of(source)), key=order, reverse=True)
    except WrongInput:
        return ""
    return f"; there are: {', '.join(numbers[:8])}" if numbers else ""


def _divide(text: str) -> tuple[str, str]:
    """REPOSITORY@TAG. The `@` in front of a host is none."""
    repository, _, tag = text.rpartition("@")
    of_host = ":" in tag or (REMOTE.match(text) and "://" in text and "/" not in repository.partition("://")[2])
    return ("", "") if of_host or not repository else (repository, tag)


def _has_wheels(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("herd_environments-*.whl"))


def _is_repository(folder: Path) -> bool:
    return (folder / ".git").exists() or ((folder / "HEAD").is_file() and (folder / "objects").is_dir())


def _git(*arguments: str) -> str:
    """What Git prints. Raises WrongInput with its reason."""
    if any("\0" in argument for argument in arguments):
        raise WrongInput("no name of a repository or tag has a NUL in it")
    try:
        done = subprocess.run(
            ["git", *arguments],
            env={**os.environ, **PROTOCOLS},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise WrongInput("Git is missing: releases are fetched with it") from None
    if done.returncode != 0:
        raise WrongInput(done.stderr.strip() or f"git {arguments[0]} failed")
    return done.stdout
