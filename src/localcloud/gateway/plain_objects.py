"""An object that everybody may read and that is asked for plainly: answered from moto's models, without its dispatch.

That is most of what browsers ask for. Conditions, versions, encryption with a key and archived objects are moto's.
"""

from __future__ import annotations

import re
from typing import Any

from localcloud import backends
from localcloud.request import Response
from localcloud.signing import Message

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CONDITIONS = frozenset(["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"])
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")


def answer(account: str, message: Message, bucket: str, key: str) -> Response | None:
    """The object, or the range of it that is asked for; None where moto has to say. Hold the server's lock."""
    if any(name in _CONDITIONS for name, _ in message.headers):
        return None
    version = backends.s3_object(account, bucket, key)
    if version is None or version.encryption == "aws:kms" or version.storage_class in _ARCHIVES:
        return None
    model = backends.s3(account).buckets[bucket]
    if model.cors:
        return None
    fields: dict[str, Any] = {}
    if version.version_id != "null":
        fields["x-amz-version-id"] = version.version_id
    fields |= {**version.response_dict, **version.metadata, "Accept-Ranges": "bytes"}
    content, status = version.stored, 200
    if (span := message.header("range")) is not None:
        first, last = _part(span, len(content))
        if not first < last:
            return None
        fields["content-range"] = f"bytes {first}-{last - 1}/{len(content)}"
        content, status = content[first:last], 206
    fields["content-length"] = str(len(content))
    return Response(status, [(name, str(value)) for name, value in fields.items()], b"", content.held())


def _part(span: str, size: int) -> tuple[int, int]:
    """From which byte up to which; an empty part where it cannot be told so simply."""
    match = _RANGE.fullmatch(span)
    if match is None or not (match[1] or match[2]):
        return 0, 0
    if not match[1]:
        return max(size - int(match[2]), 0), size
    return int(match[1]), min(int(match[2] or size) + 1, size)
