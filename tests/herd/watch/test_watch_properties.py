"""Whatever comes: the watch never raises, tells nothing twice, remembers only so much, and reads what it wrote."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from herd.runner.contract.due import Marker
from herd.runner.contract.schedule import next_runs, parse, rate_of, runs
from herd.watch import memory
from herd.watch.decision import decide, questions
from herd.watch.events import AlarmChanged, DeploymentChanged, Event, RunEnded, Tick
from herd.watch.events import parse as parse_event
from herd.watch.known import Execution, Known, Published, RunKey, ScheduleSeen
from herd.watch.memory import DueMemory, Held, Memory, Review, Swings, Topic, Trouble
from herd.watch.messages import KINDS, LONGEST_SUBJECT, subject
from tests.herd.watch.plans import API, DAILY, LOAD, MODEL, due, job, pipeline, plan
from tests.herd.watch.world import World, at

UNHURRIED = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
"""How long a test takes says nothing on a busy machine."""

TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))
TEXTS = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=8,
)
MEMORIES = st.builds(
    Memory,
    at=st.none() | TIMES,
    due=st.dictionaries(
        st.sampled_from(["run:load", "run:poll", "pipeline:load", "run:gone"]),
        st.builds(
            DueMemory,
            expression=st.just("cron(0 6 * * ? *) UTC") | TEXTS,
            since=TIMES,
            settled=TIMES,
            anchor=st.none() | TIMES,
        ),
        max_size=2,
    ),
    topics=st.dictionaries(
        st.sampled_from(
            ["run:load", "warning:load", "pipeline:load", "alarm:delay-api:copies", "schedule:herd-prod-load", "?"]
        ),
        st.builds(
            Topic,
            trouble=st.none()
            | st.builds(
                Trouble,
                kind=st.sampled_from(sorted(KINDS)),
                what=TEXTS,
                since=TIMES,
                last=TIMES,
                times=st.integers(1, 99),
                news=st.integers(0, 9),
                told_at=st.none() | TIMES,
                run_id=st.none() | TEXTS,
                run_started=st.none() | TIMES,
                due=st.none() | TIMES,
            ),
            falls=st.lists(TIMES, max_size=3).map(tuple),
            swings=st.none() | st.builds(Swings, told_at=TIMES, falls=st.integers(0, 9), rises=st.integers(0, 9)),
            good=st.none() | TIMES,
            seen=st.lists(TEXTS, max_size=3).map(tuple),
        ),
        max_size=2,
    ),
    reviews=st.dictionaries(st.just("load"), st.builds(Review, review_by=TEXTS, told_at=TIMES)),
    suspects=st.dictionaries(TEXTS, TIMES, max_size=2),
    confirmed=st.lists(TEXTS, max_size=2).map(tuple),
    looked=st.none() | TIMES,
    sent=st.lists(TIMES, max_size=4).map(tuple),
    held=st.lists(st.builds(Held, to=st.lists(TEXTS, max_size=2).map(tuple)), max_size=3).map(tuple),
    left_out=st.integers(0, 9),
    lost=st.sampled_from([None, "broken", "newer"]),
)
RATE = due("poll", "rate(7 minutes)", "every 7 minutes", 3)
PLAN = plan(LOAD, MODEL, API, job("poll", RATE), pipelines=(pipeline("load", "load", "delay-model", when=DAILY),))
EXECUTIONS = st.builds(
    Execution,
    status=st.sampled_from(["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "?"]),
    started=TIMES,
    ended=st.none() | TIMES,
    error=st.sampled_from(["", "Herd.Failed", "Herd.Killed", "Herd.CheckFailed", "States.Runtime"]) | TEXTS,
    cause=TEXTS | JSON.map(json.dumps),
    output=TEXTS | JSON.map(json.dumps) | st.just('{"status": "skipped"}'),
    input=TEXTS | JSON.map(json.dumps) | st.just('{"trigger": "schedule", "scheduled_time": "2027-02-01T06:00:00Z"}'),
)
EVENTS: st.SearchStrategy[Event] = (
    st.just(Tick())
    | st.builds(
        RunEnded,
        name=st.just("load"),
        key=st.builds(RunKey, machine=st.just("herd-prod-load"), run_id=TEXTS),
        execution=EXECUTIONS,
        is_pipeline=st.booleans(),
    )
    | st.builds(
        DeploymentChanged,
        workload=st.just("delay-api"),
        event=st.sampled_from([f"SERVICE_DEPLOYMENT_{end}" for end in ("FAILED", "IN_PROGRESS", "COMPLETED")]),
        deployment_id=TEXTS,
        reason=TEXTS,
        at=TIMES,
    )
    | st.builds(
        AlarmChanged,
        workload=st.just("delay-api"),
        alarm=st.sampled_from(["copies", "errors"]),
        state=st.sampled_from(["OK", "ALARM", "INSUFFICIENT_DATA"]),
        reason=TEXTS,
        at=TIMES,
    )
)
MARKERS = st.lists(
    st.builds(
        Marker,
        workload=st.just("load"),
        scheduled_time=st.sampled_from(["2027-02-01T06:00:00Z", "2027-02-02T06:00:00Z"]) | TEXTS,
        run_id=st.sampled_from(["r1", "r2"]),
        started=st.just("2027-02-01T06:00:01.123Z") | TEXTS,
        completed=st.none() | st.just("2027-02-01T06:10:00.123Z") | TEXTS,
    ),
    max_size=3,
).map(tuple)


@st.composite
def knowns(draw: st.DrawFn) -> Known:
    """Answers to some questions, whatever they say."""
    keys = st.sampled_from([RunKey("herd-prod-load", run) for run in ("r1", "r2")])
    return Known(
        markers=draw(st.dictionaries(st.sampled_from(["load", "delay-model", "poll"]), MARKERS)),
        executions=draw(st.dictionaries(keys, st.none() | EXECUTIONS)),
        records=draw(st.dictionaries(keys, st.none() | st.dictionaries(st.sampled_from(["checks", "reason"]), JSON))),
        logs=draw(st.dictionaries(keys, st.lists(TEXTS).map(tuple))),
        published=draw(st.dictionaries(st.just("load"), st.none() | st.builds(Published, run_id=TEXTS, at=TIMES))),
        schedules=draw(
            st.none() | st.dictionaries(st.just("herd-prod-load"), st.builds(ScheduleSeen, st.booleans(), TIMES, TIMES))
        ),
        subscriptions=draw(st.none() | st.dictionaries(TEXTS, st.booleans(), max_size=2)),
    )


@UNHURRIED
@given(MEMORIES)
def test_a_memory_comes_back_as_it_was(kept: Memory) -> None:
    assert memory.read(kept.to_json()) == kept


@UNHURRIED
@given(JSON.map(json.dumps) | st.text() | st.binary())
def test_any_text_is_read_as_some_memory(text: str | bytes) -> None:
    assert isinstance(memory.read(text), Memory)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        (None, None),
        ('{"schema":1}', None),
        ('{"schema":2,"topics":7}', "newer"),
        ('{"schema":true}', "broken"),
        ('{"schema":1,"unknown":1}', "broken"),
        ('{"schema":1,"at":"2027-02-01T06:00:00"}', "broken"),
        ('{"schema":1,"sent":["yesterday"]}', "broken"),
        ('{"schema":1,"topics":{"run:load":{"trouble":{"kind":"failed"}}}}', "broken"),
        ("[" * 100_000, "broken"),
        ("", "broken"),
        (b"\xff", "broken"),
    ],
)
def test_what_is_no_memory_of_this_release_is_lost(text: str | bytes | None, lost: str | None) -> None:
    assert memory.read(text) == Memory(lost=lost)  # type: ignore[arg-type]


@UNHURRIED
@given(MEMORIES, TIMES, EVENTS, knowns())
def test_it_never_raises_and_its_memory_can_be_read(kept: Memory, now: datetime, event: Event, known: Known) -> None:
    questions(PLAN, kept, now, event, known)
    decided = decide(PLAN, kept, now, event, known)
    assert memory.read(decided.memory.to_json()) == decided.memory
    for message in decided.messages:
        assert message.to and len(set(message.to)) == len(message.to)
        assert 0 < len(message.subject) <= LONGEST_SUBJECT
        assert message.subject.isascii() and message.subject.isprintable()
        assert len(message.body.encode()) <= 256 * 1024


@UNHURRIED
@given(MEMORIES, TIMES, EVENTS, knowns())
def test_the_same_call_again_tells_nothing_more(kept: Memory, now: datetime, event: Event, known: Known) -> None:
    """An event may be delivered twice, and a tick says the same a second later."""
    first = decide(PLAN, kept, now, event, known)
    again = decide(PLAN, first.memory, now, event, known)
    assert not again.messages and not again.starts


@UNHURRIED
@given(st.dictionaries(st.sampled_from(["source", "detail-type", "detail", "resources", "time"]), JSON) | JSON)
def test_any_event_is_read_or_passed_over(raw: Any) -> None:
    parse_event(PLAN, raw)


KNOWN_SHAPES = [
    ("aws.states", "Step Functions Execution Status Change"),
    ("aws.ecs", "ECS Deployment State Change"),
    ("aws.cloudwatch", "CloudWatch Alarm State Change"),
    ("herd", "Herd Drill"),
]


@pytest.mark.parametrize(("source", "type_"), KNOWN_SHAPES)
@UNHURRIED
@given(data=st.data())
def test_no_detail_of_a_known_event_is_trusted(source: str, type_: str, data: st.DataObject) -> None:
    names = [
        "stateMachineArn",
        "name",
        "status",
        "startDate",
        "stopDate",
        "alarmName",
        "state",
        "eventName",
        "workload",
    ]
    arn = st.just("arn:aws:states:eu-central-1:111122223333:stateMachine:herd-prod-load")
    detail = data.draw(st.dictionaries(st.sampled_from(names), JSON | arn | st.just("FAILED") | st.floats()) | JSON)
    parse_event(PLAN, {"source": source, "detail-type": type_, "detail": detail, "resources": data.draw(JSON)})


@UNHURRIED
@given(st.text())
def test_a_subject_is_what_sns_takes(line: str) -> None:
    text = subject(f"[herd prod] {line}")
    assert len(text) < 100 and text.isascii() and text.isprintable() and text.startswith("[")


@UNHURRIED
@given(st.sampled_from(["*/20 * * * *", "30 2 * * *", "0 0 29 2 *", "15 2 1 */3 *", "every 7 hours"]), TIMES)
def test_runs_go_on_from_any_of_them(text: str, after: datetime) -> None:
    """Where one stops does not change what comes next, summer time or not."""
    schedule = parse(text)
    if rate_of(schedule.expression) is None:
        for zone in ("Europe/Amsterdam", "Australia/Lord_Howe"):
            times = next_runs(schedule, zone, after, 2)
            assert next(runs(schedule, zone, times[0])) == times[1]


def test_its_memory_stays_small_over_years_of_trouble() -> None:
    """Twenty jobs that fail, swing or never start, each hour."""
    jobs = [job(f"job-{n:02}", due(f"job-{n:02}", "cron(0 * * * ? *)", "0 * * * *", 30)) for n in range(20)]
    world = World(plan(*jobs), at("2027-02-01 00:00"), kept_every=100)
    sizes = []
    for hours in range(70):
        world.now = at("2027-02-01 00:00") + timedelta(hours=7 * hours)
        for number, one in enumerate(jobs):
            key = world.begins(one.name, f"{hours}-{number}-{'x' * 60}")
            if (hours + number) % 3:
                event = world.ends(key, "FAILED", "Herd.Failed", {"exit_code": 1, "reason": "y" * 5000})
            else:
                event = world.succeeds(one.name, key)
            world.call(event)
        world.call()
        world.markers.clear()
        world.executions.clear()
        sizes.append(len((world._last or ("", Memory()))[1].to_json()))
    assert max(sizes) < 100_000
    assert max(sizes[35:]) <= 1.05 * max(sizes[:35])


def test_an_outage_of_years_costs_no_more_than_one_of_a_day() -> None:
    minutes = replace(DAILY, expression="cron(* * * * ? *)"), replace(DAILY, expression="rate(1 minute)")
    for when in minutes:
        world = World(
            plan(replace(LOAD, due=replace(when, deadline_minutes=10, catch_up="latest"))), at("2020-02-01 00:00")
        )
        world.call()
        world.now = at("2027-02-01 00:00")
        begun = time.process_time()
        world.call()
        assert time.process_time() - begun < 2
        assert [message.kind for _, message in world.sent] == ["not-started"]


def test_a_plan_without_anything_is_watched() -> None:
    empty = replace(PLAN, workloads=(), pipelines=(), recipients=())
    assert not decide(empty, Memory(lost="broken"), at("2027-02-01 00:00"), Tick(), Known()).messages
