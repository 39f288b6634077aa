"""What the engine asks of a provider, in plain values: Check, Diff, Create, Read, Update, Delete.

`protocol.py` brings the questions in; `resource.py` and `types/` know AWS. Check and Diff never call AWS.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from botocore.exceptions import ClientError

from localcloud.plugins import properties
from localcloud.plugins.acceptance import Problem, accept
from localcloud.plugins.comparison import paths_of_change, replaces, same
from localcloud.plugins.ledger import Entry, Ledger, Origin, name_of, stack_of, type_of
from localcloud.plugins.naming import DEFAULTS, Autonaming, new_name
from localcloud.plugins.refusals import Incomplete, Refused, asking, said, unless_gone
from localcloud.plugins.resource import Cloud, HalfCreated, Resource, identity_of
from localcloud.plugins.states import Backend
from localcloud.plugins.values import UNKNOWN, Props
from localcloud.request_context import caused_by

_MADE_AGAIN: Final = (
    "{} is gone, and an interrupted update has made `{}` again as {}. `pulumi refresh`, or `herd up` once more, "
    "brings the state up to date"
)


@dataclass(frozen=True)
class Difference:
    """What Diff answers: changed properties, those that replace, where (path, kind, replaces)."""

    changed: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    delete_first: bool = False
    details: tuple[tuple[str, str, bool], ...] = ()


@dataclass
class Provider:
    """One configured provider instance: one engine session."""

    package: str
    types: dict[str, Resource]
    ledger: Ledger
    cloud: Cloud
    backend: Backend = Backend()
    place: str = ""
    own: set[int] = field(default_factory=set)
    """numbers of the entries that this session made or adopted"""
    deleted: set[tuple[str, str]] = field(default_factory=set)
    """type and identity of what this session deleted"""
    deleted_by_all: Callable[[], Collection[tuple[str, str]]] = tuple
    """the same of every session at work, this one included: the engine's state may still hold what they deleted"""
    _origins: dict[str, Origin] = field(default_factory=dict)
    _left: dict[str, list[Entry]] = field(default_factory=dict)
    """by stack, what interrupted updates had left when this session began"""
    _looking: threading.Lock = field(default_factory=threading.Lock)
    _clearing: threading.Lock = field(default_factory=threading.Lock)

    def configure(self, region: str, default_tags: dict[str, str]) -> None:
        """Settle the region and the tags that every resource gets."""
        self.cloud = replace(self.cloud, region=region, default_tags=default_tags)

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────

    def type_of(self, urn: str) -> Resource:
        """The type of a URN; refused by name when it is none of ours."""
        token = type_of(urn)
        known = self.types.get(token)
        if known is None:
            supported = ", ".join(sorted(self.types))
            raise Refused(f"the local cloud does not support resources of type {token}. Supported: {supported}")
        return known

    def check(
        self, urn: str, olds: Props, news: Props, seed: bytes, naming: Autonaming | None
    ) -> tuple[Props, list[Problem]]:
        """Inputs in their proper kinds, with a name where none was given, and all that is wrong with them."""
        kind = self.type_of(urn)
        self._origin(urn)
        declared = {name: value for name, value in news.items() if name != DEFAULTS}
        inputs, problems = accept(kind.fields, declared, of=kind.token)
        problems = [
            Problem(each.path, f"{each.reason}. Declare {kind.instead[each.path]} instead")
            if each.path in kind.instead
            else each
            for each in problems
        ]
        problems += self._name(kind, urn, olds, inputs, seed, naming)
        if not problems:
            problems += [Problem(name, f"{kind.token}: {reason}") for name, reason in kind.validate(inputs)]
        if not problems:
            try:
                inputs = kind.prepared(self.cloud, olds, inputs)
            except Refused as refusal:
                problems = [Problem("", str(refusal))]
        return inputs, problems

    def diff(
        self, urn: str, identifier: str, old_inputs: Props, olds: Props, news: Props, ignore: Iterable[str]
    ) -> Difference:
        """What an update from the last inputs to the new ones would change."""
        kind = self.type_of(urn)
        ignored = {re.split(r"[.\[]", path)[0] for path in ignore}
        changed = [name for name in kind.differences(old_inputs, olds, news) if name not in ignored]
        replacing = tuple(name for name in changed if replaces(kind.fields[name], old_inputs.get(name), news.get(name)))
        details = []
        for name in changed:
            paths = paths_of_change(old_inputs.get(name), news.get(name), name) or [(name, "update")]
            details += [(path, how, name in replacing) for path, how in paths]
        shown = {*ignored, *changed}
        retagged = "tagsAll" in kind.fields and kind.all_tags(self.cloud, news) != (olds.get("tagsAll") or {})
        if retagged and not {"tags", "tagsAll"} & shown and not properties.has_unknown_tags(news):
            changed.append("tagsAll")
            details.append(("tagsAll", "update", False))
        return Difference(tuple(changed), replacing, self._delete_first(kind, old_inputs, news), tuple(details))

    # ── actions ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, urn: str, inputs: Props, preview: bool) -> tuple[str, Props]:
        """Make a resource, or adopt the one that a killed update made for the same URN."""
        kind = self.type_of(urn)
        cloud = self._cloud(inputs)
        asking(kind, urn, "planning", lambda: kind.planned(cloud, {}, inputs))
        if preview:
            return "", properties.foreseen(kind, cloud, inputs)
        self._refuse_blind(urn)
        origin = self._origin(urn)
        with self.ledger.creating(urn):
            for entry in self._adoptable(kind, urn, inputs):
                adopting = replace(entry, backend=origin.backend, since=origin.written)
                if self._claim(entry) and (adopted := self._adopt(kind, cloud, urn, adopting, inputs)) is not None:
                    return adopted
            return self._make(kind, cloud, urn, inputs, origin)

    def read(self, urn: str, identifier: str, old_inputs: Props, olds: Props) -> tuple[str, Props, Props] | None:
        """Id, outputs and inputs as they are now; None when it does not exist."""
        kind = self.type_of(urn)
        cloud = self._cloud({**olds, **old_inputs})
        origin = self._origin(urn)
        if not olds:
            identifier = asking(kind, urn, "reading", lambda: kind.import_id(cloud, identifier))
        live = asking(kind, urn, "reading", lambda: unless_gone(lambda: kind.read(cloud, identifier, olds)))
        if live is None or (olds and self._is_anothers(kind, cloud, urn, identifier, olds)):
            # A refresh then drops it from the state and asks for no Delete: nobody else would tell the ledger.
            self._removed(urn, identity_of(kind.token, identifier, olds))
            return None
        inputs = properties.refreshed(kind, cloud, old_inputs, live)
        shown = properties.declared(inputs)
        kept = {name: value for name, value in olds.items() if name not in old_inputs or name in shown}
        outputs = {**kept, **live, **shown}
        outputs |= {"id": identifier, **properties.derived(kind, cloud, outputs)}
        if olds:
            if self.ledger.find(urn, identity_of(kind.token, identifier, olds)) is None:
                # A killed `destroy` may have deleted what deletion does not remove (an image, a default's settings),
                # and the engine's state of before has it still: a refresh takes it up again.
                entry = self.ledger.begin(urn, cloud.region, inputs, origin, "held")
                self.ledger.made(entry, identity_of(kind.token, identifier, olds), identifier, outputs)
            self.ledger.changed(urn, identity_of(kind.token, identifier, olds), inputs, outputs)
        return identifier, outputs, inputs

    def update(self, urn: str, identifier: str, old_inputs: Props, olds: Props, news: Props, preview: bool) -> Props:
        """Make a resource as declared now."""
        kind = self.type_of(urn)
        cloud = self._cloud({**olds, **news})
        if (namesake := self._namesake(kind, cloud, urn, identifier, olds)) is not None:
            words = _MADE_AGAIN.format(identity_of(kind.token, identifier, olds), identifier, namesake.identity)
            raise Refused(said(kind, urn, "updating", words))
        asking(kind, urn, "planning", lambda: kind.planned(cloud, olds, news))
        changed = set(kind.differences(old_inputs, olds, news)) | {"tagsAll"}
        declared = properties.declared(news)
        kept = {name: value for name, value in olds.items() if name not in old_inputs or name in declared}
        if preview:
            for name in kind.recomputed & set(kind.fields):
                kept[name] = UNKNOWN
            return {
                **kept,
                **declared,
                **properties.derived(kind, cloud, {**kept, **declared}),
                **properties.tags(kind, cloud, news),
            }
        try:
            with caused_by(self._cause(urn, identifier, olds)):
                live = asking(kind, urn, "updating", lambda: self._update(kind, cloud, identifier, olds, news, changed))
        except HalfCreated as half:  # with the old inputs, so that the next update sees the difference again
            outputs = {**kept, **declared, **half.live}
            raise Incomplete(identifier, old_inputs, outputs, said(kind, urn, "updating", half.reason)) from half
        outputs = {
            **kept,
            **declared,
            **live,
            **properties.derived(kind, cloud, {**kept, **declared, **live}),
            **properties.tags(kind, cloud, news),
        }
        self.ledger.changed(urn, identity_of(kind.token, identifier, olds), news, outputs)
        return outputs

    def delete(self, urn: str, identifier: str, olds: Props) -> None:
        """Remove a resource; that it is gone already is fine."""
        kind = self.type_of(urn)
        self._origin(urn)
        cloud = self._cloud(olds)
        if self._namesake(kind, cloud, urn, identifier, olds) is not None:
            self._removed(urn, identity_of(kind.token, identifier, olds))
            return

        def remove() -> None:
            with caused_by(self._cause(urn, identifier, olds)):
                asking(kind, urn, "deleting", lambda: unless_gone(lambda: kind.delete(cloud, identifier, olds)))

        try:
            remove()
        except Refused:
            with self._clearing:  # another deletion may be removing what this one waits for
                self._remove_forgotten(urn, {identifier, identity_of(kind.token, identifier, olds)})
            remove()
        self._removed(urn, identity_of(kind.token, identifier, olds))

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _name(
        self, kind: Resource, urn: str, olds: Props, inputs: Props, seed: bytes, naming: Autonaming | None
    ) -> list[Problem]:
        """Give `inputs` a name where it has none: the old one, the ledger's, or a new one."""
        rule = kind.autoname
        if rule is None or inputs.get(rule.property) is not None:
            return []
        if rule.property in olds.get(DEFAULTS, []) and rule.property in olds:
            name = olds[rule.property]
        elif (known := self._known_name(urn, rule.property)) is not None:
            name = known
        elif naming is not None and naming.disabled:
            return [
                Problem(
                    rule.property, f"{kind.token}: automatic naming is disabled, so '{rule.property}' must be given"
                )
            ]
        else:
            name = new_name(rule, name_of(urn), inputs.get(rule.prefix), seed, naming)
        inputs[rule.property] = name
        inputs[DEFAULTS] = [rule.property]
        return []

    def _known_name(self, urn: str, name: str) -> Any:
        for entry in self.ledger.of(urn):
            if entry.is_adoptable and entry.number not in self.own and name in entry.inputs.get(DEFAULTS, []):
                return entry.inputs[name]
        return None

    # ── the ledger ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _origin(self, urn: str) -> Origin:
        """The state that the update of this stack began from; the first time, the ledger is held against it."""
        stack = stack_of(urn)
        with self._looking:
            if stack not in self._origins:
                state = self.backend.state(stack)
                if state is not None:
                    past = functools.partial(self.backend.past, stack)
                    self.ledger.settle(stack, self.place, state, past, self.cloud.region, self.deleted_by_all)
                    self._left[stack] = [entry for entry in self.ledger.of_stack(stack) if entry.is_leftover]
                else:
                    self.ledger.lose_sight(stack)
                self._origins[stack] = Origin(self.place, state.written) if state is not None else Origin()
            return self._origins[stack]

    def _removed(self, urn: str, identity: str) -> None:
        # Noted first: a session that begins in between must not take it for something that was not made here.
        self.deleted |= {(type_of(urn), each) for each in self.ledger.identities(urn, identity)}
        self.ledger.removed(urn, identity)

    def _namesake(self, kind: Resource, cloud: Cloud, urn: str, identifier: str, olds: Props) -> Entry | None:
        """What has this id by now, where the resource is gone: an interrupted replacement made it by the same name."""
        identity = identity_of(kind.token, identifier, olds)
        others = self.ledger.namesakes(urn, identifier, identity, cloud.region) if self._origin(urn).backend else []
        if not others:
            return None
        now = asking(kind, urn, "reading", lambda: identity_now(kind, cloud, identifier, olds))
        return next((entry for entry in others if entry.identity == now), None)

    def _is_anothers(self, kind: Resource, cloud: Cloud, urn: str, identifier: str, olds: Props) -> bool:
        """Does what has this id by now belong to another: to one of the state, or of another stack?"""
        namesake = self._namesake(kind, cloud, urn, identifier, olds)
        return namesake is not None and (
            namesake.standing == "held" or namesake.stack != stack_of(urn) and namesake.standing != "released"
        )

    def _refuse_blind(self, urn: str) -> None:
        """Raise Refused where nothing that an interrupted update made could be found again: neither here, since the
        state cannot be read, nor by the engine, since it writes it at the end only.
        """
        if self.backend.skips_checkpoints and not self._origin(urn).backend:
            raise Refused(
                f"PULUMI_SKIP_CHECKPOINTS is set, and the local cloud cannot read the state of {stack_of(urn)} "
                f"({self.backend}): an update that is killed could not be put right. "
                "Unset PULUMI_SKIP_CHECKPOINTS, or use the variables of `herd env`"
            )

    def _adoptable(self, kind: Resource, urn: str, inputs: Props) -> Iterator[Entry]:
        """What an interrupted update made for this URN; else what it called by this very name for another one, which
        is not declared any more.
        """
        if self._origin(urn).backend == "":
            return
        yield from (entry for entry in self.ledger.of(urn) if entry.is_adoptable)
        rule = kind.autoname
        if rule is None or rule.property in inputs.get(DEFAULTS, []):
            return
        for left in self._left.get(stack_of(urn), ()):
            same = type_of(left.urn) == kind.token and left.urn != urn
            if same and left.inputs.get(rule.property) == inputs.get(rule.property):
                entry = self.ledger.now(left)
                if entry is not None and entry.is_adoptable:
                    yield entry

    def _claim(self, entry: Entry) -> bool:
        """Is it this Create that may have it? Two may ask at once."""
        with self._looking:
            first = entry.number not in self.own
            self.own.add(entry.number)
            return first

    def _adopt(self, kind: Resource, cloud: Cloud, urn: str, entry: Entry, inputs: Props) -> tuple[str, Props] | None:
        """Take over what a killed update left and bring it to the present inputs; None if there is nothing to take."""
        live = None
        if entry.identity:
            live = asking(
                kind,
                urn,
                "adopting",
                lambda: unless_gone(lambda: kind.read(cloud, entry.identifier, entry.outputs)),
            )
        if live is None:
            self.ledger.drop(entry)
            return None
        changed = set(kind.differences(entry.inputs, entry.outputs, inputs))
        replaced = (replaces(kind.fields[name], entry.inputs.get(name), inputs.get(name)) for name in changed)
        if any(replaced) or entry.region != cloud.region:
            if entry.is_leftover:
                self._remove(kind, entry)
            return None
        olds = {**entry.inputs, **entry.outputs}
        declared = properties.declared(inputs)
        with caused_by(entry.cause):
            update = asking(
                kind,
                urn,
                "adopting",
                lambda: self._update(kind, cloud, entry.identifier, olds, inputs, changed | {"tagsAll"}),
            )
        outputs = {**live, **update, **declared, "id": entry.identifier}
        outputs |= {**properties.derived(kind, cloud, outputs), **properties.tags(kind, cloud, inputs)}
        adopted = replace(entry, urn=urn, inputs=inputs, standing="new")
        self.ledger.made(adopted, entry.identity, entry.identifier, outputs)
        return entry.identifier, outputs

    def _remove(self, kind: Resource, entry: Entry) -> None:
        """Delete a left-over that cannot be adopted; one that is still in use waits for the sweep."""
        if self.ledger.is_shared(entry):  # another URN's too, which may be in the state
            self.ledger.drop(entry)
            return
        cloud = replace(self.cloud, region=entry.region)
        try:
            with caused_by(entry.cause):
                unless_gone(lambda: kind.delete(cloud, entry.identifier, entry.outputs))
        except (ClientError, Refused):
            self.ledger.supersede(entry.urn, {entry.identity})
        else:
            self.ledger.drop(entry)

    def _remove_forgotten(self, urn: str, names: set[str]) -> None:
        """Delete what a killed update made that refers to one of `names` of this stack.

        The engine deletes what refers to a resource before the resource itself. What it has not mentioned by then, it
        does not know: it was killed, or this cloud was, before the answer to a Create arrived.
        """
        for entry in self.ledger.of_stack(stack_of(urn)):
            kind = self.types.get(type_of(entry.urn))
            if kind and entry.identity and entry.is_leftover and _mentions(entry.inputs, names) and self._claim(entry):
                self._remove_forgotten(entry.urn, {entry.identifier, entry.identity})
                self._remove(kind, entry)

    def _make(self, kind: Resource, cloud: Cloud, urn: str, inputs: Props, origin: Origin) -> tuple[str, Props]:
        entry = self.ledger.begin(urn, cloud.region, inputs, origin)
        self._claim(entry)
        try:
            with caused_by(entry.cause):
                identifier, live = asking(kind, urn, "creating", lambda: kind.create(cloud, inputs))
        except HalfCreated as half:
            done = properties.surely_done(kind, inputs)
            outputs = properties.complete(kind, cloud, done, half.identifier, half.live)
            outputs |= {"tagsAll": {}} if "tagsAll" in kind.fields else {}
            entry = replace(entry, inputs=done)
            self.ledger.made(entry, identity_of(kind.token, half.identifier, outputs), half.identifier, outputs)
            raise Incomplete(half.identifier, done, outputs, said(kind, urn, "creating", half.reason)) from half
        except BaseException:
            self.ledger.drop(entry)
            raise
        outputs = properties.complete(kind, cloud, inputs, identifier, live)
        self.ledger.made(entry, identity_of(kind.token, identifier, outputs), identifier, outputs)
        return identifier, outputs

    def _cause(self, urn: str, identifier: str, olds: Props) -> str:
        """What the journal is told: nothing about a resource that was not made here."""
        entry = self.ledger.find(urn, identity_of(type_of(urn), identifier, olds))
        return entry.cause if entry else ""

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _cloud(self, props: Props) -> Cloud:
        region = props.get("region")
        return (
            replace(self.cloud, region=region)
            if isinstance(region, str) and region != self.cloud.region
            else self.cloud
        )

    def _update(
        self, kind: Resource, cloud: Cloud, identifier: str, olds: Props, news: Props, changed: set[str]
    ) -> Props:
        live = kind.update(cloud, identifier, olds, news, changed)
        if kind.tagging is not None:
            old, new = olds.get("tagsAll") or {}, kind.all_tags(cloud, news)
            if old != new:
                kind.tagging.change(cloud.client(kind.service), kind.tagged(identifier, {**olds, **live}), old, new)
        return live

    def _delete_first(self, kind: Resource, old: Props, new: Props) -> bool:
        """Two of one name cannot exist: with a name that was given and stays, the old one must go first."""
        rule = kind.autoname
        if kind.delete_first or rule is None:
            return kind.delete_first
        return rule.property not in new.get(DEFAULTS, []) and same(
            kind.fields[rule.property], old.get(rule.property), new.get(rule.property)
        )


def _mentions(value: Any, names: set[str]) -> bool:
    """Is one of the names a text somewhere in this value?"""
    if isinstance(value, dict):
        return any(_mentions(each, names) for each in value.values())
    if isinstance(value, list):
        return any(_mentions(each, names) for each in value)
    return isinstance(value, str) and value in names


def identity_now(kind: Resource, cloud: Cloud, identifier: str, props: Props) -> str:
    """What tells apart the resource to which an id leads now; "" where there is none."""
    live = unless_gone(lambda: kind.read(cloud, identifier, props))
    if live is None:
        return ""
    outputs = {**props, **live}
    return identity_of(kind.token, identifier, {**outputs, **properties.derived(kind, cloud, outputs)})
