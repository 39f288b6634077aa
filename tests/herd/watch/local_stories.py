"""The stories on the local cloud: what happens in an environment, played on the program's own resources."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from herd.infra.settings.schema import Settings
from herd.infra.settings.tables import Notifications
from herd.watch.events import DRILL_SOURCE, DRILL_TYPE
from localcloud.engines import OUT_OF_MEMORY
from tests.herd.watch.local_hands import WATCH, Hands
from tests.herd.watch.local_world import REGION, Act

ANA, BEN, OPS, BOSS = "ana@example.com", "ben@example.com", "ops@example.com", "boss@example.com"

GATE = """\
schedule = "0 14 1 * *"
retries = 0
[[check]]
file = "scores.csv"
min_bytes = 20
[[check]]
file = "scores.csv"
changed = true
[[check]]
file = "metrics.json"
value = "auc"
min = 0.70
max_drop = 0.05
trend = 4
[[check]]
file = "metrics.json"
value = "doubtful"
max = 10
otherwise = "warn"
"""
TABLE = """\
schedule = "0 16 1 * *"
retries = 0
[[check]]
file = "sales.csv"
rows = true
max_drop = 100
[[check]]
file = "sales.csv"
newest = "day"
max_age_hours = 48
"""
TEAM = {
    "defaults.toml": f'owner = "{ANA}"\nreview_by = 2039-06-30\n',
    "images/python/Dockerfile": "FROM scratch\n",
    "images/python/requirements.lock": "# none\n",
    "jobs/load/workload.toml": 'schedule = "0 6 * * *"\ndeadline_minutes = 60\nretries = 0\n',
    "jobs/made-up/workload.toml": 'schedule = "0 8 * * *"\ndeadline_minutes = 60\ncatch_up = "latest"\nretries = 0\n',
    "jobs/poll/workload.toml": (
        f'schedule = "30 9-13 1 * *"\ndeadline_minutes = 45\nretries = 1\nowner = "{BEN}"\noverlap = "skip"\n'
    ),
    "jobs/newest/workload.toml": (
        'schedule = "0 9-11 1 * *"\ndeadline_minutes = 90\noverlap = "replace"\nretries = 0\n'
    ),
    "jobs/features/workload.toml": 'schedule = "0 18 1 * *"\ndeadline_minutes = 90\nretries = 0\n',
    "jobs/model/workload.toml": f'after = ["features"]\nreads = ["features"]\nretries = 0\nowner = "{BEN}"\n',
    "reports/page/workload.toml": f'after = ["model"]\nreads = ["model"]\nretries = 0\nowner = "{OPS}"\n',
    "reports/letter/workload.toml": f'schedule = "0 20 1 * *"\nretries = 0\nmail_to = ["{BOSS}"]\nowner = "{OPS}"\n',
    "jobs/gate/workload.toml": GATE,
    "jobs/table/workload.toml": TABLE,
    "jobs/rests/workload.toml": 'schedule = "0 7 * * *"\npaused = "the source is rebuilt, until March"\n',
    "apis/scores/workload.toml": f'command = ["python", "serve.py"]\naccess = "public"\nowner = "{OPS}"\n',
    "apis/scores/serve.py": "print(5)\n",
    **{f"jobs/{name}/main.py": "print(1)\n" for name in (
        "load", "made-up", "poll", "newest", "features", "model", "gate", "table", "rests"
    )},
    "reports/page/main.py": "print(1)\n",
    "reports/letter/main.py": "print(1)\n",
}  # fmt: skip

PAGE = Act(files={"index.html": "<html><head></head><body>42</body></html>"})
FAILS = Act(code=1, says="the ledger is locked by somebody")


def settings(account: str) -> Settings:
    wants = Notifications(addresses={BOSS: ("failures",)}, mail_from="data@example.com")
    return Settings("herd", "dev", REGION, account, allow_public=True, notifications=wants)


def scores(auc: float = 0.8, lines: str = "id,score\n1,0.5\n2,0.25\n", doubtful: int = 0) -> Act:
    metrics = json.dumps({"auc": auc, "doubtful": doubtful})
    return Act(files={"scores.csv": lines, "metrics.json": metrics})


def sales(rows: int, days_ago: int = 0) -> Act:
    """DuckDB goes by the machine's clock, whatever the world's is."""
    day = datetime.now(UTC) - timedelta(days=days_ago)
    return Act(files={"sales.csv": "day,amount\n" + "".join(f"{day:%Y-%m-%d},{n}\n" for n in range(rows))})


USUAL = {"gate": scores(), "table": sales(300), "page": PAGE, "letter": PAGE}
"""What runs come to where a story says nothing."""

STORIES: dict[str, Callable[[Hands], None]] = {}


def story(play: Callable[[Hands], None]) -> Callable[[Hands], None]:
    STORIES[play.__name__] = play
    return play


# Due times


@contextmanager
def dead_scheduler(world: Hands) -> Iterator[None]:
    """Scheduler fires nothing: what a region's outage looks like."""
    schedules = world.agent.schedules
    stock = schedules.tick
    schedules.tick = lambda: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        # What was due meanwhile does not come about any more.
        schedules._armed.clear()
        schedules.tick = stock  # type: ignore[method-assign]


