"""What a web page or another program of this machine may try against a running environment; none of it may succeed.

After each test the service still answers, the process is the same, and what is deployed has not changed.
"""

from __future__ import annotations

import datetime
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localcloud.credentials import Key
from tests.faults.hostile import DATA_BUCKET, PERSONS_KEY, PERSONS_SECRET, REGION, Estate, eventually
from tests.live.support import connections, listening_addresses

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-hostile")]

EVIL = "http://evil.example"
CREATE_USER = urlencode({"Action": "CreateUser", "UserName": "mallory", "Version": "2010-05-08"}).encode()
JSON_CALL = b'{"cluster": "herd-dev"}'


@pytest.fixture(autouse=True)
def stays_up(estate: Estate) -> Iterator[None]:
    """Compare before and after."""
    pid, before = estate.endpoint["pid"], estate.everything()
    yield
    answer = estate.ask(estate.balancer, "/echo/alive")
    assert (answer.status, json.loads(answer.body)["path"]) == (200, "/alive")
    assert psutil.Process(pid).is_running() and estate.endpoint["pid"] == pid
    assert estate.everything() == before


# --- from a web page ---


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:PORT",
        "127.0.0.1.evil.example:PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.1:PORT",
        "0.0.0.0:PORT",
        "[::1]:PORT",
        "[::ffff:127.0.0.1]:PORT",
        "2130706433:PORT",
        "localhost.:PORT",
        "evil.localhost:PORT",
        "BALANCER.evil.example:PORT",
        "BALANCER@evil.example:PORT",
        "evil.example#BALANCER:PORT",
        "BALANCER:PORT, evil.example",
        "169.254.169.254:PORT",
        "",
    ],
)
def test_rebound_names_reach_nothing(estate: Estate, host: str) -> None:
    named = host.replace("PORT", str(estate.port)).replace("BALANCER", estate.balancer.split(":")[0])
    for target in ("/echo/rebound", "/", "/v2/credentials/x", "/latest/meta-data/iam/security-credentials/"):
        assert estate.ask(named, target).status in (400, 403)
    assert estate.ask(named, "/", "POST", CREATE_USER).status in (400, 403)
    assert not [line for line in estate.seen() if "rebound" in line]


@pytest.mark.parametrize("host", ["api", "balancer", "bucket"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL, "Content_Type": "application/x-www-form-urlencoded"},
        {"Origin": "null", "Content_Type": "application/x-www-form-urlencoded"},
        {"Origin": EVIL, "Content_Type": "text/plain"},
        {"Origin": EVIL, "Content_Type": "application/x-amz-json-1.1", "X_Amz_Target": "AmazonECS.DeleteCluster"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Content_Type": "text/plain"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"},
    ],
    ids=["form", "form-without-origin", "text", "json", "no-cors", "navigation", "same-site"],
)
def test_forms_and_simple_requests_of_other_pages_do_nothing(
    estate: Estate, host: str, headers: dict[str, str]
) -> None:
    for body in (CREATE_USER, JSON_CALL):
        answer = estate.ask(getattr(estate, host), "/echo/forged", "POST", body, **headers)
        assert answer.status in (400, 403)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert not [line for line in estate.seen() if "forged" in line]


def test_scripts_and_images_of_other_pages_read_nothing_but_links_lead_here(estate: Estate) -> None:
    embedded = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"}
    assert estate.ask(estate.balancer, "/echo/embedded", **embedded).status == 403
    framed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
    assert estate.ask(estate.balancer, "/echo/framed", **framed).status == 403
    followed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert estate.ask(estate.balancer, "/echo/linked", **followed).status == 200
    own = {"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors", "Origin": f"http://{estate.balancer}"}
    assert estate.ask(estate.balancer, "/echo/own", "POST", b"{}", **own).status == 200


