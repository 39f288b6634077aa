"""The stories: what happens in an environment, played to the watch. What it tells is in stories/, word for word."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from herd.runner.contract.plan import Plan, PlannedWorkload, Recipient
from herd.watch import events
from herd.watch.events import DEPLOYMENT_BEGUN, DEPLOYMENT_COMPLETED, DEPLOYMENT_FAILED, DRILL_SOURCE, DRILL_TYPE, Event
from herd.watch.known import Published, RunKey, ScheduleSeen
from tests.herd.watch.plans import ANA, API, BEN, DAILY, LOAD, MODEL, OPS, due, job, of_others, pipeline, plan
from tests.herd.watch.world import World, at

HOURLY = job("poll", due("poll", "cron(0 * * * ? *)", "0 * * * *", 30))
STORIES: dict[str, Callable[[], World]] = {}


def story(play: Callable[[], World]) -> Callable[[], World]:
    STORIES[play.__name__] = play
    return play


def begun(*workloads: PlannedWorkload, since: str = "2027-02-01 00:00", **more: Any) -> World:
    """A world whose watch has been called once; what readers see was published the day before."""
    return in_plan(plan(*workloads, **more), since)


def in_plan(of: Plan, since: str = "2027-02-01 00:00") -> World:
    world = World(of, at(since))
    day_before = world.now - timedelta(hours=17)
    world.published |= {one.name: Published("r0", day_before) for one in of.workloads if one.machine}
    world.call()
    return world


def run(world: World, name: str, run_id: str, begins: str, ends: str, **how: Any) -> Event:
    """A scheduled run from its due time to its end; the event of it. `how`: error, cause, record, log."""
    world.until(begins)
    key = world.begins(name, run_id, world.now)
    world.until(ends)
    return end(world, name, key, **how)


def end(
    world: World,
    name: str,
    key: RunKey,
    error: str = "",
    cause: object = None,
    record: Mapping[str, Any] | None = None,
    log: tuple[str, ...] = (),
    status: str = "FAILED",
) -> Event:
    world.logs[key] = log
    if record is not None:
        world.records[key] = record
    return world.ends(key, status, error, cause) if error or status != "FAILED" else world.succeeds(name, key, record)


def cause(code: int | None, reason: str, attempts: int = 1) -> dict[str, Any]:
    task = "arn:aws:ecs:eu-central-1:111122223333:task/herd-prod/0123abcd"
    return {"exit_code": code, "reason": reason, "attempts": attempts, "task": task}


def check(message: str, otherwise: str = "reject") -> dict[str, Any]:
    return {"passed": False, "message": message, "otherwise": otherwise}


def fails(name: str, *, of: PlannedWorkload = LOAD, **how: Any) -> None:
    """A story of one run that fails."""

    def play() -> World:
        world = begun(of)
        world.call(run(world, of.name, "r1", "2027-02-01 06:00", "2027-02-01 06:20", **how))
        world.until("2027-02-01 09:00")
        return world

    play.__name__ = name
    story(play)


# Due times


@story
def never_fires() -> World:
    world = begun(LOAD)
    world.until("2027-02-01 12:00")
    return world


@story
def never_fires_and_is_made_up_for() -> World:
    world = begun(replace(LOAD, due=replace(DAILY, catch_up="latest")))
    world.until("2027-02-01 07:20")
    start = world.started[0]
    key = world.begins("load", start.run_id, at("2027-02-01 06:00"))
    world.until("2027-02-01 07:40")
    world.call(world.succeeds("load", key))
    world.until("2027-02-01 12:00")
    return world


@story
def is_late() -> World:
    world = begun(LOAD)
    event = run(world, "load", "r1", "2027-02-01 06:00", "2027-02-01 08:02")
    world.call(event)
    world.until("2027-02-01 12:00")
    return world


@story
def starts_twice() -> World:
    """Scheduler delivers at least once: the second start is skipped, because the first goes on."""
    world = begun(LOAD)
    world.until("2027-02-01 06:00")
    first, second = (world.begins("load", run_id, world.now) for run_id in ("r1", "r2"))
    world.call(
        world.ends(second, "SUCCEEDED", output={"status": "skipped", "reason": "the last run is still going on"})
    )
    world.until("2027-02-01 06:20")
    event = world.succeeds("load", first)
    world.call(event)
    world.call(event)
    world.until("2027-02-01 12:00")
    return world


@story
def hangs() -> World:
    """Told as late at its deadline, and with its reason once its time limit ends it."""
    world = begun(LOAD)
    late = cause(124, "took longer than timeout_minutes = 120")
    event = run(world, "load", "r1", "2027-02-01 06:00", "2027-02-01 08:00", error="Herd.TimedOut", cause=late)
    world.call(event)
    world.until("2027-02-01 12:00")
    return world


@story
def its_start_is_skipped_as_the_run_before_goes_on() -> World:
    world = begun(HOURLY)
    world.call(run(world, "poll", "r0", "2027-02-01 01:00", "2027-02-01 01:05"))
    world.until("2027-02-01 02:00")
    world.begins("poll", "by-hand", trigger="manual")
    world.published["poll"] = Published("r0", at("2027-02-01 01:05"))
    skipped = world.begins("poll", "r1", world.now)
    world.call(world.ends(skipped, "SUCCEEDED", output={"status": "skipped"}))
    world.until("2027-02-01 02:50")
    return world


@story
def its_start_is_skipped_and_the_run_before_publishes() -> World:
    world = begun(HOURLY)
    world.until("2027-02-01 01:00")
    long = world.begins("poll", "r1", world.now)
    world.until("2027-02-01 01:25")
    world.call(world.succeeds("poll", long))
    world.until("2027-02-01 02:00")
    by_hand = world.begins("poll", "by-hand", trigger="manual")
    skipped = world.begins("poll", "r2", world.now)
    world.call(world.ends(skipped, "SUCCEEDED", output={"status": "skipped"}))
    world.until("2027-02-01 02:10")
    world.call(world.succeeds("poll", by_hand))
    world.until("2027-02-01 02:50")
    return world


@story
def its_runs_are_always_replaced() -> World:
    """`overlap = "replace"` and runs that take longer than the hour: none is a failure, and nothing is published."""
    world = begun(job("poll", due("poll", "cron(0 * * * ? *)", "0 * * * *", 90)))
    world.until("2027-02-01 01:00")
    key = world.begins("poll", "r1", world.now)
    for hour in (2, 3, 4):
        world.until(f"2027-02-01 0{hour}:00")
        newer = world.begins("poll", f"r{hour}", world.now)
        world.call(world.ends(key, "ABORTED", cause="replaced by a newer run"))
        key = newer
    world.until("2027-02-01 04:40")
    world.call(world.succeeds("poll", key))
    return world


@story
def hangs_every_hour() -> World:
    """Late at each deadline, failed at each time limit: told once of each kind, then once a day."""
    world = begun(HOURLY)
    for hours in range(1, 30):
        start = at("2027-02-01 00:00") + timedelta(hours=hours)
        limit = cause(124, "took longer than timeout_minutes = 40")
        times = (f"{time:%Y-%m-%d %H:%M}" for time in (start, start + timedelta(minutes=40)))
        world.call(run(world, "poll", f"r{hours}", *times, error="Herd.TimedOut", cause=limit))
    return world


@story
def somebody_ran_it_by_hand_meanwhile() -> World:
    world = begun(replace(LOAD, due=replace(DAILY, catch_up="latest")))
    world.until("2027-02-01 06:30")
    key = world.begins("load", "by-hand", trigger="manual")
    world.until("2027-02-01 06:50")
    world.call(world.succeeds("load", key))
    world.until("2027-02-01 12:00")
    return world


@story
def the_machine_sleeps_for_a_day() -> World:
    """Each told once; what asks for it is made up for, and only its latest due time."""
    world = begun(replace(LOAD, due=replace(DAILY, catch_up="latest")), HOURLY, of_others(MODEL))
    world.until("2027-02-01 00:30")
    world.now = at("2027-02-02 08:30")
    world.call()
    world.until("2027-02-02 08:55")
    return world


@story
def the_watch_was_down_while_jobs_ran() -> World:
    world = begun(LOAD)
    for day in (1, 2, 3):
        world.now = at(f"2027-02-0{day} 06:00")
        key = world.begins("load", f"r{day}", world.now)
        world.now += timedelta(minutes=20)
        world.succeeds("load", key)
    world.until("2027-02-03 12:00")
    return world


@story
def the_watch_was_down_and_a_start_was_missed() -> World:
    """It has run since: said, but nothing is left to be done."""
    world = begun(LOAD)
    world.now = at("2027-02-02 06:00")
    key = world.begins("load", "r2", world.now)
    world.now += timedelta(minutes=20)
    world.succeeds("load", key)
    world.until("2027-02-02 12:00")
    return world


@story
def a_deployment_accuses_no_past() -> World:
    world = begun(LOAD, since="2027-02-01 07:00")
    world.until("2027-02-02 05:55")
    return world


@story
def schedules_are_off_paused_and_expired() -> World:
    world = begun(
        replace(LOAD, paused="the source is rebuilt, until March", due=None),
        replace(MODEL, paused="the source is rebuilt, until March"),
        replace(HOURLY, expired=True, review_by="2027-01-01"),
    )
    world.sent.clear()  # the mail about the review date is a story of its own
    world.until("2027-02-02 12:00")
    world.plan = replace(world.plan, schedules=False, workloads=(LOAD, MODEL))
    world.until("2027-02-04 12:00")
    return world


@story
def a_rate_is_missed() -> World:
    world = begun(job("poll", due("poll", "rate(2 hours)", "every 2 hours", 30)))
    for hour in (1, 3, 5, 9):
        world.until(f"2027-02-01 0{hour}:07")
        key = world.begins("poll", f"r{hour}", world.now)
        world.until(f"2027-02-01 0{hour}:12")
        world.call(world.succeeds("poll", key))
    world.until("2027-02-01 10:30")
    return world


@story
def a_rate_is_changed() -> World:
    """AWS does not say from when it counts the new one."""
    every = {hours: job("poll", due("poll", f"rate({hours} hours)", f"every {hours} hours", 30)) for hours in (2, 5)}
    world = begun(every[2])
    for hour in (1, 3):
        world.until(f"2027-02-01 0{hour}:07")
        world.call(world.succeeds("poll", world.begins("poll", f"r{hour}", world.now)))
    world.until("2027-02-01 03:30")
    world.plan = plan(every[5])
    seen = world.schedules["herd-prod-poll"]
    world.schedules["herd-prod-poll"] = ScheduleSeen(True, seen.created, world.now)
    for hour in ("08:20", "13:20"):
        world.until(f"2027-02-01 {hour}")
        world.call(world.succeeds("poll", world.begins("poll", f"r{hour[:2]}", world.now)))
    world.until("2027-02-01 16:00")
    return world


@story
def a_wall_time_does_not_exist() -> World:
    """02:30 on the day of summer time: Scheduler skips it, and so does the watch."""
    world = begun(
        job("night", due("night", "cron(30 2 * * ? *)", "30 2 * * *", 60, "Europe/Amsterdam")), since="2027-03-28 00:00"
    )
    world.until("2027-03-28 22:00")
    return world


@story
def the_clock_goes_back() -> World:
    world = begun(LOAD)
    world.until("2027-02-01 08:00")
    world.now = at("2027-02-01 05:00")
    world.until("2027-02-01 12:00")
    return world


# Failures


@story
def fails_then_recovers() -> World:
    world = begun(LOAD)
    exit_1 = {"exit_code": 1, "reason": "the command ended with exit status 1"}
    event = run(
        world,
        "load",
        "r1",
        "2027-02-01 06:00",
        "2027-02-01 06:20",
        error="Herd.Failed",
        cause=cause(1, "exit code 1", 3),
        record=exit_1,
        log=("Traceback (most recent call last):", "PermissionError: flights.xlsx is open", "the command ended …"),
    )
    world.call(event)
    world.call(run(world, "load", "r2", "2027-02-02 06:00", "2027-02-02 06:20"))
    world.until("2027-02-02 12:00")
    return world


@story
def fails_for_a_week() -> World:
    world = begun(LOAD)
    for day in range(1, 8):
        morning = f"2027-02-{day:02} 06"
        exit_1 = cause(1, "exit code 1")
        world.call(
            run(world, "load", f"r{day}", f"{morning}:00", f"{morning}:{20 - day}", error="Herd.Failed", cause=exit_1)
        )
    world.call(run(world, "load", "r8", "2027-02-08 06:00", "2027-02-08 06:20"))
    world.until("2027-02-08 12:00")
    return world


@story
def fails_every_hour_for_two_days() -> World:
    world = begun(HOURLY)
    for day in (1, 2):
        for hour in range(24):
            if (day, hour) != (1, 0):
                start = f"2027-02-0{day} {hour:02}"
                exit_1 = cause(1, "exit code 1")
                world.call(
                    run(
                        world, "poll", f"r{day}-{hour}", f"{start}:00", f"{start}:10", error="Herd.Failed", cause=exit_1
                    )
                )
    return world


@story
def flaps() -> World:
    """Fails every other hour for a day, then is well."""
    world = begun(HOURLY)
    for hours in range(1, 60):
        start = at("2027-02-01 00:00") + timedelta(hours=hours)
        bad = {"error": "Herd.Failed", "cause": cause(1, "exit code 1")} if hours % 2 and hours < 24 else {}
        world.call(
            run(
                world,
                "poll",
                f"r{hours}",
                f"{start:%Y-%m-%d %H:%M}",
                f"{start + timedelta(minutes=5):%Y-%m-%d %H:%M}",
                **bad,
            )
        )
    return world


CHECKS = {
    "writes_an_empty_file": "flights.csv is below min_bytes = 1",
    "writes_what_is_old": "flights.csv: hours since the newest day = 73 is above max_age_hours = 48",
    "writes_the_same_again": "flights.csv: changed is not: it is byte for byte that of the last published version",
    "writes_less_and_less": "flights.csv: rows = 812 is below the accepted 2004 by more than max_drop = 500",
    "drifts_away": "metrics.json: auc = 0.74 is 4.6 deviations from the median of the last 30 runs; trend = 4",
}
for name, message in CHECKS.items():
    fails(
        name,
        error="Herd.CheckFailed",
        cause=cause(65, "a check failed"),
        record={"exit_code": 65, "checks": [check(message)]},
    )

fails(
    "its_model_is_nonsense",
    of=replace(MODEL, due=replace(DAILY, schedule="herd-prod-delay-model")),
    error="Herd.CheckFailed",
    cause=cause(65, "a check failed"),
    record={
        "exit_code": 65,
        "reason": "a check failed",
        "checks": [check("metrics.json: auc = 0.61 is below min = 0.70"), {"passed": True, "message": "fine"}],
    },
    log=("check FAILED: metrics.json: auc = 0.61 is below min = 0.70",),
)
fails(
    "runs_out_of_memory",
    error="Herd.Killed",
    cause=cause(137, "used more than memory_gb = 2: OutOfMemoryError: container killed due to memory usage", 2),
)
fails("is_killed", error="Herd.Killed", cause=cause(143, "Your Spot Task was interrupted."))
fails("is_killed_for_no_known_reason", error="Herd.Killed", cause=cause(137, ""))
fails(
    "never_starts",
    error="Herd.Killed",
    cause=cause(None, "the task did not start: ECS.ServerException: Capacity is unavailable at this time", 3),
)
fails(
    "its_image_is_missing",
    error="Herd.Killed",
    cause=cause(None, "CannotPullContainerError: pull image manifest has been retried 1 time(s): manifest unknown"),
)
fails(
    "may_not_read_its_secret",
    error="Herd.Killed",
    cause=cause(
        None,
        "ResourceInitializationError: unable to pull secrets: "
        "AccessDeniedException: not authorized to perform secretsmanager:GetSecretValue",
    ),
)
fails(
    "may_not_write",
    error="Herd.Failed",
    cause=cause(69, "exit code 69"),
    record={"exit_code": 69, "reason": "S3 refuses: AccessDenied for load/latest.json"},
)
fails(
    "takes_too_long",
    error="Herd.TimedOut",
    cause=cause(124, "took longer than timeout_minutes = 30"),
    record={"exit_code": 124, "reason": "each attempt took longer than timeout_minutes = 30"},
)
fails(
    "its_input_is_missing",
    error="Herd.Failed",
    cause=cause(66, "exit code 66"),
    record={"exit_code": 66, "reason": "input flights has not been published yet"},
)
fails(
    "one_item_of_a_fan_out_fails",
    error="Herd.CheckFailed",
    cause=cause(65, "a check failed"),
    record={"exit_code": 65, "item": None, "checks": [check("sales.csv: rows of nl = 0 is below min = 1")]},
)
fails(
    "its_state_machine_is_broken",
    error="States.Runtime",
    cause="An error occurred while executing the state 'Run'. The JSONPath $.x could not be found",
)
fails(
    "its_state_machine_may_not",
    error="ECS.AccessDeniedException",
    cause="User: arn:aws:sts::111122223333:assumed-role/herd-prod-states is not authorized to perform: ecs:RunTask",
)
fails("its_machine_passes_its_limit", status="TIMED_OUT")
fails(
    "its_texts_are_hostile",
    error="Herd.Failed",
    cause=cause(1, "exit code 1\r\nBcc: all@example.com"),
    log=("\x1b[2J\x07gone", "x" * 5000, "été ☃"),
)


@story
def publishes_with_a_warning() -> World:
    world = begun(LOAD)
    told = check("flights.csv: rows = 1900 is below min = 2000", "warn")
    for day in (1, 2):
        morning = f"2027-02-0{day} 06"
        world.call(run(world, "load", f"r{day}", f"{morning}:00", f"{morning}:20", record={"checks": [told]}))
    world.call(run(world, "load", "r3", "2027-02-03 06:00", "2027-02-03 06:20", record={"checks": [{"passed": True}]}))
    return world


@story
def is_cancelled_or_replaced() -> World:
    world = begun(LOAD)
    world.call(run(world, "load", "r1", "2027-02-01 06:00", "2027-02-01 06:20", status="ABORTED"))
    event = run(
        world, "load", "r2", "2027-02-02 06:00", "2027-02-02 06:20", status="ABORTED", cause="replaced by a newer run"
    )
    world.call(event)
    newer = world.begins("load", "r3", trigger="manual")
    world.until("2027-02-02 06:40")
    world.call(world.succeeds("load", newer))
    world.until("2027-02-02 12:00")
    return world


@story
def an_event_comes_twice() -> World:
    world = begun(LOAD)
    event = run(
        world, "load", "r1", "2027-02-01 06:00", "2027-02-01 06:20", error="Herd.Failed", cause=cause(1, "exit code 1")
    )
    world.call(event)
    world.call(event)
    world.until("2027-02-01 09:00")
    world.call(event)
    return world


@story
def events_come_in_the_wrong_order() -> World:
    """The success of a newer run is known before the failure of the one before it."""
    world = begun(LOAD)
    late = run(
        world, "load", "r1", "2027-02-01 06:00", "2027-02-01 06:20", error="Herd.Failed", cause=cause(1, "exit code 1")
    )
    key = world.begins("load", "r2", trigger="manual")
    world.until("2027-02-01 06:40")
    world.call(world.succeeds("load", key))
    world.call(late)
    world.until("2027-02-01 12:00")
    return world


@story
def an_old_success_comes_late() -> World:
    """It is older than the failure, so nothing has recovered."""
    world = begun(LOAD)
    world.until("2027-02-01 05:00")
    key = world.begins("load", "r0", trigger="manual")
    old = world.succeeds("load", key)
    world.call(
        run(
            world,
            "load",
            "r1",
            "2027-02-01 06:00",
            "2027-02-01 06:20",
            error="Herd.Failed",
            cause=cause(1, "exit code 1"),
        )
    )
    world.call(old)
    world.until("2027-02-01 12:00")
    return world


@story
def the_event_of_a_failure_is_lost() -> World:
    """Told at the deadline, as the failure that it is."""
    world = begun(LOAD)
    run(world, "load", "r1", "2027-02-01 06:00", "2027-02-01 06:20", error="Herd.Failed", cause=cause(1, "exit code 1"))
    world.until("2027-02-01 12:00")
    return world


@story
def the_event_of_a_recovery_is_lost() -> World:
    world = begun(LOAD)
    world.call(
        run(
            world,
            "load",
            "r1",
            "2027-02-01 06:00",
            "2027-02-01 06:20",
            error="Herd.Failed",
            cause=cause(1, "exit code 1"),
        )
    )
    run(world, "load", "r2", "2027-02-02 06:00", "2027-02-02 06:20")
    world.until("2027-02-02 12:00")
    return world


@story
def the_end_of_a_late_run_is_lost() -> World:
    """Looked at again every hour."""
    world = begun(LOAD)
    run(world, "load", "r1", "2027-02-01 06:00", "2027-02-01 08:02")
    world.until("2027-02-01 12:00")
    return world


@story
def other_environments_fail() -> World:
    world = begun(LOAD, API)
    world.until("2027-02-01 01:00")
    key = world.begins("load", "r1", trigger="manual")
    world.ends(key, "FAILED", "Herd.Failed")
    raw = json.dumps(world.raw_event_of(key))
    for name in ("herd-prod-2-load", "herd-dev-load", "herd-prod-load-2", "herd-prod-watch", "herd-prod", ""):
        other = json.loads(raw.replace("stateMachine:herd-prod-load", f"stateMachine:{name}"))
        assert events.parse(world.plan, other) is None, name
    return world


# Pipelines


def with_pipeline() -> World:
    return in_plan(
        plan(
            job("load", readers=("clean",), pipeline="load"),
            job("clean", pipeline="load", owner="ben@example.com", owners=(BEN,), readers=("dashboard",)),
            pipelines=(pipeline("load", "load", "clean", when=DAILY),),
        )
    )


def pipeline_fails(world: World) -> tuple[Event, Event]:
    """The events of its second job, and of its own."""
    world.until("2027-02-01 06:00")
    whole = RunKey("herd-prod-load_pipeline", "p1")
    world.executions[whole] = world.executions[world.begins("load", "p1", world.now)]
    world.call(world.succeeds("nothing", RunKey("herd-prod-load", "p1")))
    world.until("2027-02-01 06:10")
    clean = world.begins("clean", "p1", world.now, "pipeline")
    world.until("2027-02-01 06:20")
    event = end(world, "clean", clean, "Herd.Failed", cause(1, "exit code 1"))
    jobs = {"status": "failed", "jobs": {"load": "succeeded", "clean": "failed"}}
    return event, world.ends(whole, "FAILED", "Herd.Failed", jobs)


@story
def a_job_of_a_pipeline_fails() -> World:
    """Told once, as the job's and to its owner; the pipeline's own failure and its due time add nothing."""
    world = with_pipeline()
    of_job, of_pipeline = pipeline_fails(world)
    world.call(of_job)
    world.call(of_pipeline)
    world.until("2027-02-01 12:00")
    return world


@story
def a_pipeline_is_told_before_its_job() -> World:
    world = with_pipeline()
    of_job, of_pipeline = pipeline_fails(world)
    world.call(of_pipeline)
    world.call(of_job)
    world.until("2027-02-01 12:00")
    return world


@story
def all_events_of_a_pipeline_are_lost() -> World:
    world = with_pipeline()
    pipeline_fails(world)
    world.until("2027-02-01 12:00")
    return world


@story
def a_pipeline_could_not_start_a_job() -> World:
    """The job has no execution that could tell it."""
    world = with_pipeline()
    _, of_pipeline = pipeline_fails(world)
    del world.executions[RunKey("herd-prod-clean", "p1")]
    world.call(of_pipeline)
    world.until("2027-02-01 12:00")
    return world


@story
def a_pipeline_never_fires() -> World:
    world = with_pipeline()
    world.until("2027-02-01 12:00")
    return world


@story
def a_pipeline_itself_fails() -> World:
    world = with_pipeline()
    world.until("2027-02-01 06:00")
    key = RunKey("herd-prod-load_pipeline", "p1")
    world.executions[key] = world.executions[world.begins("load", "p1", world.now)]
    world.call(world.ends(key, "FAILED", "States.Runtime", "the state 'Level 1' has no field $.run"))
    world.until("2027-02-01 12:00")
    return world


# Services


def ecs(world: World, name: str, deployment: str, reason: str) -> Event:
    arn = "arn:aws:ecs:eu-central-1:111122223333:service/herd-prod/herd-prod-delay-api"
    time = f"{world.now:%Y-%m-%dT%H:%M:%SZ}"
    detail = {"eventName": name, "deploymentId": deployment, "updatedAt": time, "reason": reason}
    raw = {
        "source": "aws.ecs",
        "detail-type": "ECS Deployment State Change",
        "time": time,
        "resources": [arn],
        "detail": detail,
    }
    event = events.parse(world.plan, raw)
    assert event is not None
    return event


def cloudwatch(world: World, alarm: str, state: str, reason: str) -> Event:
    time = f"{world.now:%Y-%m-%dT%H:%M:%S.000+0000}"
    detail = {
        "alarmName": f"herd-prod-delay-api_{alarm}",
        "state": {"value": state, "reason": reason, "timestamp": time},
    }
    event = events.parse(
        world.plan, {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": detail}
    )
    assert event is not None
    return event


@story
def a_service_has_no_healthy_copy() -> World:
    world = begun(API)
    world.until("2027-02-01 03:12")
    event = cloudwatch(world, "copies", "ALARM", "Threshold Crossed: 3 datapoints were less than the threshold (2.0).")
    world.call(event)
    world.call(event)
    world.until("2027-02-03 03:47")
    world.call(cloudwatch(world, "copies", "OK", "Threshold Crossed: 1 datapoint was not less than the threshold."))
    return world


@story
def a_service_answers_with_errors() -> World:
    world = begun(API)
    world.until("2027-02-01 03:12")
    world.call(cloudwatch(world, "errors", "ALARM", "Threshold Crossed: 1 datapoint (212.0) was greater than 5.0."))
    world.until("2027-02-01 03:30")
    world.call(cloudwatch(world, "errors", "INSUFFICIENT_DATA", "no data"))
    world.call(cloudwatch(world, "errors", "OK", "fine"))
    world.until("2027-02-01 03:40")
    world.call(cloudwatch(world, "errors", "OK", "fine"))
    return world


@story
def a_service_is_rolled_back() -> World:
    world = begun(API)
    world.until("2027-02-01 10:00")
    world.call(ecs(world, DEPLOYMENT_BEGUN, "ecs-svc/1", "ECS deployment ecs-svc/1 in progress."))
    world.until("2027-02-01 10:09")
    failed = ecs(world, DEPLOYMENT_FAILED, "ecs-svc/1", "ECS deployment circuit breaker: tasks failed to start.")
    world.call(failed)
    world.call(failed)
    rolls = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/0."
    world.call(ecs(world, DEPLOYMENT_BEGUN, "ecs-svc/0", rolls))
    world.until("2027-02-01 10:14")
    world.call(ecs(world, DEPLOYMENT_COMPLETED, "ecs-svc/0", "ECS deployment ecs-svc/0 completed."))
    return world


@story
def a_deployment_fails_and_the_next_one_works() -> World:
    world = begun(API)
    world.until("2027-02-01 10:09")
    world.call(ecs(world, DEPLOYMENT_FAILED, "ecs-svc/1", "ECS deployment circuit breaker: tasks failed to start."))
    world.until("2027-02-01 10:30")
    world.call(ecs(world, DEPLOYMENT_COMPLETED, "ecs-svc/2", "ECS deployment ecs-svc/2 completed."))
    return world


# What is no longer as it was made


@story
def a_schedule_is_switched_off_by_hand() -> World:
    world = begun(LOAD)
    world.call(run(world, "load", "r1", "2027-02-01 06:00", "2027-02-01 06:20"))
    seen = world.schedules["herd-prod-load"]
    world.schedules["herd-prod-load"] = replace(seen, enabled=False)
    world.until("2027-02-02 12:00")
    world.schedules["herd-prod-load"] = seen
    world.until("2027-02-02 13:30")
    return world


@story
def a_schedule_is_deleted_by_hand() -> World:
    world = begun(LOAD)
    del world.schedules["herd-prod-load"]
    world.until("2027-02-01 04:00")
    return world


@story
def a_schedule_is_made_while_the_watch_looks() -> World:
    """A deployment is under way: the function has its new plan before the schedule exists."""
    world = World(plan(LOAD), at("2027-02-01 00:00"))
    schedules, world.schedules = world.schedules, {}
    world.call()
    world.until("2027-02-01 00:15")
    world.schedules = schedules
    world.until("2027-02-01 04:00")
    return world


@story
def somebody_unsubscribes() -> World:
    world = begun(LOAD)
    del world.subscriptions[ANA]
    world.until("2027-02-02 02:00")
    return world


@story
def a_review_comes_near_and_passes() -> World:
    world = begun(replace(LOAD, review_by="2027-02-16"), API, since="2027-01-10 08:00", schedules=False)
    world.until("2027-03-10 08:00", timedelta(hours=1))
    return world


@story
def the_memory_is_broken() -> World:
    world = begun(LOAD)
    world.until("2027-02-01 07:20")
    world.stored = "{not JSON"
    world.until("2027-02-01 12:00")
    return world


@story
def the_memory_is_of_a_newer_release() -> World:
    world = begun(LOAD, recipients=())
    world.until("2027-02-01 07:20")
    world.stored = '{"schema": 7, "at": "2027-02-01T07:00:00+00:00"}'
    world.until("2027-02-01 12:00")
    return world


# Many at once, and who is told


def many(count: int, **more: Any) -> tuple[PlannedWorkload, ...]:
    """Jobs that are due at the same time; every other one is Ben's."""
    jobs = [job(f"job-{n:02}", due(f"job-{n:02}", "cron(0 6 * * ? *)", "0 6 * * *")) for n in range(count)]
    return tuple(of_others(one) if n % 2 else one for n, one in enumerate(jobs))