@story
def never_fires(world: Hands) -> None:
    world.begin("05:30")
    with dead_scheduler(world):
        world.until("07:30")


@story
def never_fires_and_is_made_up_for(world: Hands) -> None:
    world.begin("07:30")
    with dead_scheduler(world):
        world.until("09:20")


@story
def is_in_time(world: Hands) -> None:
    world.begin("05:30")
    world.until("07:30")


@story
def is_late(world: Hands) -> None:
    world.begin("05:30")
    world.acts.acts["load"] = [Act(minutes=85)]
    world.until("07:45")


@story
def starts_twice(world: Hands) -> None:
    """Scheduler delivers at least once: the second start is skipped, as the first goes on."""
    world.begin("05:30")
    world.until("06:01")
    (name,) = world.runs("load")
    world.start("load", input=world.input_of("load", name))
    world.until("07:30")


@story
def its_end_is_told_twice(world: Hands) -> None:
    """EventBridge delivers at least once."""
    world.begin("05:30")
    world.acts.acts["load"] = [FAILS]
    world.until("06:05")
    world.repeat_events("load")
    world.until("06:30")


@story
def its_end_is_told_by_nobody(world: Hands) -> None:
    """Events of Step Functions are best effort: then its deadline tells."""
    world.begin("05:30")
    world.acts.acts["load"] = [FAILS]
    with world.rule_off("runs"):
        world.until("06:30")
    world.until("07:15")


@story
def is_in_time_and_nobody_hears_of_it(world: Hands) -> None:
    """The runner has completed its marker, which says so."""
    world.begin("05:30")
    with world.rule_off("runs"):
        world.until("07:15")


@story
def hangs(world: Hands) -> None:
    """Late at its deadline, then with its reason when its limit ends it."""
    world.begin("05:30")
    world.acts.acts["load"] = [Act(minutes=120, hangs=True)]
    world.until("08:15")


@story
def goes_on_beyond_the_next_due_time(world: Hands) -> None:
    world.begin("09:05")
    world.acts.acts["poll"] = [Act(minutes=100), Act()]
    world.until("12:00")


@story
def is_replaced_by_the_next_run(world: Hands) -> None:
    world.begin("08:40")
    world.acts.acts["newest"] = [Act(minutes=70), Act()]
    world.until("10:40")


@story
def is_stopped_by_hand(world: Hands) -> None:
    world.begin("05:30")
    world.acts.acts["load"] = [Act(minutes=40)]
    world.until("06:20")
    world.stop("load")
    world.until("07:30")


@story
def the_machine_sleeps_for_a_day(world: Hands) -> None:
    world.begin("05:00")
    world.sleep_until("1 05:02")
    world.until("1 05:40")


@story
def is_paused(world: Hands) -> None:
    world.begin("06:30")
    world.until("08:00")


# Failures


@story
def fails_then_recovers(world: Hands) -> None:
    world.begin("09:05")
    world.acts.acts["poll"] = [FAILS, FAILS, Act()]
    world.until("11:00")


@story
def succeeds_at_the_second_attempt(world: Hands) -> None:
    world.begin("09:05")
    world.acts.acts["poll"] = [FAILS, Act()]
    world.until("10:20")


