"""How functions are invoked: by Invoke, by AWS's own services, by queues. A `hooks.Functions`."""

from __future__ import annotations

import base64
import json
import logging
import uuid
from datetime import datetime
from pathlib import Path

from localcloud.agent.clock import Clock
from localcloud.agent.delivery import Delivery
from localcloud.agent.functions import code
from localcloud.agent.functions.asynchronous import Asynchronous
from localcloud.agent.functions.environment import Programs
from localcloud.agent.functions.functions import Credentials, Failed, Functions
from localcloud.agent.functions.queues import Queues
from localcloud.agent.logs import LogShipper
from localcloud.agent.meters import Meters
from localcloud.agent.worker import Worker
from localcloud.iam.errors import Denied
from localcloud.server import Server

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 6_291_456
MAX_EVENT_BYTES = 1_048_576
"""Of an invocation that is waited for, and of one that is not.
Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

ACTION = "lambda:InvokeFunction"


class Invocations:
    """Runs the account's functions, and what starts them. `folder` keeps packages and events; None: until it ends."""

    def __init__(
        self,
        server: Server,
        programs: Programs,
        credentials: Credentials,
        shipper: LogShipper,
        meters: Meters,
        delivery: Delivery,
        clock: Clock,
        worker: Worker,
        folder: Path | None = None,
    ):
        self._server = server
        self.functions = Functions(server, programs, credentials, shipper, meters, worker, folder)
        self.events = Asynchronous(server, self.functions, delivery, clock, worker, self.functions.folder / "events")
        self.queues = Queues(server, self.functions, worker)

    def stop(self) -> None:
        """End everything. Events that are not done yet wait for the next process."""
        self.queues.close()
        self.events.close()
        self.functions.close()

    def tick(self) -> datetime | None:
        """Begin with the events that are due; when the next one is."""
        return self.events.tick()

    # --- hooks.Functions ---

    def answer(
        self, region: str, name: str, qualifier: str, kind: str, payload: bytes, with_log: bool
    ) -> tuple[int, dict[str, str], bytes]:
        try:
            return self._answer(region, name, qualifier, kind, payload, with_log)
        except Failed as failed:
            fields = {
                "Type": "User" if failed.status < 500 else "Service",
                "Message": str(failed),
                "message": str(failed),
            }
            if failed.reason:
                fields["Reason"] = failed.reason
            headers = {"x-amzn-errortype": failed.code, "content-type": "application/json"}
            return failed.status, headers, json.dumps(fields).encode()

    def _answer(
        self, region: str, name: str, qualifier: str, kind: str, payload: bytes, with_log: bool
    ) -> tuple[int, dict[str, str], bytes]:
        target = self.functions.find(region, name, qualifier)
        _check_payload(payload, MAX_EVENT_BYTES if kind == "Event" else MAX_REQUEST_BYTES)
        if kind == "DryRun":
            return 204, {}, b""
        if kind == "Event":
            request_id = self.events.submit(target, payload or b"{}")
            return 202, {"x-amzn-requestid": request_id, "content-type": "application/json"}, b""
        request_id = str(uuid.uuid4())
        outcome = self.functions.invoke(target, payload, request_id)
        headers = {
            "x-amzn-requestid": request_id,
            "content-type": "application/json",
            "x-amz-executed-version": target.function.version,
        }
        if outcome.error:
            headers["x-amz-function-error"] = outcome.error
        if with_log:
            headers["x-amz-log-result"] = base64.b64encode(outcome.tail).decode()
        return 200, headers, outcome.payload

    def called_by(self, service: str, source_arn: str, arn: str, payload: bytes) -> None:
        try:
            self._server.permit(service, ACTION, arn, source_arn)
            self.events.submit(self.functions.find(arn.split(":")[3], arn), payload)
        except (Denied, Failed) as error:
            log.warning("%s could not invoke %s for %s: %s", service, arn, source_arn, error)

    def changed(self) -> None:
        self.functions.changed()
        self.queues.changed()

    def check_code(self, content: bytes) -> None:
        code.check(content)


def _check_payload(payload: bytes, most: int) -> None:
    if len(payload) > most:
        text = f"Request must be smaller than {most} bytes for the InvokeFunction operation"
        raise Failed("RequestTooLargeException", text, 413)
    try:
        json.loads(payload or b"{}")
    except (ValueError, RecursionError) as error:
        text = f"Could not parse request body into json: {error}"
        raise Failed("InvalidRequestContentException", text, 400) from None
