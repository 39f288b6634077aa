"""A request, read once and strictly: what permissions, rules, the journal and moto work on."""

from __future__ import annotations

from localcloud.request.call import S3_CONTROL, Call, identify
from localcloud.request.canonical import canonical
from localcloud.request.errors import Refused, render
from localcloud.request.message import Request, Response

__all__ = ["S3_CONTROL", "Call", "Refused", "Request", "Response", "canonical", "identify", "render"]
