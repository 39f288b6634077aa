"""A registry of images on this machine's loopback: what Docker pushes to and pulls from, as files.

    <home>/blobs/<hex>           layers, configurations and manifests, by the SHA-256 of their content
    <home>/manifests/<hex>       the media type of the manifest of that digest
    <home>/uploads/              what is being pushed; emptied at a start

It speaks the part of the OCI distribution protocol that `docker push` and `docker pull` use. A manifest is taken only
when all that it names is there, and everything appears by one rename: a push that dies leaves nothing that has a name.
Each process has a password of its own: other users of this machine can reach the port.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import shutil
import socket
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from localcloud import atomic
from localcloud.config import LOOPBACK
from localcloud.docker.client import Login
from localcloud.unreadable import using

log = logging.getLogger(__name__)

USER = "localcloud"

MAX_MANIFEST_BYTES = 4 << 20

_CHUNK = 1 << 20
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_NAME = r"{name:[a-z0-9]+(?:[._/-][a-z0-9]+)*}"
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


class Registry:
    """The registry of one local cloud. `port` is kept between starts while it is free: images' names contain it."""

    def __init__(self, home: Path) -> None:
        self._blobs, self._manifests, self._uploads = home / "blobs", home / "manifests", home / "uploads"
        with using(home):
            shutil.rmtree(self._uploads, ignore_errors=True)
            for folder in (self._blobs, self._manifests, self._uploads):
                folder.mkdir(parents=True, exist_ok=True)
        self._password = secrets.token_urlsafe(24)
        self._pushed: dict[str, str] = {}
        self.trouble = ""
        self.hopeless = threading.Event()
        """Set where a push cannot succeed any more; Docker would try again and again, for a minute."""
        self._listener = _bound(home / "port")
        self.port = int(self._listener.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def host(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def login(self) -> Login:
        return Login(self.host, USER, self._password)

    def begin(self) -> None:
        """Before the first of several pushes: what hindered the ones before may have passed."""
        if self._thread.is_alive():
            self.trouble = ""
            self.hopeless.clear()

    def pushed(self, name: str, tag: str) -> str | None:
        """The digest of what this process has seen pushed under that name and tag."""
        return self._pushed.get(f"{name}:{tag}")

    def manifest(self, digest: str) -> str | None:
        """A manifest as it was pushed; None unless it and all that it names are there."""
        try:
            text = self._path(digest).read_text("utf-8") if self._type_of(digest) else None
        except FileNotFoundError:
            return None
        return text if text is not None and not self._missing(json.loads(text)) else None

    def digests(self) -> list[str]:
        """Of all manifests."""
        return [f"sha256:{path.name}" for path in self._manifests.iterdir() if re.fullmatch("[0-9a-f]{64}", path.name)]

    def remove(self, digest: str) -> None:
        """Forget a manifest; what only it named goes with the next sweep."""
        (self._manifests / _hex(digest)).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what no manifest names: of a push that died, or of a manifest that is gone. Not during a push."""
        named = set()
        for path in self._manifests.iterdir():
            named.add(path.name)
            try:
                named.update(
                    _hex(digest) for digest in _named(json.loads((self._blobs / path.name).read_text("utf-8")))
                )
            except (FileNotFoundError, ValueError):
                path.unlink(missing_ok=True)
        for path in self._blobs.iterdir():
            if path.name not in named:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop serving; a push that goes on fails."""
        self.hopeless.set()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            # It also ends what clients that keep their connections have left waiting.
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        finally:
            self._listener.close()

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._checked], client_max_size=MAX_MANIFEST_BYTES)
        app.add_routes(
            [
                web.get("/v2/", _version),
                web.route("*", f"/v2/{_NAME}/blobs/uploads/", self._begin),
                web.route("*", f"/v2/{_NAME}/blobs/uploads/{{upload:[0-9a-f]+}}", self._upload),
                web.get(f"/v2/{_NAME}/blobs/{{digest}}", self._get_blob),
                web.get(f"/v2/{_NAME}/manifests/{{reference}}", self._get_manifest),
                web.put(f"/v2/{_NAME}/manifests/{{reference}}", self._put_manifest),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, self._listener).start()
        self._ready.set()
        await self._ended.wait()
        await runner.cleanup()

    @web.middleware
    async def _checked(self, request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
        if request.headers.getall("Host", []) != [self.host]:
            return _error(403, "DENIED", "this port serves its own name only")
        wanted = "Basic " + base64.b64encode(f"{USER}:{self._password}".encode()).decode()
        shown = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, wanted.encode()):
            refused = _error(401, "UNAUTHORIZED", "authentication required")
            refused.headers["WWW-Authenticate"] = 'Basic realm="local cloud"'
            return refused
        try:
            answer: web.StreamResponse = await handler(request)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            self.trouble = error.strerror or str(error)
            self.hopeless.set()
            log.error("the registry cannot keep what is pushed: %s", error)
            return _error(500, "UNKNOWN", f"the local cloud's registry cannot write: {error.strerror}")
        return answer

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        mounted = request.query.get("mount", "")
        if _DIGEST.fullmatch(mounted) and self._path(mounted).exists():
            return self._created(request, "blobs", mounted)
        upload = uuid.uuid4().hex
        (self._uploads / upload).touch()
        return self._accepted(request, upload)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        path = self._uploads / request.match_info["upload"]
        if not path.exists():
            return _error(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
        if request.method == "DELETE":
            path.unlink()
            return web.Response(status=204)
        if request.method not in ("PATCH", "PUT"):
            raise web.HTTPMethodNotAllowed(request.method, ["PATCH", "PUT", "DELETE"])
        with path.open("ab") as file:
            async for chunk in request.content.iter_chunked(_CHUNK):
                file.write(chunk)
        if request.method == "PATCH":
            return self._accepted(request, path.name)
        digest = request.query.get("digest", "")
        if not _DIGEST.fullmatch(digest) or await asyncio.to_thread(_digest_of, path) != digest:
            path.unlink()
            return _error(400, "DIGEST_INVALID", "the content has another digest")
        with path.open("rb") as file:
            await asyncio.to_thread(os.fsync, file.fileno())
        path.replace(self._path(digest))
        return self._created(request, "blobs", digest)

    async def _get_blob(self, request: web.Request) -> web.StreamResponse:
        digest = request.match_info["digest"]
        if not _DIGEST.fullmatch(digest) or not self._path(digest).exists():
            return _error(404, "BLOB_UNKNOWN", "there is no such blob")
        headers = {"Docker-Content-Digest": digest, "Content-Type": "application/octet-stream"}
        return web.FileResponse(self._path(digest), headers=headers)

    async def _get_manifest(self, request: web.Request) -> web.StreamResponse:
        name, reference = request.match_info["name"], request.match_info["reference"]
        digest = reference if _DIGEST.fullmatch(reference) else self._pushed.get(f"{name}:{reference}")
        kind = self._type_of(digest) if digest else None
        if digest is None or kind is None or not self._path(digest).exists():
            return _error(404, "MANIFEST_UNKNOWN", "there is no such manifest")
        headers = {"Docker-Content-Digest": digest, "Content-Type": kind}
        return web.Response(body=self._path(digest).read_bytes(), headers=headers)

    async def _put_manifest(self, request: web.Request) -> web.StreamResponse:
        name, reference = request.match_info["name"], request.match_info["reference"]
        body = await request.read()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        by_digest = _DIGEST.fullmatch(reference) is not None
        if (by_digest and reference != digest) or not (by_digest or _TAG.fullmatch(reference)):
            return _error(400, "DIGEST_INVALID", "the manifest has another digest")
        try:
            said = json.loads(body)
            missing = self._missing(said)
        except (ValueError, KeyError, TypeError, AttributeError):
            return _error(400, "MANIFEST_INVALID", "this is no manifest")
        if missing:
            return _error(400, "MANIFEST_BLOB_UNKNOWN", f"{', '.join(missing)} was not pushed")
        atomic.write(self._path(digest), body)
        kind = request.headers.get("Content-Type", "") or str(said.get("mediaType", ""))
        atomic.write(self._manifests / _hex(digest), kind)
        if not by_digest:
            self._pushed[f"{name}:{reference}"] = digest
        return self._created(request, "manifests", digest)

    def _missing(self, manifest: Any) -> list[str]:
        return [digest for digest in _named(manifest) if not self._path(digest).exists()]

    def _type_of(self, digest: str) -> str | None:
        try:
            return (self._manifests / _hex(digest)).read_text("utf-8")
        except FileNotFoundError:
            return None

    def _path(self, digest: str) -> Path:
        return self._blobs / _hex(digest)

    def _accepted(self, request: web.Request, upload: str) -> web.Response:
        size = (self._uploads / upload).stat().st_size
        where = f"/v2/{request.match_info['name']}/blobs/uploads/{upload}"
        headers = {"Location": where, "Docker-Upload-UUID": upload, "Range": f"0-{max(0, size - 1)}"}
        return web.Response(status=202, headers=headers)

    def _created(self, request: web.Request, kind: str, digest: str) -> web.Response:
        where = f"/v2/{request.match_info['name']}/{kind}/{digest}"
        return web.Response(status=201, headers={"Location": where, "Docker-Content-Digest": digest})


async def _version(request: web.Request) -> web.StreamResponse:
    return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=status)


def _named(manifest: Any) -> list[str]:
    """The digests that a manifest, or a list of them, is made of. Layers from elsewhere (`urls`) are not pushed."""
    if "manifests" in manifest:
        return [str(one["digest"]) for one in manifest["manifests"]]
    layers = [one for one in manifest["layers"] if not one.get("urls")]
    return [str(one["digest"]) for one in [manifest["config"], *layers]]


def _hex(digest: str) -> str:
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise ValueError(f"{digest!r} is no digest")
    return match[1]


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _bound(note: Path) -> socket.socket:
    """A listening socket on the port that was kept, or on another where that is taken."""
    try:
        kept = int(note.read_text())
    except (FileNotFoundError, ValueError):
        kept = 0
    for port in dict.fromkeys([kept, 0]):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen(128)
        except (OSError, OverflowError):
            listener.close()
            continue
        atomic.write(note, f"{listener.getsockname()[1]}\n")
        return listener
    raise OSError(errno.EADDRINUSE, "no port is free on this machine's loopback")
