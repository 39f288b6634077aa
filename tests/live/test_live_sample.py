"""The sample environment, from nothing to nothing. Each test leaves what the next needs, as a person's day would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.processes import runs, variables_of
from harness.sandbox import Sandbox
from tests.live.support import CANARY, browser, fetch, is_free, listening_addresses, processes_below

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-sample")]

BATCH = ("ingest-flights", "delay-model", "choose-model", "delay-report")
QUESTION = "/predict?origin=JFK&dest=LAX&carrier=B6&scheduled=2013-03-15T17:45"


def endpoint(sandbox: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((sandbox.folder / ".herd/cloud/endpoint.json").read_text())
    return found


def test_up_ingests_trains_chooses_renders_and_serves(sandbox: Sandbox) -> None:
    printed = sandbox.herd("up", timeout_seconds=600).stdout
    status = sandbox.json("status", "--json")
    workloads = {workload["name"]: workload for workload in status["workloads"]}
    assert status["environment"] == "dev"
    assert {name: workloads[name]["last_run"]["status"] for name in BATCH} == dict.fromkeys(BATCH, "succeeded")
    assert all(workloads[name]["state"] == "idle" for name in BATCH)
    api = sandbox.wait_for("a healthy API", lambda: (w := sandbox.status("delay-api"))["healthy"] and w)
    assert api["state"] == "healthy"
    assert workloads["delay-report"]["url"].startswith(status["reports_url"])
    assert workloads["delay-report"]["url"] in printed and api["url"] in printed


def test_the_schedule_is_armed(sandbox: Sandbox) -> None:
    assert sandbox.status("ingest-flights")["next_run"] is not None


def test_three_candidates_were_trained_as_tasks_of_their_own(sandbox: Sandbox) -> None:
    variables = sandbox.herd_env()
    listed = sandbox.run(
        "aws", "s3", "ls", "--recursive", "s3://herd-dev-123456789012-data/_runs/delay-model/", env=variables
    ).stdout
    for candidate in ("logistic", "forest", "boosting"):
        assert f"/{candidate}.json" in listed


def test_the_report_is_public_and_alone(sandbox: Sandbox) -> None:
    report = sandbox.status("delay-report")["url"]
    status, headers, page = fetch(report)
    assert status == 200 and headers["content-type"].startswith("text/html")
    assert "<svg" in page and "access-control-allow-origin" not in headers
    root = report.rsplit("/", 2)[0]
    assert fetch(f"{root}/")[0] == 403, "nobody may list the bucket"
    assert fetch(f"{root}/nothing/here.html")[0] in (403, 404)
    data = root.replace("-reports.", "-data.")
    assert fetch(f"{data}/choose-model/latest.json")[0] == 403, "data is private"


def test_the_api_predicts_and_refuses_nonsense(sandbox: Sandbox) -> None:
    url = sandbox.status("delay-api")["url"].rstrip("/")
    status, _, answer = fetch(url + QUESTION)
    assert status == 200 and 0 < json.loads(answer)["late_probability"] < 1
    assert fetch(url + QUESTION.replace("JFK", "XXX"))[0] == 422
    assert json.loads(fetch(f"{url}/model")[2])["run_id"] == sandbox.status("choose-model")["last_run"]["id"]


def test_curl_reaches_both_by_name(sandbox: Sandbox) -> None:
    url = sandbox.status("delay-api")["url"].rstrip("/")
    assert "late_probability" in sandbox.run("curl", "-sSf", url + QUESTION).stdout
    assert "<html" in sandbox.run("curl", "-sSf", sandbox.status("delay-report")["url"]).stdout


def test_pages_in_a_browser(sandbox: Sandbox, tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as page:
        page.get(sandbox.status("delay-report")["url"])
        assert page.find_elements("tag name", "svg") and page.find_elements("tag name", "table")
        assert not [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
        page.get(sandbox.status("delay-api")["url"].rstrip("/") + "/docs")
        sandbox.wait_for("the API's page to show its paths", lambda: page.find_elements("class name", "opblock"))
        assert not [e for e in page.get_log("browser") if e["level"] == "SEVERE" and "favicon" not in e["message"]]


def test_up_again_changes_nothing_and_says_so(sandbox: Sandbox) -> None:
    run = sandbox.status("ingest-flights")["last_run"]["id"]
    assert "nothing changed" in sandbox.herd("up").stdout.lower()
    assert sandbox.status("ingest-flights")["last_run"]["id"] == run


def test_plain_pulumi_sees_no_change_even_after_looking(sandbox: Sandbox) -> None:
    sandbox.pulumi("preview", "--expect-no-changes")
    sandbox.pulumi("preview", "--refresh", "--expect-no-changes")


def test_nothing_listens_but_on_loopback(sandbox: Sandbox) -> None:
    assert listening_addresses(endpoint(sandbox)["pid"]) == {"127.0.0.1"}


def test_a_run_by_hand_is_taken_up_by_the_api_without_a_restart(sandbox: Sandbox) -> None:
    sandbox.herd("run", "ingest-flights", "--with-dependants", timeout_seconds=300)
    run = sandbox.status("choose-model")["last_run"]["id"]
    url = sandbox.status("delay-api")["url"].rstrip("/")
    served = lambda: json.loads(fetch(f"{url}/model")[2]).get("run_id") == run  # noqa: E731
    sandbox.wait_for("the API to serve the new model", served, 120)


def test_nonsense_is_refused_and_its_owner_has_mail(sandbox: Sandbox) -> None:
    readers = sandbox.status("choose-model")["last_run"]["id"]
    told = sandbox.herd("demo", "nonsense", timeout_seconds=300).stdout
    refused, _, restored = told.partition("and again as it is to be:")
    assert f"readers still see the model of run {readers}" in refused and "To: data@example.com" in refused
    assert "check metrics.json: auc" in refused and "is below min" in refused
    assert "has recovered" in restored
    assert sandbox.status("choose-model")["last_run"]["status"] == "succeeded"
    assert "To: data@example.com" in told and "has recovered" in sandbox.herd("inbox").stdout


def test_a_parameter_reaches_the_run(sandbox: Sandbox) -> None:
    sandbox.herd("run", "ingest-flights", "--param", "weeks_per_run=2")
    summary = sandbox.herd("outputs", "ingest-flights", "--get", "got") and sandbox.folder / "got"
    found = list(summary.rglob("summary.json"))
    assert json.loads(found[0].read_text())["weeks"] == 13
    refused = sandbox.herd("run", "ingest-flights", "--param", "weeks=2", check=False)
    assert refused.returncode == 2 and "weeks_per_run" in refused.stderr


def test_try_runs_the_code_on_disk_with_real_inputs_and_publishes_nothing(sandbox: Sandbox) -> None:
    before = sandbox.status("choose-model")["last_run"]
    main = sandbox.folder / "jobs/choose-model/main.py"
    text = main.read_text()
    main.write_text(text + '\nprint("tried on disk")\n')
    try:
        assert "tried on disk" in sandbox.herd("try", "choose-model").stdout
    finally:
        main.write_text(text)
    assert sandbox.status("choose-model")["last_run"] == before


def test_a_change_of_one_job_touches_that_job_only(sandbox: Sandbox) -> None:
    main = sandbox.folder / "jobs/choose-model/main.py"
    main.write_text(main.read_text() + "# a comment\n")
    steps = json.loads(sandbox.pulumi("preview", "--json").stdout)["steps"]
    changed = {step["urn"].rsplit("::", 1)[1] for step in steps if step["op"] != "same"}
    assert changed and all("choose-model" in name for name in changed)
    sandbox.herd("up")
    sandbox.pulumi("preview", "--expect-no-changes")


def test_a_job_is_added_by_a_folder_and_removed_with_it(sandbox: Sandbox) -> None:
    sandbox.herd("new", "job", "hello")
    sandbox.herd("up")
    sandbox.herd("run", "hello")
    assert sandbox.status("hello")["last_run"]["status"] == "succeeded"
    assert "hello" in sandbox.herd("explain", "hello").stdout
    for path in sorted((sandbox.folder / "jobs/hello").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (sandbox.folder / "jobs/hello").rmdir()
    sandbox.herd("up")
    assert all(workload["name"] != "hello" for workload in sandbox.json("status", "--json")["workloads"])


def test_the_persons_own_account_was_never_used(sandbox: Sandbox) -> None:
    printed = sandbox.herd("env").stdout
    assert CANARY not in printed
    variables = sandbox.herd_env()
    who = json.loads(sandbox.run("aws", "sts", "get-caller-identity", env=variables).stdout)
    assert who["Account"] == "123456789012"
    log = (sandbox.folder / ".herd/cloud/cloud.log").read_text()
    assert CANARY not in log
    for process in psutil.Process(endpoint(sandbox)["pid"]).children(recursive=True):
        environment = variables_of(process)
        assert CANARY not in " ".join(environment.values())
        if "AWS_ENDPOINT_URL" in environment:  # a task, not what keeps watch over the tasks
            assert not environment["HOME"].startswith(str(sandbox.home))


def test_tracked_files_stay_clean(sandbox: Sandbox) -> None:
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        assert (sandbox.folder / name).read_text() == (Path(__file__).parents[2] / name).read_text()


def test_down_leaves_nothing(sandbox: Sandbox) -> None:
    cloud = endpoint(sandbox)
    sandbox.herd("down", "--yes")
    sandbox.wait_for("the local cloud to end", lambda: not runs(cloud["pid"]))
    sandbox.wait_for("its port to be free", lambda: is_free(cloud["port"]))
    sandbox.wait_for("its processes to end", lambda: processes_below(sandbox.folder) == [])
    status = sandbox.herd("status", check=False)
    assert (status.returncode, "`herd up` makes it" in status.stderr) == (1, True)


def test_down_again_has_nothing_to_do(sandbox: Sandbox) -> None:
    assert sandbox.herd("down", "--yes").returncode == 0
