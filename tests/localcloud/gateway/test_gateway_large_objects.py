"""Objects that go to the disk as they arrive and from it as they are sent: whole, in ranges, in parts, or not."""

from __future__ import annotations

import base64
import gc
import hashlib
import io
import resource
import shutil
import socket
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localcloud.agent.identity import TaskIdentity
from localcloud.iam.guard import Guard

DATA = bytes(range(256)) * 4096
PART = 5 * 1024 * 1024


@pytest.fixture
def s3(site: Any) -> Any:
    return site.client("s3")


@pytest.fixture
def bucket(site: Any) -> str:
    return str(site.bucket())


ROOT = Credentials("AKIAROOTROOTROOTROOT", "root-secret")


def signed(site: Any, path: str, body: bytes, credentials: Credentials = ROOT, **headers: str) -> dict[str, str]:
    """The headers of a signed put of `body`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest("PUT", f"http://{site.address}{path}", data=body, headers=named)
    S3SigV4Auth(credentials, "s3", "eu-west-1").add_auth(request)
    return dict(request.headers.items())


def sent(site: Any, path: str, body: bytes, headers: dict[str, str]) -> Any:
    return site.ask(site.address, path, "PUT", body, **{name.replace("-", "_"): v for name, v in headers.items()})


def drafts(site: Any) -> list[str]:
    gc.collect()
    return [path.name for path in site.spool.iterdir()]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


WRONG: dict[str, tuple[dict[str, str], Callable[[bytes], bytes], str]] = {
    "another byte than was signed": ({}, lambda data: b"x" + data[1:], "XAmzContentSHA256Mismatch"),
    "an MD5 of something else": ({"content_md5": b64(hashlib.md5(b"x").digest())}, bytes, "BadDigest"),
    "an MD5 that is none": ({"content_md5": "no"}, bytes, "InvalidDigest"),
    "a CRC-32 of something else": ({"x_amz_checksum_crc32": b64(b"1234")}, bytes, "BadDigest"),
    "a SHA-1 of something else": ({"x_amz_checksum_sha1": b64(hashlib.sha1(b"x").digest())}, bytes, "BadDigest"),
    "a SHA-256 of something else": ({"x_amz_checksum_sha256": b64(hashlib.sha256(b"x").digest())}, bytes, "BadDigest"),
}


@pytest.mark.parametrize("size", [1000, len(DATA)], ids=["small", "large"])
@pytest.mark.parametrize("what", WRONG)
def test_an_object_that_is_not_as_promised_is_not_stored(site: Any, s3: Any, bucket: str, what: str, size: int) -> None:
    headers, spoilt, code = WRONG[what]
    body = DATA[:size]
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    answer = sent(site, f"/{bucket}/k", spoilt(body), signed(site, f"/{bucket}/k", body, **headers))
    assert answer.status == 400 and f"<Code>{code}</Code>" in answer.text
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"before"
    assert drafts(site) == []


def test_a_body_that_breaks_off_leaves_nothing(site: Any, s3: Any, bucket: str) -> None:
    headers = signed(site, f"/{bucket}/k", DATA, Content_Length=str(len(DATA)))
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": site.address, **headers}.items())
    assert site.raw(f"PUT /{bucket}/k HTTP/1.1\r\n{head}\r\n".encode() + DATA[:400_000], timeout=0.5) == b""
    deadline = time.monotonic() + 30
    while drafts(site):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("which", ["not permitted", "no such bucket", "wrong signature"])
def test_what_is_refused_is_refused_before_its_bytes_are_read(site: Any, bucket: str, which: str) -> None:
    path = "/bucket-that-is-not/k" if which == "no such bucket" else f"/{bucket}/k"
    credentials = ROOT
    if which == "not permitted":
        site.server.guard = Guard()
        task = TaskIdentity("arn:aws:ecs:eu-west-1:1:task/herd/abc123", "arn:aws:iam::1:role/herd/tasks/train", "train")
        lent = site.keyring.fetch(*site.keyring.admit(task))
        credentials = Credentials(lent["AccessKeyId"], lent["SecretAccessKey"], lent["Token"])
    headers = signed(site, path, DATA, credentials, Content_Length=str(10**9))
    headers = {**headers, "Host": site.address, "Expect": "100-continue"}
    if which == "wrong signature":
        headers["X-Amz-Content-SHA256"] = "0" * 64
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = site.raw(f"PUT {path} HTTP/1.1\r\n{head}\r\n".encode(), timeout=5)
    codes = {"not permitted": "AccessDenied", "no such bucket": "NoSuchBucket", "wrong signature": "Signature"}
    assert b"100 Continue" not in answer and codes[which].encode() in answer
    assert drafts(site) == []


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file may have more than 300,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_more_is_said(site: Any, s3: Any, bucket: str, little_room: None) -> None:
    with pytest.raises(ClientError, match=r"ServiceUnavailable.*cannot write it: .*File too large"):
        s3.put_object(Bucket=bucket, Key="k", Body=DATA)
    assert drafts(site) == [] and s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    s3.put_object(Bucket=bucket, Key="k", Body=DATA[:250_000])
    shutil.rmtree(site.spool)
    with pytest.raises(ClientError, match=r"ServiceUnavailable.*cannot write it: .*No such file"):
        s3.put_object(Bucket=bucket, Key="k", Body=DATA)


RANGES = {
    "bytes=0-0": DATA[:1],
    "bytes=10-": DATA[10:],
    "bytes=-7": DATA[-7:],
    "bytes=300000-900000": DATA[300000:900001],
    f"bytes=5-{10**9}": DATA[5:],
}


def test_whole_and_in_ranges_it_is_what_was_put(site: Any, s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=DATA, ContentType="text/csv", Metadata={"a": "b"})["ETag"]
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["ContentLength"], got["ContentType"]) == (DATA, len(DATA), "text/csv")
    assert etag == got["ETag"] == f'"{hashlib.md5(DATA).hexdigest()}"' and got["Metadata"] == {"a": "b"}
    for span, wanted in RANGES.items():
        part = s3.get_object(Bucket=bucket, Key="k", Range=span)
        assert (part["ResponseMetadata"]["HTTPStatusCode"], part["Body"].read()) == (206, wanted), span
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentLength"], head["ETag"]) == (len(DATA), etag)
    for wrong, code in (({"Range": f"bytes={len(DATA)}-"}, "InvalidRange"), ({"IfMatch": '"x"'}, "412"),
                        ({"IfNoneMatch": etag}, "304")):  # fmt: skip
        with pytest.raises(ClientError, match=code if code == "InvalidRange" else f"{code}|PreconditionFailed"):
            s3.get_object(Bucket=bucket, Key="k", **wrong)
    address = site.client("s3", signature_version="s3v4").generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "k", "ResponseContentDisposition": "attachment"}
    )
    with urllib.request.urlopen(address) as answer:
        assert (answer.headers["Content-Disposition"], answer.read()) == ("attachment", DATA)


def test_versions_and_conditions_hold_for_large_objects(site: Any, s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=DATA, ServerSideEncryption="AES256")
    second = s3.put_object(Bucket=bucket, Key="k", Body=DATA[::-1])
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=DATA, IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=DATA, IfMatch=first["ETag"])
    got = s3.get_object(Bucket=bucket, Key="k", VersionId=first["VersionId"])
    assert (got["Body"].read(), got["ServerSideEncryption"]) == (DATA, "AES256")
    s3.delete_object(Bucket=bucket, Key="k", VersionId=second["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == DATA


@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
def test_parts_are_joined_copied_and_checked(site: Any, s3: Any, bucket: str, kind: str) -> None:
    parts = [DATA[:256] * (PART // 256), bytes(PART), b"the end"]
    s3.put_object(Bucket=bucket, Key="source", Body=b"--" + parts[1] + b"--")
    upload = {"Bucket": bucket, "Key": "k"}
    begun = s3.create_multipart_upload(**upload, ChecksumAlgorithm="CRC32", ChecksumType=kind, Metadata={"a": "b"})
    upload["UploadId"] = begun["UploadId"]
    s3.upload_part(**upload, PartNumber=1, Body=b"replaced")
    s3.upload_part(**upload, PartNumber=9, Body=b"never listed")
    etags = [s3.upload_part(**upload, PartNumber=1, Body=parts[0])["ETag"]]
    copied = s3.upload_part_copy(**upload, PartNumber=2, CopySource=f"{bucket}/source",
                                 CopySourceRange=f"bytes=2-{PART + 1}")  # fmt: skip
    etags += [copied["CopyPartResult"]["ETag"], s3.upload_part(**upload, PartNumber=3, Body=parts[2])["ETag"]]
    assert [etag.strip('"') for etag in etags] == [hashlib.md5(part).hexdigest() for part in parts]
    listed = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]}
    done = s3.complete_multipart_upload(**upload, MultipartUpload=listed)
    whole = b"".join(parts)
    hashes = b"".join(hashlib.md5(part).digest() for part in parts)
    assert done["ETag"] == f'"{hashlib.md5(hashes).hexdigest()}-3"'
    crcs = b"".join(zlib.crc32(part).to_bytes(4, "big") for part in parts)
    crc = {"FULL_OBJECT": b64(zlib.crc32(whole).to_bytes(4, "big")),
           "COMPOSITE": b64(zlib.crc32(crcs).to_bytes(4, "big")) + "-3"}[kind]  # fmt: skip
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["ChecksumCRC32"], got["Metadata"]) == (whole, crc, {"a": "b"})
    over = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={PART - 3}-{PART + 2}")
    assert over["Body"].read() == whole[PART - 3 : PART + 3]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    copy = s3.get_object(Bucket=bucket, Key="copy")
    assert (copy["Body"].read(), copy["ETag"]) == (whole, f'"{hashlib.md5(whole).hexdigest()}"')
    # The source, and what of the parts is in use; the copies have nothing of their own.
    assert len(drafts(site)) <= 3


def test_wrong_parts_are_refused_and_an_upload_that_is_given_up_leaves_nothing(site: Any, s3: Any, bucket: str) -> None:
    upload = {"Bucket": bucket, "Key": "k"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    etags = [s3.upload_part(**upload, PartNumber=number, Body=DATA)["ETag"] for number in (1, 2)]
    for parts, code in (([(1, '"x"')], "InvalidPart"), ([(1, etags[0]), (2, etags[1])], "EntityTooSmall"),
                        ([(3, etags[0])], "InvalidPart")):  # fmt: skip
        listed = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]}
        with pytest.raises(ClientError, match=code):
            s3.complete_multipart_upload(**upload, MultipartUpload=listed)
    assert len(drafts(site)) == 2
    s3.abort_multipart_upload(**upload)
    assert drafts(site) == []
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.upload_part(**upload, PartNumber=1, Body=DATA)
    assert drafts(site) == []


def test_others_are_answered_while_an_object_arrives_and_is_read_slowly(site: Any, s3: Any, bucket: str) -> None:
    headers = signed(site, f"/{bucket}/k", DATA, Content_Length=str(len(DATA)))
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": site.address, **headers}.items())
    with socket.create_connection(("127.0.0.1", site.port), 20) as slow:
        slow.sendall(f"PUT /{bucket}/k HTTP/1.1\r\n{head}\r\n".encode() + DATA[:500_000])
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
        slow.sendall(DATA[500_000:])
        assert b" 200 " in slow.recv(1000)
    reading = s3.get_object(Bucket=bucket, Key="k")["Body"]
    assert reading.read(10) == DATA[:10]
    s3.delete_object(Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert reading.read() == DATA[10:]


def test_rows_are_selected_from_stored_bytes(s3: Any, bucket: str) -> None:
    s3.upload_fileobj(io.BytesIO(b"a,b\n" + b"1,2\n" * 50_000), bucket, "rows.csv")
    answer = s3.select_object_content(
        Bucket=bucket, Key="rows.csv", ExpressionType="SQL", Expression="SELECT count(*) FROM s3object",
        InputSerialization={"CSV": {"FileHeaderInfo": "USE"}}, OutputSerialization={"JSON": {}},
    )  # fmt: skip
    records = b"".join(event["Records"]["Payload"] for event in answer["Payload"] if "Records" in event)
    assert records == b'{"_1":50001}\n'  # moto counts the line of names too


SPANS = [
    "",
    "bytes=0-0",
    "bytes=3-",
    "bytes=-4",
    "bytes=-0",
    "bytes=2-900",
    "bytes=50-",
    "bytes=5-3",
    "bytes=0-1,3-4",
    "x",
]
OBJECTS: dict[str, dict[str, Any]] = {
    "with nothing": {},
    "with all that is shown": {
        "ContentType": "text/html", "CacheControl": "no-cache", "ContentEncoding": "gzip", "Metadata": {"a_b": "c"},
        "Tagging": "a=b", "ServerSideEncryption": "AES256", "StorageClass": "STANDARD_IA", "ContentLanguage": "en",
        "WebsiteRedirectLocation": "/other",
    },
    "encrypted with a key": {"ServerSideEncryption": "aws:kms"},
}  # fmt: skip


@pytest.mark.parametrize("what", OBJECTS)
def test_what_everybody_may_read_is_answered_as_moto_answers_it(site: Any, s3: Any, bucket: str, what: str) -> None:
    policy = (
        f'{{"Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::{bucket}/*"}}]}}'
    )
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789", **OBJECTS[what])
    host = f"{bucket}.s3.eu-west-1.localhost:{site.port}"
    for span in SPANS:
        wanted = {"Range": span} if span else {}
        plain = site.ask(host, "/k", **wanted)
        # A condition that holds is moto's to look at.
        of_moto = site.ask(host, "/k", If_Unmodified_Since="Fri, 01 Jan 2100 00:00:00 GMT", **wanted)
        for answer in (plain, of_moto):
            for name in ("date", "x-amzn-requestid", "x-amz-request-id"):
                answer.headers.pop(name, None)
        assert plain.headers == of_moto.headers, span
        assert (plain.status, plain.status >= 400 or plain.body) == (
            of_moto.status,
            plain.status >= 400 or of_moto.body,
        )
