"""From settings files to Specs: defaults, layers, what is worked out, and files that are out to harm."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from herd.infra.spec import models, values
from herd.infra.spec.checks import ValueCheck
from herd.infra.spec.load import ApiSpec, JobSpec, Read, Replicas, ReportSpec, SpecErrors, explain, load_specs
from herd.runner.contract import kinds
from herd.runner.contract.schedule import Schedule

Write = Callable[[Mapping[str, str | bytes | None]], Path]

ROOT = Path(__file__).parents[3]
JOB, API = "jobs/churn/workload.toml", "apis/scores/workload.toml"

EVERYTHING = """
owner = "team churn"
review_by = 2028-01-31
image = "python"
command = ["python", "main.py", "--fast"]
schedule = "0 6 * * 1-5"
timezone = "Europe/Amsterdam"
fan_out = ["small", "large"]
hardware = "fargate-spot"
cpu = 0.5
memory_gb = 3
disk_gb = 50
timeout_minutes = 30
retries = 0
overlap = "replace"
reads = ["churn", { name = "ingest", fetch = false }]
uses = ["features"]

[params]
month = 2
share = 0.5
label = "x"
dry = true

[env]
TARGET = "arr_delay"

[[check]]
file = "metrics.json"
value = "test.auc"
min = 0.7
max = 1
max_drop = 0.05
"""


def problems(root: Path, environment: str = "dev") -> list[str]:
    with pytest.raises(SpecErrors) as error:
        load_specs(root, environment)
    return str(error.value).split("\n")


def test_an_empty_file_is_a_workload(write_project: Write) -> None:
    specs = load_specs(write_project({}), "dev")
    assert list(specs.workloads) == ["churn", "ingest", "scores"]
    churn, api = specs.workloads["churn"], specs.workloads["scores"]
    assert isinstance(churn, JobSpec) and isinstance(api, ApiSpec)
    assert churn == JobSpec(
        name="churn",
        folder=Path("jobs/churn"),
        owner="data@example.com",
        review_by=date(2027, 6, 30),
        command=("python", "main.py"),
    )
    assert (churn.cpu, churn.memory_gb, churn.schedule, churn.after) == (1, 2, None, ())
    assert (api.port, api.health, api.replicas, api.access) == (8000, "/health", Replicas(), "internal")


def test_every_setting_arrives(write_project: Write) -> None:
    specs = load_specs(write_project({JOB: EVERYTHING}), "dev")
    assert specs.workloads["churn"] == JobSpec(
        name="churn",
        folder=Path("jobs/churn"),
        owner="team churn",
        review_by=date(2028, 1, 31),
        image="python",
        command=("python", "main.py", "--fast"),
        schedule=Schedule("cron(0 6 ? * MON-FRI *)", "0 6 * * 1-5"),
        timezone="Europe/Amsterdam",
        fan_out=("small", "large"),
        hardware="fargate-spot",
        cpu=0.5,
        memory_gb=3,
        disk_gb=50,
        timeout_minutes=30,
        retries=0,
        overlap="replace",
        reads=(Read(name="churn"), Read(name="ingest", fetch=False)),
        uses=("features",),
        params={"month": 2, "share": 0.5, "label": "x", "dry": True},
        env={"TARGET": "arr_delay"},
        checks=(ValueCheck(file="metrics.json", value="test.auc", min=0.7, max=1, max_drop=0.05),),
    )


def test_types_of_parameters_survive(write_project: Write) -> None:
    params = load_specs(write_project({JOB: EVERYTHING}), "dev").workloads["churn"].params
    assert [type(value) for value in params.values()] == [int, float, str, bool]


COMMANDS = {
    ("jobs", "main.py"): ("python", "main.py"),
    ("jobs", "main.R"): ("Rscript", "main.R"),
    ("apis", "main.py"): ("python", "main.py"),
    ("reports", "main.py"): ("python", "main.py"),
    ("reports", "report.qmd"): ("herd-render", "report.qmd"),
    ("reports", "sales.Rmd"): ("herd-render", "sales.Rmd"),
    ("reports", "slides.qmd"): ("herd-render", "slides.qmd"),
}


@pytest.mark.parametrize(("folder", "file"), COMMANDS)
def test_the_command_follows_from_the_file(folder: str, file: str, write_project: Write) -> None:
    root = write_project({f"{folder}/new/workload.toml": "", f"{folder}/new/{file}": ""})
    assert load_specs(root, "dev").workloads["new"].command == COMMANDS[folder, file]


DOCUMENTS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "a script comes before what it makes its page of": (["main.py", "report.md", "text.md"], ("python", "main.py")),
    "the one called report": (["report.qmd", "details.qmd", "a.md"], ("herd-render", "report.qmd")),
    "all, if none is": (["b.Rmd", "a.qmd"], ("herd-render", "a.qmd", "b.Rmd")),
    "not what others include, and no README": (["a.qmd", "_b.qmd", "README.md"], ("herd-render", "a.qmd")),
    "not a script without cells": (["a.qmd", "helper.py"], ("herd-render", "a.qmd")),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_the_documents_of_a_report(case: str, write_project: Write) -> None:
    files, command = DOCUMENTS[case]
    root = write_project({"reports/new/workload.toml": "", **{f"reports/new/{file}": "" for file in files}})
    assert load_specs(root, "dev").workloads["new"].command == command


@pytest.mark.parametrize(
    "line",
    [
        "curl -o made.py $URL; python made.py",
        "python $SCRIPT.py",
        "cd sub && python deep.py",
        "python -m trian",
        "python /opt/there.py",
        "python -c 'print(\"x.py\")'",
        "echo python gone.py",
    ],
)
def test_a_shell_line_may_make_its_script_or_go_elsewhere(write_project: Write, line: str) -> None:
    root = write_project({JOB: f"command = {json.dumps(line)}"})
    assert load_specs(root, "dev").workloads["churn"].command == (*values.SHELL, line)


def test_an_unfinished_folder_stands_in_the_way_of_what_needs_it_alone(write_project: Write) -> None:
    folders = {
        "jobs/half/main.py": "",
        "jobs/after-half/workload.toml": 'after = ["half"]',
        "jobs/after-half/main.py": "",
    }
    root = write_project({JOB: "", **folders})
    specs = load_specs(root, "dev", needed="churn")
    assert "churn" in specs.workloads and not {"half", "after-half"} & specs.workloads.keys()
    for needed in ("half", "after-half", None):
        with pytest.raises(SpecErrors, match="jobs/half/workload.toml: is missing"):
            load_specs(root, "dev", needed=needed)


def test_what_all_have_in_common_stands_in_every_way(write_project: Write) -> None:
    root = write_project({"defaults.toml": "colour = 1", JOB: ""})
    with pytest.raises(SpecErrors, match="defaults.toml: unknown setting"):
        load_specs(root, "dev", needed="churn")


def test_an_environment_that_comes_and_goes_may_have_a_table(write_project: Write) -> None:
    root = write_project({"Pulumi.prod.yaml": "config: {}", JOB: "[environments.pr-17]\ncpu = 2\nmemory_gb = 4"})
    assert load_specs(root, "pr-17").workloads["churn"].cpu == 2


def test_a_string_is_a_shell_line(write_project: Write) -> None:
    scripts = dict.fromkeys(("jobs/churn/a.py", "jobs/churn/b.py"), "")
    root = write_project({JOB: 'command = "python a.py && python b.py"', **scripts})
    assert load_specs(root, "dev").workloads["churn"].command == (*values.SHELL, "python a.py && python b.py")


def test_layers_and_where_each_value_comes_from(write_project: Write) -> None:
    team = 'owner = "team"\nreview_by = 2027-06-30\nretries = 5\n[env]\nA = "1"\nB = "1"\n'
    prod = '[environments.prod]\ncpu = 4\n[environments.prod.env]\nC = "3"\n'
    own = 'cpu = 2\nretries = 1\n[env]\nB = "2"\nC = "2"\n'
    root = write_project({"defaults.toml": team, JOB: own + prod})
    rows = {row.key: (row.value, row.source) for row in explain(root, "prod", "churn")}
    assert rows["retries"] == (1, JOB)
    assert rows["owner"] == ("team", "defaults.toml")
    assert rows["cpu"] == (4, f"{JOB} [environments.prod]")
    assert rows["memory_gb"] == (8, "the least for cpu = 4")
    assert rows["command"] == (["python", "main.py"], "main.py is there")
    assert rows["timeout_minutes"] == (60, "default")
    assert rows["env.A"] == ("1", "defaults.toml")
    assert rows["env.B"] == ("2", JOB)
    assert rows["env.C"] == ("3", f"{JOB} [environments.prod]")
    dev = {row.key: row.value for row in explain(root, "dev", "churn")}
    assert (dev["cpu"], dev["memory_gb"], dev["env.C"]) == (2, 4, "2")


def test_explain_shows_values_as_they_could_be_written(write_project: Write) -> None:
    root = write_project({JOB: EVERYTHING})
    rows = {row.key: row.value for row in explain(root, "dev", "churn")}
    assert rows["schedule"] == "0 6 * * 1-5"
    assert rows["reads"] == [{"name": "churn", "fetch": True}, {"name": "ingest", "fetch": False}]
    assert rows["check"] == [{"file": "metrics.json", "value": "test.auc", "min": 0.7, "max": 1, "max_drop": 0.05}]
    assert {key.split(".")[0] for key in rows} == set(models.settings_of(JobSpec))


def test_explain_of_an_unknown_workload(write_project: Write) -> None:
    with pytest.raises(SpecErrors, match="no workload is called 'chrun'; did you mean 'churn'?"):
        explain(write_project({}), "dev", "chrun")


def test_a_schedule_can_be_switched_off_in_one_environment(write_project: Write) -> None:
    root = write_project({JOB: 'schedule = "@daily"\n[environments.pr-17]\nschedule = "none"\n'})
    on, off = (load_specs(root, environment).workloads["churn"] for environment in ("dev", "pr-17"))
    assert isinstance(on, JobSpec) and on.schedule and isinstance(off, JobSpec) and off.schedule is None


def test_only_settings_that_a_kind_has_come_from_the_defaults(write_project: Write) -> None:
    root = write_project(
        {"defaults.toml": 'owner = "t"\nreview_by = 2027-06-30\ntimezone = "Asia/Tokyo"\nretries = 3\n'}
    )
    workloads = load_specs(root, "dev").workloads
    assert workloads["churn"].model_dump()["timezone"] == "Asia/Tokyo"
    assert "timezone" not in workloads["scores"].model_dump()


def test_a_wrong_default_is_told_once(write_project: Write) -> None:
    root = write_project({"defaults.toml": 'owner = "t"\nreview_by = 2027-06-30\nretries = 99\n'})
    assert problems(root) == ["defaults.toml: retries = 99 is out of range; allowed: 0 to 10"]


def test_pipelines_are_levels_of_connected_workloads(write_project: Write) -> None:
    files = {
        "jobs/ingest/workload.toml": 'schedule = "@daily"\ntimezone = "Europe/Paris"',
        "jobs/other/workload.toml": 'schedule = "@daily"\ntimezone = "Europe/Paris"',
        JOB: 'after = ["ingest"]',
        "jobs/merge/workload.toml": 'after = ["churn", "other"]',
        "reports/page/workload.toml": 'after = ["merge", "ingest"]',
        "jobs/alone/workload.toml": 'schedule = "@hourly"',
    }
    scripts = {name.replace("workload.toml", "main.py"): "" for name in files}
    specs = load_specs(write_project({**files, **scripts}), "dev")
    (pipeline,) = specs.pipelines
    assert pipeline.name == "ingest"
    assert pipeline.levels == (("ingest", "other"), ("churn",), ("merge",), ("page",))
    assert (pipeline.schedule, pipeline.timezone) == (Schedule("cron(0 0 * * ? *)", "@daily"), "Europe/Paris")
    assert isinstance(specs.workloads["page"], ReportSpec)


def test_empty_and_hidden_folders_are_no_workloads(write_project: Write) -> None:
    root = write_project(
        {"jobs/.cache/x": "", "jobs/old/__pycache__/main.pyc": "", "jobs/README.md": "", "lib/x/y.py": ""}
    )
    (root / "jobs/empty").mkdir()
    assert list(load_specs(root, "dev").workloads) == ["churn", "ingest", "scores"]


def test_an_empty_project_is_no_mistake(tmp_path: Path) -> None:
    assert load_specs(tmp_path, "dev").workloads == {}


LINKS = {
    "a file of a workload": ("jobs/churn/data.csv", "/etc/hostname", "jobs/churn/data.csv"),
    "a folder of a workload": ("jobs/churn/data", "/etc", "jobs/churn/data"),
    "a workload": ("jobs/other", "/usr/share", "jobs/other"),
    "a relative way out": ("jobs/churn/up", "../../..", "jobs/churn/up"),
    "a link to nothing": ("jobs/churn/gone", "nowhere", "jobs/churn/gone"),
    "a link to itself": ("jobs/churn/self", "self", "jobs/churn/self"),
    "a used library": ("lib/features/more", "/etc", "lib/features/more"),
    "an image": ("images/python/extra", "/etc", "images/python/extra"),
    "a deep folder": ("jobs/churn/a/b/c", "/etc", "jobs/churn/a/b/c"),
}


@pytest.mark.parametrize("case", LINKS)
def test_links_out_of_the_project_are_refused(case: str, write_project: Write) -> None:
    place, target, shown = LINKS[case]
    root = write_project({JOB: 'uses = ["features"]'})
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).symlink_to(target)
    assert problems(root) == [f"{shown}: is a link that leads out of the project; put the file itself here"]


HIDDEN = {
    "a file of a workload": ("jobs/churn/aws", "../../.herd/cloud/aws", ".herd/cloud/aws"),
    "a folder of a workload": ("jobs/churn/data", "../../.herd", ".herd"),
    "a workload": ("jobs/other", "../.herd/cloud", ".herd/cloud"),
    "a used library": ("lib/features/more", "../../.herd/cloud", ".herd/cloud"),
    "an image": ("images/python/extra", "../../.git/config", ".git/config"),
    "another link": ("jobs/churn/aws", "../../data/aws", ".herd/cloud/aws"),
    "a hidden file beside it": ("jobs/churn/env", ".env", "jobs/churn/.env"),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_links_to_what_is_hidden_are_refused(case: str, write_project: Write) -> None:
    """`.herd` has the credentials of the local cloud."""
    place, target, shown = HIDDEN[case]
    root = write_project(
        {JOB: 'uses = ["features"]', ".herd/cloud/aws": "", ".herd/cloud/workload.toml": "", ".git/config": "",
         "jobs/churn/.env": "", "data/x": ""}
    )  # fmt: skip
    (root / "data/aws").symlink_to("../.herd/cloud/aws")
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).symlink_to(target)
    why = f"is a link to {shown}: what is hidden is never copied; put the file itself here"
    assert problems(root) == [f"{place}: {why}"]


def test_settings_that_are_a_link_to_what_is_hidden_are_not_read(write_project: Write) -> None:
    root = write_project({JOB: None, ".herd/secret.toml": 'owner = "hunter2"'})
    (root / JOB).symlink_to("../../.herd/secret.toml")
    found = problems(root)
    assert [line.partition(" is a link to ")[0] for line in found] == [f"{JOB}:"] and "hunter2" not in str(found)


def test_settings_that_are_a_link_out_are_not_read(write_project: Write, tmp_path: Path) -> None:
    (tmp_path / "secret.toml").write_text('owner = "hunter2"')
    root = write_project({JOB: None})
    (root / JOB).symlink_to(tmp_path / "secret.toml")
    assert problems(root) == [f"{JOB}: is a link that leads out of the project; put the file itself here"]


def test_links_inside_the_project_are_fine(write_project: Write) -> None:
    root = write_project({"data/table.csv": "", "jobs/churn/.venv/x": ""})
    (root / "jobs/churn/table.csv").symlink_to("../../data/table.csv")
    (root / "jobs/churn/.venv/python").symlink_to("/usr/bin/python3")
    load_specs(root, "dev")


def test_a_pipe_as_settings_does_not_hang(write_project: Write) -> None:
    root = write_project({JOB: None})
    os.mkfifo(root / JOB)
    assert problems(root) == [f"{JOB}: is not a file"]


def test_a_folder_as_settings(write_project: Write) -> None:
    assert problems(write_project({JOB: None, f"{JOB}/x": ""})) == [f"{JOB}: is not a file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_settings_that_may_not_be_read(write_project: Write) -> None:
    root = write_project({})
    (root / JOB).chmod(0)
    assert problems(root) == [f"{JOB}: cannot be read: Permission denied"]


def test_names_that_are_no_text(write_project: Write) -> None:
    root = write_project({})
    folder = os.fsencode(root / "jobs") + b"/\xff\xfe"
    os.mkdir(folder)
    Path(os.fsdecode(folder), "main.py").touch()
    (line,) = problems(root)[:1]
    assert r"'\udcff\udcfe' cannot be the name of a job" in "\n".join(problems(root))
    line.encode()


def test_a_hundred_workloads_take_less_than_a_second(write_project: Write) -> None:
    files = {f"jobs/job-{i}/workload.toml": EVERYTHING for i in range(100)}
    root = write_project({**files, **{name.replace("workload.toml", "main.py"): "" for name in files}})
    started = time.process_time()
    assert len(load_specs(root, "dev").workloads) == 103
    assert time.process_time() - started < 1


def test_a_long_chain_and_a_long_circle(write_project: Write) -> None:
    files = {f"jobs/j-{i}/workload.toml": f'after = ["j-{i + 1}"]' for i in range(300)}
    files["jobs/j-300/workload.toml"] = 'schedule = "@daily"'
    scripts = {name.replace("workload.toml", "main.py"): "" for name in files}
    root = write_project({**files, **scripts})
    assert len(load_specs(root, "dev").pipelines[0].levels) == 301
    (root / "jobs/j-300/workload.toml").write_text('after = ["j-0"]')
    (line,) = problems(root)
    assert "after forms a circle: j-0 → j-300 → j-299" in line


TOML_VALUE = st.recursive(
    st.sampled_from(
        ["1", "-1", "0.5", "nan", "inf", "true", "2027-01-01", "07:32:00", '""', '"x"', '"ingest"', '"@daily"']
    )
    | st.integers().map(str)
    | st.text(max_size=8).map(
        lambda text: '"' + "".join(f"\\U{ord(c):08x}" for c in text if not "\ud800" <= c <= "\udfff") + '"'
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.tuples(st.sampled_from(["name", "min", "file", "A"]), inner).map(
            lambda pair: f"{{ {pair[0]} = {pair[1]} }}"
        )
    ),
    max_leaves=4,
)
KEYS = [
    *models.settings_of(JobSpec),
    *models.settings_of(ApiSpec),
    "environments",
    "scheduel",
    "environments.dev.cpu",
]
HEADERS = [
    "[env]",
    "[params]",
    "[replicas]",
    "[[check]]",
    "[environments.dev]",
    "[environments.prod.env]",
    "[check]",
    "[[env]]",
]
LINE = st.tuples(st.sampled_from(KEYS), TOML_VALUE).map(" = ".join) | st.sampled_from(HEADERS)


def check_any(root: Path, content: bytes) -> None:
    for name in (JOB, API, "defaults.toml"):
        (root / name).write_bytes(content)
        started = time.process_time()
        try:
            load_specs(root, "dev")
        except SpecErrors as error:
            lines = str(error).split("\n")
            assert len(lines) == len(error.problems) and all(line.isprintable() for line in lines)
        assert time.process_time() - started < 2


@given(st.lists(LINE, max_size=8))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_settings_give_a_spec_or_messages(write_project: Write, lines: list[str]) -> None:
    check_any(write_project({}), "\n".join(lines).encode())


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_a_spec_or_messages(write_project: Write, content: bytes) -> None:
    check_any(write_project({}), content)


def test_specs_need_no_pulumi() -> None:
    """herd reads settings in every command: the half second of Pulumi's import would be felt."""
    modules = "herd.infra.spec.load, herd.infra.naming, herd.infra.capacity"
    code = f"import sys; import {modules}; sys.exit('pulumi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_projects_own_workloads_are_right() -> None:
    specs = load_specs(ROOT, "dev")
    assert specs.workloads


@pytest.mark.parametrize("kind", models.KINDS)
def test_a_spec_cannot_be_changed(kind: Any) -> None:
    assert models.KINDS[kind].model.model_config.get("frozen")


def test_what_a_kind_is_the_settings_and_the_runner_agree_on() -> None:
    assert tuple(models.KINDS) == kinds.KINDS
    assert {name for name, kind in models.KINDS.items() if kind.is_service} == kinds.SERVICES
    for name, kind in models.KINDS.items():
        assert kind.model.model_fields["kind"].default == name
        assert issubclass(kind.model, models.BatchSpec) is not kind.is_service


def test_a_wrong_file_in_a_chain_is_the_only_problem(write_project: Write) -> None:
    """Nothing is said of those that run after what is missing only because its file cannot be read."""
    chain = {JOB: "cpu = [\n", "jobs/second/workload.toml": 'after = ["churn"]\n', "jobs/second/main.py": "x = 1\n"}
    third = {"jobs/third/workload.toml": 'after = ["second"]\n', "jobs/third/main.py": "x = 1\n"}
    with pytest.raises(SpecErrors) as caught:
        load_specs(write_project({**chain, **third}), "dev")
    (problem,) = caught.value.problems
    assert problem.file == JOB and "is not TOML" in problem.message
