"""renv.lock: the packages of an R project, as R's package renv writes them. Read with suspicion, written in its form.

    lock = renv.read(path.read_bytes())
    lock.r, lock.packages["curl"].version

What a record says of its package (Imports, LinkingTo, SystemRequirements …) is there from renv 1.1 on; of older locks
it is asked of the repository.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from herd.foreign import on_one_line

FILE = "renv.lock"
MAX_BYTES = 16 << 20
MOST_PACKAGES = 5_000
DEEPEST = 16

NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,98}[A-Za-z0-9]")
VERSION = re.compile(r"\d{1,9}([.-]\d{1,9}){1,7}")
R_VERSION = re.compile(r"\d{1,2}\.\d{1,2}\.\d{1,2}")

BASE = frozenset(
    [
        "R",
        "base",
        "compiler",
        "datasets",
        "graphics",
        "grDevices",
        "grid",
        "methods",
        "parallel",
        "splines",
        "stats",
        "stats4",
        "tcltk",
        "tools",
        "utils",
    ]
)
"""R itself, and what comes with it: never locked."""
RECOMMENDED = frozenset(
    [
        "KernSmooth",
        "MASS",
        "Matrix",
        "boot",
        "class",
        "cluster",
        "codetools",
        "foreign",
        "lattice",
        "mgcv",
        "nlme",
        "nnet",
        "rpart",
        "spatial",
        "survival",
    ]
)
"""Come with most builds of R, and are locked all the same where a package needs them."""

FROM_REPOSITORY = frozenset({"Repository", "CRAN"})
REMOTES = {
    "GitHub": "RemoteSha",
    "GitLab": "RemoteSha",
    "Bitbucket": "RemoteSha",
    "git": "RemoteSha",
    "URL": "RemoteUrl",
}
"""Sources elsewhere -> the field that says which files exactly."""
NOT_ELSEWHERE = {
    "Local": "lies on the machine that locked it",
    "Cellar": "lies on the machine that locked it",
    "unknown": "was installed from nobody knows where",
}

RELATIONS = ("Depends", "Imports", "LinkingTo")
"""The fields of a DESCRIPTION whose packages must be there for a package to be installed."""
DESCRIBED = frozenset({"Title", "Imports", "Depends", "LinkingTo", "SystemRequirements", "NeedsCompilation", "License"})
"""A record with any of these fields has those of its DESCRIPTION."""

_REQUIREMENT = re.compile(r"\s*([A-Za-z][A-Za-z0-9.]*)\s*(?:\(\s*(>=|>|==|<=|<)\s*([0-9][0-9.-]*)\s*\))?\s*")


class LockError(ValueError):
    """What is wrong with a lock, one line a problem; without the name of the file."""


@dataclass(frozen=True)
class Need:
    """A package that another one needs; `relation` and `version` are "" where any will do."""

    name: str
    relation: str = ""
    version: str = ""

    def is_met_by(self, version: str) -> bool:
        ours, theirs = ordered(version), ordered(self.version) if self.version else ()
        return {
            "": True,
            ">=": ours >= theirs,
            ">": ours > theirs,
            "==": ours == theirs,
            "<=": ours <= theirs,
            "<": ours < theirs,
        }[self.relation]

    def __str__(self) -> str:
        return f"{self.name} ({self.relation} {self.version})" if self.relation else self.name


@dataclass(frozen=True)
class Package:
    """One record. `described`: the fields of its DESCRIPTION that were kept, None for a record without them."""

    name: str
    version: str
    source: str
    repository: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def described(self) -> Mapping[str, str] | None:
        if not DESCRIBED & self.record.keys():
            return None
        return {key: _joined(value) for key, value in self.record.items()}


@dataclass(frozen=True)
class Lock:
    """`repositories`: name -> address, in their order."""

    r: str
    repositories: Mapping[str, str]
    packages: Mapping[str, Package]
    bioconductor: str = ""

    @property
    def r_minor(self) -> str:
        """4.5 of 4.5.1: what libraries and binary packages are made for."""
        return self.r.rsplit(".", 1)[0]

    def to_json(self) -> str:
        """As renv writes it: the same lock gives the same bytes."""
        content = {
            "R": {
                "Version": self.r,
                "Repositories": [{"Name": name, "URL": url} for name, url in self.repositories.items()],
            },
            **({"Bioconductor": {"Version": self.bioconductor}} if self.bioconductor else {}),
            "Packages": {name: _in_order(package) for name, package in sorted(self.packages.items(), key=_collated)},
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read(content: bytes) -> Lock:
    """The lock. Raises LockError with every problem."""
    if len(content) > MAX_BYTES:
        raise LockError(f"has {len(content):,} bytes; allowed: up to {MAX_BYTES:,}")
    try:
        tree = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique)
        _measure(tree)
    except UnicodeDecodeError:
        raise LockError("is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise LockError(f"is not JSON, line {error.lineno}: {error.msg[0].lower()}{error.msg[1:]}") from None
    except RecursionError:
        raise LockError("is nested too deeply to be a lock") from None
    problems: list[str] = []
    lock = _Reader(problems).lock(tree)
    if problems:
        raise LockError("\n".join(problems))
    return lock


def needs(text: str) -> list[Need]:
    """The packages in a field like `R (>= 4.0), curl (>= 5.0), xml2`, without R's own. What is none is left out."""
    matches = (_REQUIREMENT.fullmatch(part) for part in text.split(","))
    return [Need(one[1], one[2] or "", one[3] or "") for one in matches if one and one[1] not in BASE]


