"""S3: bytes stay in files. A put hands moto none, copies share them, and an answer only says where they are."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from moto.s3 import models, responses
from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML, NoSuchUpload
from moto.utilities.utils import md5_hash

from localcloud import backends
from localcloud.request import Call, judged
from localcloud.stored import HASHES, Stored, crc32_of_parts

LEAST_PART_BYTES = 5 * 1024 * 1024

_answered: ContextVar[list[Stored] | None] = ContextVar("answered", default=None)
"""Where the bytes of an answer go; None: into the answer, because nobody asked moto by `answering`."""

_reading = threading.local()


def apply() -> None:
    """Let `FakeKey.value` take and give a `Stored`, and nobody join or hash bytes who need not."""
    _keep_bytes_in_files()
    _take_bytes_from_the_call()
    _give_bytes_to_the_caller()
    _read_what_is_selected()
    _join_parts()
    _say_a_copys_own_checksum()


@contextmanager
def answering() -> Iterator[Callable[[], Stored | None]]:
    """While moto answers: the bytes of the object that it has answered with, if any."""
    answered: list[Stored] = []
    token = _answered.set(answered)
    try:
        yield lambda: answered[-1] if answered else None
    finally:
        _answered.reset(token)


# --- objects ---------------------------------------------------------------------------------------------------------


def _keep_bytes_in_files() -> None:
    # s3/models.py:172 has a temporary file for each object, in memory up to 16 MB, and reads and hashes all of it.
    key = models.FakeKey

    def value(self: Any) -> Any:
        return self.stored.read() if getattr(_reading, "selection", False) else self.stored

    def set_value(self: Any, new_value: Any) -> None:
        if self._value_buffer is not None:
            self._value_buffer.close()
            self._value_buffer = None
        self.stored = Stored.of(new_value)
        self.contentsize = len(self.stored)

    def etag(self: Any) -> str:
        if self._etag is None:
            self._etag = self.stored.digest("md5").hex()
        return f'"{self._etag}"'

    def dispose(self: Any, garbage: bool = False) -> None:
        self.disposed = True

    key.value = property(value, set_value)
    key.etag = property(etag)
    key.dispose = dispose
    key.__del__ = lambda self: None


def _take_bytes_from_the_call() -> None:
    response = responses.S3Response
    stock = response.setup_class

    def setup_class(self: Any, *args: Any, **kwargs: Any) -> None:
        stock(self, *args, **kwargs)
        judge = judged.current()
        if judge is not None and judge.call.content is not None:
            self.body = judge.call.content

    def get_checksum(self: Any, response_headers: dict[str, Any]) -> tuple[str, str | None]:
        # s3/responses.py:2338 looks for a checksum in the bytes of the object where no header has it.
        algorithm = self.headers.get("x-amz-sdk-checksum-algorithm", "")
        if not algorithm:
            return "", None
        header = f"x-amz-checksum-{algorithm.lower()}"
        value = self.headers.get(header)
        if not value and algorithm.lower() in HASHES:
            value = base64.b64encode(Stored.of(self.body or b"").digest(algorithm.lower())).decode()
        if value:
            response_headers[header] = value
        return algorithm, value

    response.setup_class, response._get_checksum = setup_class, get_checksum
    stock_checksum = responses.compute_checksum

    def compute_checksum(body: Any, algorithm: str, encode_base64: bool = True) -> bytes:
        if isinstance(body, Stored) and algorithm.lower() in HASHES:
            digest = body.digest(algorithm.lower())
            return base64.b64encode(digest) if encode_base64 else digest
        return bytes(stock_checksum(bytes(body), algorithm, encode_base64))

    responses.compute_checksum = compute_checksum


def _give_bytes_to_the_caller() -> None:
    response = responses.S3Response
    stock = response.key_response

    def key_response(self: Any, request: Any, full_url: str, headers: Any) -> Any:
        status, response_headers, content = stock(self, request, full_url, headers)
        if isinstance(content, Stored):
            answered = _answered.get()
            if answered is None:
                return status, response_headers, content.read()
            answered.append(content.held())
            content = b""
        return status, response_headers, content

    response.key_response = key_response


def _read_what_is_selected() -> None:
    backend = models.S3Backend
    stock = backend.select_object_content

    def select_object_content(self: Any, *args: Any, **kwargs: Any) -> Any:
        _reading.selection = True
        try:
            return stock(self, *args, **kwargs)
        finally:
            _reading.selection = False

    backend.select_object_content = select_object_content


# --- parts -----------------------------------------------------------------------------------------------------------


def _join_parts() -> None:
    # s3/models.py:473 and :2719 join the parts in memory, and hash all of it again.
    upload, backend = models.FakeMultipart, models.S3Backend
    stock = backend.complete_multipart_upload

    def complete(self: Any, body: Iterable[tuple[int, str]]) -> Any:
        parts: list[Any] = []
        for number, etag in body:
            part = self.parts.get(number)
            if part is None or part.etag.strip('"') != etag.replace('"', ""):
                raise InvalidPart()
            if parts and parts[-1].contentsize < LEAST_PART_BYTES:
                raise EntityTooSmall()
            parts.append(part)
        if not parts:
            raise MalformedXML
        hashes = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
        whole = Stored.joined(part.stored for part in parts)
        return whole, f"{md5_hash(hashes).hexdigest()}-{len(parts)}", _checksum_of_parts(self, parts)

    def complete_multipart_upload(self: Any, bucket_name: str, multipart_id: str, body: Any) -> Any:
        bucket = self.get_bucket(bucket_name)
        if multipart_id not in bucket.multiparts:
            raise NoSuchUpload(upload_id=multipart_id)
        parts = bucket.multiparts[multipart_id].parts
        listed = list(body)
        key = stock(self, bucket_name, multipart_id, iter(listed))
        for number in parts.keys() - {number for number, _ in listed}:
            del parts[number]
        for part in parts.values():  # the object has them now
            part.stored = Stored()
        return key

    upload.complete, backend.complete_multipart_upload = complete, complete_multipart_upload


def _checksum_of_parts(upload: Any, parts: list[Any]) -> tuple[str, str, int] | None:
    """Type, value and number of parts; None where nobody asked for one, or for one that only the client can take."""
    algorithm = upload.metadata.get("x-amz-checksum-algorithm") or ""
    kind = upload.metadata.get("x-amz-checksum-type") or ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")
    if kind == "COMPOSITE" and algorithm.lower() in HASHES:
        of_parts = b"".join(part.stored.digest(algorithm.lower()) for part in parts)
        return kind, base64.b64encode(Stored.of(of_parts).digest(algorithm.lower())).decode(), len(parts)
    if kind == "FULL_OBJECT" and algorithm == "CRC32":
        whole = crc32_of_parts((part.stored.digest("crc32"), len(part.stored)) for part in parts)
        return kind, base64.b64encode(whole).decode(), 1
    judge = judged.current()
    said = judge.call.headers.get(f"x-amz-checksum-{algorithm.lower()}") if judge is not None and algorithm else None
    return (kind, said, 1) if said else None


def _say_a_copys_own_checksum() -> None:
    # s3/models.py:3111 copies the checksum of parts, but not that it is one.
    backend = models.S3Backend
    stock = backend.copy_object

    def copy_object(
        self: Any, src_key: Any, dest_bucket_name: str, dest_key_name: str, *args: Any, **more: Any
    ) -> None:
        stock(self, src_key, dest_bucket_name, dest_key_name, *args, **more)
        copy = self.get_object(dest_bucket_name, dest_key_name)
        if src_key.checksum_type == "COMPOSITE":
            algorithm = (src_key.checksum_algorithm or "").lower()
            known = algorithm in HASHES
            copy.checksum_type = "FULL_OBJECT" if known else None
            copy.checksum_value = base64.b64encode(copy.stored.digest(algorithm)).decode() if known else None
            copy.checksum_algorithm = src_key.checksum_algorithm if known else None

    backend.copy_object = copy_object


# --- ahead of the lock -----------------------------------------------------------------------------------------------


def will_hash(call: Call) -> list[tuple[Stored, str]]:
    """What carrying out a call takes hashes of that nobody has taken yet. Hold the server's lock; taking them is slow,
    and is done without it.
    """
    if call.source is not None:
        key = backends.s3_object(call.account, call.source.bucket, call.source.key, call.source.version)
        if key is None:
            return []
        stored = key.stored
        start, dash, end = call.headers.get("x-amz-copy-source-range", "").removeprefix("bytes=").partition("-")
        if dash and start.isdecimal() and end.isdecimal():
            stored = stored[int(start) : int(end) + 1]
        algorithms = call.headers.get("x-amz-checksum-algorithm", ""), key.checksum_algorithm or ""
        return [(stored, name) for name in ("md5", *map(str.lower, algorithms)) if name in HASHES]
    if call.method == "POST" and "uploadId" in call.query:
        bucket = backends.s3(call.account).buckets.get(call.bucket)
        upload = bucket.multiparts.get(call.query["uploadId"]) if bucket is not None else None
        algorithm = upload.metadata.get("x-amz-checksum-algorithm", "").lower() if upload is not None else ""
        if upload is not None and algorithm in HASHES:
            return [(part.stored, algorithm) for part in upload.parts.values()]
    return []
