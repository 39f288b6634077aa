"""The few things asked of S3. boto3 is imported while the workload already runs: it takes longer than a short job."""

from __future__ import annotations

import mimetypes
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

# Files of a multipart upload are sent in several threads; the pool must not be the bottleneck of parallel transfers.
CONNECTIONS = 16

# Below this one request carries a file; boto3's transfers would ask for its size before.
IN_PARTS_FROM = 8 * 1024 * 1024

# A table of our own: `mimetypes` otherwise reads the image's, so that the same file had another type elsewhere.
_TYPES = mimetypes.MimeTypes(filenames=())
for _suffix, _type in {
    ".css": "text/css",
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".xht": "application/xhtml+xml",
    ".xhtml": "application/xhtml+xml",
    ".woff2": "font/woff2",
}.items():
    _TYPES.add_type(_type, _suffix)


@dataclass(frozen=True)
class Stored:
    """One object of a listing."""

    key: str
    bytes: int


class StorageError(Exception):
    """S3 refused or could not be reached. The message says which request and why, in S3's words."""


class Storage:
    """S3, connected in the background from the moment this is made."""

    def __init__(self) -> None:
        self._client: Any = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._connect, name="connect to S3", daemon=True)
        self._thread.start()

    def _connect(self) -> None:
        try:
            import boto3
            from botocore.config import Config

            config = Config(
                retries={"mode": "standard", "max_attempts": 6},
                connect_timeout=5,
                read_timeout=60,
                max_pool_connections=CONNECTIONS,
            )
            self._client = boto3.client("s3", config=config)
        except BaseException as error:  # kept for whoever asks first: a thread has nobody to raise to
            self._failure = error

    @property
    def client(self) -> Any:
        """boto3's S3 client. Raises StorageError when it could not be made (no region, say)."""
        self._thread.join()
        if self._failure is not None:
            raise StorageError(f"cannot connect to S3: {self._failure}") from self._failure
        return self._client

    def get(self, bucket: str, key: str) -> bytes | None:
        """A small object, or None if there is none."""
        result = self.get_with_etag(bucket, key)
        return result[0] if result is not None else None

    def get_with_etag(self, bucket: str, key: str) -> tuple[bytes, str] | None:
        """A small object with its ETag, which names its content; None if there is none."""
        try:
            return self._get(bucket, key)
        except _NoSuchKey:
            return None
        except _Denied:
            # Whoever may list only some prefixes of a bucket is told 403, not 404, of an object that does not exist
            # (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html). Listing just that key tells which.
            if not any(stored.key == key for stored in self.list(bucket, key)):
                return None
        # It is there: either it has come meanwhile, or reading it is what is denied.
        return self._get(bucket, key)

    def _get(self, bucket: str, key: str) -> tuple[bytes, str]:
        response = self._ask("get_object", Bucket=bucket, Key=key)
        return bytes(response["Body"].read()), str(response["ETag"])

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        only_if_absent: bool = False,
        only_if: str | None = None,
        **extra: str,
    ) -> bool:
        """Write a small object in one request. Says False, and writes nothing, with `only_if_absent` if there is one
        already, and with `only_if` if it is not the one with that ETag any more.
        """
        condition = {"IfNoneMatch": "*"} if only_if_absent else {"IfMatch": only_if} if only_if is not None else {}
        extra.setdefault("ContentType", content_type(key))
        try:
            self._ask("put_object", Bucket=bucket, Key=key, Body=body, **condition, **extra)
        except _Exists:
            return False
        except _NoSuchKey:  # what S3 answers to a condition on an object that is gone
            return False
        return True

    def upload(self, source: BinaryIO, bucket: str, key: str, **extra: str) -> None:
        """Write a whole open file; big ones go up in parts, and only appear when complete.

        Parts are read by the file's name, several at a time, so that none is held in memory.
        """
        extra.setdefault("ContentType", content_type(key))
        source.seek(0)
        if os.fstat(source.fileno()).st_size < IN_PARTS_FROM:
            self._ask("put_object", Bucket=bucket, Key=key, Body=source, **extra)
            return
        self._transfer(lambda: self.client.upload_file(source.name, bucket, key, ExtraArgs=extra), "PutObject", key)

    def download(self, bucket: str, key: str, target: Path, size: int) -> None:
        """Fetch an object of `size` bytes into a file whose folder exists; big ones in parts."""
        if size < IN_PARTS_FROM:
            body = self._ask("get_object", Bucket=bucket, Key=key)["Body"]
            self._transfer(lambda: target.write_bytes(body.read()), "GetObject", key)
            return
        self._transfer(lambda: self.client.download_file(bucket, key, str(target)), "GetObject", key)

    def list(self, bucket: str, prefix: str) -> Iterator[Stored]:
        """All objects below a prefix, in the order of their keys."""
        token: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", Bucket=bucket, Prefix=prefix, **token)
            for entry in page.get("Contents", ()):
                yield Stored(entry["Key"], entry["Size"])
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def tag(self, bucket: str, key: str, name: str) -> None:
        """Set the one tag `name`=true, in place of any other; an object that is gone already is fine."""
        try:
            self._ask(
                "put_object_tagging", Bucket=bucket, Key=key, Tagging={"TagSet": [{"Key": name, "Value": "true"}]}
            )
        except _NoSuchKey:
            return

    def delete(self, bucket: str, key: str) -> None:
        self._ask("delete_object", Bucket=bucket, Key=key)

    def _ask(self, operation: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self.client, operation)(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("NoSuchKey", "404"):
                raise _NoSuchKey(str(error)) from error
            # 409 is another conditional write of the same key going on: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
            if code in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                raise _Exists(str(error)) from error
            if code in ("AccessDenied", "403"):
                raise _Denied(f"{error} ({arguments.get('Key', arguments.get('Prefix'))})") from error
            raise StorageError(f"{error} ({arguments.get('Key', arguments.get('Prefix'))})") from error
        except BotoCoreError as error:
            raise StorageError(str(error)) from error

    def _transfer(self, transfer: Callable[[], object], operation: str, key: str) -> None:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            transfer()
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            raise StorageError(f"{operation} {key}: {error}") from error


class _NoSuchKey(StorageError):
    pass


class _Exists(StorageError):
    pass


class _Denied(StorageError):
    pass


def content_type(path: str) -> str:
    """The Content-Type of a file by its name; text is UTF-8, the unknown is a download.

    >>> content_type("delay-report/index.html")
    'text/html; charset=utf-8'
    """
    guessed, encoding = _TYPES.guess_type(path.rpartition("/")[2])
    if guessed is None or encoding is not None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed
