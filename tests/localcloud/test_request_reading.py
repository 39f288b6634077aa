"""What moto reads from what it is given is what was read, for every operation in use and however a request is written.

Each operation is sent as botocore writes it, with arguments made up from its model: what it requires and all that is
simple, everything that it has, and a part of that. Mutations are then applied to the bytes. Either the reader refuses
the result with a 4xx, or moto, at the point where it would act, has the same service, operation, region, account and
arguments as the call that permissions and rules were asked about; of S3, the same method, bucket, key, parameters,
headers and bytes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from botocore.exceptions import BotoCoreError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from moto.core import responses
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.s3.responses import S3Response

from localcloud import rules
from localcloud.journal import scope
from localcloud.patches.sts import PRINCIPAL_HEADER
from localcloud.request import Call, Refused, Request, address, models, read
from localcloud.server import ACCOUNT_HEADER, Server
from tests.localcloud.iam.test_iam_never_fails import CALLS

EXAMPLES = int(os.environ.get("HERD_READING_EXAMPLES", "500"))
REGION = "eu-west-1"
ACCOUNT = "650000000777"


def operations() -> list[tuple[str, str]]:
    """botocore's name of the service and operation of all that the local cloud knows by name, and is asked for."""
    known = {*rules.RULES, *rules.AFTERWARDS, *rules.policies.DOCUMENTS}
    for service, names in scope.RUNTIME.items():
        known |= {(models.NAMES.get(service, service), name) for name in names}
    for service, method, _ in CALLS.values():
        every = models.model(service).operation_names
        known |= {(service, name) for name in every if name.replace("_", "").lower() == method.replace("_", "")}
    known |= {("s3", name) for name in models.model("s3").operation_names if name not in NOT_SENT}
    return sorted((service, name) for service, name in known if models.operation(service, name) is not None)


NOT_SENT = ("BucketCORSPreflightCheck", "ObjectCORSPreflightCheck", "PostObject",
            "CreateSession", "ListDirectoryBuckets", "WriteGetObjectResponse")  # fmt: skip
"""Of S3, what browsers ask for, which boto3 does not know, and what is asked for at addresses of other kinds."""

OPERATIONS = operations()

MOST_NESTED = 5
"""Of made-up arguments; some shapes contain themselves."""


class Arguments:
    """Makes values that a shape may have; of a structure each optional member with a certain chance.

    With 0.0 that is what is required, and at the top also all that is simple; with 1.0 everything.
    """

    def __init__(self, optional: float = 0.0, seed: int = 0):
        self._optional = optional
        self._chance = random.Random(seed)

    def __call__(self, shape: Any, depth: int = 0) -> Any:
        match shape.type_name:
            case "structure":
                return self._structure(shape, depth)
            case "list":
                count = max(shape.metadata.get("min") or 0, self._count(depth))
                return [self(shape.member, depth + 1) for _ in range(count)]
            case "map":
                return {f"key{n or ''}": self(shape.value, depth + 1) for n in range(self._count(depth))}
            case "string":
                return self._string(shape)
            case "boolean":
                return self._chance.random() < 0.5 if self._optional else True
            case "blob":
                return b"own"
            case "timestamp":
                return 1_700_000_000
            case "float" | "double":
                return 1.5
        return shape.metadata.get("min") or 7

    def _structure(self, shape: Any, depth: int) -> dict[str, Any]:
        if getattr(shape, "is_document_type", False):
            return {}
        if getattr(shape, "is_tagged_union", False):  # has one of its members
            name = self._chance.choice(sorted(shape.members)) if self._optional else next(iter(shape.members))
            return {name: self(shape.members[name], depth + 1)}
        return {
            name: REAL[name] if name in REAL and member.type_name == "string" else self(member, depth + 1)
            for name, member in shape.members.items()
            if name in (*shape.required_members, *NEEDED) or name not in WRITTEN and self._wants(member, depth)
        }

    def _wants(self, member: Any, depth: int) -> bool:
        if not self._optional:
            return depth == 0 and member.type_name in ("string", "list", "integer")
        return depth < MOST_NESTED - 1 and self._chance.random() < self._optional

    def _count(self, depth: int) -> int:
        if depth >= MOST_NESTED:
            return 0
        return self._chance.randrange(3) if 0 < self._optional < 1 else 1

    def _string(self, shape: Any) -> str:
        if values := getattr(shape, "enum", None):
            return str(self._chance.choice(values) if self._optional else values[0])
        word = self._chance.choice(WORDS) if 0 < self._optional < 1 else "own"
        return word.ljust(shape.metadata.get("min") or 0, "-")


