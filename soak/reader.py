"""Somebody who reads the published outputs all the time, and takes offence at half of one."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from herd.errors import HerdError
from herd.targets import local_cloud
from soak.team import FILES
from soak.world import World

PAUSE_SECONDS = {True: 0.15, False: 1.0}
"""By whether something is about to be published. Each reading is a dozen requests: much for a small machine."""

ACCOUNT = "123456789012"


class Reader:
    """Reads `alpha`'s current version and `beta`'s page of one environment until it is closed.

    A local cloud that does not answer is no offence; an answer that is not one whole version is. `must_exist` says that
    something has been published and nobody is taking it away.
    """

    def __init__(self, world: World, name: str = "dev"):
        self._world = world
        self._data, self._reports = (f"herd-{name}-{ACCOUNT}-{purpose}" for purpose in ("data", "reports"))
        self._client: Any = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._must_exist = False
        self._is_eager = False
        self.offences: list[str] = []
        self.reads = 0
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def expect(self, must_exist: bool) -> None:
        """Say whether there must be something to read; a reading that is under way is not measured by it any more."""
        with self._lock:
            self._must_exist = must_exist

    def be_eager(self, eager: bool) -> None:
        """Say whether something is about to be published."""
        self._is_eager = eager

    def close(self) -> None:
        self._ended.set()
        self._thread.join(30)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS[self._is_eager]):
            try:
                with self._lock:
                    self._read_version()
                    self._read_page()
            except (BotoCoreError, HerdError, OSError):
                self._client = None  # nobody answers; it may come back with other keys

    def _read_version(self) -> None:
        text = self._get(self._data, "alpha/latest.json")
        if text is None:
            return
        latest = json.loads(text)
        if len(latest["files"]) != FILES + 1:
            self._take_offence(f"version {latest['run_id']} has {len(latest['files'])} files")
        for file in latest["files"]:
            body = self._get(self._data, latest["prefix"] + file["path"])
            if body is not None and hashlib.sha256(body).hexdigest() != file["sha256"]:
                self._take_offence(f"{file['path']} of version {latest['run_id']} is not what the manifest says")
        self.reads += 1

    def _read_page(self) -> None:
        index = self._get(self._reports, "beta/index.html")
        if index is None:
            return
        run = index.decode().partition("url=")[2].split("/")[0].strip("\"'")
        page, data = (self._get(self._reports, f"beta/{run}/{name}") for name in ("index.html", "data.txt"))
        if page is not None and data is not None and not (run.encode() in page and data.decode() == run):
            self._take_offence(f"page of {run} shows {page[:60]!r} with the data of {data!r}")
        self.reads += 1

    def _get(self, bucket: str, key: str) -> bytes | None:
        try:
            body: bytes = self._connected().get_object(Bucket=bucket, Key=key)["Body"].read()
            return body
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("NoSuchKey", "NoSuchBucket"):
                if self._must_exist:
                    self._take_offence(f"{key}: {code}")
            elif error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                self._take_offence(f"{key}: {error}")
            return None

    def _take_offence(self, what: str) -> None:
        if what not in self.offences:
            self.offences.append(what)

    def _connected(self) -> Any:
        if self._client is None:
            key = local_cloud.credentials(self._world.checkout)
            port = local_cloud.port(self._world.checkout)
            config = Config(
                s3={"addressing_style": "path"}, retries={"max_attempts": 0}, connect_timeout=2, read_timeout=20
            )
            self._client = boto3.session.Session(key.key, key.secret, region_name=key.region).client(
                "s3", endpoint_url=f"http://127.0.0.1:{port}", config=config
            )
        return self._client
