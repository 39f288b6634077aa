"""Requests a second through the load balancer, beside the same API hit directly."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from bench.measure import Result
from bench.tasks import Cluster
from harness.sandbox import Sandbox

CONNECTIONS = 50
SECONDS = 4
ROUNDS = 3


async def _connection(port: int, request: bytes, until: float) -> tuple[int, int]:
    """Send one request after another on a connection kept open; count good answers and errors."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    good = bad = 0
    while loop.time() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        fields = head.decode("latin-1").lower()
        length = int(fields.split("content-length:", 1)[1].split("\r\n", 1)[0])
        await reader.readexactly(length)
        if head.split(b" ", 2)[1] == b"200":
            good += 1
        else:
            bad += 1
    writer.close()
    return good, bad


async def _load(port: int, host: str, path: str) -> tuple[int, int]:
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    until = asyncio.get_running_loop().time() + SECONDS
    counts = await asyncio.gather(*(_connection(port, request, until) for _ in range(CONNECTIONS)))
    return sum(good for good, _ in counts), sum(bad for _, bad in counts)


def load(port: int, host: str, path: str) -> tuple[float, int]:
    """(good answers a second, errors); from a process of its own, so that our own interpreter does not slow it."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.gateway", str(port), host, path], check=True, capture_output=True, text=True
    )
    good, bad = json.loads(done.stdout)
    return good / SECONDS, bad


def through_the_gateway(folder: Path) -> list[Result]:
    """The sample environment's API under 50 connections."""
    with Sandbox(folder / "checkout") as sandbox:
        sandbox.herd("up", "--no-run")
        sandbox.wait_for("a healthy delay-api", lambda: sandbox.status("delay-api")["healthy"])
        url = urlsplit(sandbox.status("delay-api")["url"])
        elb = Cluster(sandbox).client("elbv2")
        group = elb.describe_target_groups()["TargetGroups"][0]["TargetGroupArn"]
        target = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"][0]["Target"]
        direct: list[float] = []
        gateway: list[float] = []
        errors = 0
        for _ in range(ROUNDS):
            direct.append(load(target["Port"], "127.0.0.1", "/health")[0])
            rate, bad = load(int(url.port or 80), url.netloc, f"{url.path.rstrip('/')}/health")
            gateway.append(rate)
            errors += bad
    floor, ours = sorted(direct)[ROUNDS // 2], sorted(gateway)[ROUNDS // 2]
    return [
        Result(
            f"gateway to an API, {CONNECTIONS} connections",
            ours,
            0.4 * floor,
            "requests/s",
            f"direct {floor:.0f} requests/s",
            at_least=True,
        ),
        Result("errors among them", errors, 0, "answers", "none allowed"),
    ]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_load(int(sys.argv[1]), sys.argv[2], sys.argv[3]))))