REAL = {"Bucket": "own", "CopySource": "own/own", "ChecksumAlgorithm": "CRC32"}
"""Arguments that are read strictly, and what they may be."""

NEEDED = ("RestoreRequest",)
"""Arguments that S3 asks for although its model does not."""

WRITTEN = ("ContentMD5",)
"""Arguments that botocore works out itself."""

WORDS = ("own", "own/x", "a b", "a+b", "50%", "ä", "a&b=c", "<own>", "'own'", '"own"', "own,own", "ow;n", "True", "7")


class Captured(Exception):
    """Carries the request that a client has written."""

    def __init__(self, request: Request):
        super().__init__()
        self.request = request


def written(server: Server, service: str, name: str, arguments: Arguments | None = None) -> Request | None:
    """An operation as botocore writes it; None for one that its client does not have, or refuses the arguments of."""
    client = server.client(service)
    method = next((python for python, real in client.meta.method_to_api_mapping.items() if real == name), None)
    if method is None:
        return None
    shape = client.meta.service_model.operation_model(name).input_shape
    stock = server.handle

    def capture(request: Request) -> Any:
        raise Captured(request)

    server.handle = capture  # type: ignore[method-assign]
    try:
        getattr(client, method)(**((arguments or Arguments())(shape) if shape is not None else {}))
    except Captured as captured:
        return captured.request
    except (BotoCoreError, ValueError):
        assert arguments is not None, f"{service}:{name} is not written"
    finally:
        server.handle = stock  # type: ignore[method-assign]
    return None


# --- mutations of bytes ----------------------------------------------------------------------------------------------


