"""A request and its answer as HTTP messages, in memory but for the bytes of objects."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.stored import Stored


@dataclass(frozen=True)
class Request:
    """An HTTP request whose sender is already known: `principal` is "root" or the ARN of a role.

    `url` is path and query exactly as they were sent (still percent-encoded); `headers` include Host; `body` is whole.
    The bytes of an object may be `content` instead.
    """

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    principal: str
    content: Stored | None = None

    def header(self, name: str) -> str | None:
        """The first header of that name, in whatever case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True)
class Response:
    """An HTTP response; its bytes are `content` where they lie in files, and `body` else."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    content: Stored | None = None

    def read(self) -> bytes:
        """All of its bytes."""
        return self.body if self.content is None else self.content.read()
