"""Settings of due times and of who is told -> deadlines, and the plan that the watch reads."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.infra import addresses
from herd.infra.naming import Naming
from herd.infra.offer import Offer
from herd.infra.settings.schema import Settings
from herd.infra.settings.tables import Notifications
from herd.infra.spec.deadlines import LONGEST_MINUTES, deadline_minutes, longest_minutes
from herd.infra.spec.load import JobSpec, Schedule, SpecErrors, Specs, explain, load_specs
from herd.infra.watching.plan import plan_of
from herd.runner.contract.plan import Due, Plan, PlannedPipeline, PlannedWorkload, Recipient

Write = Callable[[Mapping[str, str | bytes | None]], Path]

ROOT = Path(__file__).parents[3]
JOB = "jobs/churn/workload.toml"
NOTIFICATIONS = Notifications(
    owners={"Data Science": ("ada@example.com", "grace@example.com")},
    addresses={"platform@example.com": ("late", "failures"), "boss@example.com": ("warnings", "all")},
)
SETTINGS = Settings("herd", "dev", "eu-west-1", "123456789012", notifications=NOTIFICATIONS)
OFFER = Offer.of(SETTINGS)


def job(**settings: Any) -> JobSpec:
    fixed = {"name": "churn", "folder": Path("jobs/churn"), "owner": "a@example.com", "command": ("true",)}
    return JobSpec.model_validate({**fixed, "review_by": date(2027, 6, 30), **settings})


# --- deadlines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "minutes"),
    [
        ({"timeout_minutes": 30, "retries": 0}, 30 + 15),
        ({"timeout_minutes": 30, "retries": 2}, 3 * 30 + 1 + 15),  # 5 s and 10 s between attempts
        ({}, 3 * 60 + 1 + 15),
        ({"timeout_minutes": 1, "retries": 10}, 11 + 86 + 15),  # 5 s × (2¹⁰ - 1) is 85.25 min
        ({"timeout_minutes": 20, "retries": 0, "fan_out": ("a", "b")}, 20 + 20 + 15),
        ({"timeout_minutes": 20, "retries": 0, "fan_out": tuple(map(str, range(11)))}, 2 * 20 + 20 + 15),
        ({"timeout_minutes": 20, "retries": 0, "fan_out": ("a", "b", "c"), "max_parallel": 2}, 2 * 20 + 20 + 15),
        ({"timeout_minutes": 20, "retries": 1, "fan_out": tuple(map(str, range(10)))}, 2 * 40 + 1 + 15),
        ({"timeout_minutes": 30, "retries": 0, "hardware": "fargate-spot"}, 30 + 15),
        ({"timeout_minutes": 30, "retries": 0, "hardware": "vm"}, 30 + 20 + 15),  # a machine has to start first
        ({"timeout_minutes": 10_080, "retries": 10}, LONGEST_MINUTES),
        ({"timeout_minutes": 30, "deadline_minutes": 20}, 20),
    ],
    ids=str,
)
def test_a_deadline_is_what_limits_and_retries_can_take(settings: dict[str, Any], minutes: int) -> None:
    assert deadline_minutes(job(**settings)) == minutes


@given(
    st.integers(1, 10_080),
    st.integers(0, 10),
    st.integers(0, 200).map(lambda count: tuple(map(str, range(count)))),
    st.sampled_from(["fargate", "fargate-spot", "vm", "big"]),
)
def test_more_to_do_is_never_due_earlier(timeout: int, retries: int, items: tuple[str, ...], hardware: str) -> None:
    fan_out = {"fan_out": items} if items else {}
    one = job(timeout_minutes=timeout, retries=retries, hardware=hardware, **fan_out)
    assert 16 <= deadline_minutes(one) <= LONGEST_MINUTES
    assert longest_minutes(one) >= (retries + 1) * timeout
    for more in ({"timeout_minutes": timeout + 1}, {"retries": retries + 1}, {"fan_out": (*items, "more")}):
        assert longest_minutes(one.model_copy(update=more)) >= longest_minutes(one)


PIPELINE = {
    "jobs/ingest/workload.toml": 'schedule = "@daily"\ntimezone = "Europe/Paris"\ntimeout_minutes = 10\nretries = 0\n',
    "jobs/other/workload.toml": 'schedule = "@daily"\ntimezone = "Europe/Paris"\ntimeout_minutes = 30\nretries = 0\n',
    "jobs/churn/workload.toml": 'after = ["ingest", "other"]\ntimeout_minutes = 20\nretries = 1\nreads = ["ingest"]\n',
    "reports/page/workload.toml": 'after = ["churn"]\ntimeout_minutes = 5\nretries = 0\nreads = ["churn", "ingest"]\n',
}
SCRIPTS = {name.replace("workload.toml", "main.py"): "" for name in PIPELINE}


def pipeline(write_project: Write, **roots: str) -> Path:
    more = {f"jobs/{name}/workload.toml": PIPELINE[f"jobs/{name}/workload.toml"] + text for name, text in roots.items()}
    return write_project({**PIPELINE, **SCRIPTS, **more})


@pytest.mark.parametrize(
    ("roots", "minutes"),
    [
        ({}, 30 + (20 + 20 + 1) + 5 + 15),  # the longest of each level
        ({"ingest": "deadline_minutes = 45"}, 45),
        ({"ingest": "deadline_minutes = 45", "other": "deadline_minutes = 60"}, 60),
    ],
)
def test_a_pipeline_is_due_by_its_levels_or_by_its_roots(
    roots: dict[str, str], minutes: int, write_project: Write
) -> None:
    root = pipeline(write_project, **roots)
    (one,) = load_specs(root, "dev").pipelines
    assert (one.name, one.deadline_minutes) == ("ingest", minutes)
    for name in ("ingest", "churn", "page"):
        rows = {row.key: (row.value, row.source) for row in explain(root, "dev", name)}
        assert rows["deadline_minutes"] == (minutes, "of the pipeline ingest")


def test_what_one_root_says_holds_for_its_pipeline(write_project: Write) -> None:
    root = pipeline(write_project, other='catch_up = "latest"\npaused = "until March"')
    specs = load_specs(root, "dev")
    (one,) = specs.pipelines
    assert (one.catch_up, one.paused) == ("latest", "until March")
    assert {name: specs.pause(name) for name in specs.workloads} == {
        **dict.fromkeys(("ingest", "other", "churn", "page"), "until March"),
        "scores": None,
    }
    plan = plan_of(specs, SETTINGS)
    assert plan.pipelines[0].due is None
    assert {workload.paused for workload in plan.workloads} == {"until March", None}


def test_explain_says_what_a_deadline_is_made_of(write_project: Write) -> None:
    root = write_project({JOB: 'schedule = "@daily"\n', "jobs/ingest/workload.toml": ""})
    rows = {row.key: (row.value, row.source) for row in explain(root, "dev", "churn")}
    assert rows["deadline_minutes"] == (196, "what its limits can take, and 15 min")
    rows = {row.key: (row.value, row.source) for row in explain(root, "dev", "ingest")}
    assert rows["deadline_minutes"] == (None, "default")


def test_an_environment_without_schedules_need_not_take_back_the_rest(write_project: Write) -> None:
    text = 'schedule = "@daily"\ndeadline_minutes = 90\ncatch_up = "latest"\npaused = "until March"\n'
    root = write_project(
        {JOB: text + '[environments.pr-17]\nschedule = "none"\n[environments.prod]\npaused = "none"\n'}
    )
    dev, prod, pull = (load_specs(root, name).batch["churn"] for name in ("dev", "prod", "pr-17"))
    assert (dev.deadline_minutes, dev.catch_up, dev.paused) == (90, "latest", "until March")
    assert (prod.deadline_minutes, prod.paused) == (90, None)
    assert (pull.schedule, pull.deadline_minutes, pull.catch_up, pull.paused) == (None, None, "none", None)


# --- who is told ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "owners"),
    [
        ("data@example.com", ("data@example.com",)),
        ("Ada+Herd@Example.com", ("ada+herd@example.com",)),
        ("Data Science", ("ada@example.com", "grace@example.com")),
    ],
)
def test_an_owner_is_an_address_or_a_team(owner: str, owners: tuple[str, ...], write_project: Write) -> None:
    plan = plan_of(load_specs(write_project({JOB: f'owner = "{owner}"'}), "dev", OFFER), SETTINGS)
    (churn,) = [workload for workload in plan.workloads if workload.name == "churn"]
    assert (churn.owner, churn.owners) == (owner, owners)


@pytest.mark.parametrize(
    ("owner", "teams", "line"),
    [
        ("data sience", OFFER.teams, "; did you mean 'Data Science'?"),
        ("finance", OFFER.teams, "; mapped are Data Science"),
        ("finance", {}, ""),
    ],
)
def test_a_team_that_nobody_mapped_is_refused(
    owner: str, teams: Mapping[str, tuple[str, ...]], line: str, write_project: Write
) -> None:
    with pytest.raises(SpecErrors) as error:
        load_specs(write_project({JOB: f'owner = "{owner}"'}), "dev", replace(OFFER, teams=teams))
    assert str(error.value) == (
        f'{JOB}: owner = "{owner}" is neither an e-mail address nor a team that the stack\'s settings map to one '
        f"(notifications.owners){line}"
    )


@pytest.mark.parametrize(
    ("owner", "why"),
    [
        ("me@localhost", 'owner = "me@localhost" must be an e-mail address, like "data@example.com"'),
        ("me@müller.example", 'owner = "me@müller.example" has letters that Amazon SNS does not take; write '
         "me@xn--mller-kva.example"),
        ("me@straße.example", 'owner = "me@straße.example" has letters that Amazon SNS does not take; write the '
         "domain in its ASCII form, which begins with xn--"),
    ],
)  # fmt: skip
def test_an_owner_that_no_mail_reaches_is_refused(owner: str, why: str, write_project: Write) -> None:
    with pytest.raises(SpecErrors) as error:
        load_specs(write_project({JOB: f'owner = "{owner}"'}), "dev", OFFER)
    assert str(error.value) == f"{JOB}: {why}"


def test_the_address_of_a_webhook_is_refused_and_not_shown(write_project: Write) -> None:
    owner = "https://hooks.slack.com/services/T000/B000/hunter2"
    with pytest.raises(SpecErrors, match="owner is the address of a web page") as error:
        load_specs(write_project({JOB: f'owner = "{owner}"'}), "dev", OFFER)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", True),
        ("HTTP://example.com", True),
        (" //example.com/x", True),
        ("hooks.slack.com/services/T0/B0/x", True),
        ("acme.webhook.office.com/webhookb2/x", True),
        ("data@example.com", False),
        ("team: data", False),
        ("webhooks", False),
        ("R/and/D", False),
        ("", False),
    ],
)
def test_addresses_of_the_web_are_known(text: str, is_one: bool) -> None:
    assert addresses.is_web_address(text) == is_one


LOCAL = st.from_regex(r"[A-Za-z0-9_+'-]{1,20}(\.[A-Za-z0-9_+'-]{1,20})?", fullmatch=True)
DOMAIN = st.from_regex(r"([A-Za-z0-9]{1,20}\.){1,3}[A-Za-z]{2,10}", fullmatch=True)


@given(LOCAL, DOMAIN)
def test_every_mailbox_has_one_form(local: str, domain: str) -> None:
    written = f"{local}@{domain}"
    one = addresses.canonical(written)
    assert one == addresses.canonical(one) == addresses.canonical(written.upper()) == written.lower()


@given(LOCAL, DOMAIN, st.sampled_from('\r\n\0\t ,;:<>()[]"\\\u202e\u00e9@'), st.data())
def test_no_address_breaks_a_header_or_names_two(local: str, domain: str, character: str, data: st.DataObject) -> None:
    written = f"{local}@{domain}"
    at = data.draw(st.integers(0, len(written)))
    with pytest.raises(ValueError):
        addresses.canonical(written[:at] + character + written[at:])


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        one = addresses.canonical(text)
    except ValueError as refused:
        assert str(refused).isprintable()
    else:
        assert one.isascii() and one.isprintable() and one.count("@") == 1 and " " not in one


# --- the plan -------------------------------------------------------------------------------------------------------


def test_the_plan_of_a_pipeline_and_of_what_reads_it(write_project: Write) -> None:
    files = {
        **PIPELINE,
        **SCRIPTS,
        "jobs/alone/workload.toml": 'owner = "Data Science"\nschedule = "every 2 hours"\ntimezone = "Asia/Tokyo"\n'
        'timeout_minutes = 30\nretries = 0\ncatch_up = "latest"\nreads = ["alone"]\n',
        "jobs/alone/main.py": "",
        "apis/scores/workload.toml": 'reads = ["churn"]\n[replicas]\nmin = 2\nmax = 3\n',
    }
    settings = replace(SETTINGS, expired=("page",))
    plan = plan_of(load_specs(write_project(files), "dev", OFFER), settings)
    assert plan == Plan.from_json(plan.to_json())
    assert (plan.project, plan.environment, plan.schedules, plan.schedule_group) == ("herd", "dev", True, "herd-dev")
    assert plan.recipients == (
        Recipient("boss@example.com", ("all",)),
        Recipient("platform@example.com", ("failures", "late")),
    )
    by_name = {workload.name: workload for workload in plan.workloads}
    assert by_name["alone"] == PlannedWorkload(
        name="alone",
        kind="job",
        owner="Data Science",
        owners=("ada@example.com", "grace@example.com"),
        review_by="2027-06-30",
        log_group="/herd-dev/alone",
        timezone="Asia/Tokyo",
        machine="herd-dev-alone",
        due=Due("herd-dev-alone", "rate(2 hours)", "every 2 hours", "Asia/Tokyo", 45, "latest"),
    )
    assert by_name["scores"] == PlannedWorkload(
        name="scores",
        kind="api",
        owner="data@example.com",
        owners=("data@example.com",),
        review_by="2027-06-30",
        log_group="/herd-dev/scores",
        service="herd-dev-scores",
        min_replicas=2,
    )
    assert (by_name["churn"].pipeline, by_name["churn"].due) == ("ingest", None)
    assert {name: workload.readers for name, workload in by_name.items() if workload.readers} == {
        "churn": ("page", "scores"),
        "ingest": ("churn", "page"),
    }
    assert by_name["page"].expired and not by_name["churn"].expired
    assert plan.pipelines == (
        PlannedPipeline(
            name="ingest",
            machine="herd-dev-ingest_pipeline",
            jobs=("ingest", "other", "churn", "page"),
            owners=("data@example.com",),
            due=Due("herd-dev-ingest_pipeline", "cron(0 0 * * ? *)", "@daily", "Europe/Paris", 91),
        ),
    )


def test_a_paused_job_is_not_due(write_project: Write) -> None:
    root = write_project({JOB: 'schedule = "@daily"\npaused = "until March"\n'})
    (churn,) = [one for one in plan_of(load_specs(root, "dev"), SETTINGS).workloads if one.name == "churn"]
    assert (churn.due, churn.paused) == (None, "until March")


def test_the_plan_of_the_sample() -> None:
    specs = load_specs(ROOT, "dev")
    plan = plan_of(specs, Settings("herd", "dev", "eu-west-1", "123456789012"))
    (one,) = plan.pipelines
    assert one.jobs == ("ingest-flights", "delay-model", "choose-model", "delay-report")
    assert one.due and one.due.schedule == "herd-dev-ingest-flights_pipeline"
    assert {workload.name: workload.readers for workload in plan.workloads} == {
        "choose-model": ("delay-api", "delay-report"),
        "delay-api": (),
        "delay-model": ("choose-model",),
        "delay-report": (),
        "ingest-flights": ("delay-model", "delay-report"),
    }
    assert all(workload.owners == ("data@example.com",) for workload in plan.workloads)


@given(st.sampled_from(["dev", "prod", "pr-17"]), st.from_regex(r"[a-z][a-z0-9-]{0,28}[a-z0-9]", fullmatch=True))
def test_the_plan_has_the_names_of_the_program(environment: str, name: str) -> None:
    """Also where a name is so long that it is cut."""
    spec = job(schedule=Schedule("cron(0 0 * * ? *)", "@daily")).model_copy(update={"name": name})
    (one,) = plan_of(Specs({name: spec}), replace(SETTINGS, environment=environment)).workloads
    naming = Naming("herd", environment)
    assert one.due and one.due.schedule == naming.schedule(name) and one.machine == naming.machine(name)
    assert json.loads(Plan("herd", environment, True, "g", (one,)).to_json())["workloads"][0]["name"] == name
