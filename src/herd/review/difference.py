"""What differs between two environments of one project, modulo names.

Pure functions of two states. A difference that the files state on purpose is `named`; what follows from a setting that
differs is not said again (`herd.review.follows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from herd.engine.plan import ENVIRONMENT, Resource
from herd.review import follows, modulo_names, settings
from herd.review.iam_changes import DOCUMENTS, Widening, widened
from herd.review.modulo_names import Place, Plain, State
from herd.review.settings import Change, Changed, Come, Written

SEPARATE = frozenset({"copy_of"})
"""Settings that say what an environment is a copy of: no difference of the two."""

Stated = Callable[[Change], str]
"""The file that states a difference of settings on purpose; "" where none does."""


@dataclass(frozen=True)
class Environment:
    """One of the two. `secrets`: their names; None where they were not looked up."""

    place: Place
    written: Written
    states: Sequence[State]
    secrets: frozenset[str] | None = None

    @property
    def name(self) -> str:
        return self.place.environment


@dataclass(frozen=True)
class Difference:
    """`kind`: setting, image, secret, permission or resource. `whose`: `job train`, `environment`. `what`: in words,
    the first environment's before the arrow. `named`: the file that says so on purpose; "" where none does.
    """

    kind: str
    whose: str
    what: str
    named: str = ""

    def __str__(self) -> str:
        return f"{self.whose}: {self.what}"

    def as_json(self) -> dict[str, str]:
        """Of `herd diff --json`."""
        return {"kind": self.kind, "whose": self.whose, "what": self.what, "named": self.named}


def differences(one: Environment, other: Environment, stated: Stated = lambda change: "") -> list[Difference]:
    """Everything that differs, in a stable order: settings, images, secrets, permissions, resources."""
    before, after = modulo_names.plain(one.states, one.place), modulo_names.plain(other.states, other.place)
    modulo_names.alias(before, after)
    changes = [
        change
        for change in settings.changes(one.written, other.written)
        if not (isinstance(change, Changed) and change.setting in SEPARATE)
    ]
    named = [(change, stated(change)) for change in changes]
    kinds = {name: str(own.get("kind", "")) for of in (one, other) for name, own in of.written.workloads.items()}
    compared = _Resources((one.name, other.name), before, after, named, kinds)
    rows = [Difference("setting", change.who, _setting(change, one.name, other.name), name) for change, name in named]
    rows += _of_secrets(one, other)
    rows += compared.rows()
    order = ("setting", "image", "secret", "permission", "resource")
    return sorted(
        dict.fromkeys(rows), key=lambda row: (order.index(row.kind), row.whose != ENVIRONMENT, row.whose, row.what)
    )


def _setting(change: Change, one: str, other: str) -> str:
    if isinstance(change, Come):
        return f"is only in {other if change.is_new else one}"
    return str(change).removeprefix(f"{change.who}: ")


def _of_secrets(one: Environment, other: Environment) -> Iterator[Difference]:
    if one.secrets is None or other.secrets is None:
        return
    for name in sorted(one.secrets ^ other.secrets):
        there, lacks = (one, other) if name in one.secrets else (other, one)
        yield Difference("secret", ENVIRONMENT, f"secret {name}: set in {there.name}, missing in {lacks.name}")


@dataclass(frozen=True)
class _Resources:
    """The resources of both, by type and logical name, and the settings that differ with where they are stated."""

    names: tuple[str, str]
    before: Plain
    after: Plain
    settings: Sequence[tuple[Change, str]]
    kinds: Mapping[str, str]

    def rows(self) -> Iterator[Difference]:
        for key in sorted({*self.before.resources, *self.after.resources}):
            was, is_ = self.before.resources.get(key), self.after.resources.get(key)
            some = was or is_
            assert some is not None
            if was is None or is_ is None:
                if self._from(some, follows.EXISTS) is None:
                    yield self._row("resource", some, f"only in {self.names[was is None]}")
            else:
                yield from self._of(was, is_)

    def _of(self, was: Resource, is_: Resource) -> Iterator[Difference]:
        document = DOCUMENTS.get(was.type)
        new_image = False
        for path, old, new in sorted(unlike(was.inputs, is_.inputs), key=lambda entry: entry[0]):
            if path[0] == document:
                continue
            if _is_image(path):
                new_image = True
                yield self._row("image", was, f"{settings.value(old)[:19]} → {settings.value(new)[:19]}", bare=True)
            elif self._from(was, path) is None and not _is_hash(path):
                what = f"{'.'.join(path)} {_shown(old)} → {_shown(new)}"
                yield self._row("resource", was, what)
        if not new_image and any(_is_hash(path) for path, _, _ in unlike(was.inputs, is_.inputs)):
            yield self._row("image", was, "built from other files", bare=True)
        if document and was.inputs.get(document) != is_.inputs.get(document):
            yield from self._of_documents(was, was.inputs.get(document), is_.inputs.get(document), document)

    def _of_documents(self, resource: Resource, old: Any, new: Any, document: str) -> Iterator[Difference]:
        source = self._from(resource, (document,))
        named, because = ("", "") if source is None else (source[1], f", by {source[0]}")
        less, more = widened(new, old), widened(old, new)
        for lists, name in ((more, self.names[1]), (less, self.names[0])):
            for one in lists or ():
                what = f"only in {name}: {_grant(one)}{because}"
                yield self._row("permission", resource, what, named=named)
        if not more and not less:
            yield self._row("permission", resource, f"{document} says it in another way{because}", named=named)

    def _row(self, kind: str, resource: Resource, what: str, *, bare: bool = False, named: str = "") -> Difference:
        whose = f"{self.kinds[resource.owner]} {resource.owner}" if resource.owner in self.kinds else ENVIRONMENT
        where = "image" if bare else f"{resource.type} {resource.name}:"
        return Difference(kind, whose, f"{where} {what}", named)

    def _from(self, resource: Resource, path: tuple[str, ...]) -> tuple[str, str] | None:
        """The setting that a difference follows from, and where that is stated."""
        for change, named in self.settings:
            if isinstance(change, Come):
                if change.owner == resource.owner:
                    return change.who, named
            elif (
                resource.owner in (change.owner, ENVIRONMENT) or resource.owner not in self.kinds or not change.kind
            ) and (follows.reaches(change.setting, bool(change.kind), resource.type, path)):
                return f"{change.who} {change.setting}", named
        return None


def unlike(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Where two values differ: the path, without places in lists; the two values."""
    if old == new:
        return
    if isinstance(old, Mapping | None) and isinstance(new, Mapping | None) and (old or new):
        for key in sorted({*(old or ()), *(new or ())}):
            yield from unlike((old or {}).get(key), (new or {}).get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for was, is_ in zip(old, new, strict=True):
            yield from unlike(was, is_, path)
    else:
        yield path or ("",), old, new


def _is_image(path: tuple[str, ...]) -> bool:
    return path[0] == "containerDefinitions" and path[-1] == "image"


def _is_hash(path: tuple[str, ...]) -> bool:
    return path[-1] in ("herd:content-hash", "content_hash")


def _shown(value: Any) -> str:
    return settings.value(value)


def _grant(widening: Widening) -> str:
    who = f"{widening.who}: " if widening.who else ""
    allowed = "no longer denied " if widening.no_longer_denied else ""
    condition = f" if {widening.condition}" if widening.condition else ""
    return f"{who}{allowed}{', '.join(widening.actions)} on {', '.join(widening.resources)}{condition}"
