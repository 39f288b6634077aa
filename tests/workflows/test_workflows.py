"""The workflows: what they may, what they run, and what two linters say of them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from herd.checkout import project_files
from herd.infra.imports import single_modules
from herd.toolchain import machine, packages, pulumi_cli

with single_modules():
    from herd.bootstrap.foundation import SESSION_SECONDS

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
MODULE = Path(__file__).with_name("actionlint")

WRITES = {("comment", "pull-requests")}
"""The only permissions to write in the repository: job, scope."""


def read(path: Path) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as true.
    told: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {"on" if key is True else key: value for key, value in told.items()}


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in WORKFLOWS:
        yield from ((path.stem, name, job) for name, job in read(path)["jobs"].items())


def calls() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Jobs that are another workflow of this repository, which has the steps."""
    yield from ((path, name, job) for path, name, job in jobs() if "uses" in job)


def steps() -> Iterator[dict[str, Any]]:
    for _, _, job in jobs():
        yield from job.get("steps", [])
    yield from read(GITHUB / "actions/setup/action.yml")["runs"]["steps"]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `.github` of a project that `herd init` begins."""
    root = tmp_path_factory.mktemp("project")
    for path in (project_files.TEMPLATES / "dot_github").rglob("*.txt"):
        target = root / ".github" / path.relative_to(project_files.TEMPLATES / "dot_github").with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return root / ".github"


@pytest.fixture(scope="module")
def all_of_a_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `.github` of a project that has all workflows."""
    root = tmp_path_factory.mktemp("project")
    for name, content in project_files.workflows().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        (root / name).chmod(project_files.mode_of(content))
    return root / ".github"


@pytest.fixture(params=["this repository", "a new project", "a project with all"])
def github(request: pytest.FixtureRequest, generated: Path, all_of_a_project: Path) -> Path:
    folders = {"this repository": GITHUB, "a new project": generated, "a project with all": all_of_a_project}
    return folders[request.param]


def test_a_project_with_all_workflows_has_those_of_this_repository_for_dev_alone(all_of_a_project: Path) -> None:
    names = {path.relative_to(GITHUB) for path in GITHUB.rglob("*") if path.is_file()} - {Path("dependabot.yml")}
    assert {path.relative_to(all_of_a_project) for path in all_of_a_project.rglob("*") if path.is_file()} == names
    for name in names:
        ours, theirs = (folder / name for folder in (GITHUB, all_of_a_project))
        assert os.access(ours, os.X_OK) == os.access(theirs, os.X_OK), name
        if name.suffix == ".yml":
            assert "prod" not in str(read(theirs).get("on", "")), name
        else:
            assert ours.read_bytes() == theirs.read_bytes()
    assert set(read(all_of_a_project / "workflows/deploy.yml")["jobs"]) == {"dev"}
    preview = read(all_of_a_project / "workflows/preview.yml")["jobs"]
    assert preview["preview"]["strategy"]["matrix"] == preview["files"]["strategy"]["matrix"] == {"stack": ["dev"]}
    assert [step["run"] for step in preview["local"]["steps"] if "run" in step] == [
        "make test",
        ".github/scripts/try-locally",
    ]


def test_zizmor_finds_nothing(github: Path) -> None:
    cache = machine.user_cache()
    zizmor = packages.ensure_made(ROOT, cache, packages.AUDIT) / "bin/zizmor"
    # Nothing is looked up: a test must not depend on GitHub. `./` is what every runner understands.
    command = [str(zizmor), "--offline", "--persona", "pedantic", "--no-config", "--format", "plain", str(github)]
    done = subprocess.run(command, capture_output=True, text=True)
    findings = [line for line in done.stdout.splitlines() if re.match(r"(help|info|warning|error)\[", line)]
    assert [line for line in findings if "[self-repository]" not in line] == [], done.stdout
    assert done.stderr.count("ERROR") == 0, done.stderr
    assert re.search(r"No findings|self-repository", done.stdout + done.stderr), "it looked at nothing"


