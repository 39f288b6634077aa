"""Signed requests: what boto3 really sends is accepted, what differs by a byte is refused in the words AWS uses."""

from __future__ import annotations

import http.client
import io
import json
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ContainerProvider, Credentials
from botocore.exceptions import ClientError
from botocore.utils import ContainerMetadataFetcher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.agent.identity import TaskIdentity
from localcloud.credentials import Key

CALLS = {
    "query": ("iam", "list_roles", {}),
    "sts": ("sts", "get_caller_identity", {}),
    "ec2": ("ec2", "describe_vpcs", {}),
    "json 1.1": ("ecs", "list_clusters", {}),
    "json 1.0": ("stepfunctions", "list_state_machines", {}),
    "rest-json": ("scheduler", "list_schedules", {}),
    "cbor or query": ("cloudwatch", "list_metrics", {}),
    "s3": ("s3", "list_buckets", {}),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_protocol_is_accepted(site: Any, call: tuple[str, str, dict[str, Any]]) -> None:
    service, operation, parameters = call
    getattr(site.client(service), operation)(**parameters)


UNKNOWN = {
    "query": (403, "InvalidClientTokenId"),
    "sts": (403, "InvalidClientTokenId"),
    "ec2": (401, "AuthFailure"),
    "json 1.1": (400, "UnrecognizedClientException"),
    "json 1.0": (400, "UnrecognizedClientException"),
    "rest-json": (403, "UnrecognizedClientException"),
    "cbor or query": (None, None),
    "s3": (403, "InvalidAccessKeyId"),
}
WRONG = {
    "query": (403, "SignatureDoesNotMatch"),
    "sts": (403, "SignatureDoesNotMatch"),
    "ec2": (401, "AuthFailure"),
    "json 1.1": (400, "InvalidSignatureException"),
    "json 1.0": (400, "InvalidSignatureException"),
    "rest-json": (403, "InvalidSignatureException"),
    "cbor or query": (None, None),
    "s3": (403, "SignatureDoesNotMatch"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("wrong", "expected"), [("key", UNKNOWN), ("secret", WRONG)])
def test_an_unknown_key_and_a_wrong_signature_are_refused(
    site: Any, name: str, wrong: str, expected: dict[str, tuple[int | None, str | None]]
) -> None:
    root = site.keyring.root
    key = replace(root, access_key="AKIANOBODYNOBODYNOBO") if wrong == "key" else replace(root, secret_key="guess")
    service, operation, parameters = CALLS[name]
    with pytest.raises(ClientError) as refused:
        getattr(site.client(service, key), operation)(**parameters)
    status, code = expected[name]
    response = refused.value.response
    if code is None:
        assert response["Error"]["Code"] not in ("", "Unknown")
        assert 400 <= response["ResponseMetadata"]["HTTPStatusCode"] < 500
    else:
        assert (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]) == (status, code)


def test_unsigned_requests_are_refused_in_the_protocol_asked(site: Any) -> None:
    target = {"X_Amz_Target": "AmazonEC2ContainerServiceV20141113.ListClusters"}
    answer = site.ask(site.address, "/", "POST", b"{}", Content_Type="application/x-amz-json-1.1", **target)
    assert (answer.status, json.loads(answer.body)["__type"]) == (400, "MissingAuthenticationTokenException")
    form = "application/x-www-form-urlencoded"
    answer = site.ask(site.address, "/", "POST", b"Action=ListRoles&Version=2010-05-08", Content_Type=form)
    assert (answer.status, "MissingAuthenticationToken" in answer.text) == (403, True)
    answer = site.ask(site.address, "/bucket/key")
    assert (answer.status, "<Code>AccessDenied</Code>" in answer.text) == (403, True)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_far_off_is_refused(site: Any, minutes: int) -> None:
    request = AWSRequest("GET", f"http://{site.address}/", headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    stamp = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y%m%dT%H%M%SZ")
    signer = SigV4Auth(Credentials("AKIAROOTROOTROOTROOT", "root-secret"), "s3", "eu-west-1")
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    signer._inject_signature_to_request(
        request, signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    )
    answer = site.ask(site.address, "/", **{name.replace("-", "_"): value for name, value in request.headers.items()})
    assert (answer.status, "RequestTimeTooSkewed" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "key", ["plain.txt", "dir/with space/ü.txt", "a//b", "a+b=c&d", "per%cent", "q?uestion", "tilde~'(x)!*", "./x/../y"]
)
def test_objects_of_any_name(site: Any, key: str) -> None:
    s3 = site.client("s3")
    bucket = site.bucket()
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", Metadata={"owner": "data"})
    got = s3.get_object(Bucket=bucket, Key=key)
    assert (got["Body"].read(), got["Metadata"]) == (b"x", {"owner": "data"})
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


class Pipe(io.RawIOBase):
    """A body that can be read once and whose length boto3 is told by nobody."""

    def __init__(self, data: bytes):
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._inner.readinto(buffer)

    def seekable(self) -> bool:
        return False


BODIES = {
    "empty": lambda data: b"",
    "bytes": lambda data: data,
    "file": lambda data: io.BytesIO(data),
    "pipe": lambda data: Pipe(data),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("algorithm", [None, "CRC32", "SHA1", "SHA256"])
@pytest.mark.parametrize("signed", [True, False, None], ids=["payload signed", "payload unsigned", "as boto3 likes"])
def test_every_way_boto3_sends_a_body(site: Any, body: str, algorithm: str | None, signed: bool | None) -> None:
    data = bytes(range(256)) * 3000
    content = BODIES[body](data)
    style: dict[str, Any] = {"addressing_style": "path"}
    if signed is not None:
        style["payload_signing_enabled"] = signed
    if body == "pipe" and signed and algorithm is None:
        pytest.skip("boto3 cannot hash what it cannot rewind")
    s3 = site.client("s3", s3=style)
    bucket = site.bucket()
    extra = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    if body == "pipe":
        s3.upload_fileobj(content, bucket, "k", ExtraArgs=extra)
    else:
        s3.put_object(Bucket=bucket, Key="k", Body=content, ContentEncoding="gzip", **extra)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == (b"" if body == "empty" else data)
    assert got.get("ContentEncoding") == (None if body == "pipe" else "gzip")


def test_a_large_upload_in_parts(site: Any) -> None:
    s3 = site.client("s3")
    bucket = site.bucket()
    data = b"0123456789abcdef" * (1 << 20)
    s3.upload_fileobj(io.BytesIO(data), bucket, "big")
    target = io.BytesIO()
    s3.download_fileobj(bucket, "big", target)
    assert target.getvalue() == data


@pytest.mark.parametrize("host", ["path", "bucket"])
def test_presigned_addresses(site: Any, host: str) -> None:
    s3 = site.client("s3", signature_version="s3v4")
    bucket = site.bucket()
    if host == "bucket":
        s3 = _at(site, f"http://s3.eu-west-1.localhost:{site.port}")
    put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a b/ü"})
    assert _fetch(site, put, "PUT", b"hello").status == 200
    get = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b/ü"})
    assert _fetch(site, get).body == b"hello"
    assert _fetch(site, get.replace("a%20b", "c")).status == 403
    assert _fetch(site, get + "&x=1").status == 403
    assert _fetch(site, put).status == 403  # signed for another method
    expired = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b/ü"}, ExpiresIn=0)
    assert _fetch(site, expired).status in (400, 403)


def _at(site: Any, endpoint: str) -> Any:
    import boto3
    from botocore.config import Config

    root = site.keyring.root
    return boto3.session.Session().client(
        "s3",
        region_name="eu-west-1",
        endpoint_url=endpoint,
        aws_access_key_id=root.access_key,
        aws_secret_access_key=root.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )


def _fetch(site: Any, url: str, method: str = "GET", body: bytes | None = None) -> Any:
    host, _, path = url.removeprefix("http://").partition("/")
    return site.ask(host, f"/{path}", method, body)


def test_a_body_that_is_not_the_signed_one_is_refused(site: Any) -> None:
    request = AWSRequest("POST", f"http://{site.address}/", data=b"{}", headers={
        "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters", "Content-Type": "application/x-amz-json-1.1",
    })  # fmt: skip
    SigV4Auth(Credentials("AKIAROOTROOTROOTROOT", "root-secret"), "ecs", "eu-west-1").add_auth(request)
    headers = {name.replace("-", "_"): value for name, value in request.headers.items()}
    assert site.ask(site.address, "/", "POST", b"{}", **headers).status == 200
    answer = site.ask(site.address, "/", "POST", b'{"x":1}', **headers)
    assert (answer.status, json.loads(answer.body)["__type"]) == (400, "InvalidSignatureException")


@pytest.fixture
def task(site: Any) -> TaskIdentity:
    return TaskIdentity("arn:aws:ecs:eu-west-1:1:task/herd/abc123", "arn:aws:iam::1:role/herd/tasks/train", "train")


def test_a_task_works_with_its_container_credentials_until_it_ends(
    site: Any, task: TaskIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, token = site.keyring.admit(task)
    environment = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{site.address}{path}",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
    }
    fetched = ContainerProvider(environment, ContainerMetadataFetcher()).load()
    frozen = fetched.get_frozen_credentials()
    key = Key(frozen.access_key, frozen.secret_key, "", frozen.token)
    site.client("ecs", key).list_clusters()
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        site.client("ecs", replace(key, session_token="other")).list_clusters()
    with pytest.raises(ClientError, match="InvalidToken"):
        site.client("s3", replace(key, session_token=None)).list_buckets()
    site.keyring.release(task.task_arn)
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        site.client("ecs", key).list_clusters()
    request = urllib.request.Request(f"http://{site.address}{path}", headers={"Authorization": token})
    with pytest.raises(urllib.error.HTTPError) as gone:
        urllib.request.urlopen(request)
    gone.value.close()


def credentials_at(site: Any, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(site.address)
    connection.request("GET", path, headers=headers)
    with connection.getresponse() as answer:
        connection.close()
        return answer.status


def test_a_task_with_a_network_of_its_own_asks_at_the_address_of_ecs_and_others_do_not(
    site: Any, task: TaskIdentity
) -> None:
    in_network = site.keyring.admit_network(task)
    path, token = site.keyring.admit(task)
    ecs = {"Host": "169.254.170.2"}
    assert credentials_at(site, in_network, **ecs) == 200
    assert credentials_at(site, in_network) == 403, "not at this machine's own address"
    assert credentials_at(site, in_network, Authorization="") == 403
    assert credentials_at(site, path, **ecs) == 403, "whose path wants a token is not asked without"
    assert credentials_at(site, path, Authorization=token) == 200
    assert credentials_at(site, "/", **ecs) == 403, "nothing else is served there"
    site.keyring.release(task.task_arn)
    assert credentials_at(site, in_network, **ecs) == 403


def test_the_server_is_told_who_asks(site: Any, task: TaskIdentity, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    handle = site.server.handle
    monkeypatch.setattr(site.server, "handle", lambda request: seen.append(request) or handle(request))
    path, token = site.keyring.admit(task)
    found = site.keyring.fetch(path, token)
    site.client("sts").get_caller_identity()
    site.client("sts", Key(found["AccessKeyId"], found["SecretAccessKey"], "", found["Token"])).get_caller_identity()
    assert [request.principal for request in seen] == ["root", "arn:aws:sts::1:assumed-role/train/abc123"]


@pytest.fixture
def s3(site: Any) -> Any:
    return site.client("s3")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40))
def test_any_key_that_boto3_can_sign_is_accepted(s3: Any, key: str) -> None:
    try:
        s3.head_object(Bucket="no-such-bucket", Key=key)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "404"
