"""Locking an R image again: which packages at which versions, and what they need of the system. Uses the network.

A DESCRIPTION beside renv.lock says in its Imports what the team asks for; then the lock is worked out from the lock's
repositories: what is locked stays, what is new takes the newest version, what nobody needs any more goes. Without a
DESCRIPTION the lock is renv's own and stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

from herd.packages import renv
from herd.packages.cran import Fields, NotThere, Repository
from herd.packages.renv import RECOMMENDED, RELATIONS, Lock, LockError, Need, Package

AT_ONCE = 8
"""How many descriptions are asked for at a time."""

KEPT_FIELDS = (*RELATIONS, "SystemRequirements", "NeedsCompilation")
"""What a record of ours says of its package, so that nobody has to ask the repository again."""

Open = Callable[[str, str], Repository]


@dataclass(frozen=True)
class Locked:
    """`requirements`: package -> its SystemRequirements; `notes`: what is not known, for the person."""

    lock: Lock
    requirements: Mapping[str, str]
    notes: tuple[str, ...]


def lock_again(lock: Lock, wanted: Fields | None, upgrade: bool, repository: Open = Repository) -> Locked:
    """The lock for the packages that `wanted`, a DESCRIPTION, asks for; None: for the lock as it is.

    Raises LockError with every problem, Unreachable.
    """
    repositories = [repository(url, name) for name, url in lock.repositories.items()]
    if wanted is not None:
        lock = _resolve(lock, wanted, upgrade, repositories)
    elif upgrade:
        raise LockError(
            "has no DESCRIPTION beside it that says what to upgrade; in R: renv::update(), renv::snapshot()"
        )
    descriptions, notes = _descriptions(lock, repositories)
    if problems := _incomplete(lock, descriptions):
        raise LockError("\n".join(problems))
    requirements = {name: text for name, fields in descriptions.items() if (text := fields.get("SystemRequirements"))}
    return Locked(_with_fields(lock, descriptions) if wanted is not None else lock, requirements, tuple(notes))


def _resolve(lock: Lock, wanted: Fields, upgrade: bool, repositories: list[Repository]) -> Lock:
    """Walks from what is asked for over Depends, Imports and LinkingTo."""
    problems: list[str] = []
    chosen: dict[str, Package] = {}
    todo = [(need, "DESCRIPTION") for need in _needs(wanted)]
    while todo:
        need, by = todo.pop(0)
        package = chosen.get(need.name) or _choose(need, lock.packages.get(need.name), upgrade, repositories)
        if package is None:
            if need.name not in RECOMMENDED:
                problems.append(f"{by} needs {need}, which no repository of the lock has")
            continue
        if not need.is_met_by(package.version):
            newer = _choose(need, None, True, repositories)
            if newer is None or not need.is_met_by(newer.version):
                problems.append(f"{by} needs {need}; there is {newer.version if newer else package.version}")
                continue
            package = newer
        if chosen.get(need.name) == package:
            continue
        chosen[need.name] = package
        todo += [(other, f"{package.name} {package.version}") for other in _needs(_fields_of(package, repositories))]
    if problems:
        raise LockError("\n".join(dict.fromkeys(problems)))
    return replace(lock, packages=chosen)


def _choose(need: Need, locked: Package | None, upgrade: bool, repositories: list[Repository]) -> Package | None:
    """What is locked, where it stays or comes from elsewhere; else the newest of the first repository that has it."""
    if locked is not None and (not upgrade or locked.source not in renv.FROM_REPOSITORY):
        return locked
    for repository in repositories:
        if record := repository.newest().get(need.name):
            if locked is not None and locked.version == record["Version"]:
                return locked
            return Package(need.name, record["Version"], "Repository", repository.name)
    return locked


def _fields_of(package: Package, repositories: list[Repository]) -> Fields:
    """For the closure the repository's list is enough; of an older version its own DESCRIPTION."""
    if package.described is not None:
        return package.described
    for repository in repositories:
        record = repository.newest().get(package.name)
        if record and record["Version"] == package.version:
            return record
    return _described(package, repositories)


def _described(package: Package, repositories: list[Repository]) -> Fields:
    """The whole DESCRIPTION. Raises NotThere, Unreachable."""
    own = [one for one in repositories if one.name == package.repository]
    for repository in own or repositories:
        try:
            return repository.description(package.name, package.version)
        except NotThere:
            continue
    raise NotThere(package.name)


def _descriptions(lock: Lock, repositories: list[Repository]) -> tuple[dict[str, Fields], list[str]]:
    """Package -> its DESCRIPTION, from the lock where it has it. Raises LockError, Unreachable."""
    descriptions: dict[str, Fields] = {}
    notes, unknown = [], []
    for package in lock.packages.values():
        if package.described is not None:
            descriptions[package.name] = package.described
        elif package.source in renv.FROM_REPOSITORY:
            unknown.append(package)
        else:
            notes.append(
                f"{package.name}: the lock does not say what it needs of the system, and it comes from "
                f"{package.source}; renv 1.1 and newer writes it: renv::snapshot()"
            )
    if unknown:
        for repository in repositories:
            repository.newest()

    def one(package: Package) -> Fields | str:
        try:
            return _described(package, repositories)
        except NotThere:
            return f"{package.name} {package.version} is in no repository of the lock"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(one, unknown))
    if problems := [answer for answer in answers if isinstance(answer, str)]:
        raise LockError("\n".join(problems))
    descriptions |= {
        package.name: answer for package, answer in zip(unknown, answers, strict=True) if not isinstance(answer, str)
    }
    return descriptions, notes


def _incomplete(lock: Lock, descriptions: Mapping[str, Fields]) -> list[str]:
    """What is needed to install the packages and is not locked."""
    links = renv.links_not_locked({name: descriptions.get(name, {}) for name in lock.packages})
    problems = [
        f"{name} is compiled with the headers of {header} (LinkingTo), and {header} is not locked; "
        f'in R: renv::install("{header}"), renv::snapshot(type = "all")'
        for name, header in links
    ]
    for name, fields in sorted(descriptions.items()):
        for need in chain(*(renv.needs(fields.get(relation, "")) for relation in ("Depends", "Imports"))):
            locked = lock.packages.get(need.name)
            if locked is None and need.name not in RECOMMENDED:
                problems.append(f"{name} needs {need}, which is not locked; in R: renv::snapshot()")
            elif locked is not None and not need.is_met_by(locked.version):
                problems.append(f"{name} needs {need}, and {locked.version} is locked; in R: renv::update()")
    return problems


def _needs(fields: Fields) -> list[Need]:
    return [need for relation in RELATIONS for need in renv.needs(fields.get(relation, ""))]


def _with_fields(lock: Lock, descriptions: Mapping[str, Fields]) -> Lock:
    """Each record with what its package says; "" where it needs nothing of the system, so that this is known."""

    def described(package: Package) -> Package:
        fields = descriptions.get(package.name)
        if fields is None or package.source not in renv.FROM_REPOSITORY:
            return package
        kept = {key: " ".join(fields[key].split()) for key in KEPT_FIELDS if key in fields}
        return replace(package, record={**package.record, "SystemRequirements": "", **kept})

    return replace(lock, packages={name: described(package) for name, package in lock.packages.items()})
