"""STS: who is asking, as the gateway found out from the request's signature."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.sts import responses

PRINCIPAL_HEADER = "x-localcloud-principal"
"""How the server tells moto who is asking: "root", or the ARN of a role's session. Never taken from a client."""


def apply() -> None:
    """Answer GetCallerIdentity with the caller."""

    def get_caller_identity(self: Any) -> ActionResult:
        # sts/responses.py:143 looks keys up that moto made itself; everybody else is the user "moto".
        account = self.current_account
        principal = self.headers.get(PRINCIPAL_HEADER) or "root"
        if principal == "root":
            return ActionResult({"UserId": account, "Account": account, "Arn": f"arn:aws:iam::{account}:root"})
        _, role, session = (principal.rsplit(":", 1)[-1].split("/") + ["", ""])[:3]
        return ActionResult({"UserId": f"AROA{role.upper()}:{session}", "Account": account, "Arn": principal})

    responses.TokenResponse.get_caller_identity = get_caller_identity
