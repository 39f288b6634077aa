"""Valid requests of which something was changed: refused with a 4xx, or carried out as they were judged.

Each mutation is one that parsers are known to differ about. What was carried out is told by what there is afterwards:
a role that may write below `own/`, and read one secret, has touched nothing else.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from localcloud import backends
from localcloud.iam.principals import session_of
from localcloud.request import Request, Response
from localcloud.server import Server
from tests.localcloud.iam.acting import REGION, Account, allow

EXAMPLES = int(os.environ.get("HERD_READING_EXAMPLES", "200"))

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Draft:
    """A request that can still be changed."""

    service: str
    method: str
    path: str
    query: str = ""
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    host: str = "localhost"
    region: str = REGION


Mutation = Callable[[Draft, random.Random], Draft]

MUTATIONS: dict[str, Mutation] = {}


def mutation(change: Mutation) -> Mutation:
    MUTATIONS[change.__name__] = change
    return change


@mutation
def namespace(draft: Draft, chance: random.Random) -> Draft:
    name = chance.choice([b"Key", b"Object", b"Delete", b"VersionId"])
    other = draft.body.replace(b"own/", b"other/")
    inner = other[other.find(b"<" + name) : other.find(b"</" + name + b">")]
    extra = inner.replace(b"<" + name, b"<x:" + name + b' xmlns:x="u"', 1) + b"</x:" + name + b">"
    place = draft.body.find(b"</" + name + b">") if chance.random() < 0.5 else draft.body.find(b"<" + name)
    return replace(draft, body=draft.body[:place] + extra + draft.body[place:])


@mutation
def twice_in_the_body(draft: Draft, chance: random.Random) -> Draft:
    """An element or a name a second time, with what the role may not touch."""
    body = draft.body
    for mark in (b"<Key>", b"<Object>"):
        if mark in body and chance.random() < 0.7:
            end = mark.replace(b"<", b"</")
            found = body[body.find(mark) : body.find(end) + len(end)]
            doubled = found.replace(b"own/", b"other/")
            pair = (found, doubled) if chance.random() < 0.5 else (doubled, found)
            return replace(draft, body=body.replace(found, b"".join(pair), 1))
    if body.startswith(b"{"):
        return replace(draft, body=body[:-1] + b', "SecretId": "victim", "x": "&SecretId=victim&Action=DeleteSecret&"}')
    return replace(draft, body=body + b"&" + body.replace(b"mine", b"victim"))


@mutation
def slashes(draft: Draft, chance: random.Random) -> Draft:
    path = draft.path
    place = chance.choice([index for index, character in enumerate(path) if character == "/"] or [0])
    return replace(
        draft, path=path[:place] + chance.choice(["//", "/./", "/../", "/%2F", "/%2e%2e/", "\\"]) + path[place + 1 :]
    )


@mutation
def another_bucket_before(draft: Draft, chance: random.Random) -> Draft:
    return replace(
        draft, path=chance.choice(["//PUBLIC", "/PUBLIC/..", "/%50UBLIC", "/PUBLIC%2F", "/PUBLIC;"]) + draft.path
    )


@mutation
def host(draft: Draft, chance: random.Random) -> Draft:
    names = ["PUBLIC.s3.eu-west-1.localhost", "PUBLIC.S3.eu-west-1.localhost:4999", "public.S3.EU-WEST-1.LocalHost",
             "PUBLIC.s3.amazonaws.com", "PUBLIC.localhost", "s3.amazonaws.com", "other:80"]  # fmt: skip
    return replace(draft, host=chance.choice(names))


@mutation
def percent(draft: Draft, chance: random.Random) -> Draft:
    place = chance.randrange(len(draft.path))
    encoded = f"%{ord(draft.path[place]):02{chance.choice('xX')}}" if draft.path[place].isascii() else "%"
    return replace(
        draft, path=draft.path[:place] + chance.choice([encoded, f"%25{encoded[1:]}"]) + draft.path[place + 1 :]
    )


@mutation
def odd_bytes(draft: Draft, chance: random.Random) -> Draft:
    odd = chance.choice(["%00", "%0A", "%0D%0A", "%FF", "%C0%AF", ";", "#", "+", "%", "%3F", "%EF%BC%8F", "\u2215"])
    place = chance.randrange(len(draft.path))
    return replace(draft, path=draft.path[:place] + odd + draft.path[place:])


@mutation
def case(draft: Draft, chance: random.Random) -> Draft:
    if chance.random() < 0.5:
        return replace(draft, path=draft.path.swapcase())
    return replace(
        draft, headers=[(name.swapcase(), value) for name, value in draft.headers], method=draft.method.lower()
    )


@mutation
def parameters(draft: Draft, chance: random.Random) -> Draft:
    more = ["acl", "tagging", "policy", "uploads", "delete", "versions", "select", "attributes", "restore", "torrent",
            "metrics&id=1", "versionId=null", "versionId=", "uploadId=x", "uploadId=x&partNumber=1", "partNumber=abc",
            "max-keys=x", "Action=DeleteSecret&SecretId=victim", "X-Amz-Target=secretsmanager.DeleteSecret",
            "x=.us-east-1.amazonaws.com", "key=other/x", "prefix=other/", "list-type=2", "location", "versioning",
            "publicAccessBlock", "%64elete"]  # fmt: skip
    extra = chance.choice(more)
    return replace(draft, query="&".join(chance.sample([extra, draft.query], 2)).strip("&"))


@mutation
def headers(draft: Draft, chance: random.Random) -> Draft:
    more: Headers = [
        ("x-amz-copy-source", "BUCKET/other/x"),
        ("x-amz-copy-source", "//BUCKET/BUCKET/other/x"),
        ("x-http-method-override", "DELETE"),
        ("X-Amz-Target", "secretsmanager.DeleteSecret"),
        ("Action", "DeleteSecret"),
        ("User-Agent", "x region/us-east-1"),
        ("x-moto-account-id", "111111111111"),
        ("x-localcloud-principal", "root"),
        ("Host", "PUBLIC.s3.eu-west-1.localhost"),
        ("Content-Type", "multipart/form-data; boundary=x"),
        ("Content-Type", "application/cbor"),
        ("Content-Encoding", "gzip"),
        ("Content-Encoding", "aws-chunked"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("x-amz-decoded-content-length", "x"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "0"),
        ("Range", "bytes"),
        ("Range", "bytes=a-b"),
        ("If-Modified-Since", "yesterday"),
        ("If-Unmodified-Since", "Mon, 99 Foo 2026 00:00:00 GMT"),
        ("x-amz-tagging", "&=&"),
        ("x-amz-acl", "no-such-acl"),
        ("x-amz-grant-read", "nobody"),
        ("x-amz-storage-class", "NONE"),
        ("x-amz-object-lock-mode", "NONE"),
        ("x-amz-sdk-checksum-algorithm", "NONE"),
        ("smithy-protocol", "rpc-v2-cbor"),
    ]
    return replace(draft, headers=[*draft.headers, chance.choice(more)])


@mutation
def charset(draft: Draft, chance: random.Random) -> Draft:
    encoding = chance.choice(["utf-16", "utf-32", "utf-7", "utf-8-sig", "latin-1"])
    text = draft.body.decode("utf-8", "replace")
    declared = f'<?xml version="1.0" encoding="{encoding}"?>{text}' if text.startswith("<") else text
    kinds = [
        (name, f"{value}; charset={encoding}") if name == "Content-Type" else (name, value)
        for name, value in draft.headers
    ]
    return replace(
        draft, body=declared.encode(encoding, "replace"), headers=kinds if chance.random() < 0.5 else draft.headers
    )


@mutation
def document(draft: Draft, chance: random.Random) -> Draft:
    bomb = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    bodies = [b"", b"<Delete/>", b"<Delete><Object/></Delete>", f"{bomb}]><Delete>&h;</Delete>".encode(),
              b"<a>" * 50_000, b"[" * 50_000, b'{"SecretId": [' * 5_000, b"null", b'"SecretId"', b"{}", b"\xff\xfe",
              b"&" * 20_000, b"<Delete>", b"<Tagging/>", b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete/>', b"{",
              b'{"SecretId": {"a": 1}}', b'{"SecretId": null}']  # fmt: skip
    return replace(draft, body=chance.choice(bodies))


@mutation
def cut(draft: Draft, chance: random.Random) -> Draft:
    if not draft.body:
        return draft
    place = chance.randrange(len(draft.body))
    return replace(
        draft, body=draft.body[:place] + bytes([chance.randrange(256)]) + draft.body[place + chance.randrange(3) :]
    )


@mutation
def scope(draft: Draft, chance: random.Random) -> Draft:
    if chance.random() < 0.5:
        return replace(draft, region=chance.choice(["us-east-1", "", "eu-west-1x", "EU-WEST-1", "aws-global"]))
    return replace(
        draft, service=chance.choice(["s3", "S3", "secretsmanager", "iam", "sts", "s3control", "none", "ssm"])
    )


@mutation
def method(draft: Draft, chance: random.Random) -> Draft:
    return replace(draft, method=chance.choice(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "BREW"]))


TARGET = [("X-Amz-Target", "secretsmanager.GetSecretValue"), ("Content-Type", "application/x-amz-json-1.1")]
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
OWN = ("own/x", "own/y")
OWN_ETAG = f'"{hashlib.md5(b"own").hexdigest()}"'
KEYS = b"<Delete><Object><Key>own/x</Key></Object><Object><Key>own/y</Key></Object></Delete>"

DRAFTS = {
    "put": Draft("s3", "PUT", "/BUCKET/own/new", body=b"data"),
    "get": Draft("s3", "GET", "/BUCKET/own/x"),
    "delete": Draft("s3", "DELETE", "/BUCKET/own/x"),
    "delete many": Draft("s3", "POST", "/BUCKET", "delete", body=KEYS),
    "copy": Draft("s3", "PUT", "/BUCKET/own/new", headers=[("x-amz-copy-source", "BUCKET/own/x")]),
    "secret": Draft("secretsmanager", "POST", "/", headers=TARGET, body=b'{"SecretId": "mine"}'),
    "form": Draft("sts", "POST", "/", headers=FORM, body=b"Action=GetCallerIdentity&Version=2011-06-15&Name=mine"),
    "user": Draft("iam", "POST", "/", headers=FORM, body=b"Action=GetUser&Version=2010-05-08&UserName=mine"),
}


@dataclass
class Scene:
    """What there is, and a role that may touch a part of it."""

    account: Account
    bucket: str
    public: str
    role: str

    def send(self, draft: Draft) -> Response:
        def named(text: str) -> str:
            return text.replace("BUCKET", self.bucket).replace("PUBLIC", self.public)

        stamp = f"Credential=a/20260101/{draft.region}/{draft.service}/aws4_request, SignedHeaders=host, Signature=0"
        first = [("Host", named(draft.host)), ("Authorization", f"AWS4-HMAC-SHA256 {stamp}")]
        whole = first + [(name, named(value)) for name, value in draft.headers]
        url = named(draft.path) + (f"?{draft.query}" if draft.query else "")
        who = session_of(self.role, "session")
        return self.account.server.handle(Request(draft.method, url, whole, draft.body, who))

    def objects(self, bucket: str) -> dict[str, list[tuple[str, str]]]:
        """Version and ETag of all that lies in a bucket, by its key: what moto has, so that no request is needed."""
        keys = backends.s3(self.account.id).buckets[bucket].keys
        return {
            key: [(each.version_id or "", getattr(each, "etag", "deleted")) for each in versions]
            for key, versions in keys.lists()
        }

    def restore(self) -> None:
        """The role's part as it was at first: what an example wrote is nothing that the next may read."""
        s3, there = self.account.root("s3"), self.objects(self.bucket)
        for key in there:
            if key.startswith("own/") and key not in OWN:
                s3.delete_object(Bucket=self.bucket, Key=key)
        for key in OWN:
            if [etag for _, etag in there.get(key, [])] != [OWN_ETAG]:
                s3.put_object(Bucket=self.bucket, Key=key, Body=b"own")

    def others(self) -> object:
        """Everything that the role may not touch."""
        account = self.account.id
        buckets = backends.s3(account).buckets
        secrets = backends.secretsmanager(account, REGION).secrets.values()
        return (
            {key: found for key, found in self.objects(self.bucket).items() if not key.startswith("own/")},
            self.objects(self.public),
            {name: (bucket.versioning_status, bucket.policy) for name, bucket in buckets.items()},
            [(secret.name, secret.deleted_date, sorted(secret.versions)) for secret in secrets],
            sorted(backends.iam(account).users),
        )


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    server = Server("650000000001", REGION, "http://127.0.0.1:4999")
    account = Account(server)
    bucket, public = account.bucket("other/x", "other/y"), account.bucket()
    for name in ("mine", "victim"):
        account.root("secretsmanager").create_secret(Name=name, SecretString=f"value of {name}")
        account.root("iam").create_user(UserName=name)
    own = f"arn:aws:s3:::{bucket}/own/*"
    role = account.role(
        allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], own),
        allow("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:*:secret:mine-*"),
        allow("iam:GetUser", "arn:aws:iam::*:user/mine"),
    )
    yield Scene(account, bucket, public, role)
    server.close()


@pytest.mark.parametrize("name", DRAFTS)
def test_without_a_mutation_each_is_carried_out(scene: Scene, name: str) -> None:
    scene.restore()
    assert scene.send(DRAFTS[name]).status in (200, 204)


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from(sorted(DRAFTS)),
    changes=st.lists(st.sampled_from(sorted(MUTATIONS)), min_size=1, max_size=3),
    seed=st.integers(0, 2**32),
)
def test_a_mutated_request_is_refused_or_does_what_was_judged(
    scene: Scene, name: str, changes: list[str], seed: int
) -> None:
    scene.restore()
    before, draft, chance = scene.others(), DRAFTS[name], random.Random(seed)
    for change in changes:
        draft = MUTATIONS[change](draft, chance)
    answer = scene.send(draft)
    assert answer.status < 500, (draft, answer.body[:500])
    assert b"value of victim" not in answer.body
    if draft.method == "GET" and answer.status == 200 and draft.service == "s3":
        assert answer.body in (b"own", b""), draft
    assert scene.others() == before, draft
