"""A request that is refused, and how that is written in the shape of the call's protocol."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

from localcloud.request.call import Call


class Refused(Exception):
    """AWS would refuse this request: error code, message, HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


REST_XML = ("cloudfront", "route53")
"""Services whose paths are read as REST's, and whose errors are XML, as the query protocols write them."""


def render(refused: Refused, call: Call) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of an error, in the shape of the call's protocol."""
    request_id = str(uuid.uuid4())
    headers = [("x-amzn-requestid", request_id)]
    code, message = escape(refused.code), escape(refused.message)
    error = f"<Code>{code}</Code><Message>{message}</Message>"
    match call.protocol:
        case "json":
            headers.append(("Content-Type", "application/x-amz-json-1.1"))
            return refused.status, headers, json.dumps({"__type": refused.code, "message": refused.message}).encode()
        case "rest-json" if call.service not in REST_XML:
            headers += [("Content-Type", "application/json"), ("x-amzn-errortype", refused.code)]
            return refused.status, headers, json.dumps({"Message": refused.message}).encode()
        case "ec2":
            body = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        case "query" | "rest-json":
            kind = "Sender" if refused.status < 500 else "Receiver"
            error = f"<Error><Type>{kind}</Type>{error}</Error>"
            body = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
        case _:
            body = f"<Error>{error}<RequestId>{request_id}</RequestId></Error>"
    headers.append(("Content-Type", "text/xml"))
    return refused.status, headers, b'<?xml version="1.0" encoding="UTF-8"?>\n' + body.encode()
