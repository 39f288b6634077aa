"""Files of real size in the local cloud, beside boto3 against a handler that does nothing but write and send files."""

from __future__ import annotations

import json
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import psutil

from bench.measure import Result, interleaved, seconds
from localcloud.credentials import kept_root

BIG_BYTES = 10**9
SMALL_OBJECTS, SMALL_BYTES, AT_ONCE = 10_000, 1_000, 8
PAGE_BYTES, PAGES = 174_000, 300
PROBE_SECONDS = 0.02
REGION = "eu-west-1"
BUCKET = "bench"


class Cloud:
    """A local cloud of its own below `folder`."""

    def __init__(self, folder: Path):
        home = folder / "cloud"
        command = ["-m", "localcloud", "serve", "--home", home, "--cache", home, "--uv", "/bin/true"]
        self.process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = self.process.stdout.readline().split()[-1]
        root = kept_root(home / "aws" / "credentials")
        assert root is not None
        self.key = root
        self.s3 = client(self.url, root.access_key, root.secret_key)
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


class Served:
    """Another server of this file's: `python -m bench.files NAME FOLDER`."""

    def __init__(self, name: str, folder: Path):
        folder.mkdir()
        command = [sys.executable, "-m", "bench.files", name, str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        self.s3 = client(self.url, "a", "b")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def client(url: str, access_key: str, secret_key: str) -> Any:
    """boto3's S3, as a program has it that sets nothing but where and who."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3", endpoint_url=url, region_name=REGION, aws_access_key_id=access_key, aws_secret_access_key=secret_key,
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=20, retries={"total_max_attempts": 1}),
    )  # fmt: skip


# --- one large file --------------------------------------------------------------------------------------------------


def one_gigabyte(folder: Path) -> list[Result]:
    """Put and get a gigabyte in parts and in one request; memory and others' waiting meanwhile."""
    source, target = folder / "source", folder / "target"
    with source.open("wb") as file:
        block = secrets.token_bytes(10**7)
        for _ in range(BIG_BYTES // len(block)):
            file.write(block)
    cloud, plain = Cloud(folder), Served("plain", folder / "plain")
    times: list[float] = []
    try:
        _transfer(cloud.s3, source, target)  # all modules loaded, all pages touched
        quiet = _probed(cloud, partial(time.sleep, 5))
        process = psutil.Process(cloud.process.pid)
        with _peak(process) as peak:
            meanwhile = _probed(cloud, lambda: times.extend(_turns(cloud, plain, source, target)))
        over = (peak[0] - peak[1]) / 2**20
    finally:
        plain.close()
        cloud.close()
    names = ("in parts and ranges", "in one request")
    return [
        *(
            Result(f"1 GB put and get by boto3 {name}", ours, 2 * floor, "s", f"a plain handler {floor:.2f} s")
            for name, floor, ours in zip(names, times[0::2], times[1::2], strict=True)
        ),
        Result("memory of the local cloud during it, over before", over, 64, "MB", "none"),
        *(
            Result(f"worst answer to {what} meanwhile", 1000 * slow, 1000 * floor + 100, "ms", f"{1000 * floor:.0f} ms")
            for what, floor, slow in zip(("ssm", "s3"), quiet, meanwhile, strict=True)
        ),
    ]


def _turns(cloud: Cloud, plain: Served, source: Path, target: Path) -> list[float]:
    parts = interleaved(3, partial(_transfer, plain.s3, source, target), partial(_transfer, cloud.s3, source, target))
    whole = interleaved(3, partial(_whole, plain.s3, source, target), partial(_whole, cloud.s3, source, target))
    return parts + whole


def _transfer(s3: Any, source: Path, target: Path) -> None:
    s3.upload_file(str(source), BUCKET, "parts")
    s3.download_file(BUCKET, "parts", str(target))
    assert target.stat().st_size == BIG_BYTES


def _whole(s3: Any, source: Path, target: Path) -> None:
    with source.open("rb") as file:
        s3.put_object(Bucket=BUCKET, Key="whole", Body=file)
    with target.open("wb") as file:
        for block in s3.get_object(Bucket=BUCKET, Key="whole")["Body"].iter_chunks(2**18):
            file.write(block)
    assert target.stat().st_size == BIG_BYTES


@contextmanager
def _peak(process: psutil.Process) -> Iterator[list[int]]:
    """[the most memory inside, the memory before], in bytes."""
    before = process.memory_info().rss
    seen, ended = [before, before], threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            seen[0] = max(seen[0], process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _probed(cloud: Cloud, action: Any) -> list[float]:
    """The longest that a call to another service and another call to S3 took meanwhile, in seconds."""
    key = cloud.key
    command = [sys.executable, "-m", "bench.files", "probe", cloud.url, key.access_key, key.secret_key]
    probe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert probe.stdout
    probe.stdout.readline()
    action()
    said, _ = probe.communicate("end\n")
    worst: list[float] = json.loads(said)
    return worst


def _probe(url: str, access_key: str, secret_key: str) -> None:
    import boto3

    options = {"endpoint_url": url, "region_name": REGION, "aws_access_key_id": access_key}
    session = boto3.session.Session()
    ssm = session.client("ssm", aws_secret_access_key=secret_key, **options)
    s3 = client(url, access_key, secret_key)
    s3.put_object(Bucket=BUCKET, Key="small", Body=b"x")
    calls = [ssm.describe_parameters, partial(s3.head_object, Bucket=BUCKET, Key="small")]
    for call in calls * 3:
        call()
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.readline()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print("ready", flush=True)
    worst = [0.0, 0.0]
    while not ended.wait(PROBE_SECONDS):
        worst = [max(before, seconds(call)) for before, call in zip(worst, calls, strict=True)]
    print(json.dumps(worst), flush=True)


# --- many small ones -------------------------------------------------------------------------------------------------


def small_objects(folder: Path) -> list[Result]:
    """10,000 objects of a kilobyte: put by several at once, then listed."""
    cloud, stock = Cloud(folder), Served("stock", folder / "stock")
    try:
        stock.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        put = [seconds(partial(_put_all, each.s3)) for each in (stock, cloud)]
        listed = interleaved(3, *(partial(_list_all, each.s3) for each in (stock, cloud)))
    finally:
        stock.close()
        cloud.close()
    return [
        Result(f"{SMALL_OBJECTS} objects of 1 kB put", put[1], put[0], "s", f"stock moto server {put[0]:.2f} s"),
        Result("the same listed", listed[1], 0.2 * listed[0], "s", f"stock moto server {listed[0]:.2f} s"),
    ]


def _put_all(s3: Any) -> None:
    with ThreadPoolExecutor(AT_ONCE) as workers:
        body = b"x" * (SMALL_BYTES - 8)
        puts = [
            workers.submit(s3.put_object, Bucket=BUCKET, Key=f"small/{number:05d}", Body=body + b"%08d" % number)
            for number in range(SMALL_OBJECTS)
        ]
        for put in puts:
            put.result()


def _list_all(s3: Any) -> None:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="small/")
    assert sum(len(page["Contents"]) for page in pages) == SMALL_OBJECTS


# --- pages -----------------------------------------------------------------------------------------------------------


def public_page(folder: Path) -> list[Result]:
    """A report's page, read by everybody, beside aiohttp's own answer with a file."""
    cloud, plain = Cloud(folder), Served("plain", folder / "plain")
    try:
        body = secrets.token_bytes(PAGE_BYTES)
        (folder / "plain" / "page").write_bytes(body)
        policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
        cloud.s3.delete_public_access_block(Bucket=BUCKET)
        cloud.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
        cloud.s3.put_object(Bucket=BUCKET, Key="page", Body=body, ContentType="text/html")
        port = cloud.url.rsplit(":", 1)[-1].strip("/")
        host = f"{BUCKET}.s3.{REGION}.localhost:{port}"
        rounds = [[_page_rate(plain.url, "127.0.0.1", "/page"), _page_rate(cloud.url, host, "/page")] for _ in range(3)]
        rates = [statistics.median(each) for each in zip(*rounds, strict=True)]
    finally:
        plain.close()
        cloud.close()
    return [
        Result(
            "a public page of 174 kB",
            rates[1],
            0.7 * rates[0],
            "requests/s",
            f"FileResponse {rates[0]:.0f}/s",
            at_least=True,
        )  # fmt: skip
    ]


def _page_rate(url: str, host: str, path: str) -> float:
    """Requests a second on one connection."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", int(url.rsplit(":", 1)[-1].strip("/")))

    def ask() -> None:
        for _ in range(PAGES):
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            assert (answer.status, len(answer.read())) == (200, PAGE_BYTES), answer.status

    return PAGES / seconds(ask)


# --- the yardsticks --------------------------------------------------------------------------------------------------


def _serve_plain(folder: Path) -> None:
    """S3's requests for whole objects and parts, answered by writing and sending files and by nothing else."""
    from aiohttp import web

    uploads: dict[str, str] = {}

    def path_of(request: web.Request) -> Path:
        name = unquote(request.path).rsplit("/", 1)[-1]
        part = parse_qs(request.query_string).get("partNumber", [""])[0]
        return folder / (f"{name}.{part}" if part else name)

    async def put(request: web.Request) -> web.StreamResponse:
        path = path_of(request)
        number = int(request.query.get("partNumber", 0))
        with open(folder / path.stem if number else path, "r+b" if number else "wb") as file:
            file.seek((number - 1) * 8 * 2**20 if number else 0)
            async for piece in request.content.iter_any():
                file.write(piece)
        return web.Response(headers={"ETag": '"e"'})

    async def post(request: web.Request) -> web.StreamResponse:
        await request.read()
        path_of(request).touch()
        text = f"<R><Bucket>{BUCKET}</Bucket><Key>k</Key><UploadId>{len(uploads)}</UploadId><ETag>e</ETag></R>"
        return web.Response(text=text, content_type="application/xml")

    async def get(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path_of(request))

    application = web.Application(client_max_size=2 * BIG_BYTES)
    application.router.add_put("/{path:.*}", put)
    application.router.add_post("/{path:.*}", post)
    application.router.add_get("/{path:.*}", get)
    _run(application)


def _run(application: Any) -> None:
    import socket

    from aiohttp import web

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    web.run_app(application, sock=listener, print=None, access_log=None)


def _serve_stock(folder: Path) -> None:
    """moto's own server, as `moto_server` runs it."""
    import logging

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "probe":
        _probe(*sys.argv[2:])
    else:
        {"plain": _serve_plain, "stock": _serve_stock}[sys.argv[1]](Path(sys.argv[2]))
