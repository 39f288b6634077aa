"""A request, read once and strictly: what permissions, rules, the journal and moto work on.

    call = read(request, address(request, account, region))

`reader` reads it, `s3` those of S3, `documents` their bodies; `models` knows the operations and their arguments. The
result is a `Call`; `judged` holds moto to what was judged of it.
"""

from __future__ import annotations

from localcloud.request.call import Arguments, Call, ObjectName
from localcloud.request.errors import Refused, render
from localcloud.request.message import Request, Response
from localcloud.request.reader import address, read

__all__ = ["Arguments", "Call", "ObjectName", "Refused", "Request", "Response", "address", "read", "render"]