@story
def flaps(world: Hands) -> None:
    world.begin("09:05")
    world.acts.acts["poll"] = [FAILS, FAILS, Act(), FAILS, FAILS, Act(), FAILS]
    world.until("14:00")


@story
def fails_for_a_week(world: Hands) -> None:
    world.begin("1 05:30")
    world.acts.acts["load"] = [FAILS]
    for day in range(1, 8):
        world.until(f"{day} 06:10")
        world.quietly_until(f"{day + 1} 05:40")
    world.acts.acts["load"] = [Act()]
    world.until("8 06:10")


@story
def runs_out_of_memory(world: Hands) -> None:
    world.begin("05:30")
    world.acts.acts["load"] = [Act(minutes=9, kills=OUT_OF_MEMORY)]
    world.until("07:15")


@story
def never_starts_as_its_image_is_missing(world: Hands) -> None:
    world.begin("05:30")
    world.images.gone = True
    try:
        world.until("07:15")
    finally:
        world.images.gone = False


@story
def may_not_publish(world: Hands) -> None:
    """Somebody took a permission from its role."""
    world.begin("05:30")
    with world.role_without("load-task", "s3:PutObject"):
        world.until("07:15")


@story
def cannot_be_started_as_its_command_is_missing(world: Hands) -> None:
    """Trying again does not mend it: `poll` has a retry, and it runs once."""
    world.begin("09:05")
    world.acts.acts["poll"] = [Act(code=127), Act()]
    world.until("10:20")


@story
def a_pipeline_fails_in_the_middle(world: Hands) -> None:
    """Told once, as the failed job's; what comes after it did not run."""
    world.begin("17:30")
    world.acts.acts |= {"model": [FAILS]}
    world.until("20:00")


@story
def a_pipeline_is_late(world: Hands) -> None:
    world.begin("17:30")
    world.acts.acts |= {"model": [Act(minutes=100)]}
    world.until("20:00")


@story
def a_namesake_of_another_environment_fails(world: Hands) -> None:
    """`herd-dev-` and `herd-dev-2-` begin alike."""
    world.begin("12:00")
    with world.another_machine("herd-dev-2-load") as arn:
        world.client("stepfunctions").start_execution(stateMachineArn=arn, input="{}")
        world.until("12:30")


@story
def many_fail_and_recover_at_once(world: Hands) -> None:
    """More than ten messages within ten minutes are told as one."""
    world.begin("02:00")
    names = ("load", "made-up", "poll", "newest", "features", "gate", "table")
    for act in (Act(minutes=1, code=1), Act(minutes=1, files={})):
        for name in names:
            world.acts.acts[name] = [act]
            world.start(name)
        world.pass_quietly(minutes=1)
    world.until("02:20")


# Nonsense


def published(world: Hands, name: str, *acts: Act) -> None:
    """It has run by hand, an hour apart, and published each time."""
    world.acts.acts[name] = list(acts)
    for _ in acts:
        world.start(name)
        world.pass_quietly(minutes=10)


def another(day: int) -> str:
    return f"id,score\n1,0.{day:03}\n2,0.25\n"


@story
def exits_0_with_empty_output(world: Hands) -> None:
    world.begin("13:00")
    published(world, "gate", scores())
    world.acts.acts["gate"] = [scores(lines="id,score\n")]
    world.until("14:10")


@story
def exits_0_with_unchanged_output(world: Hands) -> None:
    world.begin("13:00")
    published(world, "gate", scores())
    world.acts.acts["gate"] = [scores()]
    world.until("14:10")


@story
def exits_0_with_a_bad_model(world: Hands) -> None:
    world.begin("13:00")
    world.acts.acts["gate"] = [scores(auc=0.61)]
    world.until("14:10")


@story
def exits_0_with_a_value_that_slides_away(world: Hands) -> None:
    """Within its fixed limits and its baseline, and not where it has been for weeks."""
    world.begin("11:00")
    before = [scores(auc=0.80 + 0.001 * (n % 3), lines=another(n)) for n in range(10)]
    published(world, "gate", *before)
    world.acts.acts["gate"] = [scores(auc=0.77, lines=another(99))]
    world.until("14:10")


