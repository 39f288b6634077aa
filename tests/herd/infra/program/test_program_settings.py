"""Every setting reaches something: a field that changes nothing would be a promise that nobody keeps."""

import json
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pulumi
import pytest

from herd.infra.settings.schema import Settings
from herd.infra.settings.tables import Connection, Notifications
from herd.infra.spec.checks import ValueCheck
from herd.infra.spec.load import ApiSpec, JobSpec, Read, Replicas, ReportSpec
from herd.review import follows
from herd.targets import exports
from herd.targets.exports import Exports
from tests.herd.infra.program import setting_reach
from tests.herd.infra.program.mocks import (
    ACCOUNT,
    PROGRAM,
    REGION,
    SETTINGS,
    TEAM,
    Program,
    plain,
    run_program,
    write_team,
)

JOB, REPORT, API = "jobs/lonely/workload.toml", "reports/page/workload.toml", "apis/answers/workload.toml"
ANOTHER_IMAGE = {"images/other/Dockerfile": "FROM scratch\n", "images/other/requirements.lock": ""}

IN_A_PIPELINE = 'schedule = "none"\nafter = ["ingest"]\nreads = ["ingest"]\n'

DIGEST = "HERD_TASK.settings_digest"
OF_A_DIGEST = ("reads", "env", "secrets", "connects", "publish", "fan_out", "checks")
"""What only a job in a pipeline has, and the settings that decide it there."""

CHANGES: dict[str, tuple[str, str, dict[str, str]]] = {
    "nothing": (JOB, "", {}),
    "owner": (JOB, 'owner = "ops@example.com"', {}),
    "review_by": (JOB, "review_by = 2028-01-01", {}),
    "image": (JOB, 'image = "other"', ANOTHER_IMAGE),
    "command": (JOB, 'command = ["python", "main.py", "--all"]', {}),
    "hardware": (JOB, 'hardware = "fargate-spot"', {}),
    "cpu": (JOB, "cpu = 0.5", {}),
    "memory_gb": (JOB, "memory_gb = 4", {}),
    "disk_gb": (JOB, "disk_gb = 40", {}),
    "reads": (JOB, 'reads = ["ingest"]', {}),
    "Read.name": (JOB, 'reads = ["lonely"]', {}),
    "Read.fetch": (JOB, 'reads = [{ name = "ingest", fetch = false }]', {}),
    "uses": (JOB, 'uses = ["features"]', {}),
    "params": (JOB, "[params]\nmonth = 2", {}),
    "env": (JOB, '[env]\nTARGET = "x"', {}),
    "secrets": (JOB, '[secrets]\nKEY = "key"', {}),
    "connects": (JOB, 'connects = ["warehouse"]', {}),
    "schedule": (JOB, 'schedule = "@weekly"', {}),
    "timezone": (JOB, 'timezone = "America/New_York"', {}),
    "after": (JOB, 'schedule = "none"\nafter = ["ingest"]', {}),
    "cache": (JOB, 'cache = ["_targets"]', {}),
    "publish": (JOB, 'publish = ["true"]', {}),
    "skip_unchanged": (JOB, f"{IN_A_PIPELINE}skip_unchanged = false", {}),
    "fan_out": (JOB, 'fan_out = ["a"]', {}),
    "max_parallel": (JOB, 'fan_out = ["a"]\nmax_parallel = 4', {}),
    "timeout_minutes": (JOB, "timeout_minutes = 5", {}),
    "retries": (JOB, "retries = 3", {}),
    "overlap": (JOB, 'overlap = "replace"', {}),
    "deadline_minutes": (JOB, "deadline_minutes = 90", {}),
    "catch_up": (JOB, 'catch_up = "latest"', {}),
    "paused": (JOB, 'paused = "the source is rebuilt, until 2027-03-01"', {}),
    "checks": (JOB, '[[check]]\nfile = "m.json"\nvalue = "auc"\nmin = 0.5', {}),
    "Check.file": (JOB, '[[check]]\nfile = "n.json"\nvalue = "auc"\nmin = 0.5', {}),
    "Check.value": (JOB, '[[check]]\nfile = "m.json"\nvalue = "loss"\nmin = 0.5', {}),
    "Check.min": (JOB, '[[check]]\nfile = "m.json"\nvalue = "auc"\nmin = 0.6', {}),
    "Check.max": (JOB, '[[check]]\nfile = "m.json"\nvalue = "auc"\nmax = 0.6', {}),
    "Check.max_drop": (JOB, '[[check]]\nfile = "m.json"\nvalue = "auc"\nmax_drop = 0.1', {}),
    "Check.max_rise": (JOB, '[[check]]\nfile = "m.json"\nvalue = "auc"\nmax_rise = 0.1', {}),
    "Check.trend": (JOB, '[[check]]\nfile = "m.json"\nvalue = "auc"\ntrend = 4', {}),
    "Check.otherwise": (JOB, '[[check]]\nfile = "m.json"\nvalue = "auc"\nmin = 0.5\notherwise = "warn"', {}),
    "mail_to": (REPORT, 'mail_to = ["ada@example.com"]', {}),
    "mail": (REPORT, 'mail_to = ["ada@example.com"]\nmail = "attachment"', {}),
    "self_contained": (REPORT, "self_contained = true", {}),
    "footer": (REPORT, "footer = false", {}),
    "port": (API, "port = 8100", {}),
    "health": (API, 'health = "/up"', {}),
    "start_minutes": (API, "start_minutes = 4", {}),
    "access": (API, 'access = "internal"', {}),
    "replicas": (API, "[replicas]\nmin = 2\nmax = 2", {}),
    "Replicas.min": (API, "[replicas]\nmin = 2\nmax = 3", {}),
    "Replicas.max": (API, "[replicas]\nmin = 1\nmax = 4", {}),
    "Replicas.target_cpu": (API, "[replicas]\nmin = 1\nmax = 3\ntarget_cpu = 70", {}),
}
"""Setting -> the file it is changed in, the line that replaces or joins what is there, other files."""

