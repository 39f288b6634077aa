"""The registry as its clients see it, and as those do who should not be there."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.docker.registry import MAX_MANIFEST_BYTES, Registry

LAYER, CONFIG = b"a layer", b'{"architecture":"amd64"}'
TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": TYPE,
        "config": {"digest": digest_of(CONFIG)},
        "layers": [{"digest": digest_of(LAYER)}],
    }
).encode()


class Client:
    """One that knows the password, unless it is told otherwise."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        login = registry.login
        token = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        self.headers = {"Host": registry.host, "Authorization": f"Basic {token}"}

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.registry.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in {**self.headers, "Content-Length": str(len(body)), **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
        finally:
            connection.close()

    def push(self, content: bytes, digest: str | None = None) -> int:
        _, headers, _ = self.ask("POST", "/v2/team/app/blobs/uploads/")
        half = len(content) // 2
        _, headers, _ = self.ask("PATCH", headers["location"], content[:half])
        status, _, _ = self.ask("PUT", f"{headers['location']}?digest={digest or digest_of(content)}", content[half:])
        return status


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "registry")
    yield made
    made.close()


@pytest.fixture
def client(registry: Registry) -> Client:
    return Client(registry)


def test_what_was_pushed_is_pulled_by_tag_and_digest(client: Client) -> None:
    for content in (LAYER, CONFIG):
        assert client.ask("HEAD", f"/v2/team/app/blobs/{digest_of(content)}")[0] == 404
        assert client.push(content) == 201
        assert client.ask("GET", f"/v2/team/app/blobs/{digest_of(content)}")[2] == content
    status, headers, _ = client.ask("PUT", "/v2/team/app/manifests/v1", MANIFEST, **{"Content-Type": TYPE})
    assert (status, headers["docker-content-digest"]) == (201, digest_of(MANIFEST))
    for reference in ("v1", digest_of(MANIFEST)):
        status, headers, body = client.ask("GET", f"/v2/team/app/manifests/{reference}")
        assert (status, headers["content-type"], body) == (200, TYPE, MANIFEST)
    assert client.registry.pushed("team/app", "v1") == digest_of(MANIFEST)
    assert client.registry.manifest(digest_of(MANIFEST)) == MANIFEST.decode()
    mounted = client.ask("POST", f"/v2/team/other/blobs/uploads/?mount={digest_of(LAYER)}&from=team/app")
    assert mounted[0] == 201


def test_a_manifest_whose_layers_are_not_there_is_refused_and_nothing_has_a_name(client: Client) -> None:
    client.push(CONFIG)
    status, _, body = client.ask("PUT", "/v2/team/app/manifests/v1", MANIFEST, **{"Content-Type": TYPE})
    assert status == 400 and b"MANIFEST_BLOB_UNKNOWN" in body and digest_of(LAYER).encode() in body
    assert client.ask("GET", "/v2/team/app/manifests/v1")[0] == 404
    assert client.registry.digests() == []
    client.registry.sweep()
    assert client.ask("HEAD", f"/v2/team/app/blobs/{digest_of(CONFIG)}")[0] == 404


def test_an_image_that_lost_a_layer_is_not_there(client: Client, tmp_path: Path) -> None:
    client.push(CONFIG), client.push(LAYER)
    client.ask("PUT", "/v2/team/app/manifests/v1", MANIFEST)
    (tmp_path / "registry/blobs" / digest_of(LAYER).removeprefix("sha256:")).unlink()
    assert client.registry.manifest(digest_of(MANIFEST)) is None


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/v2/team/app/manifests/v1", b"not JSON", 400),
        ("PUT", "/v2/team/app/manifests/v1", b"[]", 400),
        ("PUT", "/v2/team/app/manifests/v1", b'{"config": {}, "layers": []}', 400),
        ("PUT", "/v2/team/app/manifests/v1", b'{"config": {"digest": "../../x"}, "layers": []}', 400),
        ("PUT", f"/v2/team/app/manifests/{digest_of(b'another')}", MANIFEST, 400),
        ("PUT", "/v2/team/app/manifests/-bad", MANIFEST, 400),
        ("PUT", "/v2/team/app/manifests/v1", b" " * (MAX_MANIFEST_BYTES + 1), 413),
        ("GET", "/v2/team/app/blobs/sha256:..%2f..%2fport", b"", 404),
        ("GET", "/v2/team/app/blobs/../../port", b"", 404),
        ("PATCH", "/v2/team/app/blobs/uploads/0123abcd", b"x", 404),
        ("GET", "/v2/_catalog", b"", 404),
        ("DELETE", f"/v2/team/app/manifests/{digest_of(MANIFEST)}", b"", 405),
    ],
)
def test_what_is_not_asked_rightly_is_refused(client: Client, method: str, path: str, body: bytes, status: int) -> None:
    assert client.ask(method, path, body)[0] == status
    assert client.registry.digests() == []


def test_content_of_another_digest_is_not_kept(client: Client, tmp_path: Path) -> None:
    assert client.push(LAYER, digest_of(CONFIG)) == 400
    assert list((tmp_path / "registry/blobs").iterdir()) == list((tmp_path / "registry/uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Basic bG9jYWxjbG91ZDp3cm9uZw=="}, 401),
        ({"Authorization": "Basic \xff"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost:1"}, 403),
    ],
)
def test_strangers_get_nothing(client: Client, headers: dict[str, str], status: int) -> None:
    for method, path in (("GET", "/v2/"), ("POST", "/v2/team/app/blobs/uploads/"), ("PUT", "/v2/a/manifests/v1")):
        assert client.ask(method, path, **headers)[0] == status
    assert client.registry.digests() == []


def test_the_port_stays_and_another_is_taken_where_it_is_not_free(tmp_path: Path) -> None:
    first = Registry(tmp_path / "a")
    first.close()
    again = Registry(tmp_path / "a")
    assert again.port == first.port
    (tmp_path / "b").mkdir()
    (tmp_path / "b/port").write_text(str(again.port))
    other = Registry(tmp_path / "b")
    try:
        assert other.port != again.port
    finally:
        other.close()
        again.close()
