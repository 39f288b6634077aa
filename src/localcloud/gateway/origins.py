"""Whether a page of another site stands behind a request.

Browsers say so themselves, and pages cannot change it: `Origin` comes with everything that could change something or
read an answer, `Sec-Fetch-*` with all the rest (images, scripts, frames). Programs send neither.
Source: the Fetch and the Fetch Metadata Request Headers specifications.
"""

from __future__ import annotations

from collections.abc import Mapping

_FOREIGN_SITES = ("cross-site", "same-site")  # every name below .localhost is somebody else's, though of one site


def is_foreign(method: str, headers: Mapping[str, str], host: str) -> bool:
    """May the request to `host` come from a page of another origin? Following a link from there is not foreign."""
    origin = headers.get("Origin")
    if origin is not None:
        return origin.lower() != f"http://{host.lower()}"
    if headers.get("Sec-Fetch-Site", "").lower() not in _FOREIGN_SITES:
        return False
    followed = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return not (followed and method in ("GET", "HEAD"))
