"""The watch of an environment: what it is made of, what its archive holds, what its role may do, what it costs."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from herd.infra import prices
from herd.infra.context import Account, Context
from herd.infra.naming import Naming
from herd.infra.permissions.workload import watch_permissions
from tests.herd.infra.program.mocks import ACCOUNT, REGION, SETTINGS, TEAM, Program, plain, run_program, write_team
from tests.herd.infra.program.test_permissions import DATA, GET, LIST, PUT, allows

FUNCTION = "lambda/function:Function"
CONTEXT = Context(SETTINGS, Naming("herd", "dev"), Account(ACCOUNT, REGION))


def unpacked(program: Program, folder: Path) -> Path:
    """The function's code as Lambda has it."""
    for name, content in plain(program.one(FUNCTION, "watch-function").inputs["code"]).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read_bytes() if isinstance(content, Path) else content.encode())
    return folder


LOADS = """
import sys, zoneinfo
sys.path.insert(0, sys.argv[1])
zoneinfo.reset_tzpath(to=())
from datetime import UTC, datetime
from pathlib import Path
import herd.watch.handler as handler
from herd.runner.contract.plan import FILE, Plan
from herd.watch.decision import decide
from herd.watch.events import parse
from herd.watch.known import Known
from herd.watch.memory import read
plan = Plan.from_json(Path(sys.argv[1], FILE).read_text())
event = parse(plan, {"source": "aws.events", "detail-type": "Scheduled Event"})
decision = decide(plan, read(None), datetime(2027, 3, 1, tzinfo=UTC), event, Known())
ours = [m for m in sys.modules.values() if getattr(m, "__file__", None) and m.__name__.startswith(("herd", "tzdata"))]
assert all(m.__file__.startswith(sys.argv[1]) for m in ours), ours
print(sorted(decision.memory.due), zoneinfo.ZoneInfo("Europe/Amsterdam"))
"""


def test_its_archive_holds_all_that_it_loads(program: Program, tmp_path: Path) -> None:
    """Nothing but the standard library is there on AWS, and boto3 when it is asked; zones come from the archive."""
    folder = unpacked(program, tmp_path)
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", LOADS, str(folder)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "['pipeline:ingest', 'run:lonely'] Europe/Amsterdam\n"
    assert find_spec("herd.watch.handler") is not None
    assert program.one(FUNCTION, "watch-function").inputs["handler"] == "herd.watch.handler.handle"


def test_its_archive_is_the_same_wherever_it_is_made(program: Program, tmp_path: Path) -> None:
    """Files of installed distributions, texts of the settings: no path, no time, nothing that Python leaves behind."""
    code = plain(program.one(FUNCTION, "watch-function").inputs["code"])
    assert not [name for name in code if name.endswith(".pyc") or "__pycache__" in name]
    texts = [content for content in code.values() if isinstance(content, str)]
    assert texts and not any(str(Path.home()) in text or str(tmp_path.parent) in text for text in texts)
    assert all(text for text in texts), "Pulumi's SDK reads no empty text back"


def test_a_hundred_jobs_need_no_more_of_it_than_three(program: Program, tmp_path: Path) -> None:
    more = {f"jobs/job-{n}/workload.toml": 'schedule = "@daily"\n' for n in range(20)}
    code = {f"jobs/job-{n}/main.py": "print(1)\n" for n in range(20)}
    with_more = run_program(write_team(tmp_path, {**TEAM, **more, **code}))
    assert [one.name for one in with_more.below("watch")].sort() == [one.name for one in program.below("watch")].sort()
    assert len(with_more.below("watch")) == len(program.below("watch"))