@story
def twelve_jobs_never_fire() -> World:
    world = begun(*many(12))
    world.until("2027-02-01 12:00")
    return world


@story
def fourteen_jobs_fail_within_a_minute() -> World:
    """The first ten at once, the others as one."""
    world = begun(*many(14))
    world.until("2027-02-01 05:58")
    world.now = at("2027-02-01 06:00")
    keys = {f"job-{n:02}": world.begins(f"job-{n:02}", f"r{n:02}", world.now) for n in range(14)}
    for number, key in enumerate(keys.values()):
        world.now = at("2027-02-01 06:01") + timedelta(seconds=number)
        world.call(world.ends(key, "FAILED", "Herd.Failed", cause(1, "exit code 1")))
    world.until("2027-02-01 06:20")
    return world


@story
def each_address_is_told_once() -> World:
    """Ana owns it and wants everything; Ops want failures; Ben wants what is late."""
    wants = (Recipient(ANA, ("all",)), Recipient(OPS, ("failures",)), Recipient(BEN, ("late", "warnings")))
    world = begun(replace(LOAD, owners=(ANA, "team@example.com")), recipients=wants)
    world.until("2027-02-01 09:00")
    warned = {"checks": [check("flights.csv: rows = 1900 is below min = 2000", "warn")]}
    key = world.begins("load", "r1", trigger="manual")
    world.call(world.succeeds("load", key, warned))
    key = world.begins("load", "r2", trigger="manual")
    world.until("2027-02-01 09:05")
    world.call(world.ends(key, "FAILED", "Herd.Failed", cause(1, "exit code 1")))
    return world