@pytest.mark.parametrize("host", ["api", "balancer", "bucket"])
def test_preflights_are_granted_nothing(estate: Estate, host: str) -> None:
    for method in ("PUT", "DELETE", "POST"):
        answer = estate.ask(
            getattr(estate, host),
            "/echo/preflight",
            "OPTIONS",
            Origin=EVIL,
            Access_Control_Request_Method=method,
            Access_Control_Request_Headers="authorization,x-amz-target",
            Access_Control_Request_Private_Network="true",
        )
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_websockets_of_other_pages_are_refused(estate: Estate) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    for origin in (EVIL, "null", f"http://{estate.api}"):
        key = {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": origin}
        assert estate.ask(estate.balancer, "/echo/socket", **upgrade, **key).status == 403


# --- without a key, or with another one ---


@pytest.mark.parametrize(
    ("target", "method", "body", "headers"),
    [
        ("/", "GET", None, {}),
        ("/", "POST", CREATE_USER, {"Content_Type": "application/x-www-form-urlencoded"}),
        ("/", "POST", JSON_CALL, {"X_Amz_Target": "AmazonEC2ContainerServiceV20141113.DeleteCluster"}),
        ("/", "POST", b'{"SecretId": "x"}', {"X_Amz_Target": "secretsmanager.GetSecretValue"}),
        (f"/{DATA_BUCKET}/stolen", "PUT", b"x", {}),
        (f"/{DATA_BUCKET}", "DELETE", None, {}),
        (f"/{DATA_BUCKET}?policy", "GET", None, {}),
        ("/?Action=ListUsers&Version=2010-05-08", "GET", None, {}),
        ("/schedules", "GET", None, {}),
        ("/", "POST", CREATE_USER, {"Authorization": "Basic cm9vdDpyb290"}),
        ("/", "POST", CREATE_USER, {"Authorization": "AWS4-HMAC-SHA256 Credential=mock/20260101/us-east-1/iam/aws4"}),
        ("/?AWSAccessKeyId=x&Signature=y&Expires=9999999999", "GET", None, {}),
    ],
)
def test_unsigned_calls_are_refused(
    estate: Estate, target: str, method: str, body: bytes | None, headers: dict[str, str]
) -> None:
    for host in (estate.api, f"localhost:{estate.port}", estate.bucket):
        assert estate.ask(host, target, method, body, **headers).status in (400, 401, 403)


def signed(
    estate: Estate,
    key: Key,
    service: str,
    target: str = "/",
    method: str = "GET",
    body: bytes = b"",
    host: str = "",
    moved: datetime.timedelta = datetime.timedelta(),
    monkeypatch: pytest.MonkeyPatch | None = None,
) -> dict[str, str]:
    """Headers of a request signed with botocore, `moved` from now."""
    request = AWSRequest(method, f"http://{host or estate.api}{target}", data=body)
    if moved and monkeypatch:
        stamp = datetime.datetime.now(datetime.UTC) + moved
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: stamp, raising=True)
    SigV4Auth(Credentials(key.access_key, key.secret_key, key.session_token), service, REGION).add_auth(request)
    return {name.replace("-", "_"): value for name, value in request.headers.items()}


def test_keys_of_others_are_refused(estate: Estate) -> None:
    root = estate.root
    for key in (
        Key(PERSONS_KEY, PERSONS_SECRET, "root"),
        Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "root"),
        Key("test", "test", "root"),
        Key(root.access_key, "", "root"),
        Key(root.access_key, PERSONS_SECRET, "root"),
        Key(root.access_key.lower(), root.secret_key, "root"),
        Key(root.access_key, root.secret_key, "root", session_token="made up"),
    ):
        for service, call in (("s3", "list_buckets"), ("ecs", "list_clusters"), ("iam", "list_users")):
            with pytest.raises(ClientError) as refused:
                getattr(estate.client(service, key), call)()
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 401, 403)


