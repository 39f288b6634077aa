"""A CRAN-like repository on loopback: packages as their DESCRIPTIONs say, in archives that nobody installs."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

IN_LIST = ("Package", "Version", "Depends", "Imports", "LinkingTo", "NeedsCompilation")
"""What CRAN's own list of packages has of a DESCRIPTION; SystemRequirements are not among it."""


def description(fields: Mapping[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


def archive(fields: Mapping[str, str]) -> bytes:
    name = fields["Package"]
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for path, data in (("DESCRIPTION", description(fields).encode()), ("src/big.c", b"x" * 100_000)):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


def files(newest: list[Mapping[str, str]], older: list[Mapping[str, str]] | None = None) -> dict[str, bytes]:
    """Address -> content."""
    listed = "\n".join(description({key: one[key] for key in IN_LIST if key in one}) for one in newest)
    there = {"/src/contrib/PACKAGES.gz": gzip.compress(listed.encode())}
    for one in newest:
        there[f"/src/contrib/{one['Package']}_{one['Version']}.tar.gz"] = archive(one)
    for one in older or []:
        there[f"/src/contrib/Archive/{one['Package']}/{one['Package']}_{one['Version']}.tar.gz"] = archive(one)
    return there


@contextmanager
def serving(there: Mapping[str, bytes], asked: list[str] | None = None) -> Iterator[str]:
    """The address of a server that has these files; what it is asked for is noted in `asked`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if asked is not None:
                asked.append(self.path)
            content = there.get(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # who has read a DESCRIPTION leaves
                self.wfile.write(content or b"")

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
