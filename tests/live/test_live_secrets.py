"""Secrets, connections and machines of a pool, the way a person meets them: what is missing is said, then it works."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator

import pytest

from harness.sandbox import Sandbox

pytestmark = pytest.mark.live

KEY, OTHER, PASSWORD = "canary-key-one", "canary-key-two", "canary/p@ss:word"
LOGIN = f'{{"username": "loader", "password": "{PASSWORD}", "dbname": "sales"}}'

JOB = """
import hashlib, os
from urllib.parse import unquote, urlsplit

url = urlsplit(os.environ["HERD_CONNECTION_WAREHOUSE_URL"])
assert "HERD_CONNECTION_WAREHOUSE_SECRET" not in os.environ
print("key", hashlib.sha256(os.environ["API_KEY"].encode()).hexdigest())
print("login", url.scheme, url.username, url.hostname, url.port, url.path)
print("password", hashlib.sha256(unquote(url.password).encode()).hexdigest())
print("lake", os.environ["HERD_INPUT_LAKE_URI"])
open(os.path.join(os.environ["HERD_OUTPUTS"], "done.txt"), "w").write("done")
"""

API = """
import hashlib, http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = hashlib.sha256(os.environ["API_KEY"].encode()).hexdigest().encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

STACK = """
  herd:network: nat
  herd:connections:
    warehouse: {driver: postgresql, host: 10.20.0.5, secret: warehouse-login}
  herd:datasets:
    lake: {uri: "s3://company-lake/raw/"}
  herd:pools:
    graviton: {instance_type: m7g.large, max: 2}
"""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def keep(sandbox: Sandbox, name: str, value: str, *more: str) -> subprocess.CompletedProcess[str]:
    """`herd secret set`, with the value on standard input."""
    command = [str(sandbox.folder / ".venv/bin/python"), "-m", "herd", "secret", "set", name, *more]
    done = subprocess.run(
        command, cwd=sandbox.folder, env=sandbox.environment, input=value, capture_output=True, text=True, timeout=120
    )
    assert value not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("secrets") / "checkout", samples=False) as sandbox:
        stack = sandbox.folder / "Pulumi.dev.yaml"
        stack.write_text(stack.read_text().rstrip() + STACK)
        settings = 'connects = ["warehouse"]\nreads = ["lake"]\n[secrets]\nAPI_KEY = "api-key"\n'
        sandbox.write("jobs/load/workload.toml", f'hardware = "vm"\ncpu = 1.5\nmemory_gb = 3\n{settings}')
        sandbox.write("jobs/load/main.py", JOB)
        sandbox.write("jobs/arm/workload.toml", 'hardware = "graviton"\n')
        sandbox.write("jobs/arm/main.py", "print('on arm')\n")
        sandbox.write("apis/ask/workload.toml", 'hardware = "vm"\nhealth = "/"\n[secrets]\nAPI_KEY = "api-key"\n')
        sandbox.write("apis/ask/main.py", API)
        yield sandbox


def test_what_is_missing_is_said_at_once_and_nothing_is_made(sandbox: Sandbox) -> None:
    refused = sandbox.herd("up", check=False)
    assert refused.returncode == 1
    told = [line for line in refused.stderr.splitlines() if "does not exist" in line]
    assert told == [
        "apis/ask/workload.toml: [secrets] API_KEY: the secret 'api-key' does not exist in dev; "
        "set it with: herd secret set api-key",
        "jobs/load/workload.toml: connects warehouse: the secret 'warehouse-login' does not exist in dev; "
        "set it with: herd secret set warehouse-login",
        "jobs/load/workload.toml: [secrets] API_KEY: the secret 'api-key' does not exist in dev; "
        "set it with: herd secret set api-key",
    ]
    assert "not up" in sandbox.herd("status", check=False).stderr
    listed = sandbox.herd("secret", "list").stdout
    assert [line.split() for line in listed.splitlines()[1:]] == [
        ["api-key", "missing", "ask,", "load"],
        ["warehouse-login", "missing", "load"],
    ]
    tried = sandbox.herd("try", "load", check=False)
    assert "load needs the secret 'api-key', which dev does not have on this machine" in tried.stderr


def test_a_job_on_a_machine_has_its_secret_connection_and_dataset(sandbox: Sandbox) -> None:
    assert keep(sandbox, "api-key", KEY).returncode == 0
    login = sandbox.folder.parent / "login.json"
    login.write_text(LOGIN)
    sandbox.herd("secret", "set", "warehouse-login", "--file", str(login))
    sandbox.herd("up")
    printed = sandbox.herd("logs", "load").stdout
    assert f"key {digest(KEY)}" in printed and f"password {digest(PASSWORD)}" in printed
    assert "login postgresql loader 10.20.0.5 5432 /sales" in printed
    assert "lake s3://company-lake/raw/" in printed
    assert "on arm" in sandbox.herd("logs", "arm").stdout
    assert "nothing changed" in sandbox.herd("preview").stderr + sandbox.herd("preview").stdout


def test_another_value_reaches_the_next_run_a_trial_and_running_services(sandbox: Sandbox) -> None:
    url = sandbox.status("ask")["url"]
    changed = keep(sandbox, "api-key", OTHER)
    assert "ask" in changed.stderr and changed.returncode == 0
    sandbox.herd("run", "load")
    assert f"key {digest(OTHER)}" in sandbox.herd("logs", "load").stdout
    assert f"key {digest(OTHER)}" in sandbox.herd("try", "load").stdout
    sandbox.wait_for("the service to start again", lambda: _answer(url) == digest(OTHER))


def _answer(url: str) -> str:
    from tests.live.support import fetch

    return fetch(url)[2]


@pytest.mark.parametrize("secret", [KEY, OTHER, PASSWORD])
def test_no_value_is_in_state_files_or_previews(sandbox: Sandbox, secret: str) -> None:
    shown = [sandbox.pulumi("stack", "export", "--show-secrets").stdout, sandbox.pulumi("preview", "--diff").stdout]
    assert not [text for text in shown if secret in text]
    files = [path for path in (sandbox.folder / ".herd").rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("name", ["API_KEY", "api key", "x"])
def test_a_name_that_cannot_be_is_not_repeated(sandbox: Sandbox, name: str) -> None:
    refused = keep(sandbox, name, KEY)
    assert refused.returncode == 2 and "cannot be the name of a secret" in refused.stderr


def test_a_value_is_never_an_argument(sandbox: Sandbox) -> None:
    refused = sandbox.herd("secret", "set", "api-key", "hunter2", check=False)
    assert refused.returncode == 2 and "never an argument" in refused.stderr and "hunter2" not in refused.stderr


def test_the_secrets_go_with_their_environment(sandbox: Sandbox) -> None:
    removed = sandbox.herd("secret", "rm", "warehouse-login")
    assert "still named by load" in removed.stderr
    down = sandbox.herd("down")
    assert "removed 1 secret of dev" in down.stderr and "nothing is left" in down.stderr
