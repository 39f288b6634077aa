"""A service seen from inside: what the load balancer will hold against it is said in its log, with the setting."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from herd.runner.health import own_address
from localcloud import ports

Make = Callable[..., Any]

PYTHON = shlex.quote(sys.executable)
"""For a command that a shell reads: the checkout may lie in a folder with a space in its name."""

SERVER = """
import http.server, json, os, time
time.sleep(float(os.environ.get("SLOW", "0")))
answers = json.loads(os.environ["ANSWERS"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(answers.get(self.path, 404)); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def said_by(service: Any, words: str, **variables: str) -> str:
    """The line of the runner's that has these words; the service is then stopped."""
    process = service.start("s1", PORT=str(ports.free()), **variables)
    for line in process.stdout:
        if words in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    return str(line).rstrip("\n")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ('{"/": 200}', 'GET /up answers 404; name a path that answers 200: health = "/"'),
        ("{}", 'GET /up answers 404; name a path that answers 200 to everybody: health = "/…"'),
        ('{"/up": 401}', 'GET /up answers 401; name a path that answers 200 to everybody: health = "/…"'),
        ('{"/up": 307}', 'GET /up answers 307; name a path that answers 200 to everybody: health = "/…"'),
        (
            '{"/up": 503}',
            "GET /up still answers 503 2 s after the start, and must answer 200 while the process is up; if it takes "
            "longer to start, say so: start_minutes = 1",
        ),
    ],
    ids=["the page at the top would do", "nothing at all", "wants a login", "redirects", "is never ready"],
)
@pytest.mark.parametrize("trial", [False, True], ids=["deployed", "herd try"])
def test_what_is_wrong_with_the_health_path(make: Make, offline: Make, answers: str, words: str, trial: bool) -> None:
    settings: dict[str, Any] = {"kind": "api", "port": 8000, "health": "/up", "start_seconds": 2}
    service = (offline if trial else make)("api", f"exec {PYTHON} server.py", **settings)
    (service.folder / "server.py").write_text(SERVER)
    assert said_by(service, "GET /up", ANSWERS=answers) == f"herd: {words}"


def test_nothing_listens_where_it_should(make: Make) -> None:
    service = make("api", "exec sleep 300", kind="api", port=8000, health="/up", start_seconds=1)
    assert said_by(service, "herd:").endswith(
        "1 s after the start: the program must listen on $PORT; if it takes longer to start, say so: start_minutes = 1"
    )


def test_a_service_that_is_well_after_a_slow_start_is_not_scolded(make: Make) -> None:
    script = f"{PYTHON} server.py & sleep 5; echo well; exec sleep 300"
    service = make("api", script, {"server.py": SERVER}, kind="api", port=8000, health="/up", start_seconds=60)
    process = service.start("s1", PORT=str(ports.free()), HOST="127.0.0.1", ANSWERS='{"/up": 200}', SLOW="2")
    assert process.stdout.readline() == "well\n"
    process.send_signal(signal.SIGTERM)
    assert "herd:" not in process.communicate(timeout=60)[0]


KEEPS = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = float(os.environ["KEEPS"])
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0")
        if os.environ.get("CLOSES"): self.send_header("Connection", "close")
        self.end_headers()
    def log_message(self, *_): pass
print("up", flush=True)
http.server.ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler).serve_forever()
"""


def keeper(make: Make, **settings: Any) -> Any:
    """A service whose server closes an idle connection after KEEPS seconds."""
    return make("api", f"exec {PYTHON} k.py", {"k.py": KEEPS}, kind="api", port=8000, health="/", **settings)


def test_a_server_that_closes_idle_connections_too_soon_is_named(make: Make) -> None:
    line = said_by(keeper(make, keep_alive_seconds=75), "herd:", KEEPS="2", HOST="127.0.0.1")
    assert line == (
        "herd: the server closes idle connections after 2 s, sooner than the load balancer: now and then a caller gets "
        "a 502; let it keep them for 75 s"
    )


@pytest.mark.parametrize("variables", [{"KEEPS": "60"}, {"KEEPS": "60", "CLOSES": "1"}], ids=["keeps", "says so"])
def test_a_server_that_keeps_them_long_enough_is_not(make: Make, variables: dict[str, str]) -> None:
    process = keeper(make, keep_alive_seconds=12).start("s1", PORT=str(ports.free()), HOST="127.0.0.1", **variables)
    assert process.stdout.readline() == "up\n"
    time.sleep(5)  # it was asked after one second, and two more are looked at
    process.send_signal(signal.SIGTERM)
    assert "herd:" not in process.communicate(timeout=60)[0]


@pytest.mark.skipif(own_address() is None, reason="this machine has no address but its own")
def test_a_program_that_nobody_outside_reaches_is_named(make: Make) -> None:
    """On AWS, where no HOST is given: many frameworks listen on 127.0.0.1 unless they are told."""
    line = said_by(keeper(make), "herd:", KEEPS="60")
    assert "answers on 127.0.0.1 only: nobody outside this container reaches it; listen on 0.0.0.0" in line


def test_servers_are_told_what_stands_before_them(make: Make) -> None:
    shown = "env | grep -E '^(UVICORN|GUNICORN|FORWARDED)' | sort"
    service = make("api", shown, kind="api", port=8000, base_path="/api", keep_alive_seconds=75)
    assert service.run("s1").log.splitlines() == [
        "FORWARDED_ALLOW_IPS=127.0.0.0/8,10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16",
        "GUNICORN_CMD_ARGS=--forwarded-allow-ips=* --keep-alive=75",
        "UVICORN_ROOT_PATH=/api",
        "UVICORN_TIMEOUT_KEEP_ALIVE=75",
    ]
    own = service.run("s1", UVICORN_TIMEOUT_KEEP_ALIVE="20", FORWARDED_ALLOW_IPS="10.1.2.3").log
    assert "UVICORN_TIMEOUT_KEEP_ALIVE=20" in own and "FORWARDED_ALLOW_IPS=10.1.2.3\n" in own, "[env] has the last word"
    assert make("job", shown).run("r1").log.startswith("herd:"), "a job has nothing before it"
