"""What was judged of the request that moto is carrying out, so that moto's own hooks can hold to it.

moto reads what it gets on its own. `reader` leaves it as little as possible to read otherwise; this is the second net:
what moto is about to do is refused unless it is what was judged (`patches/judged`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from localcloud.request.access import Access
from localcloud.request.call import Call
from localcloud.request.errors import Refused

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """A request as it was judged, whoever sent it; of S3, `accesses` are everything that is asked for."""

    call: Call
    accesses: tuple[Access, ...] = ()

    def check_place(self, service: str, region: str, account: str) -> None:
        """Raise `Refused` unless moto acts for the service (as signatures name it), region and account judged."""
        asked = (self.call.service, self.call.region, self.call.account)
        if (service, region, account) != asked:
            raise self._differs(*(f"a call to {s} in {r} of {a}" for s, r, a in ((service, region, account), asked)))

    def check_action(self, action: str) -> None:
        """Raise `Refused` unless moto dispatches the operation that was judged."""
        if action != self.call.operation:
            raise self._differs(f"{self.call.service}:{action}", self.call.name)

    def check_path(self, bucket: str, key: str) -> None:
        """Raise `Refused` unless moto reads the bucket and key that were judged from S3's path."""
        if (bucket, key) != (self.call.bucket, self.call.key):
            raise self._differs(f"a call for {bucket}/{key}", f"{self.call.bucket}/{self.call.key}")

    def check_access(self, action: str, resource: str, version: str = "") -> None:
        """Raise `Refused` unless this of S3 was judged. `action` names no version, `resource` is an ARN's last part."""
        arn, name = f"arn:aws:s3:::{resource}", f"s3:{action}Version" if version else f"s3:{action}"
        for access in self.accesses:
            if access.resource == arn and access.action == name and access.context.get("s3:versionid", "") == version:
                return
        judged = " and ".join(sorted({access.action for access in self.accesses if access.resource == arn}))
        if judged:
            log.warning("%s was asked for and %s would have been carried out", judged, name)
            raise Refused("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
        raise self._differs(f"{name} on {arn}", " and ".join(f"{a.action} on {a.resource}" for a in self.accesses))

    def _differs(self, done: str, judged: str) -> Refused:
        log.warning("%s was judged, and %s would have been carried out", judged, done)
        return Refused("AccessDenied", f"The request can be read in two ways: as {judged} and as {done}.", 403)


_current: ContextVar[Judged | None] = ContextVar("judged", default=None)


def current() -> Judged | None:
    """What was judged of the request that this thread carries out; None for one that is repeated, or for none."""
    return _current.get()


@contextmanager
def carrying_out(judged: Judged | None) -> Iterator[None]:
    """Until the end of the block moto carries out this request."""
    token = _current.set(judged)
    try:
        yield
    finally:
        _current.reset(token)