def mutated(request: Request, chance: random.Random) -> Request:
    """The request with one thing changed that parsers are known to differ about."""
    path, question, query = request.url.partition("?")
    body, headers = request.body, list(request.headers)
    match chance.randrange(14):
        case 0:
            place = chance.randrange(len(path))
            odd = chance.choice(["//", "/./", "/../", "%2F", "%2e%2e", "%00", "%0A", "%FF", ";", "+", "%25", "\\"])
            path = path[:place] + odd + path[place:]
        case 1:
            query = "&".join(part for part in (query, chance.choice(QUERIES)) if part)
        case 2:
            query = f"{query}&{query}" if query else chance.choice(QUERIES)
        case 3:
            path = path.swapcase()
        case 4 if path != "/":
            place = chance.randrange(1, len(path))
            path = path[:place] + f"%{ord(path[place]):02x}" + path[place + 1 :]
        case 5:
            headers.append(chance.choice(HEADERS))
        case 6:
            headers = [(name.swapcase(), value) for name, value in headers]
        case 7:
            name, value = chance.choice(headers)
            headers.append((name, value.replace("own", "other")))
        case 8 if body.startswith(b"{"):
            body = body[:-1] + chance.choice(JSONS) + b"}"
        case 8 | 9 if body.lstrip().startswith(b"<"):
            end = body.rfind(b"</")
            body = chance.choice([body[:end] + chance.choice(XMLS) + body[end:], XML_HEAD + body])
        case 8 | 9 if body:
            body = body + chance.choice(FORMS)
        case 10:
            encoding = chance.choice(["utf-16", "utf-8-sig", "latin-1", "utf-7"])
            body = (body.decode("utf-8", "replace") + chance.choice(["", "é"])).encode(encoding, "replace")
        case 11 if body:
            place = chance.randrange(len(body))
            body = body[:place] + bytes([chance.randrange(256)]) + body[place + chance.randrange(3) :]
        case 12:
            wanted = chance.choice(
                [
                    "application/x-www-form-urlencoded",
                    "application/json",
                    "text/xml",
                    "x; charset=utf-16",
                    "multipart/form-data; boundary=x",
                    "application/x-amz-json-1.0",
                    "application/cbor",
                ]
            )
            headers = [(name, wanted if name.lower() == "content-type" else value) for name, value in headers]
        case 13:
            method = chance.choice(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"])
            request = replace(request, method=method)
    return replace(request, url=path + ("?" if question or query else "") + query, body=body, headers=headers)


QUERIES = [
    "Action=DeleteUser",
    "Name=other",
    "x=.us-east-1.amazonaws.com",
    "a=b+c",
    "a=%2B",
    "%41ction=DeleteUser",
    "acl",
    "groupName=other",
    "prefix=a+b",
    "X-Amz-Target=x.DeleteSecret",
    "a=1;b=2",
    "a=%FF",
    "&&=&",
]
HEADERS = [
    ("X-Amz-Target", "x.DeleteSecret"),
    ("Content-Type", "application/json"),
    ("Action", "DeleteUser"),
    ("User-Agent", "x region/us-east-1"),
    ("x-moto-account-id", "111111111111"),
    ("Content-Encoding", "gzip"),
    ("x-http-method-override", "DELETE"),
    ("Transfer-Encoding", "chunked"),
    ("Content-Length", "0"),
    ("smithy-protocol", "rpc-v2-cbor"),
    ("x_amz_target", "x.DeleteSecret"),
    ("Host", "x.us-east-1.amazonaws.com"),
]
JSONS = [
    b', "Name": "other", "Name": "own"',
    b', "x": "&Action=DeleteUser&Name=other&"',
    b', "name": "other"',
    b', "Name": {"a": 1}',
    b', "n": 1e999',
    b', "n": NaN',
    b', "\\u004eame": "other"',
    b', "a": "\\ud800"',
]
XMLS = [
    b'<x:Name xmlns:x="u">other</x:Name>',
    b'<Name xmlns="u">other</Name>',
    b"<Name>other</Name>",
    b"<!-- c --><Name><![CDATA[other]]></Name>",
    b"<?p i?>",
    b'<Name a="b">other</Name>',
]
XML_HEAD = b'<!DOCTYPE d [<!ENTITY a "other">]>'
FORMS = [
    b"&Action=DeleteUser",
    b"&%41ction=DeleteUser",
    b"&UserName=other",
    b"&Name=%FF",
    b";Name=other",
    b"&Name=a+b",
    b"&Name.member.1=other",
    b"&=&",
    b"&Name",
]


# --- what moto reads -------------------------------------------------------------------------------------------------


@dataclass
class Reading:
    """What moto has read when it would act."""

    signing_name: str
    operation: str
    region: str
    account: str
    arguments: dict[str, Any] | None


@dataclass
class S3Reading:
    """The same of a request to S3, of which moto looks at the message itself."""

    method: str
    bucket: str
    key: str
    account: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Acting(Exception):
    """moto would act now."""

    def __init__(self, reading: Reading | S3Reading):
        super().__init__()
        self.reading = reading


def reading_of(response: Any) -> Reading:
    operation = response._get_action() or ""
    known = models.operation(response.boto3_service_name, operation)
    arguments = None
    if known is not None:
        request = response.normalized_request
        protocol = determine_request_protocol(known.service_model, request.content_type)
        arguments = PROTOCOL_PARSERS[protocol](known).parse(
            {"method": request.method, "values": request.values, "headers": request.headers, "body": request.data,
             "url_path": request.path, "url_params": response.uri_match}
        )  # fmt: skip
    signing_name = models.model(response.boto3_service_name).signing_name
    return Reading(str(signing_name), operation, response.region, response.current_account, arguments)


def s3_reading_of(response: Any, request: Any, full_url: str) -> S3Reading:
    bucket = response.parse_bucket_name_from_url(request, full_url) or ""
    query = dict(parse_qsl(full_url.partition("?")[2], keep_blank_values=True))  # what it reads for an object
    assert response._get_querystring(request, full_url) == {name: [value] for name, value in query.items()}
    assert {name: [value] for name, value in query.items()}.items() <= response.querystring.items()
    body = response.body.encode() if isinstance(response.body, str) else response.body
    headers = {name.lower(): value for name, value in request.headers.items()}
    return S3Reading(
        request.method, bucket, response.parse_key_name() if bucket else "", response.current_account, query,
        {name: value for name, value in headers.items() if name not in ADDED}, body,
    )  # fmt: skip


ADDED = ("content-length", ACCOUNT_HEADER, PRINCIPAL_HEADER)
"""Headers by which the local cloud itself tells moto whose request it is; a client's are dropped,
as are names with an underscore, which could be taken for others."""


def s3_expected(call: Call) -> S3Reading:
    headers = {name: value for name, value in call.headers.items() if name not in ADDED and "_" not in name}
    return S3Reading(call.method, call.bucket, call.key, call.account, dict(call.query), headers, call.body)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(ACCOUNT, REGION, "http://127.0.0.1:4999")
    yield server
    server.close()


def what_moto_reads(server: Server, call: Call) -> Reading | S3Reading | None:
    """None where moto finds nothing that could act."""

    def act(response: Any, *_: Any, **__: Any) -> Any:
        raise Acting(reading_of(response))

    def act_on_s3(response: Any, request: Any, full_url: str) -> Any:
        raise Acting(s3_reading_of(response, request, full_url))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(responses.BaseResponse, "call_action", act)
        for door in ("_bucket_response", "_key_response"):
            patched.setattr(S3Response, door, act_on_s3)
        try:
            server._call_moto(call.request)
        except Acting as acting:
            return acting.reading
    return None


def outcome(server: Server, request: Request) -> str:
    """`refused`, `same`, or `nothing` where moto does not act; anything else that moto reads is an error."""
    addressed = address(request, ACCOUNT, REGION)
    try:
        call = read(request, addressed)
    except Refused as refused:
        assert 400 <= refused.status < 500
        return "refused"
    by_message = call.service == "s3" and not call.is_control
    if not by_message and models.operation(call.model, call.operation) is None:
        return "nothing"  # a mutation of the scope; what nobody knows is held by its name (patches/judged)
    reading = what_moto_reads(server, call)
    if reading is None:
        return "nothing"
    if by_message:
        assert reading == s3_expected(call), request
        return "same"
    assert isinstance(reading, Reading), request
    assert (reading.signing_name, reading.operation) == (call.service, call.operation), request
    assert (reading.region, reading.account) == (call.region, call.account), request
    assert reading.arguments == call.arguments, request
    return "same"


MADE_UP = {"required": Arguments(), "everything": Arguments(optional=1.0)}


@pytest.mark.parametrize(("service", "name"), OPERATIONS, ids=[f"{service}-{name}" for service, name in OPERATIONS])
def test_what_botocore_writes_is_read_as_moto_reads_it(server: Server, service: str, name: str) -> None:
    for what, arguments in MADE_UP.items():
        request = written(server, service, name, arguments)
        if request is not None:
            assert outcome(server, request) != "refused", what


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(which=st.sampled_from(OPERATIONS), changes=st.integers(0, 3), seed=st.integers(0, 2**32))
def test_however_it_is_written_moto_reads_what_was_judged(
    server: Server, which: tuple[str, str], changes: int, seed: int
) -> None:
    chance = random.Random(seed)
    optional = chance.choice([0.0, 0.2, 0.5, 1.0])
    request = written(server, *which, Arguments(optional, seed))
    for _ in range(changes if request is not None else 0):
        request = mutated(request, chance)
    if request is not None:
        outcome(server, request)


def test_most_operations_reach_moto(server: Server) -> None:
    """So that the two tests above are about something."""
    outcomes = [outcome(server, request) for each in OPERATIONS if (request := written(server, *each)) is not None]
    assert outcomes.count("same") > 0.6 * len(OPERATIONS)


# --- kinds that made-up requests have shown --------------------------------------------------------------------------


def signed(service: str, method: str, url: str, body: bytes = b"", *headers: tuple[str, str]) -> Request:
    scope = f"AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    return Request(method, url, [("Host", "localhost"), ("Authorization", scope), *headers], body, "root")


FORM_TYPE = ("Content-Type", "application/x-www-form-urlencoded")

REFUSED = {
    "a load balancer's form without a version": signed(
        "elasticloadbalancing", "POST", "/", b"Action=DescribeLoadBalancers", FORM_TYPE),
    "a form of a version that no API has": signed(
        "elasticloadbalancing", "POST", "/", b"Action=DescribeLoadBalancers&Version=2015-12-02", FORM_TYPE),
    "a plus in a bucket's name": signed("s3", "GET", "/o%2Bwn"),
    "a selection without a body": signed("s3", "POST", "/own/own?select"),
    "a restoration without a body": signed("s3", "POST", "/own/own?restore"),
    "a body that is no text": signed(
        "scheduler", "PUT", "/schedules/own", b"\xe9", ("Content-Type", "text/plain")),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_moto_fails_at_is_refused(server: Server, case: str) -> None:
    assert outcome(server, REFUSED[case]) == "refused"
    assert server.handle(REFUSED[case]).status == 400


SAME = {
    "an object that is put as a form": signed("s3", "PUT", "/own/own?versionId=own", b"versionId=other", FORM_TYPE),
    "a list of keys that is sent as a form": signed(
        "s3", "POST", "/own?delete", b"<Delete><Object><Key>own</Key></Object></Delete>", FORM_TYPE),
    "values without a name": signed("s3", "GET", "/own?encryption&&&=&=x"),
    "a target, for a bucket": signed("s3", "GET", "/own?policy", b"", ("X-Amz-Target", "x.DeleteSecret")),
    "a target, for an object": signed("s3", "GET", "/own/own", b"", ("X-Amz-Target", "x.DeleteSecret")),
    "an action in the address, for S3 Control": signed(
        "s3", "GET", "/v20180820/configuration/publicAccessBlock?Action=DeleteUser", b"",
        ("x-amz-account-id", ACCOUNT)),
    "a target, for S3 Control": signed(
        "s3", "GET", "/v20180820/configuration/publicAccessBlock", b"", ("X-Amz-Target", "x.DeleteSecret"),
        ("x-amz-account-id", ACCOUNT)),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_what_says_nothing_is_left_out(server: Server, case: str) -> None:
    assert outcome(server, SAME[case]) == "same"
    call = read(SAME[case], address(SAME[case], ACCOUNT, REGION))
    assert "" not in call.query and "x-amz-target" not in call.headers
    assert call.protocol == "rest-xml" and call.operation != "DeleteSecret"


def test_an_object_that_is_put_as_a_form_is_its_bytes(server: Server) -> None:
    """As curl sends data; the fields are no parameters of the request."""
    s3 = server.client("s3")
    s3.create_bucket(Bucket="forms", CreateBucketConfiguration={"LocationConstraint": REGION})
    for body in (b"a=b&c=d", b"key=x&file=y", b"\xff=1"):
        s3.put_object(Bucket="forms", Key="k", Body=body, ContentType=FORM_TYPE[1])
        answer = s3.get_object(Bucket="forms", Key="k")
        assert (answer["Body"].read(), answer["ContentType"]) == (body, FORM_TYPE[1])
    mine, other = (s3.create_multipart_upload(Bucket="forms", Key="k")["UploadId"] for _ in range(2))
    part = signed("s3", "PUT", f"/forms/k?uploadId={mine}&partNumber=1", f"uploadId={other}".encode(), FORM_TYPE)
    assert server.handle(part).status == 200
    parts = [len(s3.list_parts(Bucket="forms", Key="k", UploadId=each).get("Parts", [])) for each in (mine, other)]
    assert parts == [1, 0]


def test_an_upload_is_not_completed_without_its_parts(server: Server) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="parts", CreateBucketConfiguration={"LocationConstraint": REGION})
    upload = s3.create_multipart_upload(Bucket="parts", Key="k")["UploadId"]
    assert server.handle(signed("s3", "POST", f"/parts/k?uploadId={upload}")).status == 400
    assert "Contents" not in s3.list_objects_v2(Bucket="parts")
