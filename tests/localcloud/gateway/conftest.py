"""A gateway on a port of its own, before a server with an account of its own; no agent: tests say themselves who is
healthy.
"""

from __future__ import annotations

import http.client
import itertools
import os
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from moto.backends import get_backend

from localcloud.agent.traffic import Traffic
from localcloud.credentials import Key, Keyring
from localcloud.gateway import Gateway
from localcloud.server import Server
from tests.localcloud.gateway.serving import Balancer, Target

REGION = "eu-west-1"
_accounts = itertools.count(500000000000 + os.getpid() * 1000)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Site:
    """What a test talks to, and what it may change behind the scenes."""

    server: Server
    keyring: Keyring
    port: int
    traffic: Traffic
    spool: Path
    """Where objects are written while they arrive."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client(self, service: str, key: Key | None = None, **config: Any) -> Any:
        """boto3 as a stranger uses it: over the socket, signing each request; no retries unless asked for."""
        key = key or self.keyring.root
        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=f"http://{self.address}",
            aws_access_key_id=key.access_key,
            aws_secret_access_key=key.secret_key,
            aws_session_token=key.session_token,
            config=BotoConfig(**{"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **config}),
        )

    def bucket(self) -> str:
        """A new bucket; names are shared by all accounts of the process."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def ask(self, host: str, path: str = "/", method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """One plain HTTP request with this Host; underscores in header names stand for dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers={"Host": host, **named})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def raw(self, data: bytes, timeout: float = 10) -> bytes:
        """Sends bytes as they are; everything that comes back until the gateway closes or is silent for `timeout`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            connection.sendall(data)
            pieces = []
            try:
                while piece := connection.recv(65536):
                    pieces.append(piece)
            except TimeoutError:
                pass
            return b"".join(pieces)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    account = str(next(_accounts))
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = listener.getsockname()[1]
    server = Server(account, REGION, f"http://127.0.0.1:{port}")
    keyring = Keyring(Key("AKIAROOTROOTROOTROOT", "root-secret", "root"))
    traffic = Traffic()
    spool = tmp_path / "spool"
    spool.mkdir()
    gateway = Gateway(
        listener,
        server,
        keyring,
        lambda: list(get_backend("elbv2")[account].values()),
        lambda: [zone for part in get_backend("route53")[account].values() for zone in part.zones.values()],
        lambda: [one for part in get_backend("cloudfront")[account].values() for one in part.distributions.values()],
        traffic,
        spool,
    )
    gateway.start()
    try:
        yield Site(server, keyring, port, traffic, spool)
    finally:
        gateway.stop()
        server.close()


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target("one")
    yield target
    target.close()


@pytest.fixture
def balancer(site: Any) -> Balancer:
    return Balancer(site)


@pytest.fixture
def api(balancer: Balancer, target: Target) -> Balancer:
    """`/api/…` goes to one healthy target, with the prefix taken off."""
    rewrite = {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/api/?(.*)$", "Replace": "/$1"}]}}
    balancer.forward("/api/*", balancer.group(target.port), Transforms=[rewrite])
    return balancer
