"""What was judged is what moto carries out.

Requests that two readers could read in two ways are refused (4xx), or do no more than what the role may do.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from localcloud import server
from localcloud.iam import accesses, s3
from localcloud.iam.principals import session_of
from localcloud.request import ObjectName, Request, Response, read
from tests.localcloud.iam.acting import REGION, Account, allow

FORM = ("Content-Type", "application/x-www-form-urlencoded")
GZIP = ("Content-Encoding", "gzip")
JSON = ("Content-Type", "application/x-amz-json-1.1")


def send(
    account: Account,
    who: str,
    service: str,
    method: str,
    url: str,
    body: bytes = b"",
    *headers: tuple[str, str],
    host: str = "localhost",
) -> Response:
    scope = f"AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    whole = [("Host", host), ("Authorization", scope), *headers]
    principal = who if who == "root" else session_of(who, "session")
    return account.server.handle(Request(method, url, whole, body, principal))


@pytest.fixture
def bucket(account: Account) -> str:
    return account.bucket("own/x", "other/x")


@pytest.fixture
def writer(account: Account, bucket: str) -> str:
    """It may do everything with what lies below own/."""
    own = f"arn:aws:s3:::{bucket}/own/*"
    return account.role(allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], own))


def keys(account: Account, bucket: str) -> list[str]:
    found = account.root("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return [entry["Key"] for entry in found]


# --- S3 --------------------------------------------------------------------------------------------------------------

S3_SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
DELETES = {
    "another namespace": '<Delete xmlns:x="u"><Object><Key>other/x</Key><x:Key>own/y</x:Key></Object></Delete>',
    "the same, first": '<Delete xmlns:x="u"><Object><x:Key>own/y</x:Key><Key>other/x</Key></Object></Delete>',
    "a default namespace": '<Delete><Object><Key>other/x</Key><Key xmlns="u">own/y</Key></Object></Delete>',
    "two keys": "<Delete><Object><Key>other/x</Key><Key>own/y</Key></Object></Delete>",
    "two keys, in turn": "<Delete><Object><Key>own/y</Key><Key>other/x</Key></Object></Delete>",
    "an object in an object": "<Delete><Object><Key>own/y</Key><Object><Key>other/x</Key></Object></Object></Delete>",
    "an object of another namespace": '<Delete xmlns:x="u"><x:Object><Key>own/y</Key></x:Object>'
    "<Object><Key>other/x</Key></Object></Delete>",
    "two documents": "<Delete><Object><Key>own/y</Key></Object></Delete>"
    "<Delete><Object><Key>other/x</Key></Object></Delete>",
    "an element in a key": "<Delete><Object><Key>own/y<b>other/x</b></Key></Object></Delete>",
    "an attribute of a key": '<Delete><Object><Key n="1">other/x</Key></Object></Delete>',
    "an entity": '<!DOCTYPE Delete [<!ENTITY k "other/x">]><Delete><Object><Key>&k;</Key></Object></Delete>',
    "nothing": "<Delete/>",
    "an object without a key": "<Delete><Object/></Delete>",
    "an empty key": "<Delete><Object><Key/></Object></Delete>",
    "another document": "<Remove><Object><Key>other/x</Key></Object></Remove>",
    "no document": "other/x",
    "nothing at all": "",
    "a thousand and one": f"<Delete>{'<Object><Key>own/y</Key></Object>' * 1001}</Delete>",
}


@pytest.mark.parametrize("who", ["role", "root"])
@pytest.mark.parametrize("name", DELETES)
def test_a_document_of_keys_has_one_reading(account: Account, bucket: str, writer: str, name: str, who: str) -> None:
    principal = writer if who == "role" else "root"
    answer = send(account, principal, "s3", "POST", f"/{bucket}?delete", DELETES[name].encode())
    assert 400 <= answer.status < 500 and b"<Code>" in answer.body
    assert keys(account, bucket) == ["other/x", "own/x"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-7", "latin-1"])
def test_a_document_of_keys_is_utf_8(account: Account, bucket: str, writer: str, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><Delete><Object><Key>other/x</Key></Object></Delete>'
    answer = send(account, writer, "s3", "POST", f"/{bucket}?delete", text.encode(encoding))
    assert 400 <= answer.status < 500
    assert keys(account, bucket) == ["other/x", "own/x"]


@pytest.mark.parametrize("space", ["", S3_SPACE])
def test_a_plain_document_of_keys_is_carried_out(account: Account, bucket: str, writer: str, space: str) -> None:
    body = f"<Delete {space}><Quiet>true</Quiet><Object><Key>own/x</Key></Object></Delete>".encode()
    assert send(account, writer, "s3", "POST", f"/{bucket}?delete", body).status == 200
    assert keys(account, bucket) == ["other/x"]


def test_a_bucket_is_the_one_that_was_judged(account: Account, bucket: str, writer: str) -> None:
    """Neither an empty first part of a path nor capitals in a host's name lead to another bucket."""
    public = account.bucket()
    for url, host in [
        (f"//{public}/{bucket}/own/page", "localhost"),
        (f"///{public}/own/page", "localhost"),
        (f"/{bucket}/own/page", f"{public}.S3.eu-west-1.localhost:4999"),
        (f"/{bucket}/own/page", f"{public.upper()}.s3.EU-WEST-1.LOCALHOST:4999"),
        (f"//{bucket}/own/page", f"{public}.s3.eu-west-1.localhost"),
        (f"/{bucket}%2Fown/page", "localhost"),
        (f"/{public}%00/own/page", "localhost"),
        (f"/%2F{public}/{bucket}/own/page", "localhost"),
        (f"/{bucket};/own/page", "localhost"),
    ]:
        answer = send(account, writer, "s3", "PUT", url, b"evil", host=host)
        assert 400 <= answer.status < 500, url
        assert keys(account, public) == []


