"""Bodies that come in chunks (`aws-chunked`): each form that SDKs send is taken apart once, and what is no such form is
refused with a 4xx.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import zlib
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.image_packages import python_image

EMPTY = hashlib.sha256(b"").hexdigest()
DATA = bytes(range(256)) * 700

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = f"{SIGNED}-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

CHECKSUMS = {
    "crc32": base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode(),
    "sha1": base64.b64encode(hashlib.sha1(DATA).digest()).decode(),
    "sha256": base64.b64encode(hashlib.sha256(DATA).digest()).decode(),
    "crc32c": "AAAAAA==",  # these two are not checked here
    "crc64nvme": "AAAAAAAAAAA=",
}


class Streaming(S3SigV4Auth):
    """botocore's signer, for the forms that it does not send itself."""

    form = UNSIGNED_TRAILER

    def payload(self, request: Any) -> str:
        return self.form


@dataclass
class Upload:
    """A streamed PUT to a bucket's key `k`; `body` is the framed one."""

    headers: dict[str, str]
    body: bytes


def upload(site: Any, bucket: str, form: str, checksum: str = "", length: int | None = len(DATA)) -> Upload:
    """What a client sends that streams `DATA` in three chunks."""
    headers = {"Content-Encoding": "AWS-chunked"}
    if length is not None:
        headers["x-amz-decoded-content-length"] = str(length)
    trailer = f"x-amz-checksum-{checksum}:{CHECKSUMS[checksum]}\n" if checksum else ""
    if checksum:
        headers["x-amz-trailer"] = f"x-amz-checksum-{checksum}"
        headers["x-amz-sdk-checksum-algorithm"] = checksum.upper()
    request = AWSRequest("PUT", f"http://{site.address}/{bucket}/k", headers=headers)
    signer = Streaming(Credentials("AKIAROOTROOTROOTROOT", "root-secret"), "s3", "eu-west-1")
    signer.form = form
    signer.add_auth(request)
    found = re.search(r"Signature=(\w+)", request.headers["Authorization"])
    assert found
    previous, stamp, scope = found[1], request.context["timestamp"], signer.credential_scope(request)
    body = b""
    for chunk in (DATA[:65536], DATA[65536:131072], DATA[131072:], b""):
        extension = ""
        if form != UNSIGNED_TRAILER:
            digest = hashlib.sha256(chunk).hexdigest()
            text = f"AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{previous}\n{EMPTY}\n{digest}"
            previous = signer.signature(text, request)
            extension = f";chunk-signature={previous}"
        body += f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailer:
        body += trailer.replace("\n", "\r\n").encode()
    if form == SIGNED_TRAILER:
        digest = hashlib.sha256(trailer.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256-TRAILER\n{stamp}\n{scope}\n{previous}\n{digest}"
        body += f"x-amz-trailer-signature:{signer.signature(text, request)}\r\n".encode()
    return Upload(dict(request.headers.items()), body + b"\r\n")


def send(site: Any, bucket: str, made: Upload) -> Any:
    return site.ask(
        site.address, f"/{bucket}/k", "PUT", made.body, **{n.replace("-", "_"): v for n, v in made.headers.items()}
    )


@pytest.mark.parametrize(
    ("form", "checksum"),
    [(SIGNED, ""), *((form, name) for form in (SIGNED_TRAILER, UNSIGNED_TRAILER) for name in ("", *CHECKSUMS))],
)
def test_each_form_stores_the_data_alone(site: Any, form: str, checksum: str) -> None:
    bucket = site.bucket()
    answer = send(site, bucket, upload(site, bucket, form, checksum))
    assert answer.status == 200, answer.text
    got = site.client("s3").get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == DATA
    framing = {"content-encoding", "x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer"}
    assert not framing & got["ResponseMetadata"]["HTTPHeaders"].keys(), "nothing of it is kept with the object"


@pytest.mark.parametrize("form", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_a_stream_need_not_say_its_length(site: Any, form: str) -> None:
    bucket = site.bucket()
    made = upload(site, bucket, form, "" if form == SIGNED else "crc32", length=None)
    assert send(site, bucket, made).status == 200
    assert site.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == DATA


BROKEN = {
    "empty": lambda body: b"",
    "cut in a chunk": lambda body: body[:1000],
    "cut in a head": lambda body: body[:3],
    "no head": lambda body: DATA,
    "a head that is no number": lambda body: b"xyz\r\n" + body,
    "a negative head": lambda body: b"-1\r\n" + body,
    "a longer chunk": lambda body: body.replace(b"10000", b"20000", 1),
    "no line break after a chunk": lambda body: body.replace(DATA[65530:65536] + b"\r\n", DATA[65530:65536], 1),
    "another trailer": lambda body: body.replace(b"x-amz-checksum-", b"x-amz-acl-", 1),
    "a trailer of the connection": lambda body: body.replace(b"x-amz-checksum-crc32", b"host", 1),
    "a checksum of other data": lambda body: body.replace(CHECKSUMS["crc32"].encode(), b"AAAAAA==", 1),
}


@pytest.mark.parametrize("form", [SIGNED_TRAILER, UNSIGNED_TRAILER])
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_stream_is_refused(site: Any, form: str, how: str) -> None:
    bucket = site.bucket()
    made = upload(site, bucket, form, "crc32")
    made.body = BROKEN[how](made.body)
    answer = send(site, bucket, made)
    assert 400 <= answer.status < 500 and "<Code>" in answer.text, answer.text
    assert "Contents" not in site.client("s3").list_objects_v2(Bucket=bucket)


def test_data_of_another_length_than_was_said_is_refused(site: Any) -> None:
    bucket = site.bucket()
    for form in (SIGNED, UNSIGNED_TRAILER):
        assert send(site, bucket, upload(site, bucket, form, "" if form == SIGNED else "sha1", length=1)).status == 400


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 40), cut=st.integers(0, 40), put=st.binary(max_size=8), end=st.booleans())
def test_no_stream_is_an_error_of_the_cloud(site: Any, place: int, cut: int, put: bytes, end: bool) -> None:
    """Anything changed near the beginning or the end of a stream."""
    bucket = _BUCKETS.setdefault(site.port, "") or site.bucket()
    _BUCKETS[site.port] = bucket
    made = upload(site, bucket, UNSIGNED_TRAILER, "crc32")
    place = max(0, len(made.body) - place) if end else place
    made.body = made.body[:place] + put + made.body[place + cut :]
    answer = send(site, bucket, made)
    assert answer.status == 200 or 400 <= answer.status < 500
    if answer.status == 200:
        assert site.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == DATA


_BUCKETS: dict[int, str] = {}


ARROW = """
import sys
import pyarrow as pa, pyarrow.parquet as pq
from pyarrow import fs
system, path = fs.FileSystem.from_uri(sys.argv[1])
pq.write_table(pa.table({"k": [1, 2, 3]}), path + "/k.parquet", filesystem=system)
with system.open_output_stream(path + "/big") as stream:
    for _ in range(12):
        stream.write(b"x" * 2**20)
print(pq.read_table(path + "/k.parquet", filesystem=system).num_rows)
"""


def test_pyarrow_writes_and_reads(site: Any) -> None:
    """A file in one piece and one in parts, by the packages of the sample's image."""
    bucket, root = site.bucket(), site.keyring.root
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": f"http://{site.address}",
        "AWS_ACCESS_KEY_ID": root.access_key,
        "AWS_SECRET_ACCESS_KEY": root.secret_key,
        "AWS_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [str(python_image() / "bin" / "python"), "-c", ARROW, f"s3://{bucket}/below"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr
    assert site.client("s3").head_object(Bucket=bucket, Key="below/big")["ContentLength"] == 12 * 2**20
