"""What differs between an environment as it was deployed and as it is: each difference explained. Changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from herd.drift import beside, meaning, risks
from herd.drift.beside import Added, State, Undo
from herd.drift.meaning import Meant
from herd.drift.trail import Trace, traces
from herd.engine.changes import group_of, short, type_and_name
from herd.engine.plan import ENVIRONMENT, Refreshed, Step
from herd.engine.pulumi import Engine
from herd.review import dangers, settings
from herd.review.iam_changes import DOCUMENTS, widened
from herd.review.settings import Changed, Written
from herd.targets.exports import Exports
from herd.targets.target import Target

BY_AWS = ("aws:", "AmazonECSManaged")
"""How tags begin that AWS sets itself."""

AWS_DEFAULTS: Mapping[tuple[str, str], Any] = {
    ("aws:cloudwatch:EventRule", "state"): "ENABLED",
    ("aws:cloudwatch:MetricAlarm", "actionsEnabled"): True,
    ("aws:scheduler:Schedule", "state"): "ENABLED",
}
"""Type, property -> what a resource has where it is not declared, for the words."""

PIPELINE = "-pipeline"
"""How the components of pipelines end (`herd.infra.workloads.pipeline`)."""

UNCONFIRMED = "see that nobody confirms it: then it ends after three days"

WIDER = "more is permitted than was reviewed"

NOTHING: tuple[Any, ...] = (None, "", [], {})

MOST_CHARACTERS = 120


@dataclass(frozen=True)
class Risk:
    """Why it endangers something, and how to avoid that."""

    why: str
    instead: str


@dataclass(frozen=True)
class Drift:
    """One thing that somebody changed by hand. `owner`: a workload, or the environment; `line`: in words, with whose it
    is. `settings`: what it would be in the files, empty where no setting says it. `type`, `resource`: of AWS; `urn`:
    the state's, which an update brings back; `undo`: the calls that do, for what is not in the state.
    """

    owner: str
    line: str
    type: str
    resource: str
    urn: str
    settings: tuple[Changed, ...] = ()
    risks: tuple[Risk, ...] = ()
    undo: tuple[Undo, ...] = ()
    is_added: bool = False
    trace: Trace | None = None
    name: str = field(default="", compare=False)

    @property
    def can_be_kept(self) -> bool:
        return bool(self.settings)

    @property
    def can_be_reverted(self) -> bool:
        return not self.is_added or bool(self.undo)

    def as_json(self) -> dict[str, Any]:
        """For `herd drift --json`."""
        return {
            "owner": self.owner, "what": self.line, "type": self.type, "resource": self.resource,
            "settings": [{"owner": one.owner, "setting": ".".join(one.path), "old": one.old, "new": one.new}
                         for one in self.settings],
            "dangers": [{"why": one.why, "instead": one.instead} for one in self.risks],
            "since": self.trace and self.trace.since, "by": self.trace and self.trace.by,
            "call": self.trace and self.trace.call, "keep": self.can_be_kept, "revert": self.can_be_reverted,
        }  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """`drifts` in the order of their owners; `by_design`: what differs and should; `unseen`: what was not looked at."""

    drifts: tuple[Drift, ...]
    by_design: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def is_dangerous(self) -> bool:
        return any(drift.risks for drift in self.drifts)


def look(target: Target, since_when: bool = True) -> Seen:
    """Look at everything. `since_when`: ask CloudTrail too. Raises HerdError where the environment is not up."""
    exports = target.exports
    plan = Engine(target).refresh(Refreshed(target.checkout.project, target.name, target.checkout.root))
    state = State.of(target, target.state_resources())
    explained = Explained(exports, target, state)
    drifts = [drift for step in plan.steps for drift in explained.step(step)]
    drifts += [drift for one in beside.added(state) for drift in explained.added(one)]
    drifts.sort(key=lambda drift: (drift.owner == ENVIRONMENT, drift.owner, drift.type, drift.line))
    if since_when:
        known = traces(target, [drift.name for drift in drifts])
        drifts = [replace(drift, trace=known.get(drift.name)) for drift in drifts]
    unseen = tuple(f"what was added to {noun(type_)}s: {why}" for type_, why in sorted(state.unseen.items()))
    return Seen(tuple(drifts), tuple(explained.by_design), unseen)


class Explained:
    """Puts differences into words, with what is exported of the settings in force."""

    def __init__(self, exports: Exports, target: Target, state: State) -> None:
        self._exports, self._target, self._state = exports, target, state
        known = exports.settings
        self._written = Written(known.workloads, known.stack) if known else Written()
        self._kinds = {name: one.kind for name, one in exports.workloads.items()}
        self._scaled = {one.get("resourceId") for one in state.inputs("aws:appautoscaling:Target")}
        self._public = frozenset(name for name, one in self._written.workloads.items() if one.get("access") == "public")
        self.by_design: list[str] = []

    # --- what a refresh sees ----------------------------------------------------------------------------------------

    def step(self, step: Step) -> Iterator[Drift]:
        """What one resource differs in; a drift for each property."""
        owner = self._owner(step.old, step.group)
        if step.operation == "delete":
            name = _called(step.old, step.name)
            yield self._drift(
                step, owner, f"the {noun(step.type)} {name} was deleted", risks.of_all(step, self._public)
            )
            return
        whole = risks.of_all(step, self._public)
        for name, old, new in self._differences(step):
            if step.type == "aws:ecs:Service" and name == "taskDefinition":
                yield from self._other_task(step, owner, str(old), str(new))
                continue
            why = [*whole, *risks.of_step(step, name)]
            whole = []
            meant = meaning.meaning(step.type, name, old, new, step.new)
            if meant:
                yield from self._as_settings(step, owner, meant, name, old, new, why)
            else:
                yield self._drift(step, owner, self._difference(step, name, old, new), why)

    def _differences(self, step: Step) -> Iterator[tuple[str, Any, Any]]:
        """Property, old, new of those that differ, without what is AWS's own doing."""
        for name in sorted({*step.old, *step.new} - {"__defaults"}):
            old, new = (one.get(name, AWS_DEFAULTS.get((step.type, name))) for one in (step.old, step.new))
            if name == "tags":
                old, new = (_own_tags(value) for value in (old, new))
            if isinstance(old, Mapping) and isinstance(new, Mapping) and name != "tags":
                new = _declared(old, new)
            if _same(old, new) or not _is_listed(step, name):
                continue
            if step.type == "aws:ecs:Service" and name == "desiredCount" and self._is_scaled(step):
                continue
            yield name, old, new

    def _is_scaled(self, step: Step) -> bool:
        cluster, service = str(step.old.get("cluster", "")).rpartition("/")[2], step.old.get("name")
        return f"service/{cluster}/{service}" in self._scaled

    def _other_task(self, step: Step, owner: str, old: str, new: str) -> Iterator[Drift]:
        """A service that runs another revision: ECS goes back by itself from a deployment that fails."""
        from botocore.exceptions import ClientError

        ecs, was, now = self._target.client("ecs"), old.rpartition("/")[2], new.rpartition("/")[2]
        if self._went_back(owner, old, new):
            self.by_design.append(
                f"{owner} runs {now} again: the deployment of {was} failed, and ECS went back by itself; `herd status` "
                "says why"
            )
            return
        said = f"it runs {now} instead of {was}"
        try:
            before, after = (ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"] for arn in (old, new))
        except ClientError:
            yield self._drift(step, owner, said, [risks.UNREVIEWED])
            return
        known = {str((one.get("outputs") or {}).get("arn")) for one in self._state.all("aws:ecs:TaskDefinition")}
        if new not in known and self._is_latest(new):
            # What it says is told with the revision that was added, once.
            yield self._drift(step, owner, f"it runs {now}, registered by hand, instead of {was}", [risks.UNREVIEWED])
            return
        yield from self._task(step, owner, meaning.of_tasks(before, after), said)

    def _is_latest(self, arn: str) -> bool:
        family = arn.rpartition("/")[2].rpartition(":")[0]
        described = self._target.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
        return bool(described["taskDefinitionArn"] == arn)

    def _went_back(self, owner: str, old: str, new: str) -> bool:
        """Did ECS's circuit breaker go back to an earlier revision? Nobody did it by hand then."""
        service = self._exports.services.get(owner)
        if service is None or not beside.revision(new) < beside.revision(old):
            return False
        asked = {"cluster": self._exports.cluster, "services": [service.service]}
        described = self._target.client("ecs").describe_services(**asked)["services"]
        deployments = [deployment for one in described for deployment in one.get("deployments") or ()]
        reasons = [str(one.get("rolloutStateReason", "")) for one in deployments]
        return any("circuit breaker" in reason for reason in reasons)

    def _task(self, step: Step, owner: str, says: meaning.TaskMeaning, otherwise: str) -> Iterator[Drift]:
        if says.meant:
            yield from self._as_settings(step, owner, says.meant, "taskDefinition", None, None, [])
        for name, old, new in says.others:
            why = risks.of_task(name, old, new)
            yield self._drift(step, owner, f"its task definition: {_from_to(name, old, new)}", why)
        if not says.meant and not says.others:
            yield self._drift(step, owner, otherwise, [risks.UNREVIEWED])

    # --- what was added ---------------------------------------------------------------------------------------------

    def added(self, one: Added) -> Iterator[Drift]:
        """What somebody added beside what is declared."""
        inputs, type_, name = one.beside.get("inputs") or {}, _type(one.beside), str(one.beside["urn"]).split("::")[-1]
        owner = self._owner(inputs, group_of({"old": one.beside}))
        step = Step("update", type_, name, str(one.beside["urn"]), "", inputs, inputs)
        by_task = self._task(step, owner, one.task, one.what) if one.task else iter(())
        drifts = list(by_task) or [self._drift(step, owner, one.what, list(one.dangers))]
        for drift in drifts:
            dangerous = drift.risks
            if not one.undo and drift.type == "aws:sns:Topic":
                dangerous = tuple(replace(risk, instead=UNCONFIRMED) for risk in dangerous)
            yield replace(drift, undo=one.undo, is_added=True, name=one.name, risks=dangerous)

    # --- words ------------------------------------------------------------------------------------------------------

    def _as_settings(
        self, step: Step, owner: str, meant: Iterable[Meant], name: str, old: Any, new: Any, why: list[str]
    ) -> Iterator[Drift]:
        owners = self._owners(step, owner, meant := list(meant))
        changed, after = meaning.in_words(meant, owners, self._written)
        if not changed:
            if name != "taskDefinition":
                yield self._drift(step, owner, self._difference(step, name, old, new), why)
            return
        endangered = {danger.change: danger for danger in dangers.of(changed, self._written, after)}
        for one in changed:
            known = endangered.get(one)
            own = [Risk(known.why, known.instead)] if known else []
            line = str(one) if one.kind or owner == ENVIRONMENT else f"{one} (in what is {self._who(owner)}'s)"
            yield Drift(
                owner, line, step.type, step.name, step.urn, (one,),
                (*own, *(Risk(text, "revert it") for text in why)), name=_called(step.old, step.name),
            )  # fmt: skip
            why = []

    def _owners(self, step: Step, owner: str, meant: list[Meant]) -> list[str]:
        """Whose settings they are: a pipeline's schedule is that of the jobs it begins with."""
        of_pipeline = step.group.endswith(PIPELINE)  # which is called like the job that it begins with
        pipeline = self._exports.pipelines.get(step.group.removesuffix(PIPELINE)) if of_pipeline else None
        if pipeline is None:
            return [owner] if owner in self._written.workloads else []
        members = [name for name in pipeline.members if name in self._written.workloads]
        if all(one.path == ("review_by",) for one in meant):
            ends = {one.old for one in meant}
            return [name for name in members if self._written.workloads[name].get("review_by") in ends]
        return [name for name in members if "schedule" in self._written.workloads[name]]

    def _drift(self, step: Step, owner: str, what: str, why: Iterable[str]) -> Drift:
        reasons = dict.fromkeys(WIDER if text.startswith(risks.WIDENED) and text in what else text for text in why)
        dangerous = tuple(Risk(text, "revert it") for text in reasons)
        called = _called(step.old, step.name)
        return Drift(owner, f"{self._who(owner)}: {what}", step.type, step.name, step.urn, (), dangerous, name=called)

    def _who(self, owner: str) -> str:
        if owner in self._kinds:
            return f"{self._kinds[owner]} {owner}"
        return f"pipeline {owner}" if owner in self._exports.pipelines else owner

    def _owner(self, inputs: Mapping[str, Any], group: str) -> str:
        tagged = (inputs.get("tags") or {}).get("herd:workload") if isinstance(inputs.get("tags"), Mapping) else None
        if (name := tagged or group) in self._exports.workloads:
            return str(name)
        pipeline = group.removesuffix(PIPELINE)
        return pipeline if pipeline in self._exports.pipelines and group != pipeline else ENVIRONMENT

    def _difference(self, step: Step, name: str, old: Any, new: Any) -> str:
        """`the load balancer herd-dev-public: drop invalid header fields on → off`."""
        what = f"the {noun(step.type)} {_called(step.old, step.name)}"
        if name == DOCUMENTS.get(step.type):
            return f"{what}: {_document(old, new)}"
        if name == "definition":
            return f"{what}: {_definition(old, new)}"
        return f"{what}: {_from_to(name, old, new)}"


def _type(resource: Mapping[str, Any]) -> str:
    return short(type_and_name(str(resource["urn"]))[0])


def _called(inputs: Mapping[str, Any], otherwise: str) -> str:
    """What AWS calls it, as far as its inputs say."""
    for key in ("name", "bucket", "family", "resourceId", "endpoint", "description", "rule", "role", "repository"):
        if isinstance(inputs.get(key), str) and inputs[key]:
            return str(inputs[key])
    return otherwise


def noun(type_: str) -> str:
    """`aws:lb:LoadBalancer` -> `load balancer`."""
    return words(type_.rpartition(":")[2])


def words(name: str) -> str:
    """`dropInvalidHeaderFields` -> `drop invalid header fields`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


def _own_tags(tags: Any) -> dict[str, Any]:
    return {name: value for name, value in (tags or {}).items() if not name.startswith(BY_AWS)}


def _declared(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without the members that AWS filled in: they were not declared, and others differ or none does."""
    differs = any(new.get(name) != value for name, value in old.items())
    return {name: value for name, value in new.items() if name in old} if differs else new


def _is_listed(step: Step, name: str) -> bool:
    """Does the provider call it a difference? Inputs also differ in what means the same."""
    return not step.differs or any(re.split(r"[.\[]", path)[0] == name for path in step.differs)


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, int | float) and isinstance(new, int | float) and not isinstance(old, bool):
        return float(old) == float(new)
    return bool(old == new) or (old in NOTHING and new in NOTHING)