def test_a_bucket_is_found_by_its_host_in_any_letters(account: Account, bucket: str, writer: str) -> None:
    assert (
        send(account, writer, "s3", "PUT", "/own/y", b"1", host=f"{bucket}.S3.eu-west-1.localhost:4999").status == 200
    )
    assert keys(account, bucket) == ["other/x", "own/x", "own/y"]


@pytest.mark.parametrize(
    "source",
    [
        "//{bucket}/{bucket}/other/x",
        "{bucket}/other/x#/own/x",
        "{bucket}/other/x;own",
        "s3://{bucket}/other/x",
        "http://{bucket}/{bucket}/other/x",
        "/{bucket}/own/../other/x",
        "{bucket}/other%2Fx",
        "%2F{bucket}/other/x",
        "{bucket}/other/x?versionId=null",
        "{bucket}/other/x?versionId=",
        "{bucket}/other/x?versionId=a&versionId=b",
        "{bucket}",
        "",
    ],
)
@pytest.mark.parametrize("part", [False, True])
def test_a_copy_is_of_the_source_that_was_judged(
    account: Account, bucket: str, writer: str, source: str, part: bool
) -> None:
    root = account.root("s3")
    upload = root.create_multipart_upload(Bucket=bucket, Key="own/y")["UploadId"]
    query = f"?partNumber=1&uploadId={upload}" if part else ""
    header = ("x-amz-copy-source", source.format(bucket=bucket))
    answer = send(account, writer, "s3", "PUT", f"/{bucket}/own/y{query}", b"", header)
    assert 400 <= answer.status < 500
    assert keys(account, bucket) == ["other/x", "own/x"]
    assert "Parts" not in root.list_parts(Bucket=bucket, Key="own/y", UploadId=upload)


def test_two_sources_of_a_copy_are_refused(account: Account, bucket: str, writer: str) -> None:
    headers = [("x-amz-copy-source", f"{bucket}/own/x"), ("X-Amz-Copy-Source", f"{bucket}/other/x")]
    assert send(account, writer, "s3", "PUT", f"/{bucket}/own/y", b"", *headers).status == 400