@story
def publishes_with_a_warning(world: Hands) -> None:
    world.begin("13:00")
    world.acts.acts["gate"] = [scores(doubtful=40)]
    world.until("14:10")


@story
def its_mail_is_refused(world: Hands) -> None:
    """SES does not know the sender: the report is published all the same, and its owner is told."""
    world.begin("19:40")
    world.until("20:10")


@story
def exits_0_with_stale_output(world: Hands) -> None:
    world.begin("15:30")
    world.acts.acts["table"] = [sales(300, days_ago=9)]
    world.until("16:10")


@story
def exits_0_with_shrinking_output(world: Hands) -> None:
    world.begin("15:00")
    published(world, "table", sales(300))
    world.acts.acts["table"] = [sales(120)]
    world.until("16:10")


# Services


@story
def a_service_has_no_healthy_copy(world: Hands) -> None:
    world.begin("02:00")
    world.until_each_minute("02:10")
    world.health_of_copies("scores", "unhealthy")
    world.until_each_minute("02:25")
    world.health_of_copies("scores", "healthy")
    world.until_each_minute("02:40")


@story
def a_service_answers_with_errors(world: Hands) -> None:
    world.begin("02:00")
    world.until_each_minute("02:10")
    world.answers_5xx("scores", 30)
    world.until_each_minute("02:30")


@story
def a_service_is_rolled_back(world: Hands) -> None:
    world.begin("02:00")
    failed = "ECS deployment circuit breaker: tasks failed to start."
    world.deployment("scores", "ecs-svc/1", "SERVICE_DEPLOYMENT_FAILED", failed)
    world.deployment("scores", "ecs-svc/2", "SERVICE_DEPLOYMENT_IN_PROGRESS",
                     "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/0.")  # fmt: skip
    world.until("02:10")
    world.deployment("scores", "ecs-svc/2", "SERVICE_DEPLOYMENT_COMPLETED", "ECS deployment completed.")
    world.until("02:20")


# What watches


@story
def a_schedule_is_switched_off_by_hand(world: Hands) -> None:
    world.begin("01:00")
    with world.schedule_off("herd-dev-load"):
        world.until("03:30")


@story
def a_schedule_is_deleted_by_hand(world: Hands) -> None:
    world.begin("01:00")
    with world.schedule_gone("herd-dev-load"):
        world.until("03:30")


@story
def a_subscription_is_ended(world: Hands) -> None:
    """Anybody can who was forwarded a mail."""
    world.begin("01:00")
    with world.unsubscribed(BEN):
        world.until("03:30")


@story
def the_watch_s_role_is_broken(world: Hands) -> None:
    """Nothing can be read: the alarm about the watch goes past it."""
    world.begin("05:30")
    world.acts.acts["load"] = [FAILS]
    with world.role_without("watch", "s3:GetObject"):
        world.until("06:30")
    world.until("07:15")


@story
def the_topic_s_key_refuses(world: Hands) -> None:
    """Nothing can be told but by the plain topic; afterwards it is."""
    world.begin("05:30")
    world.acts.acts["load"] = [FAILS]
    with world.key_that_refuses():
        world.until("06:30")
    world.until("07:15")


@story
def the_watch_is_not_started(world: Hands) -> None:
    world.begin("01:00")
    with world.rule_off("ticks"):
        world.until("01:50")
    world.until("02:10")


@story
def the_watch_may_not_be_started(world: Hands) -> None:
    """Its permission was removed: rules match, and nothing runs."""
    world.begin("01:00")
    with world.permission_gone():
        world.until("01:50")


@story
def the_queue_of_missed_starts_fills(world: Hands) -> None:
    """Scheduler's role was taken its permission: it gives up, and the queue has what it could not start."""
    world.begin("05:30")
    with world.role_without("scheduler", "states:StartExecution"):
        world.until("07:15")
    world.purge_missed()


@story
def a_drill(world: Hands) -> None:
    world.begin("01:00")
    event: dict[str, Any] = {
        "source": DRILL_SOURCE,
        "detail-type": DRILL_TYPE,
        "detail": {"workload": "model", "drill": "drill-1"},
    }
    world.client("lambda").invoke(FunctionName=WATCH, Payload=json.dumps(event))
    world.until("01:10")
