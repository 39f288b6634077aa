"""A request and its answer as HTTP messages, whole in memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """An HTTP request whose sender is already known: `principal` is "root" or the ARN of a role.

    `url` is path and query exactly as they were sent (still percent-encoded); `headers` include Host; `body` is whole.
    """

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    principal: str

    def header(self, name: str) -> str | None:
        """The first header of that name, in whatever case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True)
class Response:
    """An HTTP response, whole in memory."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
