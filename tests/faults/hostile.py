"""A running environment to attack: one job and one small service that remembers what reached it."""

from __future__ import annotations

import functools
import http.client
import json
import os
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import psutil
from botocore.config import Config as BotoConfig

from harness.processes import variables_of
from harness.sandbox import Sandbox
from localcloud.credentials import Key

REGION = "eu-west-1"
ACCOUNT = "123456789012"
DATA_BUCKET = f"herd-dev-{ACCOUNT}-data"

PERSONS_KEY, PERSONS_SECRET = "AKIAQQQQCANARYQQQQQQ", "canary/Secret+of/thePersonsOwnAccount0000"
PERSONS_TOKEN = "pul-canary0000000000000000000000000000000000"

ECHO = '''\
"""Answers what it was asked, and remembers it."""
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SEEN = []


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        told, left = int(self.headers.get("Content-Length") or 0), 0
        got = 0
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                got += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        while got < told and (piece := self.rfile.read(min(told - got, 1 << 16))):
            got += len(piece)
        if not self.path.endswith(("/seen", "/health")):
            SEEN.append(f"{self.command} {self.path}")
        body = json.dumps(SEEN[-500:] if self.path.endswith("/seen") else {"path": self.path, "bytes": got}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_OPTIONS = do_HEAD = do_DELETE = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", int(os.environ["PORT"])), Echo).serve_forever()
'''

TEAM = {
    "jobs/tick/workload.toml": "retries = 0\n",
    "jobs/tick/main.py": (
        "import os, pathlib\n"
        'print("ticked")\n'
        '(pathlib.Path(os.environ["HERD_OUTPUTS"]) / "private.txt").write_text("nobody else may read this")\n'
    ),
    "apis/echo/workload.toml": 'access = "public"\ncpu = 0.25\nmemory_gb = 0.5\n',
    "apis/echo/main.py": ECHO,
}


class Checkout(Sandbox):
    """A sandbox with temporary files of its own, and a shell that has the variables of a real account."""

    def __init__(self, folder: Path, temporary: Path, *, home: Path | None = None, more: dict[str, str] | None = None):
        super().__init__(folder, home=home, samples=False)
        self.temporary = temporary
        self.more = more or {}

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "TMPDIR": str(self.temporary), **self.more}


@dataclass
class Answer:
    """What came back; `status` is 0 when the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Estate:
    """The environment under attack."""

    sandbox: Sandbox
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.sandbox.folder / ".herd/cloud/endpoint.json").read_text())
        return found

    @functools.cached_property
    def port(self) -> int:
        return int(self.endpoint["port"])

    @functools.cached_property
    def pid(self) -> int:
        return int(self.endpoint["pid"])

    @property
    def api(self) -> str:
        return f"127.0.0.1:{self.port}"

    @functools.cached_property
    def balancer(self) -> str:
        """Host of the load balancer; the service is below `/echo/`."""
        return urlsplit(self.sandbox.status("echo")["url"]).netloc

    @property
    def bucket(self) -> str:
        return f"{DATA_BUCKET}.s3.{REGION}.localhost:{self.port}"

    @functools.cached_property
    def root(self) -> Key:
        lines = (self.sandbox.folder / ".herd/cloud/aws/credentials").read_text().splitlines()
        values = dict(line.split(" = ", 1) for line in lines if " = " in line)
        return Key(values["aws_access_key_id"], values["aws_secret_access_key"], "root")

    def client(self, service: str, key: Key | None = None, **config: Any) -> Any:
        if key is None and not config:
            if service not in self._clients:
                self._clients[service] = self._client(service, self.root)
            return self._clients[service]
        return self._client(service, key or self.root, **config)

    def _client(self, service: str, key: Key, **config: Any) -> Any:
        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=f"http://{self.api}",
            aws_access_key_id=key.access_key,
            aws_secret_access_key=key.secret_key,
            aws_session_token=key.session_token,
            config=BotoConfig(
                **{"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, "proxies": {}, **config}
            ),
        )

    def ask(
        self, host: str, target: str = "/", method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Answer:
        """One request with this Host; underscores in names of headers stand for dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in {"Host": host, **named}.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def raw(self, data: bytes, silence_seconds: float = 1.0) -> bytes:
        """Send bytes as they are; everything that comes back until the gateway closes or has been silent."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            connection.settimeout(silence_seconds)
            pieces: list[bytes] = []
            try:
                connection.sendall(data)
                while piece := connection.recv(1 << 16):
                    pieces.append(piece)
            except (TimeoutError, ConnectionError):
                pass
            return b"".join(pieces)

    def seen(self) -> list[str]:
        """What has reached the service, without its health checks."""
        found: list[str] = json.loads(self.ask(self.balancer, "/echo/seen").body)
        return found

    def everything(self) -> dict[str, Any]:
        """What an attacker would want to change, as the API lists it."""
        return {
            "buckets": sorted(bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"]),
            "users": self.client("iam").list_users()["Users"],
            "roles": sorted(role["RoleName"] for role in self.client("iam").list_roles()["Roles"]),
            "clusters": self.client("ecs").list_clusters()["clusterArns"],
            "machines": [m["name"] for m in self.client("stepfunctions").list_state_machines()["stateMachines"]],
        }

    def rss_mb(self) -> float:
        return float(psutil.Process(self.pid).memory_info().rss) / 2**20

    def task_variables(self, workload: str) -> dict[str, str]:
        """The environment of a running task, as a process of the same user can read it."""
        for process in psutil.Process(self.pid).children(recursive=True):
            variables = variables_of(process)
            if variables.get("HERD_WORKLOAD") == workload and "AWS_CONTAINER_AUTHORIZATION_TOKEN" in variables:
                return variables
        raise AssertionError(f"no task of {workload} runs")


def raise_open_files() -> None:
    """Two hundred connections and a test runner need more than some shells allow."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))


def eventually(what: str, condition: Any, timeout_seconds: float = 90) -> Any:
    deadline = time.monotonic() + timeout_seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_seconds:g} s for {what}"
        time.sleep(0.1)
    return value


def without_aws() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_", "HERD_"))}