OFFERED: dict[str, Any] = {
    "connections": {"warehouse": Connection("postgresql", "warehouse-login", 5432)},
    "notifications": Notifications(mail_from="reports@example.com"),
}
"""Settings of the stack that the changes need."""

GIVEN = {"name", "kind", "folder"}


NEEDED = ("defaults.toml", "images/", "runner/", "lib/", "jobs/ingest/", "jobs/train/")


def deployed(root: Path, file: str, line: str = "", more: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The inputs of what is registered for that one workload."""
    return registered(root, file, line, more).everything()


def registered(root: Path, file: str, line: str = "", more: Mapping[str, str] | None = None) -> Program:
    """What is registered for that one workload, the jobs it may read and nothing else, with one setting changed."""
    wanted = (*NEEDED, str(Path(file).parent))
    files = {path: text for path, text in TEAM.items() if path.startswith(wanted)}
    files |= {**(more or {}), file: toml({**tomllib.loads(files[file]), **tomllib.loads(line)})}
    return run_program(write_team(root, files), replace(SETTINGS, **OFFERED))


def reach() -> dict[str, set[str]]:
    """Setting of a workload -> what it reaches (`herd.review.follows.place`)."""
    table: dict[str, set[str]] = {}
    for change, (file, line, more) in CHANGES.items():
        setting = {"checks": "check", "Check": "check", "Read": "reads", "Replicas": "replicas"}.get(
            change.partition(".")[0], change
        )
        if setting == "nothing":
            continue
        with TemporaryDirectory() as before, TemporaryDirectory() as after:
            whole = {
                "mail": CHANGES["mail_to"][1],
                "skip_unchanged": IN_A_PIPELINE,
                "max_parallel": CHANGES["fan_out"][1],
            }.get(setting, "")
            was, is_now = registered(Path(before), file, whole), registered(Path(after), file, line, more)
        table.setdefault(setting, set()).update(setting_reach.reached(was, is_now))
        if change in OF_A_DIGEST:
            both = toml({**tomllib.loads(IN_A_PIPELINE), **tomllib.loads(line)})
            with TemporaryDirectory() as before, TemporaryDirectory() as after:
                was, is_now = registered(Path(before), JOB, IN_A_PIPELINE), registered(Path(after), JOB, both, more)
            table[setting].update(place for place in setting_reach.reached(was, is_now) if DIGEST in place)
    return table


def toml(values: dict[str, Any]) -> str:
    return "".join(f"{key} = {inline(value)}\n" for key, value in values.items())


def inline(value: Any) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(inline, value)) + "]"
        case date():
            return value.isoformat()
    return json.dumps(value)


def test_every_setting_has_its_case() -> None:
    fields = {field for model in (JobSpec, ReportSpec, ApiSpec) for field in model.model_fields} - GIVEN
    parts = {f"{model.__name__}.{field}" for model in (Read, Replicas) for field in model.model_fields}
    # Those of the other kinds of check reach HERD_TASK in the same way: tests/herd/infra/test_spec_checks.py.
    parts |= {f"Check.{field}" for field in ValueCheck.model_fields}
    assert set(CHANGES) == fields | parts | {"nothing"}


@pytest.mark.parametrize("setting", [setting for setting in CHANGES if setting != "nothing"])
def test_a_setting_changes_what_is_deployed(setting: str, tmp_path: Path) -> None:
    file, line, more = CHANGES[setting]
    _, whole, _ = CHANGES[
        {"Check": "checks", "Read": "reads", "mail": "mail_to"}.get(setting.partition(".")[0], "nothing")
    ]
    assert deployed(tmp_path / "after", file, line, more) != deployed(tmp_path / "before", file, whole)


def test_what_a_setting_reaches_is_written_down() -> None:
    """`herd diff` tells by it what follows from a setting that differs. Of one that is not in it nothing follows."""
    table = tomllib.loads(follows.TABLE.read_text(encoding="utf-8"))["workload"]
    reached = reach()
    assert {setting: set(places) for setting, places in table.items()} == {one: reached[one] for one in table}


def test_a_project_of_another_name_has_the_same_resources_under_that_name(team: Path, program: Program) -> None:
    acme = run_program(team, replace(SETTINGS, project="acme"))
    there, here = ({(one.type, one.name) for one in ran.resources} for ran in (program, acme))
    assert there == here
    assert acme.one("ecs/cluster:Cluster", "cluster-ecs").inputs["name"] == "acme-dev"
    assert acme.exports["project"] == "acme"


def test_a_public_api_needs_the_stacks_consent(team: Path) -> None:
    with pytest.raises(pulumi.RunError, match='apis/answers/workload.toml: access = "public" is not allowed'):
        run_program(team, Settings("herd", "dev", REGION, ACCOUNT))


def test_schedules_can_be_off(team: Path) -> None:
    off = run_program(team, Settings(**{**vars(SETTINGS), "schedules": False}))
    assert {schedule.inputs["state"] for schedule in off.of("scheduler/schedule:Schedule")} == {"DISABLED"}


@pytest.mark.parametrize(
    ("expired", "off"),
    [
        ((), set()),
        (("lonely",), {"lonely-schedule"}),
        (("ingest",), {"ingest-pipeline-schedule"}),
        (("page",), {"ingest-pipeline-schedule"}),
        (("answers",), set()),
        (("was-removed",), set()),
        (("lonely", "page"), {"lonely-schedule", "ingest-pipeline-schedule"}),
    ],
    ids=["nobody", "a job", "a root", "the last of a pipeline", "a service", "nobody's any more", "several"],
)
def test_what_has_expired_is_made_with_its_schedule_off(team: Path, expired: tuple[str, ...], off: set[str]) -> None:
    """And with no end, which would lie in the past; all else is as it is."""
    program = run_program(team, Settings(**{**vars(SETTINGS), "expired": expired}))
    schedules = {schedule.name: schedule.inputs for schedule in program.of("scheduler/schedule:Schedule")}
    assert {name for name, inputs in schedules.items() if inputs["state"] == "DISABLED"} == off
    assert {name for name, inputs in schedules.items() if not inputs.get("endDate")} == off
    told, before = (
        # The watch is told too: nothing of what has expired is late.
        {(one.type, one.name): plain(one.inputs) for one in of.resources if one.name not in {*off, "watch-function"}}
        for of in (program, run_program(team))
    )
    assert told == before


def test_what_is_paused_keeps_its_schedule_which_is_off_and_says_why(tmp_path: Path) -> None:
    """So that pausing is an update in place, and the console of Scheduler has the reason."""
    reason = 'paused = "the source is rebuilt, until 2027-03-01"\n'
    roots = ("jobs/lonely/workload.toml", "jobs/ingest/workload.toml")
    paused = {path: reason + text if path in roots else text for path, text in TEAM.items()}
    before, after = (
        run_program(write_team(tmp_path / name, files)) for name, files in (("before", TEAM), ("after", paused))
    )
    was, is_now = ({(one.type, one.name): one.inputs for one in ran.resources} for ran in (before, after))
    assert was.keys() == is_now.keys()
    off = {"state": "DISABLED", "description": "paused: the source is rebuilt, until 2027-03-01"}
    schedules = {key for key in was if key[0].endswith("schedule:Schedule")}
    assert {key[1] for key in schedules} == {"lonely-schedule", "ingest-pipeline-schedule"}
    assert {key: is_now[key] for key in schedules} == {key: {**was[key], **off} for key in schedules}
    exported = after.exports
    assert [exported["workloads"]["lonely"][key] for key in ("deadline_minutes", "paused")] == [
        None,
        "the source is rebuilt, until 2027-03-01",
    ]
    assert exported["pipelines"]["ingest"]["paused"] and not exported["pipelines"]["ingest"]["deadline_minutes"]
    assert (
        before.exports["workloads"]["lonely"]["deadline_minutes"]
        and not before.exports["workloads"]["lonely"]["paused"]
    )


# --- what is told to whom ------------------------------------------------------------------------------------------


def test_schedules(program: Program) -> None:
    schedules = {schedule.name: schedule.inputs for schedule in program.of("scheduler/schedule:Schedule")}
    assert {name: schedule["name"] for name, schedule in schedules.items()} == {
        "lonely-schedule": "herd-dev-lonely",
        "ingest-pipeline-schedule": "herd-dev-ingest_pipeline",
    }
    pipeline = schedules["ingest-pipeline-schedule"]
    assert pipeline["scheduleExpression"] == "cron(0 6 ? * MON-FRI *)"
    assert pipeline["scheduleExpressionTimezone"] == "Europe/Amsterdam"
    assert pipeline["endDate"] == "2027-06-30T21:59:59Z" and pipeline["state"] == "ENABLED"
    assert pipeline["target"]["arn"] == "arn:ingest-pipeline-machine"
    assert json.loads(pipeline["target"]["input"]) == {
        "trigger": "schedule",
        "scheduled_time": "<aws.scheduler.scheduled-time>",
        "params": {},
    }


def test_the_runner_of_a_job_is_told_everything(program: Program) -> None:
    told = program.task("train")
    assert (
        told["content_hash"]
        and told.pop("content_hash")
        == program.one("ecs/taskDefinition:TaskDefinition", "train-task").inputs["tags"]["herd:content-hash"]
    )
    assert told == {
        "schema": 1,
        "environment": "dev",
        "workload": "train",
        "kind": "job",
        "command": ["python", "main.py"],
        "data_bucket": f"herd-dev-{ACCOUNT}-data",
        "reports_bucket": None,
        "reports_url": None,
        "reads": [{"name": "ingest", "fetch": True}],
        "connections": [],
        "params": {},
        "checks": [{"file": "metrics.json", "value": "auc", "min": 0.7, "max": None, "max_drop": None}],
        "fan_out": ["small", "large"],
        "retries": 2,
        "timeout_seconds": 3600,
        "stop_seconds": 30,
        "memory_gb": 2,
        "port": None,
        "base_path": None,
        "health": None,
        "start_seconds": None,
        "keep_alive_seconds": None,
        "image": f"registry.example/herd-dev/python@sha256:{'0' * 64}",
    }


def test_a_report_is_told_where_it_publishes(program: Program) -> None:
    told = program.task("page")
    assert told["reports_bucket"] == f"herd-dev-{ACCOUNT}-reports"
    assert told["reports_url"] == f"https://herd-dev-{ACCOUNT}-reports.s3.{REGION}.example"
    assert told["footer"] is True
    # By the schedule of its pipeline, whose three levels take three attempts of an hour each at most.
    due = told["deadline"]
    assert (due["expression"], due["timezone"]) == ("cron(0 6 ? * MON-FRI *)", "Europe/Amsterdam")
    assert due["minutes"] == program.exports["pipelines"]["ingest"]["deadline_minutes"]
    assert "deadline" not in program.task("train"), "a job has no page that could say so"


@pytest.mark.parametrize(
    ("line", "settings", "deadline"),
    [
        ('schedule = "@daily"\ndeadline_minutes = 90', {}, {"expression": "cron(0 0 * * ? *)", "minutes": 90}),
        (
            'schedule = "@daily"\nretries = 0\ntimeout_minutes = 5',
            {},
            {"expression": "cron(0 0 * * ? *)", "minutes": 20},
        ),
        ('schedule = "@daily"', {"schedules": False}, None),
        ('schedule = "@daily"\npaused = "moved, until May"', {}, None),
        ("", {}, None),
    ],
)
def test_a_page_is_told_when_the_next_one_is_due(
    tmp_path: Path, line: str, settings: dict[str, Any], deadline: dict[str, Any] | None
) -> None:
    files = {path: text for path, text in TEAM.items() if path.startswith((*NEEDED, "reports/page/"))}
    files["reports/page/workload.toml"] = line
    told = run_program(write_team(tmp_path, files), replace(SETTINGS, **settings)).task("page").get("deadline")
    assert told == (deadline and {"timezone": "UTC", **deadline})


def test_an_api_is_told_port_and_path(program: Program) -> None:
    told = program.task("inside")
    assert (told["port"], told["base_path"]) == (9000, "/inside")
    assert (told["health"], told["start_seconds"], told["timeout_seconds"]) == ("/health", 60, None)
    assert program.container("inside")["portMappings"] == [{"containerPort": 9000, "protocol": "tcp"}]


def test_services_keep_connections_longer_than_the_load_balancer(program: Program) -> None:
    """Who closes first risks a request that is just on its way: 502."""
    balancers = program.of("lb/loadBalancer:LoadBalancer")
    assert balancers
    for balancer in balancers:
        assert program.task("answers")["keep_alive_seconds"] >= balancer.inputs["idleTimeout"] + 10


def test_a_slow_start_is_forgiven_as_long_as_the_setting_says(tmp_path: Path) -> None:
    file = "apis/answers/workload.toml"
    files = {**TEAM, file: "start_minutes = 3\n" + TEAM[file]}
    program = run_program(write_team(tmp_path, files), SETTINGS)
    assert program.one("ecs/service:Service", "answers-service").inputs["healthCheckGracePeriodSeconds"] == 180
    assert program.task("answers")["start_seconds"] == program.exports["workloads"]["answers"]["start_seconds"] == 180


def test_a_container_has_no_rights_on_its_machine(program: Program) -> None:
    container = program.container("train")
    assert container["user"] == "10001:10001" and container["readonlyRootFilesystem"] is True
    assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert [mount["containerPath"] for mount in container["mountPoints"]] == ["/tmp"]


def test_exports(program: Program) -> None:
    assert program.exports.keys() == {
        "environment", "project", "region", "account", "reports_url", "data_bucket", "reports_bucket", "cluster",
        "workloads", "pipelines", "protected", "adopted", "encryption_key", "runs_with", "settings", "ends_at",
    }  # fmt: skip
    assert program.exports["workloads"]["answers"] == {
        "kind": "api",
        "url": "http://herd-dev-public.elb.example/answers/",
        "schedule": None,
        "log_group": "/herd-dev/answers",
        "machine": None,
        "pipeline": None,
        "service": "herd-dev-answers",
        "health": "/health",
        "start_seconds": 60,
        "secrets": [],
        "owner": "data@example.com",
        "owners": ["data@example.com"],
        "reads": ["train"],
        "task_definition": "herd-dev-answers",
        "task_definition_arn": "arn:answers-task",
        "review_by": "2027-06-30",
        "content_hash": program.task("answers")["content_hash"],
    }
    assert program.exports["workloads"]["page"]["pipeline"] == "ingest"
    assert program.exports["pipelines"]["ingest"]["levels"] == [["ingest"], ["train"], ["page"]]


def test_what_the_program_exports_is_what_the_commands_read(program: Program) -> None:
    known = exports.parse(program.exports, "dev")
    assert known is not None and program.exports.keys() == Exports.model_fields.keys()
    for name, entry in known.workloads.items():
        # Each kind exports the keys of all kinds, null where it has nothing.
        said = {key for key, value in program.exports["workloads"][name].items() if value is not None}
        assert said <= type(entry).model_fields.keys(), name
        assert entry.model_dump(include=said, mode="json") == {
            key: program.exports["workloads"][name][key] for key in said
        }
    for name, pipeline in known.pipelines.items():
        assert program.exports["pipelines"][name].keys() == type(pipeline).model_fields.keys(), name


def test_what_nobody_needs_is_not_made(tmp_path: Path) -> None:
    one_job = {path: text for path, text in TEAM.items() if not path.startswith(("apis/", "reports/", "jobs/train"))}
    program = run_program(write_team(tmp_path, one_job))
    assert not program.of("lb/loadBalancer:LoadBalancer") and not program.of("ecs/service:Service")
    assert [bucket.name for bucket in program.of("s3/bucket:Bucket")] == ["data-bucket"]
    assert program.exports["reports_url"] is None


# --- services ------------------------------------------------------------------------------------------------------


def test_services_are_routed_by_path_without_it(program: Program) -> None:
    rule = program.one("listenerRule:ListenerRule", "answers-rule").inputs
    assert rule["conditions"] == [{"pathPattern": {"values": ["/answers", "/answers/*"]}}]
    (transform,) = rule["transforms"]
    assert transform["urlRewriteConfig"]["rewrite"] == {"regex": "^/answers/?(.*)$", "replace": "/$1"}


def test_only_a_service_that_scales_leaves_its_count_to_others(program: Program) -> None:
    services = {service.name: service for service in program.of("ecs/service:Service")}
    assert services["answers-service"].ignore_changes == ["desiredCount"]
    assert services["inside-service"].ignore_changes == []
    assert [target.name for target in program.of("appautoscaling/target:Target")] == ["answers-scaling"]


def test_a_service_waits_for_its_rule_and_its_roles(program: Program) -> None:
    (service,) = [s for s in program.of("ecs/service:Service") if s.name == "answers-service"]
    waited_for = {urn.rsplit("::", 1)[1] for urn in service.depends_on}
    assert waited_for >= {"answers-rule", "answers-execution", "answers-task", "cluster-capacity"}


OWN = """
import pulumi_aws as aws
from pulumi import ResourceOptions

feed = aws.sqs.Queue(
    "feed", name=f"{project.naming.prefix}-feed", tags=project.context.tags(), opts=ResourceOptions(parent=project)
)
aws.iam.RolePolicy(
    "train-reads-feed",
    role=outputs.jobs["train"].task_role.role.name,
    policy=feed.arn.apply(
        lambda arn: json.dumps({"Statement": [{"Effect": "Allow", "Action": "sqs:ReceiveMessage", "Resource": arn}]})
    ),
    opts=ResourceOptions(parent=outputs.jobs["train"]),
)
aws.vpc.SecurityGroupEgressRule("tasks-to-ldap", security_group_id=hardware.network.tasks_security_group.id,
                                ip_protocol="tcp", from_port=636, to_port=636, cidr_ipv4="10.1.2.3/32")
"""


def test_a_team_writes_resources_of_its_own_in_the_program(team: Path, program: Program) -> None:
    """With the attributes of what stands above them; they change nothing of that."""
    shutil.copytree(PROGRAM, team / "infra")
    entry = team / "infra/__main__.py"
    entry.write_text("import json\n" + entry.read_text() + OWN)
    ran = run_program(team)
    assert ran.everything().items() >= program.everything().items()
    own = {resource.name: resource for resource in ran.resources if resource.urn not in program.everything()}
    assert own.keys() == {"feed", "train-reads-feed", "tasks-to-ldap"}
    assert own["feed"].inputs["name"] == "herd-dev-feed" and own["feed"].parent == ran.of("infra:Environment")[0].urn
    assert own["feed"].depends_on, "what lies below the environment waits until its name is taken"
    assert own["train-reads-feed"].inputs["role"] == ran.one("iam/role:Role", "train-task").inputs["name"]
    assert own["tasks-to-ldap"].inputs["securityGroupId"] == "network-tasks-id"
    assert ran.exports == program.exports
