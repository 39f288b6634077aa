"""One call of the watch while it is being decided: what it may look at, and what has come out of it so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from herd.runner.contract import kinds
from herd.runner.contract.plan import Plan, PlannedPipeline, PlannedWorkload, Wanted

from . import troubles
from .due_times import Scheduled, scheduled, topic_of
from .memory import DueMemory, Memory, Topic
from .messages import KINDS, Account, Message, body, first_line, moment, subject
from .plans import once_per_plan
from .questions import Lookup
from .troubles import Telling


@dataclass(frozen=True)
class Who:
    """Whom a message is about: a workload or a pipeline, as far as messages go."""

    topic: str
    name: str
    label: str
    owner: str
    owners: tuple[str, ...]
    timezone: str
    machine: str = ""
    log_group: str = ""
    kind: kinds.Kind | None = None
    readers: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()

    @property
    def is_pipeline(self) -> bool:
        return self.kind is None


def of_workload(workload: PlannedWorkload) -> Who:
    return Who(
        topic=topic_of(workload.name),
        name=workload.name,
        label=workload.name,
        owner=workload.owner,
        owners=workload.owners,
        timezone=workload.due.timezone if workload.due else workload.timezone,
        machine=workload.machine or "",
        log_group=workload.log_group,
        kind=workload.kind,
        readers=workload.readers,
    )


def of_pipeline(pipeline: PlannedPipeline, plan: Plan) -> Who:
    members = {one.name: one for one in plan.workloads if one.name in pipeline.jobs}
    readers = {reader for one in members.values() for reader in one.readers if reader not in members}
    return Who(
        topic=topic_of(pipeline.name, True),
        name=pipeline.name,
        label=f"pipeline {pipeline.name}",
        owner=", ".join(dict.fromkeys(one.owner for one in members.values())),
        owners=pipeline.owners,
        timezone=pipeline.due.timezone if pipeline.due else "UTC",
        machine=pipeline.machine,
        readers=tuple(sorted(readers)),
        jobs=pipeline.jobs,
    )


@once_per_plan
def workloads(plan: Plan) -> dict[str, Who]:
    return {one.name: of_workload(one) for one in plan.workloads}


@once_per_plan
def pipelines(plan: Plan) -> dict[str, Who]:
    return {one.name: of_pipeline(one, plan) for one in plan.pipelines}


@once_per_plan
def addresses(plan: Plan) -> dict[str, None]:
    """`Plan.addresses`, in that order, to be looked up in."""
    return dict.fromkeys(plan.addresses)


@dataclass(frozen=True)
class Start:
    """A run that makes up for one that never came about. The name is made of what is due, so it starts once only."""

    machine: str
    run_id: str
    input: dict[str, Any]


_NOTHING = Topic()


class Call:
    """Changes only itself: the memory that came in stays as it was."""

    def __init__(self, plan: Plan, memory: Memory, now: datetime, lookup: Lookup, flag: str = "--stack") -> None:
        self.plan = plan
        self.now = now
        self.lookup = lookup
        self.flag = flag
        self.memory = memory
        self.due: dict[str, DueMemory] = {}
        self.messages: list[Message] = []
        self.starts: list[Start] = []
        self._topics = dict(memory.topics)
        self.scheduled = scheduled(plan)
        self.workloads = workloads(plan)
        self.pipelines = pipelines(plan)
        self.addresses = addresses(plan)

    def who(self, one: Scheduled) -> Who:
        return self.pipelines[one.name] if one.is_pipeline else self.workloads[one.name]

    @property
    def topics(self) -> dict[str, Topic]:
        """Those that hold anything."""
        return {key: topic for key, topic in self._topics.items() if topic != _NOTHING}

    def topic(self, key: str) -> Topic:
        return self._topics.get(key, _NOTHING)

    def put(self, key: str, topic: Topic) -> None:
        self._topics[key] = topic

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._topics.pop(key, None)

    def is_new(self, key: str, *ids: str) -> bool:
        """Was none of `ids` handled before? From now on they are."""
        topic = self.topic(key)
        self.put(key, topic.with_seen(*ids))
        return not set(ids) & set(topic.seen)

    def worse(self, key: str, kind: str, what: str, **more: Any) -> Telling | None:
        topic, telling = troubles.worse(self.topic(key), self.now, kind, what, **more)
        self.put(key, topic)
        return telling

    def better(self, key: str) -> Telling | None:
        topic, telling = troubles.better(self.topic(key))
        self.put(key, topic)
        return telling

    def still(self, key: str) -> Telling | None:
        topic = self.topic(key)
        lasts = topic.trouble is not None and KINDS[topic.trouble.kind].lasts
        topic, telling = troubles.still(topic, self.now, lasts)
        self.put(key, topic)
        return telling

    def when(self, at: datetime, who: Who) -> str:
        return moment(at, who.timezone)

    def audience(self, owners: Iterable[str], wanted: Wanted) -> tuple[str, ...]:
        """The owners, and who wants such messages of everything; each address once."""
        others = (one.address for one in self.plan.recipients if {wanted, "all"} & set(one.wants))
        return tuple(dict.fromkeys((*owners, *others)))

    def tell(self, kind: str, account: Account, to: tuple[str, ...], workload: str = "") -> None:
        if to:
            line = first_line(self.plan, account)
            self.messages.append(Message(to, subject(line), body(self.plan, account), kind, workload))

    def tell_of(self, who: Who, kind: str, account: Account) -> None:
        """To its owners, and to who wants such messages."""
        wanted = KINDS[kind].wanted
        account = replace(account, name=account.name or who.label, owner=account.owner or who.owner)
        self.tell(kind, account, self.audience(who.owners, wanted), who.name)

    def command(self, *words: str) -> str:
        return " ".join(("herd", *words, self.flag, self.plan.environment))