def test_a_signature_holds_for_its_own_request_only(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = signed(estate, estate.root, "iam", "/?Action=ListUsers&Version=2010-05-08")
    assert estate.ask(estate.api, "/?Action=ListUsers&Version=2010-05-08", **listing).status == 200
    for target, method, body in (
        ("/?Action=CreateUser&UserName=mallory&Version=2010-05-08", "GET", None),
        ("/?Action=ListUsers&Version=2010-05-08", "POST", b""),
        ("/?Action=ListUsers&Version=2010-05-08", "GET", CREATE_USER),
        ("/%3FAction=ListUsers&Version=2010-05-08", "GET", None),
    ):
        assert estate.ask(estate.api, target, method, body, **listing).status in (400, 403)
    added = {**listing, "X_Amz_Target": "AmazonEC2ContainerServiceV20141113.DeleteCluster"}
    assert estate.ask(estate.api, "/?Action=ListUsers&Version=2010-05-08", **added).status in (400, 403)
    elsewhere = signed(estate, estate.root, "iam", "/?Action=ListUsers&Version=2010-05-08", host="iam.amazonaws.com")
    assert estate.ask(estate.api, "/?Action=ListUsers&Version=2010-05-08", **elsewhere).status == 403
    unsigned_body = signed(estate, estate.root, "iam", "/", "POST", b"Action=ListUsers&Version=2010-05-08")
    assert estate.ask(estate.api, "/", "POST", CREATE_USER, **unsigned_body).status == 403


@pytest.mark.parametrize("minutes", [-16, -60 * 24, 16, 60 * 24 * 365])
def test_old_and_future_signatures_are_refused(estate: Estate, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    target, moved = "/?Action=ListUsers&Version=2010-05-08", datetime.timedelta(minutes=minutes)
    with monkeypatch.context() as clock:
        headers = signed(estate, estate.root, "iam", target, moved=moved, monkeypatch=clock)
    assert estate.ask(estate.api, target, **headers).status in (400, 403)


def test_presigned_addresses_end_and_open_nothing_else(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = estate.client("s3", signature_version="s3v4")
    s3.put_object(Bucket=DATA_BUCKET, Key="tick/presigned", Body=b"for a while")
    key, start = "tick/presigned", f"http://{estate.api}"
    try:
        good = s3.generate_presigned_url("get_object", {"Bucket": DATA_BUCKET, "Key": key}, 60).removeprefix(start)
        assert (found := estate.ask(estate.api, good)).body == b"for a while", found
        for wrong in (
            good.replace("tick/presigned", "tick/other"),
            good.replace("X-Amz-Expires=60", "X-Amz-Expires=604800"),
            good + "&versionId=null",
            good.replace(f"/{DATA_BUCKET}/", f"/x/../{DATA_BUCKET}/"),
            good[:-4] + ("0000" if not good.endswith("0000") else "1111"),
        ):
            assert estate.ask(estate.api, wrong).status in (400, 403)
        for method in ("PUT", "DELETE", "POST"):
            assert estate.ask(estate.api, good, method, b"x").status in (400, 403)
        assert estate.ask(estate.bucket, good).status in (400, 403, 404)
        request = AWSRequest("GET", f"{start}/{DATA_BUCKET}/{key}")
        with monkeypatch.context() as clock:
            then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=70)
            clock.setattr("botocore.auth.get_current_datetime", lambda **_: then)
            SigV4QueryAuth(Credentials(estate.root.access_key, estate.root.secret_key), "s3", REGION, 60).add_auth(
                request
            )
        expired = estate.ask(estate.api, request.url.removeprefix(start))
        assert expired.status == 403 and b"expired" in expired.body
    finally:
        s3.delete_object(Bucket=DATA_BUCKET, Key=key)


# --- another task's identity ---


def credentials_of(estate: Estate, variables: dict[str, str]) -> tuple[str, str]:
    uri = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    return uri.partition(estate.api)[2], variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]


def test_credentials_are_given_for_the_right_token_only(estate: Estate) -> None:
    path, token = credentials_of(estate, estate.task_variables("echo"))
    assert len(token) >= 40 and len(path.rsplit("/", 1)[1]) >= 20, "too long to be guessed"
    assert estate.ask(estate.api, path, Authorization=token).status == 200
    for wrong in ("", token[:-1], token + "A", token.swapcase(), "Bearer " + token, "*", "%00"):
        assert estate.ask(estate.api, path, Authorization=wrong).status == 403
    for elsewhere in (path + "x", path[:-1], path + "/", path + "/..", "/v2/credentials/", "/v2/credentials/../x",
                      "/v2/credentials/%2e%2e/", path.replace("/v2/", "/v2/%2e/"), "//" + path[1:]):  # fmt: skip
        assert estate.ask(estate.api, elsewhere, Authorization=token).status in (400, 403, 404)
    for host in (estate.balancer, estate.bucket, "evil.example"):
        answer = estate.ask(host, path, Authorization=token)
        assert b"SecretAccessKey" not in answer.body
    assert estate.ask(estate.api, path, Authorization=token, Origin=EVIL).status == 403


def test_a_tasks_keys_are_its_own_and_end_with_it(estate: Estate) -> None:
    path, token = credentials_of(estate, estate.task_variables("echo"))
    given = json.loads(estate.ask(estate.api, path, Authorization=token).body)
    key = Key(given["AccessKeyId"], given["SecretAccessKey"], "", given["Token"])
    me = estate.client("sts", key).get_caller_identity()["Arn"]
    assert ":assumed-role/" in me and "echo" in me
    for wrong in (
        Key(key.access_key, key.secret_key, ""),
        Key(key.access_key, key.secret_key, "", key.session_token + "A"),
        Key(key.access_key, estate.root.secret_key, "", key.session_token),
        Key(estate.root.access_key, key.secret_key, "", key.session_token),
    ):
        with pytest.raises(ClientError):
            estate.client("sts", wrong).get_caller_identity()
    ecs = estate.client("ecs")
    task = ecs.list_tasks(cluster="herd-dev", family="herd-dev-echo")["taskArns"][0]
    ecs.stop_task(cluster="herd-dev", task=task, reason="to see its keys end")
    eventually("the task's keys to end", lambda: estate.ask(estate.api, path, Authorization=token).status == 403)
    with pytest.raises(ClientError):
        estate.client("sts", key).get_caller_identity()
    eventually("the service to be back", lambda: estate.ask(estate.balancer, "/echo/alive").status == 200)


# --- from another program ---


def test_nothing_listens_but_on_loopback(estate: Estate) -> None:
    assert listening_addresses(estate.pid) == {"127.0.0.1"}
    processes = [psutil.Process(estate.pid), *psutil.Process(estate.pid).children(recursive=True)]
    datagrams = [c for process in processes for c in connections(process, "udp")]
    assert not [c for c in datagrams if c.laddr and c.laddr.ip != "127.0.0.1"]


def test_the_control_socket_is_its_owners(estate: Estate) -> None:
    path = Path(estate.endpoint["control"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    state = estate.sandbox.folder / ".herd"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    if os.geteuid() != 0:
        pytest.skip("only root can try as another user")
    script = (
        "import os, socket, sys\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n    socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
        "except PermissionError:\n    pass\nelse:\n    sys.exit('it may connect')\n"
        "try:\n    open(sys.argv[2])\nexcept PermissionError:\n    sys.exit(0)\nsys.exit('it may read')\n"
    )
    command = [sys.executable, "-S", "-c", script, str(path), str(state / "cloud/aws/credentials")]
    tried = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert tried.returncode == 0, tried.stderr


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"not json\n",
        b"[]\n",
        b'{"do": "__class__"}\n',
        b'{"do": ["stop"]}\n',
        b'{"do": "sweep"}\n',
        b'{"do": "plugin", "package": "../../evil"}\n',
        b"\xff\xfe\x00\n",
        b"[" * 60_000 + b"\n",
        b"x" * 5_000_000,
    ],
    ids=lambda line: repr(line[:20]),
)
def test_nonsense_on_the_control_socket_is_answered_with_an_error(estate: Estate, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(estate.endpoint["control"])
        try:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").readline()
        except ConnectionError:
            answer = b'{"error": "closed"}'
    assert "error" in json.loads(answer)
    assert estate.sandbox.status("echo")["state"] == "healthy", "others are answered"


@pytest.mark.parametrize(
    "path", ["/moto-api/data.json", "/moto-api/reset", "/moto-api/seed?a=1", "//moto-api/reset", "/./moto-api/reset",
             "/%6doto-api/reset", "/moto-api%2freset", "/x/../moto-api/reset", "/moto-api/recorder/dump-recording"],
)  # fmt: skip
def test_motos_control_interface_cannot_be_reached(estate: Estate, path: str) -> None:
    for host in (estate.api, estate.bucket, f"localhost:{estate.port}", f"motoapi.s3.{REGION}.localhost:{estate.port}"):
        for method in ("GET", "POST"):
            for service in ("", "s3", "moto-api", "ecs"):
                headers = signed(estate, estate.root, service, path, method, host=host) if service else {}
                answer = estate.ask(host, path, method, b"" if method == "POST" else None, **headers)
                assert answer.status >= 400, (host, method, service, answer.body[:200])
