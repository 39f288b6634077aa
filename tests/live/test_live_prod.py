"""The profile prod on the local cloud: private subnets, a key, logs, TLS by domain, adopted data, roles in a boundary.

It stands up, runs, shows no change, and goes; what it adopted stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bench.prod import DATA, SCOPE, SETTINGS, adopt
from harness.sandbox import Sandbox
from tests.live.support import fetch

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-prod")]

SERVE = """
import http.server, json, os, pathlib
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = sorted(path.name for path in pathlib.Path(os.environ["HERD_INPUTS"]).glob("count/*"))
        body = json.dumps({"path": self.path, "found": found}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answers).serve_forever()
"""


class Prod:
    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox

    def client(self, service: str) -> Any:
        return self.sandbox.client(service)


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prod]:
    with Sandbox(tmp_path_factory.mktemp("prod") / "checkout", samples=False) as sandbox:
        prod = Prod(sandbox)
        small = "cpu = 0.25\nmemory_gb = 0.5\n"
        sandbox.write("jobs/count/workload.toml", f'schedule = "@daily"\ncommand = "seq 9 > outputs/n.txt"\n{small}')
        sandbox.write(
            "reports/page/workload.toml",
            f'after = ["count"]\nreads = ["count"]\ncommand = "cat inputs/count/n.txt > outputs/index.html"\n{small}',
        )
        # In dev first: it starts the local cloud, in which what prod adopts is made as an administrator would.
        sandbox.herd("up", "--no-run")
        adopt(sandbox)
        sandbox.write("Pulumi.prod.yaml", f"{SETTINGS}  herd:reports: cloudfront\n")
        sandbox.write("apis/web/workload.toml", f'access = "public"\nhealth = "/"\nreads = ["count"]\n{small}')
        sandbox.write("apis/web/main.py", SERVE)
        sandbox.write("apis/desk/workload.toml", f'access = "internal"\nhealth = "/"\n{small}')
        sandbox.write("apis/desk/main.py", SERVE)
        done = sandbox.herd("up", "-e", "prod", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield prod
        sandbox.herd("down", "-e", "prod", "--confirm", "prod", check=False)


def test_it_runs_and_publishes_with_roles_inside_the_boundary(prod: Prod) -> None:
    status = json.loads(prod.sandbox.herd("status", "-e", "prod", "--json").stdout)
    workloads = {one["name"]: one for one in status["workloads"]} if isinstance(status, dict) else status
    assert workloads["count"]["last_run"]["status"] == "succeeded", status
    assert workloads["page"]["last_run"]["status"] == "succeeded", status
    url = workloads["page"]["url"]
    assert ".cloudfront.localhost:" in url
    assert fetch(url)[0] == 200 and fetch(url)[2].startswith("1\n2\n")
    roles = prod.client("iam").list_roles(PathPrefix="/herd-prod/")["Roles"]
    assert len(roles) > 6
    for role in roles:
        found = prod.client("iam").get_role(RoleName=role["RoleName"])["Role"]
        assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == SCOPE.boundary_arn


def test_services_answer_at_names_of_the_domain(prod: Prod) -> None:
    status = json.loads(prod.sandbox.herd("status", "-e", "prod", "--json").stdout)
    workloads = {one["name"]: one for one in status["workloads"]}
    for name in ("web", "desk"):
        url = workloads[name]["url"]
        assert url.startswith(f"http://{name}.acme.localhost:"), url
        code, _, body = fetch(f"{url}deep?x=1")
        assert code == 200 and json.loads(body)["path"] == "/deep?x=1"


def test_again_changes_nothing(prod: Prod) -> None:
    done = prod.sandbox.herd("preview", "-e", "prod", check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nothing changed\n"


def test_it_goes_and_what_it_adopted_stays(prod: Prod) -> None:
    done = prod.sandbox.herd("down", "-e", "prod", "--confirm", "prod", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = prod.client("s3").list_objects_v2(Bucket=DATA)
    assert any(entry["Key"] == "count/latest.json" for entry in listed["Contents"])
    assert prod.client("iam").get_policy(PolicyArn=SCOPE.boundary_arn)
    assert not prod.client("iam").list_roles(PathPrefix="/herd-prod/")["Roles"]
    assert [one["Name"] for one in prod.client("route53").list_hosted_zones()["HostedZones"]] == ["acme.localhost."]
