"""The environment that is hurt: a job, a report that reads it, a service. Each knows its edition of the code."""

from __future__ import annotations

from harness.sandbox import Sandbox

FILES = 6
"""How many files the job publishes in each version."""

SMALL = "cpu = 0.25\nmemory_gb = 0.5\nretries = 2\n"

ALPHA = """import os, pathlib, time
out = pathlib.Path(os.environ["HERD_OUTPUTS"])
for number in range({files}):
    (out / f"part{{number}}.txt").write_text(os.environ["HERD_RUN_ID"] * 300)
time.sleep(float(os.environ["HERD_PARAM_SECONDS"]))
(out / "edition.txt").write_text("{edition}")
"""

BETA = """import os, pathlib
run, out = os.environ["HERD_RUN_ID"], pathlib.Path(os.environ["HERD_OUTPUTS"])
parts = [path.read_text() for path in sorted(pathlib.Path("inputs/alpha").glob("part*"))]
assert len(parts) == {files} and len(set(parts)) == 1, "the input is not one whole version"
(out / "index.html").write_text(f"<p>{edition} {{run}}</p>")
(out / "data.txt").write_text(run)
"""

GAMMA = """import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{edition}")
    def log_message(self, *_):
        pass
address = (os.environ.get("HOST", "0.0.0.0"), int(os.environ["PORT"]))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""

PORTS = (8000, 8001)
"""Another port replaces the service's target group and what follows from it."""


def write(sandbox: Sandbox, edition: str, port: int) -> None:
    """Write the team's files, as somebody who works on all of them would leave them."""
    for path, text in {
        "jobs/alpha/workload.toml": SMALL + f'[params]\nseconds = 0.0\n[env]\nEDITION = "{edition}"\n',
        "jobs/alpha/main.py": ALPHA.format(files=FILES, edition=edition),
        "reports/beta/workload.toml": SMALL + 'after = ["alpha"]\nreads = ["alpha"]\n',
        "reports/beta/main.py": BETA.format(files=FILES, edition=edition),
        "apis/gamma/workload.toml": 'cpu = 0.25\nmemory_gb = 0.5\naccess = "public"\n' + f"port = {port}\n",
        "apis/gamma/main.py": GAMMA.format(edition=edition),
    }.items():
        sandbox.write(path, text)