def ordered(version: str) -> tuple[int, ...]:
    """A version for comparison, as R compares them: 1.10 after 1.9, 1.0-3 after 1.0."""
    return tuple(int(part) for part in re.split(r"[.-]", version) if part.isdigit())


def links_not_locked(packages: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str]]:
    """Package and header package: what is in a LinkingTo of `packages` (name -> DESCRIPTION) and not among them.

    Its headers are needed to compile that package, and lists of packages made by other means often lack it.
    """
    return [
        (name, need.name)
        for name, fields in sorted(packages.items(), key=_collated)
        for need in needs(fields.get("LinkingTo", ""))
        if need.name not in packages
    ]


class _Reader:
    """Reads what JSON gives, and says all that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems

    def lock(self, tree: Any) -> Lock:
        top = self._table(tree, "the file")
        r = self._table(top.get("R"), "R")
        version = self._text(r, "R", "Version", R_VERSION, 'a version of R like "4.5.1"')
        repositories = dict(self._repositories(r.get("Repositories")))
        bioconductor = top.get("Bioconductor")
        release = ""
        if bioconductor is not None:
            release = self._text(
                self._table(bioconductor, "Bioconductor"), "Bioconductor", "Version", VERSION, 'a release like "3.21"'
            )
        records = self._table(top.get("Packages"), "Packages")
        if len(records) > MOST_PACKAGES:
            self._problems.append(f"Packages has {len(records):,} entries; allowed: up to {MOST_PACKAGES:,}")
            records = {}
        packages = {
            name: package
            for name, record in records.items()
            if (package := self._package(name, record, repositories, release))
        }
        return Lock(version, repositories, packages, release)

    def _package(self, key: str, value: Any, repositories: Mapping[str, str], release: str) -> Package | None:
        before = len(self._problems)
        where = f"Packages, {on_one_line(key)[:60]!r}"
        if not NAME.fullmatch(key):
            self._problems.append(f"{where}: is no name of an R package")
            return None
        record = self._table(value, where)
        name = self._text(record, where, "Package", NAME, "the package's name")
        version = self._text(record, where, "Version", VERSION, 'a version like "1.2.3"')
        source = self._text(record, where, "Source", re.compile(r"[A-Za-z]{1,40}"), 'a source like "Repository"')
        if name and name != key:
            self._problems.append(f"{where}: has Package {name!r}; the two must be the same")
        repository = record.get("Repository", "")
        if not isinstance(repository, str) or len(repository) > 200:
            self._problems.append(f"{where}: Repository is not a name")
            repository = ""
        if source:
            self._problems += [f"{where}: {problem}" for problem in _source(source, record, release)]
        for field_name, field_value in record.items():
            if not _is_field(field_value):
                self._problems.append(f"{where}: {on_one_line(field_name)[:60]} is neither text nor a list of text")
        return Package(key, version, source, repository, record) if len(self._problems) == before else None

    def _repositories(self, value: Any) -> Iterator[tuple[str, str]]:
        if not isinstance(value, list) or not value:
            self._problems.append('R, Repositories: is no list like [{"Name": "CRAN", "URL": "https://…"}]')
            return
        names: set[str] = set()
        for number, entry in enumerate(value, 1):
            where = f"R, Repositories, {number}"
            table = self._table(entry, where)
            name = self._text(table, where, "Name", re.compile(r"[A-Za-z0-9 ._-]{1,60}"), "a short name")
            url = self._text(table, where, "URL", re.compile(r"[\x21-\x7e]{1,500}"), "an address")
            if name in names:
                self._problems.append(f"{where}: a second repository is called {name!r}")
            names.add(name)
            if url and (problem := _address(url)):
                self._problems.append(f"{where}: URL {problem}")
            elif name and url:
                yield name, url.rstrip("/")

    def _table(self, value: Any, where: str) -> dict[str, Any]:
        if isinstance(value, dict):
            if repeated := value.pop(_REPEATED, None):
                self._problems.append(f"{where}: {on_one_line(repeated)[:60]!r} is there twice")
            return value
        self._problems.append(f"{where}: is {'missing' if value is None else 'no table'}")
        return {}

    def _text(self, table: Mapping[str, Any], where: str, key: str, form: re.Pattern[str], what: str) -> str:
        value = table.get(key)
        if isinstance(value, str) and form.fullmatch(value):
            return value
        if table:  # of an empty one it has been said that it is missing
            shown = "is missing" if value is None else f"is {on_one_line(json.dumps(value))[:60]}"
            self._problems.append(f"{where}: {key} {shown}; it has to be {what}")
        return ""


def _source(source: str, record: Mapping[str, Any], release: str) -> Iterator[str]:
    """What is wrong with where a package comes from."""
    if why := NOT_ELSEWHERE.get(source):
        yield (
            f"{why} (Source {source!r}), so no image can have it; put it into a repository, or on GitHub and "
            'install it from there: renv::install("owner/name")'
        )
    elif source == "Bioconductor":
        if not release:
            yield "comes from Bioconductor, and the lock does not say which release; renv::snapshot() writes it"
    elif pinned := REMOTES.get(source):
        value = record.get(pinned)
        if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,500}", value):
            yield f"comes from {source} and has no {pinned}, so nobody knows which files it is; snapshot it again"
    elif source not in FROM_REPOSITORY:
        known = ", ".join(sorted([*FROM_REPOSITORY, *REMOTES, "Bioconductor"]))
        yield f"has Source {source!r}; known: {known}"


def _address(url: str) -> str:
    """What is wrong with a repository's address; "" for a fine one."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises for what is no number
    except ValueError:
        return "is no address"
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "has to begin with https://, so that the image can reach it"
    if parts.username or parts.password:
        return "has a user or a password in it, which everybody could read in Git and in the image"
    return "has a ' or a \\ in it" if set(url) & set("'\"\\`$") else ""


_REPEATED = "\0repeated"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key that is there twice is noted, because other readers take the other one."""
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        table[_REPEATED] = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return table


def _measure(tree: Any) -> None:
    """Raises RecursionError for what is nested deeper than any lock."""
    level = [tree]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise RecursionError


def _is_field(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(part, str) for part in value)
    return isinstance(value, str | int | float | bool) or value is None


def _joined(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)


def _in_order(package: Package) -> dict[str, Any]:
    first = {"Package": package.name, "Version": package.version, "Source": package.source}
    if package.repository:
        first["Repository"] = package.repository
    return {**first, **{key: value for key, value in package.record.items() if key not in first}}


def _collated(entry: tuple[str, Any]) -> tuple[str, str]:
    """As R orders names: without regard to case."""
    return entry[0].lower(), entry[0]
