"""The API: from no model to a model to the next model, without a restart; its page; what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from moto.server import ThreadedMotoServer

from herd.runner.contract import variables as names

pytestmark = pytest.mark.xdist_group("samples")
"""The pipeline runs once for all of them."""

Samples = Any
FLIGHT = {"origin": "JFK", "dest": "LAX", "carrier": "B6", "scheduled": "2013-03-15T17:45"}


class Api:
    """A running delay-api."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def get(self, path: str, body: object = None, **query: Any) -> tuple[int, Any]:
        address = f"{self._base}{path}" + (f"?{urlencode(query)}" if query else "")
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        return status, json.loads(text) if text.startswith(("{", "[")) else text

    def wait(self, path: str, until: Callable[[int, Any], bool]) -> Any:
        deadline = time.monotonic() + 60
        last: object = None
        while time.monotonic() < deadline:
            try:
                status, last = self.get(path)
                if until(status, last):
                    return last
            except OSError as error:
                last = error
            time.sleep(0.1)
        raise AssertionError(f"waited a minute for {path}; last: {last}")


@pytest.fixture(scope="module")
def bucket() -> Iterator[tuple[str, dict[str, str]]]:
    """A data bucket, and the variables with which a task finds it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    client = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.close()
    yield "data", variables
    server.stop()


@pytest.fixture(scope="module")
def running(
    pipeline: Samples, tell: Callable[..., Any], bucket: tuple[str, dict[str, str]]
) -> Iterator[tuple[Api, Callable[[str], None]]]:
    """The API without a model, and a function that publishes one as the given run."""
    data_bucket, variables = bucket
    probe = socket.socket()
    # Kept: nobody else is given the port, and the API may still listen on it.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    environ = pipeline.environment("delay-api", **variables)
    environ |= {names.TASK: tell("delay-api", data_bucket=data_bucket).to_json(), "PORT": str(port)}
    environ |= {"HOST": "127.0.0.1", names.REFRESH_SECONDS: "0.3"}
    for trial in (names.TRY_DIR, names.TRY_INPUTS):
        del environ[trial]
    process = pipeline.start(environ)

    def publish(run_id: str) -> None:
        folder = pipeline.folder / f"publish-{run_id}"
        shutil.copytree(pipeline.store / "choose-model", folder)
        metrics = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps({**metrics, "run_id": run_id}))
        task = tell(
            "choose-model", data_bucket=data_bucket, reads=(), checks=(), command=("sh", "-c", "cp *.* outputs/")
        )
        again = {**environ, names.TASK: task.to_json(), names.RUN_ID: run_id, names.WORKLOAD_DIR: str(folder)}
        log, _ = pipeline.start(again).communicate(timeout=60)
        assert f"as run {run_id}" in log, log

    yield Api(port), publish
    process.send_signal(signal.SIGTERM)
    try:
        log, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        probe.close()
    # uvicorn shuts down gracefully, then ends itself by the signal that it was sent.
    assert process.returncode == 128 + signal.SIGTERM and "Application shutdown complete." in log, log
    assert "Traceback" not in log and "Warning" not in log, log


def test_the_life_of_the_api(running: tuple[Api, Callable[[str], None]], pipeline: Samples) -> None:
    api, publish = running
    api.wait("/health", lambda status, _: status == 200)
    for path in ("/model", "/predict?" + urlencode(FLIGHT)):
        status, said = api.get(path)
        assert status == 503 and said["detail"].startswith("no model has been published yet")

    publish("first")
    said = api.wait("/model", lambda status, _: status == 200)
    chosen = json.loads((pipeline.store / "choose-model" / "metrics.json").read_text())
    assert (said["run_id"], said["candidate"], said["auc"]) == ("first", chosen["candidate"], chosen["auc"])
    publish("second")
    api.wait("/model", lambda status, said: status == 200 and said["run_id"] == "second")

    status, prediction = api.get("/predict", **FLIGHT)
    assert status == 200 and 0 < prediction["late_probability"] < 1
    assert prediction["model"] == f"{chosen['candidate']} of run second"
    morning = {**FLIGHT, "scheduled": "2013-03-15T06:00"}
    storm = {**FLIGHT, "rain_mm": 10, "wind_kmh": 60, "visibility_km": 1}
    status, many = api.get("/predict", [FLIGHT, morning, storm])
    assert status == 200 and many[0] == prediction
    assert many[1]["late_probability"] < prediction["late_probability"] < many[2]["late_probability"]
    for year in ("0001", "9999"):
        assert api.get("/predict", **{**FLIGHT, "scheduled": f"{year}-12-31T23:59"})[0] == 200
    check_refusals(api)
    check_pages(api)


def check_refusals(api: Api) -> None:
    for change, field in [
        ({"origin": "BOS"}, "origin"),
        ({"dest": "Los Angeles"}, "dest"),
        ({"dest": "XXX"}, "dest"),
        ({"carrier": "ZZ"}, "carrier"),
        ({"scheduled": "soon"}, "scheduled"),
        ({"scheduled": "2013-03-15T17:45Z"}, "scheduled"),
        ({"rain_mm": -1}, "rain_mm"),
        ({"rain_mm": "nan"}, "rain_mm"),
        ({"rain": 1}, "rain"),
    ]:
        status, said = api.get("/predict", **{**FLIGHT, **change})
        assert status == 422 and said["detail"][0]["loc"][-1] == field, (change, said)
    assert api.get("/predict", [])[0] == 422 and api.get("/predict", {"x": 1})[0] == 422
    assert api.get("/predict", [FLIGHT] * 1001)[0] == 422


def check_pages(api: Api) -> None:
    """The load balancer strips /delay-api; the browser, which asks for the page's parts, must put it before them."""
    status, page = api.get("/docs")
    assert status == 200 and "https://" not in page
    for part in ("/static-offline-docs/swagger-ui-bundle.js", "/static-offline-docs/swagger-ui.css", "/openapi.json"):
        assert f"/delay-api{part}" in page
        assert api.get(part)[0] == 200
    assert [server["url"] for server in api.get("/openapi.json")[1]["servers"]] == ["/delay-api"]
    assert api.get("/")[1]["docs"] == "/delay-api/docs"


def test_the_sources_name_no_path_of_ours() -> None:
    """What a data scientist copies works anywhere: only the variables of the runner."""
    root = Path(__file__).resolve().parents[2]
    for folder in ("jobs", "reports", "apis", "lib"):
        for path in (root / folder).rglob("*.py"):
            assert "/opt/herd" not in path.read_text() and "boto3" not in path.read_text(), path
