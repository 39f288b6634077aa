"""A real S3 server and real processes: workloads are started exactly as an image's ENTRYPOINT starts them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

TASK = "task"  # the access key of tasks
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
RUNNER = Path(__file__).resolve().parents[3] / "src/herd/runner"


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # one line a request helps nobody
        pass


class S3:
    """moto's S3 on a port of its own, one request at a time (moto is not thread-safe).

    `hook(method, path, moment)` is called for each request with moment "before" and "after": where tests kill runners.
    `stalled`: a method and a path's end; such requests set `is_stalled` and get no answer until `go_on` is set.
    """

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self.denied: str | None = None
        self.hook: Callable[[str, str, str], None] | None = None
        self.stalled: tuple[str, str] | None = None
        self.go_on = threading.Event()
        self.is_stalled = threading.Event()
        self._server = make_server("127.0.0.1", 0, self._handle, threaded=True, request_handler=_Quiet)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.client = boto3.client("s3", **self._connection())

    def _connection(self) -> dict[str, str]:
        return {
            "endpoint_url": self.endpoint,
            "region_name": "eu-west-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }

    def environment(self) -> dict[str, str]:
        """How a task finds this S3."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": TASK,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _handle(self, environ: dict[str, Any], start_response: Any) -> Any:
        hook, about = self.hook, (environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if self.stalled and about[0] == self.stalled[0] and about[1].endswith(self.stalled[1]):
            self.is_stalled.set()
            self.go_on.wait(60)
        with self._lock:
            if hook:
                hook(*about, "before")
            answer = self._answer(environ, start_response)
            if hook:
                hook(*about, "after")
            return answer

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        """As S3 answers a task, whose role may list only some prefixes: of an object that is not there it hears 403."""
        status: list[str] = []

        def start(line: str, headers: Any, exc_info: Any = None) -> Any:
            status.append(line)
            if not missing(line):
                return start_response(line, headers)
            return start_response("403 FORBIDDEN", [("Content-Type", "application/xml")])

        def missing(line: str) -> bool:
            task = f"Credential={TASK}/" in environ.get("HTTP_AUTHORIZATION", "")
            refused = self.denied is not None and environ["PATH_INFO"].endswith(self.denied)
            return task and environ["REQUEST_METHOD"] == "GET" and (refused or line.startswith("404"))

        body = b"".join(self._app(environ, start))
        return [DENIED if missing(status[0]) else body]

    def close(self) -> None:
        self.client.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass
class Ran:
    """How a task ended."""

    status: int
    log: str


@dataclass
class Workload:
    """One workload of a test: its folder, settings, and the environment it lives in."""

    folder: Path
    environ: dict[str, str]
    settings: dict[str, Any]
    bucket: str
    s3: S3 | None = None
    per_run: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.settings["workload"])

    def start(self, run_id: str, **variables: str) -> subprocess.Popen[str]:
        """Start the task in a process group of its own, as the engines do."""
        environ = {**self.environ, "HERD_TASK": json.dumps(self.settings), "HERD_RUN_ID": run_id, **variables}
        command = [sys.executable, "-I", str(RUNNER)]
        return subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def run(self, run_id: str, **variables: str) -> Ran:
        process = self.start(run_id, **variables)
        try:
            log, _ = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return Ran(process.returncode, log)

    def get(self, key: str) -> Any:
        """A JSON object of the data bucket; None if there is none."""
        text = self.read(key)
        return json.loads(text) if text is not None else None

    def read(self, key: str, bucket: str | None = None) -> str | None:
        assert self.s3 is not None
        try:
            return str(self.s3.client.get_object(Bucket=bucket or self.bucket, Key=key)["Body"].read().decode())
        except self.s3.client.exceptions.NoSuchKey:
            return None

    def keys(self, bucket: str | None = None) -> list[str]:
        assert self.s3 is not None
        found = self.s3.client.list_objects_v2(Bucket=bucket or self.bucket).get("Contents", [])
        return [entry["Key"] for entry in found]

    def tags(self, key: str, bucket: str | None = None) -> dict[str, str]:
        assert self.s3 is not None
        tags = self.s3.client.get_object_tagging(Bucket=bucket or self.bucket, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    @property
    def latest(self) -> Any:
        return self.get(f"{self.name}/latest.json")

    def record(self, run_id: str) -> Any:
        return self.get(f"_runs/{self.name}/{run_id}.json")


Make = Callable[..., Workload]


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    server = S3()
    yield server
    server.close()


@pytest.fixture
def make(tmp_path: Path, s3: S3) -> Make:
    """Make workloads that share one environment: a pair of buckets. `script` is a shell script."""
    suffix = secrets.token_hex(4)
    data, reports = f"herd-test-{suffix}-data", f"herd-test-{suffix}-reports"
    for bucket in (data, reports):
        s3.client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def workload(name: str, script: str, files: Mapping[str, str] | None = None, **settings: Any) -> Workload:
        folder = tmp_path / "workloads" / name
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in {"main.sh": script, **(files or {})}.items():
            (folder / path).write_text(text)
        return Workload(
            folder, base_environment(tmp_path, folder) | s3.environment(), told(name, data, reports, settings), data, s3
        )

    return workload


@pytest.fixture
def offline(tmp_path: Path) -> Make:
    """Workloads without any cloud, as `herd try` can run them."""

    def workload(name: str, script: str, **settings: Any) -> Workload:
        folder = tmp_path / "workloads" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "main.sh").write_text(script)
        environ = base_environment(tmp_path, folder) | {"HERD_TRY_DIR": str(tmp_path / "try")}
        return Workload(folder, environ, {**told(name, "", "", settings), "data_bucket": None}, "")

    return workload


def base_environment(tmp_path: Path, folder: Path) -> dict[str, str]:
    temporary = tmp_path / "tmp"
    temporary.mkdir(exist_ok=True)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TMPDIR": str(temporary),
        "HERD_WORKLOAD_DIR": str(folder),
        "HERD_LIB_DIR": str(tmp_path / "lib"),
    }


def told(name: str, data: str, reports: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """HERD_TASK as the task definition has it; tests give what differs."""
    known = {
        "schema": 1,
        "environment": "dev",
        "workload": name,
        "kind": "job",
        "command": ["sh", "main.sh"],
        "data_bucket": data,
        "reports_bucket": reports,
        "reports_url": "http://reports.localhost",
        "footer": False,
        "self_contained": False,
        "deadline": None,
        "mail": None,
        "reads": [],
        "params": {},
        "connections": [],
        "checks": [],
        "publish": [],
        "cache": [],
        "fan_out": [],
        "retries": 0,
        "timeout_seconds": None,
        "stop_seconds": 30,
        "memory_gb": 0.5,
        "port": None,
        "base_path": None,
        "health": None,
        "start_seconds": None,
        "keep_alive_seconds": None,
        "image": "repository@sha256:0",
        "content_hash": "abc",
        "settings_digest": "",
    }
    assert set(settings) <= set(known), "a setting that the runner is never told"
    reads = [{"name": read, "fetch": True} if isinstance(read, str) else read for read in settings.get("reads", [])]
    limits = {"min": None, "max": None, "max_drop": None}
    checks = [{**(limits if "value" in check else {}), **check} for check in settings.get("checks", [])]
    return {**known, **settings, "reads": reads, "checks": checks}
