"""R for real: the example flights-r, its image built by Docker from a lock of 91 packages, and each of its tasks."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.sandbox import Sandbox
from herd.infra.images import r_image
from herd.packages import renv
from herd.toolchain import docker
from localcloud import ports
from localcloud.docker.client import DockerClient
from tests.live.r_project import Project, build, copy_example, seconds_until_ended
from tests.live.support import browser, fetch

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(docker.is_unwanted(), reason=f"{docker.SWITCH}=1: no image was built and nothing ran in one"),
    pytest.mark.xdist_group("docker-r"),
    pytest.mark.timeout(1500),  # the first one waits for the image
]

WORKLOADS = ("load-flights", "late-model", "best-model", "late-report", "late-api")


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, docker_client: DockerClient, r_base: str, r_repository: str
) -> Iterator[Project]:
    """Locked and built."""
    made = Project.make(tmp_path_factory.mktemp("flights-r"), docker_client, r_base, r_repository)
    try:
        made.lock()
        for name in WORKLOADS:
            made.build(name)
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def pipeline(project: Project) -> dict[str, str]:
    """Each job and the report has run once; what it printed."""
    logs = {"load-flights": project.publish("load-flights")}
    for item in ("logistic", "forest"):
        logs[item] = project.publish("late-model", item)
    for name in ("best-model", "late-report"):
        logs[name] = project.publish(name)
    return logs


def test_the_libraries_are_those_of_the_whole_closure(project: Project) -> None:
    lock = renv.read((project.root / "images/r/renv.lock").read_bytes())
    libraries = r_image.libraries((project.root / "images/r/Dockerfile").read_text())
    assert len(lock.packages) >= 25
    assert {"libcurl4-openssl-dev", "libsodium-dev", "libharfbuzz-dev", "libtiff-dev", "pandoc"} <= libraries
    assert len([name for name in libraries if name.startswith("lib")]) >= 8


def test_what_is_installed_finds_all_that_it_is_linked_to(project: Project) -> None:
    script = "for f in $(find /opt/r/library -name '*.so'); do LD_LIBRARY_PATH=/usr/lib/R/lib ldd $f; done"
    run = ("run", "--rm", "--network=none", "--entrypoint=sh", f"{project.tag}:late-api", "-c", script)
    linked = project.client.run(*run)
    assert "libsodium" in linked and "not found" not in linked


def test_the_packages_are_one_layer_and_the_code_another(project: Project) -> None:
    page = project.root / "reports/late-report/report.Rmd"
    before = page.read_text()
    layers = ("image", "inspect", "--format", "{{json .RootFS.Layers}}", f"{project.tag}:late-report")
    old = json.loads(project.client.run(*layers))
    try:
        page.write_text(before + "\nThe end.\n")
        began = time.monotonic()
        project.build("late-report")
        seconds = time.monotonic() - began
    finally:
        page.write_text(before)
    new = json.loads(project.client.run(*layers))
    project.build("late-report")
    assert Counter(a == b for a, b in zip(old, new, strict=True))[False] == 1, "only the workload's own folder"
    assert seconds < 30


def test_two_models_compete_and_the_better_one_is_published(project: Project, pipeline: dict[str, str]) -> None:
    def metrics(folder: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((project.store / folder / "metrics.json").read_text())
        return content

    logistic, forest = metrics("late-model/logistic"), metrics("late-model/forest")
    published = metrics("best-model")
    assert published["auc"] == max(logistic["auc"], forest["auc"]) and 0.6 < published["auc"] < 0.9
    assert published["run_id"] == "run-of-best-model"
    assert f"published: {published['candidate']}" in pipeline["best-model"]
    for each in (logistic, forest):
        trained, tested = each["trained_on"], each["tested_on"]
        assert trained["to"] < tested["from"] and tested["to"] == "2013-03-11"


def test_the_next_run_adds_a_week(project: Project, pipeline: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "next"
    settings = project.settings("load-flights", folder, None)
    project.client.run("run", "--rm", "--network=none", *settings, f"{project.tag}:load-flights")
    summary = json.loads((folder / "outputs/summary.json").read_text())
    assert summary["weeks"] == 11 and summary["to"] == "2013-03-18"
    assert len(list((folder / "outputs/flights").glob("*.csv"))) == 11


def test_the_report_is_one_page_with_its_figures(project: Project, pipeline: dict[str, str], tmp_path: Path) -> None:
    page = project.store / "late-report/index.html"
    assert not re.findall(r"""(?:src|href)=["']https?://[^"']+\.(?:js|css|woff2?)""", page.read_text())
    with browser(tmp_path / "profile") as session:
        session.get(page.as_uri())
        assert session.title == "Late from New York"
        session.save_screenshot(str(tmp_path / "page.png"))
        sizes = session.execute_script(
            "return [...document.images].map(image => [image.naturalWidth, image.clientWidth, image.alt])"
        )
        assert len(sizes) == 4 and all(natural > 1000 and 300 < shown < 1200 and alt for natural, shown, alt in sizes)
        text = session.execute_script("return document.body.innerText")
        assert "logistic" in text and "NaN" not in text and "##" not in text
        # Its own addresses only: nothing is loaded from elsewhere.
        loaded = session.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
        assert not [one for one in loaded if one.startswith("http")]
        assert not [entry for entry in session.get_log("browser") if entry["level"] == "SEVERE"]


def wait_until_it_answers(project: Project, container: str, url: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if fetch(url)[0] == 200:
                return
        except OSError:
            pass
        runs = project.client.run("inspect", "--format", "{{.State.Running}}", container).strip() == "true"
        if not runs or time.monotonic() > deadline:
            state = "runs, but did not answer" if runs else "ended, and did not answer"
            pytest.fail(f"{container} {state} at {url} within {seconds:g} s:\n{project.client.run('logs', container)}")
        time.sleep(0.2)


FLIGHT = "origin=JFK&dest=LAX&carrier=B6&scheduled=2013-03-15T17:45"


def test_the_api_answers_many_at_once_and_ends_within_a_second(project: Project, pipeline: dict[str, str]) -> None:
    port = ports.free()
    url = f"http://127.0.0.1:{port}"
    with project.serving("late-api", port) as container:
        wait_until_it_answers(project, container, f"{url}/health")
        status, _, body = fetch(f"{url}/predict?{FLIGHT}")
        answer = json.loads(body)
        assert status == 200 and 0 < answer["late_probability"] < 1
        assert answer["model"].endswith("of run run-of-best-model")
        assert fetch(f"{url}/predict?{FLIGHT.replace('JFK', 'ABC')}")[0] == 422
        refused = fetch(f"{url}/predict?{FLIGHT.replace('2013-03-15T17:45', 'soon')}")
        assert refused[0] == 422 and "2013-03-15T17:45" in refused[2]
        assert "/predict" in json.loads(fetch(f"{url}/openapi.json")[2])["paths"]

        answers: list[tuple[int, str]] = []

        def ask() -> None:
            for _ in range(25):
                status, _, body = fetch(f"{url}/predict?{FLIGHT}")
                answers.append((status, body))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(answers) == {(200, body): 200}

        # R as process 1 would ignore it until it is killed.
        seconds, status = seconds_until_ended(project.client, container, "TERM")
        assert status in (0, 143), project.client.run("logs", container)
        assert seconds < 1


CACHE = "--mount=type=cache,target=/root/.cache/R "
NO_LIBRARIES = re.compile(r"# >>> herd r-libraries .*?# <<< herd r-libraries <<<\n", re.S)


def lock_of(repository: str, packages: Mapping[str, str], r: str) -> str:
    records = {
        name: {"Package": name, "Version": version, "Source": "Repository", "Repository": "CRAN"}
        for name, version in packages.items()
    }
    sources = [{"Name": "CRAN", "URL": repository}]
    return json.dumps({"R": {"Version": r, "Repositories": sources}, "Packages": records})


PROMISES = {
    "promises": "1.3.2", "R6": "2.6.1", "later": "1.4.1", "fastmap": "1.2.0", "magrittr": "2.0.3", "rlang": "1.1.5",
}  # fmt: skip
SODIUM = {"sodium": "1.4.0"}


@dataclass(frozen=True)
class Fault:
    """A lock that cannot be installed, and what the message must say. `repository`: "" is the one that works.

    `is_cached`: the builder keeps packages that were built with their libraries, as by `project`.
    """

    packages: Mapping[str, str]
    says: tuple[str, ...]
    repository: str = ""
    r: str = "4.5.0"
    is_cached: bool = False


FAULTS = {
    "a library is missing": Fault(SODIUM, ("sodium", "libsodium-dev", "image.toml")),
    "a library is missing, and the package is in the cache": Fault(
        SODIUM, ("sodium", "libsodium", "at run time"), is_cached=True
    ),
    "a package is in no repository": Fault(
        {"nosuchpackage": "1.0.0"}, ("no repository of renv.lock has", "nosuchpackage")
    ),
    "the repository cannot be reached": Fault(
        SODIUM, ("http://127.0.0.1:9", "cannot be reached"), repository="http://127.0.0.1:9"
    ),
    "a package with headers is not locked": Fault(PROMISES, ("promises", "Rcpp, which renv.lock does not have")),
    "the base has another R": Fault(SODIUM, ("is for R 4.4.3, and the base of this image has R 4.5.0",), r="4.4.3"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_package_that_cannot_be_installed_ends_in_one_message(
    fault: str, project: Project, r_repository: str, tmp_path: Path
) -> None:
    planted = FAULTS[fault]
    context = tmp_path / "context"
    image = project.root / "images/r"
    (context / "runner").mkdir(parents=True)
    dockerfile = NO_LIBRARIES.sub("", (image / "Dockerfile").read_text())
    assert CACHE in dockerfile
    (context / "Dockerfile").write_text(dockerfile if planted.is_cached else dockerfile.replace(CACHE, ""))
    runner = Path(r_image.__file__).parents[2] / "runner/r"
    (context / "runner/r").mkdir()
    for path in runner.iterdir():
        if path.is_file():
            (context / "runner/r" / path.name).write_bytes(path.read_bytes())
    lock = lock_of(planted.repository or r_repository, planted.packages, planted.r)
    (context / "renv.lock").write_text(lock)
    tag = f"{project.tag}:fault"
    with pytest.raises(AssertionError) as caught:
        build(project.client, context, tag, "--target=packages")
    # BuildKit's plain output: what R printed, then our message, then BuildKit's own line.
    message = str(caught.value).rsplit("the last lines of its output", 1)[0][-1500:]
    assert [words for words in planted.says if words not in message] == [], message
    assert project.client.run("image", "ls", "--quiet", tag) == "", "nothing half-built has the name"


@pytest.fixture(scope="module")
def environment(
    project: Project, tmp_path_factory: pytest.TempPathFactory, docker_host: str, r_base: str, r_repository: str
) -> Iterator[Sandbox]:
    """The example as a project, by the one command of its README; its layers are those that `project` has built."""
    with (
        pytest.MonkeyPatch.context() as patch,
        Sandbox(tmp_path_factory.mktemp("flights-r-up") / "checkout", samples=False) as made,
    ):
        patch.setenv("DOCKER_HOST", docker_host)
        copy_example(made.folder, r_base, r_repository)
        made.herd("image", "lock", "r")
        made.herd("up", "--engine", "docker", timeout_seconds=900)
        yield made
        made.herd("down")


def test_the_example_stands_by_one_command(environment: Sandbox) -> None:
    """From the lock to the report: what the README promises."""
    states = {entry["name"]: entry for entry in environment.json("status", "--json")["workloads"]}
    assert states.keys() == set(WORKLOADS)
    assert {name: entry["last_run"]["status"] for name, entry in states.items() if entry["last_run"]} == dict.fromkeys(
        ("load-flights", "late-model", "best-model", "late-report"), "succeeded"
    )
    status, _, page = fetch(states["late-report"]["url"])
    assert status == 200 and "Late from New York" in page


def test_the_tests_of_a_job_run_in_its_image(environment: Sandbox) -> None:
    done = environment.herd("test", "late-model", check=False, timeout_seconds=600)
    assert done.returncode == 0 and "PASS 5" in done.stdout, done.stdout + done.stderr


def test_the_pages_of_its_api_are_found_behind_the_prefix(environment: Sandbox) -> None:
    url = environment.status("late-api")["url"].rstrip("/")
    environment.wait_for("the API", lambda: fetch(f"{url}/health")[0] == 200)
    status, _, page = fetch(f"{url}/__docs__/")
    assert status == 200
    loaded = re.findall(r"""(?:src|href)="(?:\./)?([^":]+\.(?:js|css))\"""", page)
    assert loaded and {fetch(f"{url}/__docs__/{name}")[0] for name in loaded} == {200}


def test_its_api_answers_many_at_once_through_the_balancer(environment: Sandbox) -> None:
    url = environment.status("late-api")["url"].rstrip("/")
    environment.wait_for("the API's model", lambda: fetch(f"{url}/predict?{FLIGHT}")[0] == 200)
    answers: list[tuple[int, float]] = []

    def ask() -> None:
        for _ in range(25):
            status, _, body = fetch(f"{url}/predict?{FLIGHT}")
            answers.append((status, json.loads(body)["late_probability"]))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (((status, probability), count),) = Counter(answers).items()
    assert (status, count) == (200, 200) and 0 < probability < 1