@story
def a_drill() -> World:
    world = begun(LOAD)
    detail = {"workload": "load", "drill": "d-1"}
    event = events.parse(world.plan, {"source": DRILL_SOURCE, "detail-type": DRILL_TYPE, "detail": detail})
    assert event is not None
    world.call(event)
    world.call(event)
    return world


@story
def only_the_latest_is_made_up_for() -> World:
    """The machine wakes five minutes past the hour: the start of this hour may still come by itself."""
    assert HOURLY.due is not None
    world = begun(replace(HOURLY, due=replace(HOURLY.due, catch_up="latest")))
    world.now = at("2027-02-01 05:05")
    world.call()
    key = world.begins("poll", "r5", at("2027-02-01 05:00"))
    world.until("2027-02-01 05:10")
    world.call(world.succeeds("poll", key))
    world.until("2027-02-01 05:50")
    return world


@story
def a_skipped_start_is_no_recovery() -> World:
    world = begun(LOAD)
    bad = cause(1, "exit code 1")
    world.call(run(world, "load", "r1", "2027-02-01 06:00", "2027-02-01 06:20", error="Herd.Failed", cause=bad))
    key = world.begins("load", "r2", trigger="manual")
    world.call(world.ends(key, "SUCCEEDED", output={"status": "skipped"}))
    world.until("2027-02-01 07:00")
    return world


@story
def a_deployment_moves_the_due_time() -> World:
    """At 05:00 from six to three o'clock: that of this morning never was."""
    world = begun(LOAD)
    world.call(run(world, "load", "r1", "2027-02-01 06:00", "2027-02-01 06:20"))
    world.until("2027-02-02 05:00")
    world.plan = plan(replace(LOAD, due=due("load", "cron(0 3 * * ? *)", "0 3 * * *")))
    world.until("2027-02-02 20:00")
    return world


@story
def the_clock_was_a_year_ahead() -> World:
    """What it remembers of the future does not silence it."""
    world = begun(LOAD, since="2028-02-01 00:00")
    world.now = at("2027-02-01 00:00")
    world.published.clear()
    world.until("2027-02-01 09:00")
    return world
