"""What a provider refuses, and the calls of AWS that it makes: each refusal is one line that names the resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.plugins.ledger import name_of
from localcloud.plugins.resource import Resource, gone
from localcloud.plugins.values import Props

T = TypeVar("T")


class Refused(Exception):
    """The request was understood and nothing was done; the text is for the person."""


class Incomplete(Exception):
    """A resource exists but is not as declared: the engine keeps it in its state with the reason."""

    def __init__(self, identifier: str, inputs: Props, outputs: Props, reason: str):
        super().__init__(reason)
        self.identifier, self.inputs, self.outputs, self.reason = identifier, inputs, outputs, reason


def asking(kind: Resource, urn: str, doing: str, action: Callable[[], Any]) -> Any:
    """Run an action; AWS's refusals become one line that names the resource and keeps AWS's words."""
    try:
        return action()
    except ClientError as error:
        details = error.response.get("Error", {})
        words = f"{error.operation_name}: {details.get('Code', '')}: {details.get('Message', '')}"
        raise Refused(said(kind, urn, doing, words)) from error
    except BotoCoreError as error:
        raise Refused(said(kind, urn, doing, str(error))) from error


def said(kind: Resource, urn: str, doing: str, words: str) -> str:
    """A sentence about a resource: what was being done to it, and what came of it."""
    return f'{doing} {kind.token} "{name_of(urn)}": {words}'


def unless_gone(action: Callable[[], T]) -> T | None:
    """What an action returns; None where AWS says that the thing does not exist."""
    try:
        return action()
    except ClientError as error:
        if gone(error):
            return None
        raise