def _from_to(name: str, old: Any, new: Any) -> str:
    differing = list(meaning.leaves(old, new))
    if 0 < len(differing) <= 3:
        parts = [
            f"{' '.join(words(part) if part.isidentifier() else part for part in (name, *path) if not part.isdigit())} "
            f"{_value(was)} → {_value(is_)}"
            for path, was, is_ in differing
        ]
        return ", ".join(parts)
    return f"{words(name)} {_value(old)} → {_value(new)}"


def _value(value: Any) -> str:
    text = settings.value(value) if not isinstance(value, Mapping | list) else json.dumps(value, sort_keys=True)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def _document(old: Any, new: Any) -> str:
    """A policy: what it newly allows, and what it does not any more."""
    more, less = widened(old, new), widened(new, old)
    if more is None or less is None:
        return "its policy changed, and cannot be compared"
    lines = risks.widenings(tuple(more))
    lines += [_narrowed(line) for line in risks.widenings(tuple(less))]
    return "; ".join(lines) or "its policy is written otherwise, and allows the same"


def _narrowed(line: str) -> str:
    """The other way round."""
    if line.startswith("newly allowed"):
        return line.replace("newly allowed", "no longer allowed", 1)
    return line.replace("no longer denied", "newly denied", 1)


def _definition(old: Any, new: Any) -> str:
    try:
        differing = list(meaning.leaves(json.loads(old), json.loads(new)))
    except (TypeError, ValueError):
        return "its definition changed"
    shown = [f"{'.'.join(path)} {_value(was)} → {_value(is_)}" for path, was, is_ in differing[:3]]
    more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
    return f"its definition: {', '.join(shown)}{more}"