@pytest.mark.parametrize("key", ["own/a b", "own/a+b", "own/ü", "own/a;b#c?d", "own//x", "own/%41"])
def test_a_copy_of_any_key(account: Account, bucket: str, writer: str, key: str) -> None:
    account.root("s3").put_object(Bucket=bucket, Key=key, Body=b"data")
    client = account.client(writer, "s3")
    client.copy_object(Bucket=bucket, Key="own/y", CopySource={"Bucket": bucket, "Key": key})
    assert client.get_object(Bucket=bucket, Key="own/y")["Body"].read() == b"data"


def test_an_upload_in_parts_belongs_to_its_key(account: Account, bucket: str, writer: str) -> None:
    root = account.root("s3")
    upload = root.create_multipart_upload(Bucket=bucket, Key="other/y")["UploadId"]
    root.upload_part(Bucket=bucket, Key="other/y", UploadId=upload, PartNumber=1, Body=b"theirs")
    part = f"/{bucket}/own/y?uploadId={upload}"
    etag = root.list_parts(Bucket=bucket, Key="other/y", UploadId=upload)["Parts"][0]["ETag"]
    document = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    document = f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>"
    assert send(account, writer, "s3", "PUT", f"{part}&partNumber=1", b"mine").status == 404
    assert send(account, writer, "s3", "POST", part, document.encode()).status == 404
    assert send(account, writer, "s3", "DELETE", part).status == 404
    assert keys(account, bucket) == ["other/x", "own/x"]
    assert root.list_parts(Bucket=bucket, Key="other/y", UploadId=upload)["Parts"][0]["Size"] == len("theirs")


UNSUPPORTED = [
    ("DELETE", "?metrics&id=a", "s3:PutMetricsConfiguration"),
    ("DELETE", "?analytics&id=a", "s3:PutAnalyticsConfiguration"),
    ("DELETE", "?inventory&id=a", "s3:PutInventoryConfiguration"),
    ("DELETE", "?versioning", "s3:*"),
    ("DELETE", "?acl", "s3:*"),
    ("GET", "?analytics", "s3:GetAnalyticsConfiguration"),
    ("GET", "?requestPayment", "s3:GetBucketRequestPayment"),
    ("HEAD", "?policy", "s3:GetBucketPolicy"),
    ("GET", "/other/x?retention", "s3:GetObjectRetention"),
    ("GET", "/other/x?torrent", "s3:GetObjectTorrent"),
    ("HEAD", "/other/x?acl", "s3:GetObjectAcl"),
    ("PUT", "/other/x?restore", "s3:RestoreObject"),
    ("DELETE", "/other/x?acl", "s3:*"),
    ("DELETE", "/other/x?retention", "s3:*"),
    ("POST", "/other/x?tagging&select", "s3:PutObjectTagging"),
]


@pytest.mark.parametrize("who", ["role", "root"])
@pytest.mark.parametrize(("method", "rest", "action"), UNSUPPORTED)
def test_what_moto_does_not_know_is_not_something_else(
    account: Account, bucket: str, method: str, rest: str, action: str, who: str
) -> None:
    """It takes a part of a bucket or object that it does not know for the whole."""
    empty = account.bucket()
    place = bucket if rest.startswith("/") else empty
    principal = account.role(allow(action)) if who == "role" else "root"
    answer = send(account, principal, "s3", method, f"/{place}{rest}", b"")
    assert answer.status in (400, 403, 405) and b"other/x" not in answer.body
    assert keys(account, empty) == [] and keys(account, bucket) == ["other/x", "own/x"]
    assert account.root("s3").get_object(Bucket=bucket, Key="other/x")["Body"].read() == b"other/x"


# --- the other services ----------------------------------------------------------------------------------------------


