"""What a request asks for: the one value that permissions, rules, the journal and moto work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from localcloud.request.message import Request
from localcloud.stored import Stored

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class ObjectName:
    """An object of S3; `version` is "" where none is named."""

    bucket: str
    key: str
    version: str = ""


@dataclass(frozen=True)
class Call:
    """A request that has been read (`reader.read`).

    `service` is its name in signatures and `model` botocore's. `operation` is botocore's name; "" where nobody knows
    one, and for the requests about an object of S3, which are told by their method and `query`. `arguments` are typed
    and nested as botocore's model has them; as the client sent them for a service or an operation that it does not
    know. `url`, `headers` (names in lower case) and `body` are in the one form that moto gets. Of S3, `bucket` and
    `key` are what the path names ("" for neither), `source` what is copied, `deleted` what DeleteObjects names, and
    `content` the bytes of an object that is put, where they are not the `body`.
    """

    service: str
    operation: str
    protocol: str
    account: str
    region: str
    url: str
    body: bytes
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    principal: str = "root"
    model: str = ""
    arguments: Arguments = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    bucket: str = ""
    key: str = ""
    source: ObjectName | None = None
    deleted: tuple[ObjectName, ...] = ()
    content: Stored | None = None

    @property
    def name(self) -> str:
        """For people: service and operation."""
        return f"{self.service}:{self.operation or urlsplit(self.url).path}"

    @property
    def request(self) -> Request:
        """The HTTP message that moto gets."""
        return Request(self.method, self.url, list(self.headers.items()), self.body, self.principal, self.content)

    @property
    def is_control(self) -> bool:
        """Whether it is one of S3 Control's, which signs as S3."""
        return self.model == "s3control"

    def text(self, name: str) -> str:
        """An argument as text, "" where there is none."""
        value = self.arguments.get(name)
        return "" if value is None else str(value)
