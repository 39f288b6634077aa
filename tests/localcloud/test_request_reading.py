"""What moto reads from what it is given is what was read, for every operation in use and however a request is written.

Each operation is sent once as botocore writes it, with arguments made up from its model. Mutations are then applied to
the bytes. Either the reader refuses the result with a 4xx, or moto, at the point where it would act, has the same
service, operation, region, account and arguments as the call that permissions and rules were asked about.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from moto.core import responses
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol

from localcloud import rules
from localcloud.journal import scope
from localcloud.request import Call, Refused, Request, address, models, read
from localcloud.server import Server
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
    known = {(service, name) for service, name in known if models.operation(service, name) is not None}
    return sorted((service, name) for service, name in known if service != "s3")  # by what it does: test_iam_mutations


OPERATIONS = operations()


def sample(shape: Any, depth: int = 0) -> Any:
    """A value that a shape may have; of a structure what is required, and at the top all that is simple."""
    match shape.type_name:
        case "structure":
            wanted = [
                (name, member)
                for name, member in shape.members.items()
                if name in shape.required_members or (depth == 0 and member.type_name in ("string", "list", "integer"))
            ]
            return {name: sample(member, depth + 1) for name, member in wanted} if depth < 5 else {}
        case "list":
            return [sample(shape.member, depth + 1)] if depth < 5 else []
        case "map":
            return {"key": sample(shape.value, depth + 1)} if depth < 5 else {}
        case "string":
            return shape.enum[0] if getattr(shape, "enum", None) else "own".ljust(shape.metadata.get("min", 0), "-")
        case "boolean":
            return True
        case "blob":
            return b"own"
        case "timestamp":
            return 1_700_000_000
        case "float" | "double":
            return 1.5
    return shape.metadata.get("min") or 7


class Captured(Exception):
    """Carries the request that a client has written."""

    def __init__(self, request: Request):
        super().__init__()
        self.request = request


@cache
def written(server: Server, service: str, name: str) -> Request | None:
    """An operation as botocore writes it; None for one that its client does not have."""
    client = server.client(service)
    method = next((python for python, real in client.meta.method_to_api_mapping.items() if real == name), None)
    shape = client.meta.service_model.operation_model(name).input_shape
    stock = server.handle

    def capture(request: Request) -> Any:
        raise Captured(request)

    server.handle = capture  # type: ignore[method-assign]
    try:
        getattr(client, str(method))(**(sample(shape) if shape is not None else {}))
    except Captured as captured:
        return captured.request
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
    """What moto has read when it would act; S3 acts by path."""

    signing_name: str
    operation: str
    region: str
    account: str
    arguments: dict[str, Any] | None


class Acting(Exception):
    """moto would act now."""

    def __init__(self, reading: Reading):
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


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(ACCOUNT, REGION, "http://127.0.0.1:4999")
    yield server
    server.close()


def what_moto_reads(server: Server, call: Call) -> Reading | None:
    """None where moto finds nothing that could act."""

    def act(response: Any, *_: Any, **__: Any) -> Any:
        raise Acting(reading_of(response))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(responses.BaseResponse, "call_action", act)
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
    if call.service == "s3" or models.operation(call.model, call.operation) is None:
        return "nothing"  # a mutation of the scope; what nobody knows is held by its name (patches/judged)
    reading = what_moto_reads(server, call)
    if reading is None:
        return "nothing"
    assert (reading.signing_name, reading.operation) == (call.service, call.operation), request
    assert (reading.region, reading.account) == (call.region, call.account), request
    assert reading.arguments == call.arguments, request
    return "same"


@pytest.mark.parametrize(("service", "name"), OPERATIONS, ids=[f"{service}-{name}" for service, name in OPERATIONS])
def test_what_botocore_writes_is_read_as_moto_reads_it(server: Server, service: str, name: str) -> None:
    request = written(server, service, name)
    if request is not None:
        assert outcome(server, request) != "refused"


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(which=st.sampled_from(OPERATIONS), changes=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_however_it_is_written_moto_reads_what_was_judged(
    server: Server, which: tuple[str, str], changes: int, seed: int
) -> None:
    request, chance = written(server, *which), random.Random(seed)
    for _ in range(changes if request is not None else 0):
        request = mutated(request, chance)
    if request is not None:
        outcome(server, request)


def test_most_operations_reach_moto(server: Server) -> None:
    """So that the two tests above are about something."""
    outcomes = [outcome(server, request) for each in OPERATIONS if (request := written(server, *each)) is not None]
    assert outcomes.count("same") > 0.6 * len(OPERATIONS)