def test_actionlint_finds_nothing(github: Path) -> None:
    if not shutil.which("go"):
        pytest.skip("no Go to build actionlint with: the workflows were not looked at by it")
    locked = hashlib.sha256((MODULE / "go.sum").read_bytes()).hexdigest()[:16]
    program = machine.user_cache() / "actionlint" / locked / "actionlint"
    if not program.exists():
        draft = program.with_name(f"actionlint.{os.getpid()}")
        build = ["go", "build", "-mod=readonly", "-o", str(draft), "github.com/rhysd/actionlint/cmd/actionlint"]
        subprocess.run(build, cwd=MODULE, check=True, capture_output=True)
        draft.replace(program)
    files = sorted((github / "workflows").glob("*.yml"))
    assert files
    done = subprocess.run([str(program), *map(str, files)], cwd=github.parent, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_new_projects_workflows_use_the_same_actions_and_hold_to_the_same_rules(generated: Path) -> None:
    used = re.compile(r"uses: ([\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$", re.M)
    ours = {pin for path in GITHUB.rglob("*.yml") for pin in used.findall(path.read_text())}
    for path in generated.rglob("*.yml"):
        text, workflow = path.read_text(), read(path)
        assert set(used.findall(text)) <= ours and text.count("uses: ") == len(used.findall(text))
        assert workflow["permissions"] == {} and "secrets." not in text
        for job in workflow["jobs"].values():
            assert set(job["permissions"]) <= {"contents", "id-token"} and job["permissions"]["contents"] == "read"
            for step in job["steps"]:
                assert "${{" not in step.get("run", "")
                if "role-to-assume" in (options := step.get("with", {})):
                    (limit,) = (
                        seconds
                        for role, seconds in SESSION_SECONDS.items()
                        if f"{role.upper()}_ROLE" in options["role-to-assume"]
                    )
                    assert job["timeout-minutes"] * 60 <= int(options.get("role-duration-seconds", 3600)) <= limit
                assert options.get("pulumi-version", pulumi_cli.VERSION) == pulumi_cli.VERSION
    # A pull request runs with what its author has; its role only reads.
    preview = (generated / "workflows/preview.yml").read_text()
    assert "pull_request:" in preview and "pull_request_target" not in preview and "DEPLOY" not in preview


def test_every_action_is_pinned_by_its_commit_and_says_which_version_that_is() -> None:
    used: dict[str, set[str]] = {}
    for path in [*WORKFLOWS, GITHUB / "actions/setup/action.yml"]:
        for line in path.read_text().splitlines():
            if match := re.search(r"uses: (\S+)(.*)", line):
                name, _, rest = match[1].partition("@")
                if not name.startswith("./"):
                    assert re.fullmatch(r"[0-9a-f]{40}", rest), line
                    assert re.fullmatch(r" # v\d+\.\d+\.\d+", match[2]), line
                    used.setdefault(name, set()).add(rest)
    assert {name for name, versions in used.items() if len(versions) > 1} == set()
    assert {name.partition("/")[0] for name in used} == {"actions", "aws-actions", "docker", "pulumi"}


def test_nobody_may_more_than_their_job_needs() -> None:
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {}, path
    for _, name, job in jobs():
        granted = job["permissions"]
        assert granted.pop("contents") == "read"
        if "uses" in job:
            assert granted == {"id-token": "write"}
            continue
        assert "timeout-minutes" in job
        known = any("role" in step.get("with", {}) for step in job["steps"])
        # Only who takes a role of AWS may ask for an identity, and never in one job with a token that writes.
        assert granted == ({"id-token": "write"} if known else {"pull-requests": "write"} if name == "comment" else {})
    assert {(n, s) for _, n, j in jobs() for s, r in j["permissions"].items() if r == "write"} - WRITES <= {
        (n, "id-token") for _, n, _ in jobs()
    }


def test_a_pull_request_is_run_with_what_its_author_has() -> None:
    text = (GITHUB / "workflows/preview.yml").read_text()
    told = read(GITHUB / "workflows/preview.yml")
    assert set(told["on"]) == {"pull_request"}
    assert "secrets." not in text and "DEPLOY_ROLE" not in text
    preview = told["jobs"]["preview"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in preview["if"]
    assert not any("role" in str(told["jobs"][name]["steps"]) for name in ("local", "pages", "files"))
    # What a fork gets is worked out with nothing but its files and those of the base branch.
    assert "head.repo.full_name != github.repository" in told["jobs"]["files"]["if"]
    for name in ("pages", "files"):
        assert told["jobs"][name]["permissions"] == {"contents": "read"}
        assert told["jobs"][name]["steps"][0]["with"]["fetch-depth"] == 2
        assert " HEAD^1" in told["jobs"][name]["steps"][2]["run"]
    assert "head.repo.full_name == github.repository" in told["jobs"]["comment"]["if"], "a fork's token cannot write"
    # The token that comments is handed to a script of the main branch only.
    checkout = told["jobs"]["comment"]["steps"][0]
    assert checkout["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"


def test_a_pull_requests_environment_comes_by_its_label_and_never_for_a_fork() -> None:
    path = GITHUB / "workflows/pull-request-environment.yml"
    workflow = read(path)
    assert set(workflow["on"]) == {"pull_request"} and "pull_request_target" not in path.read_text()
    assert set(workflow["on"]["pull_request"]["types"]) == {
        *("opened", "reopened", "synchronize", "labeled", "unlabeled", "closed"),
    }
    up, down, comment = (workflow["jobs"][name] for name in ("up", "down", "comment"))
    # Of the jobs only: a label of another name must not take the place of a removal that waits in the queue.
    assert "concurrency" not in workflow
    queue = {"group": "environment-pr-${{ github.event.pull_request.number }}", "cancel-in-progress": False}
    for job in (up, down):
        assert job["concurrency"] == queue and job["environment"] == "pull-request"
        assert "head.repo.full_name == github.repository" in job["if"] and "AWS_ENVIRONMENTS_ROLE != ''" in job["if"]
        assert job["env"]["NUMBER"] == "${{ github.event.pull_request.number }}"
        assert "DEPLOY_ROLE" not in str(job)
    # What removes it and what comments is the base branch's, and needs no branch that is there still.
    assert all(job["steps"][0]["with"]["ref"] == "${{ github.event.pull_request.base.sha }}" for job in (down, comment))


LIFE: list[tuple[str, str, bool, bool, str]] = [
    # action, the label that it is about, whether it has the label `environment`, from a fork, which job runs
    ("opened", "", False, False, ""),
    ("opened", "", True, False, "up"),
    ("labeled", "environment", True, False, "up"),
    ("labeled", "bug", True, False, ""),
    ("labeled", "bug", False, False, ""),
    ("synchronize", "", True, False, "up"),
    ("synchronize", "", False, False, ""),
    ("unlabeled", "environment", False, False, "down"),
    ("unlabeled", "bug", True, False, ""),
    ("closed", "", True, False, "down"),
    ("closed", "", False, False, ""),
    ("reopened", "", True, False, "up"),
    *((action, "environment", True, True, "") for action in ("opened", "labeled", "synchronize", "closed")),
]


@pytest.mark.parametrize(("action", "label", "has", "fork", "runs"), LIFE)
def test_which_job_an_event_of_a_pull_request_starts(action: str, label: str, has: bool, fork: bool, runs: str) -> None:
    values = {
        "github.event.pull_request.head.repo.full_name": "evil/delays" if fork else "acme/delays",
        "contains(github.event.pull_request.labels.*.name, 'environment')": has,
        "github.event.label.name": label,
        "github.event.action": action,
        "github.repository": "acme/delays",
        "vars.AWS_ENVIRONMENTS_ROLE": "arn",
    }
    started = []
    for name in ("up", "down"):
        text = str(read(GITHUB / "workflows/pull-request-environment.yml")["jobs"][name]["if"])
        for key, value in values.items():
            text = text.replace(key, repr(value))
        if eval(text.replace("&&", " and ").replace("||", " or ").replace("\n", " "), {}):  # noqa: S307 - a file of ours
            started.append(name)
    assert started == ([runs] if runs else [])


def test_a_run_is_started_by_hand_from_the_main_branch_by_its_own_role() -> None:
    workflow = read(GITHUB / "workflows/run.yml")
    assert set(workflow["on"]) == {"workflow_dispatch"}
    (job,) = workflow["jobs"].values()
    assert job["if"] == "github.ref == 'refs/heads/main'" and job["environment"] == "${{ inputs.stack }}"
    assert [step["with"]["role"] for step in job["steps"] if "role" in step.get("with", {})] == [
        "${{ vars.AWS_RUN_ROLE }}"
    ]


def test_no_workflow_has_a_long_lived_key() -> None:
    assert not any("secrets." in path.read_text() for path in WORKFLOWS)


def test_foreign_text_never_becomes_part_of_a_script() -> None:
    for step in steps():
        assert "${{" not in step.get("run", "")
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_every_step_is_a_script_that_tests_run_too() -> None:
    scripts = {path.name for path in (GITHUB / "scripts").iterdir()}
    called = {step["run"] for step in steps() if "run" in step} - {"make tools"}
    assert all(re.match(r"(python3 )?\.github/scripts/[a-z.-]+( |$)", command) for command in called)
    names = {re.search(r"scripts/([a-z.-]+)", command)[1] for command in called}  # type: ignore[index]
    assert names == scripts - {"__pycache__"}
    tests = "".join(Path(__file__).with_name(f"test_workflows_{of}.py").read_text() for of in ("live", "comment"))
    tests += Path(__file__).read_text()
    assert {name for name in names if f'"{name}"' not in tests and f'scripts/{name}"' not in tests} == set()


def test_each_environment_is_changed_by_one_run_after_the_other_and_never_cut_short() -> None:
    """dev has a queue of its own, so that it goes on while prod waits for its approval."""
    queues = {name: job["concurrency"] for path, name, job in calls() if path == "deploy"}
    assert queues == {name: {"group": f"environment-{name}", "cancel-in-progress": False} for name in ("dev", "prod")}
    assert "concurrency" not in read(GITHUB / "workflows/deploy.yml"), "that would be one queue for both"
    destroy = read(GITHUB / "workflows/destroy.yml")
    assert destroy["concurrency"] == {"group": "environment-${{ inputs.stack }}", "cancel-in-progress": False}
    assert all("environment" in job for _, _, job in jobs() if "DEPLOY_ROLE" in str(job))


def test_prod_is_deployed_after_dev_with_the_list_that_its_approver_saw() -> None:
    called = {name: job for path, name, job in calls() if path == "deploy"}
    assert [(name, job.get("needs"), job["with"]) for name, job in called.items()] == [
        ("dev", None, {"stack": "dev"}),
        ("prod", "dev", {"stack": "prod"}),
    ]
    assert called["dev"]["if"].endswith("github.ref == 'refs/heads/main'")
    told = read(GITHUB / "workflows/deploy-environment.yml")
    assert set(told["on"]) == {"workflow_call"} and told["env"]["STACK"] == "${{ inputs.stack }}"
    plan, deploy = told["jobs"]["plan"], told["jobs"]["deploy"]
    assert (deploy["needs"], deploy["environment"]) == ("plan", "${{ inputs.stack }}")
    assert plan["steps"][-1]["with"]["name"] == "reviewed-${{ inputs.stack }}"
    download, done = deploy["steps"][-2:]
    assert download["with"] == {"name": "reviewed-${{ inputs.stack }}", "path": "reviewed"}
    assert done["run"] == '.github/scripts/deploy reviewed --stack "$STACK"'


def test_a_job_is_who_it_is_for_as_long_as_it_may_take() -> None:
    """Credentials that end within a deployment leave it half done."""
    default = int(read(GITHUB / "actions/setup/action.yml")["inputs"]["seconds"]["default"])
    taken = 0
    for _, name, job in jobs():
        for step in job.get("steps", []):
            given = step.get("with", {})
            for role, limit in SESSION_SECONDS.items():
                if f"{role.upper()}_ROLE" in str(given.get("role")):
                    taken += 1
                    assert job["timeout-minutes"] * 60 <= int(given.get("seconds", default)) <= limit, name
    assert taken >= 3


def test_arm_is_emulated_only_where_an_image_is_for_arm() -> None:
    told = read(GITHUB / "workflows/deploy-environment.yml")["jobs"]["deploy"]["steps"]
    (asked,) = (step for step in told if step.get("id") == "images")
    (emulated,) = (step for step in told if "setup-qemu-action@" in step.get("uses", ""))
    assert asked["run"] == '.github/scripts/for-arm "$STACK"'
    assert emulated["if"] == "steps.images.outputs.arm == 'true'" and emulated["with"] == {"platforms": "arm64"}


@pytest.mark.parametrize(("hardware", "arm"), [("fargate", "false"), ("graviton", "true")])
def test_which_images_are_for_arm_is_told_to_the_workflow(tmp_path: Path, hardware: str, arm: str) -> None:
    (tmp_path / "checkout/jobs/model").mkdir(parents=True)
    team = tmp_path / "checkout"
    (team / ".venv").symlink_to(ROOT / ".venv")
    (team / "Pulumi.yaml").write_text("name: herd\nruntime: python\n")
    pool = "{graviton: {instance_type: m7g.large, min: 0, max: 2}}"
    (team / "Pulumi.prod.yaml").write_text(f"config:\n  herd:pools: {pool}\n")
    (team / "defaults.toml").write_text('owner = "a@example.com"\nreview_by = 2099-01-01\n')
    (team / "images/python").mkdir(parents=True)
    (team / "images/python/Dockerfile").write_text("FROM python:3.12-slim\n")
    (team / "jobs/model/workload.toml").write_text(f'schedule = "none"\nhardware = "{hardware}"\n')
    (team / "jobs/model/main.py").write_text("")
    output = tmp_path / "output"
    told = {**os.environ, "GITHUB_OUTPUT": str(output), "HERD_CHECKOUT": str(team), "PYTHONPATH": str(ROOT / "src")}
    script = GITHUB / "scripts/for-arm"
    done = subprocess.run([str(script), "prod"], cwd=team, env=told, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert output.read_text() == f"arm={arm}\n"


def test_a_job_can_be_run_again() -> None:
    """One click on GitHub previews it, to be looked at and approved once more, if its list may take the earlier one's
    place: an artifact's name is refused the second time otherwise."""
    kept = [step["with"] for step in steps() if "upload-artifact@" in step.get("uses", "")]
    assert kept and all(options["overwrite"] is True for options in kept)


def test_pulumi_is_the_pinned_one() -> None:
    (pulumi,) = (step for step in steps() if "pulumi/actions@" in step.get("uses", ""))
    assert pulumi["with"] == {"pulumi-version": pulumi_cli.VERSION}