def test_each_address_is_subscribed_once_and_gets_what_is_for_it(team: Path) -> None:
    (team / "jobs/lonely/workload.toml").write_text('schedule = "@daily"\nowner = "ops@example.com"\n')
    program = run_program(team)
    subscriptions = {one.name: one.inputs for one in program.of("topicSubscription:TopicSubscription")}
    of_messages = {name: one for name, one in subscriptions.items() if name.startswith("watch-to-")}
    assert {one["endpoint"]: json.loads(one["filterPolicy"]) for one in of_messages.values()} == {
        "data@example.com": {"to": ["data@example.com"]},
        "ops@example.com": {"to": ["ops@example.com"]},
    }
    of_alarms = [one for name, one in subscriptions.items() if name.startswith("watch-alarms-to-")]
    assert {one["endpoint"] for one in of_alarms} == {"data@example.com", "ops@example.com"}
    assert not any(one.get("filterPolicy") for one in of_alarms), "CloudWatch's own messages carry no attribute"


def test_alarms_on_the_watch_are_heard_past_every_key(program: Program) -> None:
    alarms = {one.name: one.inputs for one in program.of("metricAlarm:MetricAlarm")}
    own = {name: alarms[f"watch-{name}"] for name in ("silent", "errors", "missed-starts")}
    assert all(alarm["alarmActions"] == ["arn:watch-alarms"] for alarm in own.values())
    assert own["silent"]["treatMissingData"] == "breaching", "a function that is not started has no data"
    topic = program.one("sns/topic:Topic", "watch-alarms").inputs
    assert "kmsMasterKeyId" not in topic
    (statement,) = json.loads(topic["policy"])["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}


def test_events_of_an_environment_whose_name_begins_alike_do_not_reach_it_by_cluster(program: Program) -> None:
    patterns = {
        rule.name: json.loads(rule.inputs["eventPattern"])
        for rule in program.of("eventRule:EventRule")
        if "eventPattern" in rule.inputs
    }
    assert patterns["watch-deployments"]["resources"] == [
        {"prefix": f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/herd-dev/"}
    ]
    assert patterns["watch-runs"]["detail"]["status"] == ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]


STATES = f"arn:aws:states:{REGION}:{ACCOUNT}"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group"
SNS = f"arn:aws:sns:{REGION}:{ACCOUNT}"


@pytest.mark.parametrize(
    ("action", "resource", "keys", "allowed"),
    [
        (GET, f"{DATA}/_due/train/2027-01-02T03:04:05Z.json", {}, True),
        (GET, f"{DATA}/_runs/train/r.json", {}, True),
        (GET, f"{DATA}/train/latest.json", {}, True),
        (GET, f"{DATA}/train/versions/r/customers.csv", {}, False),
        (GET, f"{DATA}/train/rejected/r/customers.csv", {}, False),
        (LIST, DATA, {"s3_prefix": "_due/train/"}, True),
        (LIST, DATA, {"s3_prefix": ""}, False),
        (PUT, f"{DATA}/_watch/memory.json", {}, True),
        (PUT, f"{DATA}/_due/train/2027-01-02T03:04:05Z.json", {}, False),
        (PUT, f"{DATA}/train/latest.json", {}, False),
        ("states:StartExecution", f"{STATES}:stateMachine:herd-dev-train", {}, True),
        ("states:StartExecution", f"{STATES}:stateMachine:herd-prod-train", {}, False),
        ("states:StopExecution", f"{STATES}:execution:herd-dev-train:r", {}, False),
        ("states:DescribeExecution", f"{STATES}:execution:herd-dev-train:r", {}, True),
        ("logs:GetLogEvents", f"{LOGS}:/herd-dev/train:log-stream:train/main/1", {}, True),
        ("logs:GetLogEvents", f"{LOGS}:/herd-prod/train:log-stream:train/main/1", {}, False),
        ("logs:PutLogEvents", f"{LOGS}:/herd-dev/train:log-stream:x", {}, False),
        ("logs:PutLogEvents", f"{LOGS}:/herd-dev/watch_function:log-stream:x", {}, True),
        ("sns:Publish", f"{SNS}:herd-dev-messages", {}, True),
        ("sns:Publish", f"{SNS}:herd-dev-watch_alarms", {}, False),
        ("scheduler:ListSchedules", "*", {}, True),
        ("scheduler:UpdateSchedule", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/herd-dev/x", {}, False),
    ],
)
def test_what_the_watch_may_do(action: str, resource: str, keys: dict[str, str], allowed: bool) -> None:
    assert allows(watch_permissions(CONTEXT), action, resource, **keys) is allowed


# --- what it costs -------------------------------------------------------------------------------------------------

DAILY_JOBS, DAYS, TICKS = 200, 30, 288
CALL_SECONDS = 2
"""Of a call on average, with 256 MB: most look at nothing but the memory. Five at most where much is due."""
LOG_KB = 1
"""That a call leaves in its log, with the lines that Lambda writes."""


def asked_in_a_day() -> dict[str, int]:
    """Of one daily job that runs as it is to: how often each thing is asked for in a day of ticks and its own event."""
    from datetime import UTC, datetime, timedelta

    from herd.runner.contract.due import Marker
    from herd.runner.contract.plan import Due, Plan, PlannedWorkload
    from herd.watch.decision import decide, questions
    from herd.watch.events import Tick
    from herd.watch.known import Known, ScheduleSeen
    from herd.watch.memory import Memory

    due = Due("s", "cron(0 6 * * ? *)", "0 6 * * *", "UTC", 60)
    job = PlannedWorkload("a", "job", "o@example.com", ("o@example.com",), "2099-01-01", "/a", machine="m", due=due)
    plan, start = Plan("herd", "dev", True, "herd-dev", (job,)), datetime(2027, 3, 1, tzinfo=UTC)
    made = start - timedelta(days=9)
    known, memory, counts = Known(), Memory(), {"markers": 0, "executions": 0, "records": 0, "logs": 0, "published": 0}
    for tick in range(2 * TICKS):
        now = start + timedelta(minutes=5 * tick)
        day = f"{now:%Y-%m-%dT}06:00:00Z"
        marker = Marker("a", day, "r", day, f"{now:%Y-%m-%dT}06:10:00Z" if now.hour > 6 else None)
        known = Known(subscriptions={"o@example.com": True}, schedules={"s": ScheduleSeen(True, made, made)})
        for _ in range(6):
            wanted = questions(plan, memory, now, Tick(), known)
            if not wanted:
                break
            if tick >= TICKS:  # the first day begins with nothing known
                for name in counts:
                    counts[name] += len(getattr(wanted, name))
            known = known.with_(Known(markers={one.name: (marker,) for one in wanted.markers}))
            known = known.with_(Known(published={name: None for name in wanted.published}))
        decision = decide(plan, memory, now, Tick(), known)
        assert not decision.messages
        memory = decision.memory
    return counts


def test_two_hundred_daily_jobs_pay_less_than_three_dollars_a_month() -> None:
    """The arithmetic of docs/guide/alarms.md."""
    asked = asked_in_a_day()
    runs, calls = DAILY_JOBS * DAYS, (TICKS + DAILY_JOBS) * DAYS
    listings = runs * asked["markers"]
    reads = runs * sum(asked.values()) + calls
    cost = {
        "alarms": 3 * prices.ALARM.usd,
        "calls": calls * prices.FUNCTION_CALL.usd,
        "seconds": calls * CALL_SECONDS * 0.25 * prices.FUNCTION_GB_SECOND.usd,
        # Begun: was due?, Begun
        "transitions": runs * 2 * prices.TRANSITION.usd,
        # The memory at each call; a marker at the start and at the end of each run.
        "writes": (calls + 2 * runs + listings) * prices.OBJECT_WRITE.usd,
        "reads": reads * prices.OBJECT_READ.usd,
        "log": calls * LOG_KB / 1e6 * prices.LOGS.usd,
        "mail": 500 * prices.MAIL.usd,
    }
    total = sum(cost.values())
    assert total <= 3, cost
    page = (Path(__file__).parents[4] / "docs/guide/alarms.md").read_text()
    assert f"**{total:.2f} USD**" in page, f"the page has another sum: {total:.2f}, {cost}"


def test_a_job_is_looked_up_when_it_is_due_and_not_all_day() -> None:
    asked = asked_in_a_day()
    assert 1 <= asked["markers"] <= 30, asked