@pytest.fixture
def reader(account: Account) -> Iterator[str]:
    """It may read one secret, and list all of them."""
    for name in ("mine", "victim"):
        account.root("secretsmanager").create_secret(Name=name, SecretString=f"value of {name}")
    account.server.client("secretsmanager", "us-east-1").create_secret(Name="mine", SecretString="value of victim")
    yield account.role(
        allow("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:*:secret:mine-*"),
        allow("secretsmanager:ListSecrets"),
    )
    assert account.root("secretsmanager").get_secret_value(SecretId="victim")["SecretString"] == "value of victim"


def target(action: str) -> tuple[str, str]:
    return ("X-Amz-Target", f"secretsmanager.{action}")


GET, LIST = target("GetSecretValue"), target("ListSecrets")
SECRETS: dict[str, tuple[bytes, tuple[tuple[str, str], ...]]] = {
    "a parameter in a text": (b'{"SecretId": "mine", "x": "&SecretId=victim&y="}', (GET, JSON)),
    "an action in a text": (b'{"x": "&Action=DeleteSecret&SecretId=victim&y="}', (LIST, JSON)),
    "another reading of an action": (b'{"x": "&Action=GetSecretValue&SecretId=victim&y="}', (LIST, JSON)),
    "an action in a header": (b"", (LIST, JSON, ("Action", "DeleteSecret"))),
    "a name twice": (b'{"SecretId": "mine", "SecretId": "victim"}', (GET, JSON)),
    "a name twice, escaped": (b'{"SecretId": "mine", "Secret\\u0049d": "victim"}', (GET, JSON)),
    "a compressed body": (gzip.compress(b'{"SecretId": "victim"}'), (GET, JSON, GZIP)),
    "a body compressed otherwise": (b'{"SecretId": "victim"}', (GET, JSON, ("Content-Encoding", "deflate"))),
    "half of a compressed body": (
        gzip.compress(b'{"SecretId": "mine"}')[:-4],
        (GET, JSON, GZIP),
    ),
    "a body compressed to nothing": (b"", (GET, JSON, GZIP)),
    "utf-16": ('{"SecretId": "mine"}'.encode("utf-16"), (GET, JSON)),
    "a byte order mark": (b'\xef\xbb\xbf{"SecretId": "mine"}', (GET, JSON)),
    "a list": (b'["victim"]', (GET, JSON)),
    "no JSON": (b"SecretId=victim", (GET, JSON)),
    "nested": (b"[" * 100_000, (GET, JSON)),
    "nested objects": (b'{"SecretId":' * 5_000 + b"1" + b"}" * 5_000, (GET, JSON)),
    "no number": (b'{"SecretId": "mine", "x": NaN}', (GET, JSON)),
    "half of a character": (b'{"SecretId": "mine\\ud800"}', (GET, JSON)),
    "a form with a target": (b"Action=DeleteSecret&SecretId=victim", (LIST, FORM)),
    "two targets": (b'{"SecretId": "victim"}', (target("DeleteSecret"), LIST, JSON)),
    "a region in the user agent": (b'{"SecretId": "mine"}', (GET, JSON, ("User-Agent", "aws region/us-east-1"))),
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_call_in_json_has_one_reading(account: Account, reader: str, name: str) -> None:
    body, headers = SECRETS[name]
    answer = send(account, reader, "secretsmanager", "POST", "/", body, *headers)
    assert answer.status == 200 or 400 <= answer.status < 500 and b"__type" in answer.body
    assert b"value of victim" not in answer.body


def test_parameters_that_an_action_does_not_have_are_not_its_resource(account: Account) -> None:
    """Whoever names something of his own beside what it is about is judged by what it is about."""
    root = account.root("sqs")
    for name in ("mine", "victim"):
        root.create_queue(QueueName=name)
    role = account.role(allow("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{account.id}:mine"))
    headers = (("X-Amz-Target", "AmazonSQS.SendMessage"), ("Content-Type", "application/x-amz-json-1.0"))
    for given in (
        {"QueueName": "mine", "QueueUrl": "http://h/1/victim"},
        {"QueueUrl": "http://h/mine?/victim"},
        {"QueueUrl": "http://h/mine#/victim"},
        {"QueueUrl": "http://h/1/victim", "queueUrl": "http://h/1/mine"},
    ):
        body = json.dumps({**given, "MessageBody": "x"}).encode()
        assert 400 <= send(account, role, "sqs", "POST", "/", body, *headers).status < 500, given
    count = root.get_queue_attributes(QueueUrl="victim", AttributeNames=["All"])["Attributes"]
    assert count["ApproximateNumberOfMessages"] == "0"
    fine = json.dumps({"QueueUrl": "http://h/1/mine", "MessageBody": "x"}).encode()
    assert send(account, role, "sqs", "POST", "/", fine, *headers).status == 200


def test_an_execution_is_not_judged_as_a_machine(account: Account) -> None:
    role = account.role(allow("states:*", f"arn:aws:states:{REGION}:*:stateMachine:mine"))
    machine = f"arn:aws:states:{REGION}:{account.id}:stateMachine:mine"
    execution = f"arn:aws:states:{REGION}:{account.id}:execution:victim:run"
    headers = (("X-Amz-Target", "AWSStepFunctions.StopExecution"), ("Content-Type", "application/x-amz-json-1.0"))
    body = json.dumps({"stateMachineArn": machine, "executionArn": execution}).encode()
    answer = send(account, role, "states", "POST", "/", body, *headers)
    assert (answer.status, b"AccessDenied" in answer.body) == (400, True)


FORMS: dict[str, tuple[bytes, tuple[tuple[str, str], ...]]] = {
    "parts instead of a form": (
        b'--x-www-form-urlencoded\r\nContent-Disposition: form-data; name="Action"\r\n\r\nCreateUser\r\n'
        b'--x-www-form-urlencoded\r\nContent-Disposition: form-data; name="UserName"\r\n\r\nmallory\r\n'
        b"--x-www-form-urlencoded--\r\n&Action=GetUser&UserName=mine",
        (("Content-Type", "multipart/form-data; boundary=x-www-form-urlencoded"),),
    ),
    "a form of another type": (
        b"Action=CreateUser&UserName=mallory",
        (("Content-Type", "text/plain; a=x-www-form-urlencoded"),),
    ),
    "no type": (b"Action=CreateUser&UserName=mallory", ()),
    "two types": (b"Action=CreateUser&UserName=mallory", (FORM, ("content-type", "text/plain"))),
    "an encoding": (
        urlencode({"Action": "CreateUser", "UserName": "mallory"}).encode("utf-16"),
        (("Content-Type", "application/x-www-form-urlencoded; charset=utf-16"),),
    ),
    "latin-1": (b"Action=GetUser&UserName=\xfc", (FORM,)),
    "a target": (b"Action=CreateUser&UserName=mallory", (FORM, ("X-Amz-Target", "x.GetUser"))),
    "half a million parameters": (b"Action=GetUser&UserName=mine" + b"&a=b" * 500_000, (FORM,)),
    "compressed": (gzip.compress(b"Action=CreateUser&UserName=mallory"), (FORM, GZIP)),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_has_one_reading(account: Account, name: str) -> None:
    body, headers = FORMS[name]
    role = account.role(allow("iam:GetUser"))
    answer = send(account, role, "iam", "POST", "/", body, *headers)
    assert 400 <= answer.status < 500
    assert account.root("iam").list_users()["Users"] == []


def test_a_schedule_is_the_one_that_was_judged(account: Account) -> None:
    scheduler = account.root("scheduler")
    wanted = {"ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"},
              "Target": {"Arn": f"arn:aws:sqs:{REGION}:1:q", "RoleArn": account.role()}}  # fmt: skip
    scheduler.create_schedule_group(Name="theirs")
    role = account.role(allow("scheduler:*", f"arn:aws:scheduler:{REGION}:*:*/mine*"), allow("iam:PassRole"))
    own = [f"arn:aws:scheduler:{REGION}:*:schedule/default/*"]
    deleter = account.role(allow("scheduler:DeleteSchedule", own))
    body = json.dumps(wanted).encode()
    for url, text in (
        ("/schedules/mine?x=/victim", body),
        ("/schedules/mine?Name=victim", body),
        ("/schedule-groups/mine", b'{"Name": "victim"}'),
        ("/schedule-groups/mine?Name=victim", b"{}"),
        ("/schedule-groups//victim", b"{}"),
        ("/schedule-groups/mine/../victim", b"{}"),
        ("/schedule-groups/mine%2F..%2Fvictim", b"{}"),
    ):
        answer = send(account, role, "scheduler", "POST", url, text, ("Content-Type", "application/json"))
        assert answer.status < 500, url
    names = {group["Name"] for group in scheduler.list_schedule_groups()["ScheduleGroups"]}
    assert "victim" not in names
    assert [one["Name"] for one in scheduler.list_schedules()["Schedules"] if one["Name"] == "victim"] == []
    answer = send(account, deleter, "scheduler", "DELETE", "/schedules/x", b'{"groupName": "theirs"}')
    assert answer.status in (403, 404)


# --- the second net --------------------------------------------------------------------------------------------------


def misread(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """As if there were another hole: the reader takes every request for another one than moto will."""
    monkeypatch.setattr(server, "read", lambda request, addressed: replace(read(request, addressed), **changes))


def test_what_is_misread_is_refused(
    account: Account, bucket: str, writer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    misread(monkeypatch, key="own/x")
    assert send(account, writer, "s3", "GET", f"/{bucket}/other/x").status == 403
    assert send(account, writer, "s3", "DELETE", f"/{bucket}/other/x").status == 403
    misread(monkeypatch, deleted=(ObjectName(bucket, "own/x"),))
    document = b"<Delete><Object><Key>other/x</Key></Object></Delete>"
    assert send(account, writer, "s3", "POST", f"/{bucket}?delete", document).status == 403
    misread(monkeypatch, source=ObjectName(bucket, "own/x"))
    source = ("x-amz-copy-source", f"{bucket}/other/x")
    assert send(account, writer, "s3", "PUT", f"/{bucket}/own/y", b"", source).status == 403
    monkeypatch.undo()
    assert keys(account, bucket) == ["other/x", "own/x"]


def test_an_operation_that_is_misread_is_refused(
    account: Account, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    misread(monkeypatch, operation="ListSecrets")
    answer = send(
        account, reader, "secretsmanager", "POST", "/", b'{"SecretId": "victim"}', target("DeleteSecret"), JSON
    )
    assert (answer.status, b"AccessDenied" in answer.body) == (403, True)


def test_an_error_of_the_judge_is_a_refusal(account: Account, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("out of order")

    monkeypatch.setattr(accesses, "accesses", fail)
    answer = send(account, reader, "secretsmanager", "POST", "/", b'{"SecretId": "mine"}', GET, JSON)
    assert answer.status == 400 and json.loads(answer.body)["__type"] == "AccessDeniedException"
    assert "could not judge secretsmanager:GetSecretValue: RuntimeError: out of order" in answer.body.decode()
    monkeypatch.setattr(s3, "accesses", fail)
    answer = send(account, "root", "s3", "GET", "/bucket/key")
    assert (answer.status, b"<Code>AccessDenied</Code>" in answer.body) == (403, True)


@pytest.mark.parametrize("key", ["a\nb", "a\r\nb", "a\tb", "\n", "a/\n/b", "\x01"])
def test_keys_with_control_characters_are_kept(account: Account, bucket: str, writer: str, key: str) -> None:
    place = f"/{bucket}/{quote('own/' + key)}"
    assert send(account, writer, "s3", "PUT", place, b"data").status == 200
    answer = send(account, writer, "s3", "GET", place)
    assert (answer.status, answer.read()) == (200, b"data")
    assert send(account, writer, "s3", "DELETE", place).status == 204
    assert keys(account, bucket) == ["other/x", "own/x"]
