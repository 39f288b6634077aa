"""SES, both versions of its API: identities wait until they are verified, and what is sent lands in the inbox.

Applied when moto's parts for SES are loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from localcloud import mail
from localcloud.mail import outgoing
from localcloud.patches import hooks
from localcloud.patches.loading import when_loaded
from localcloud.patches.ses import identities
from localcloud.request import judged

MAX_RECIPIENTS = 50
MAX_MESSAGE_BYTES = {"ses": 10 * 2**20, "sesv2": 40 * 2**20}
"""Of a message over the wire, by version of the API. Source: "Service quotas in Amazon SES"."""


def apply() -> None:
    """Wait for moto's parts."""
    when_loaded("moto.ses.models", _patch_models)
    when_loaded("moto.ses.responses", _patch_first)
    when_loaded("moto.sesv2.models", _patch_tags)
    when_loaded("moto.sesv2.responses", _patch_second)


# --- identities ------------------------------------------------------------------------------------------------------


def _patch_models() -> None:
    # ses/models.py:408: whatever is an identity is verified, and its domain's whole world with it.
    from moto.moto_api._internal import mock_random
    from moto.ses import models

    backend = models.SESBackend

    def create(self: Any, email_identity: str, tags: Any, dkim_signing_attributes: Any, configuration: Any) -> Any:
        name = email_identity if "@" in email_identity else email_identity.lower()
        identity = models.EmailIdentity(name, tags, dkim_signing_attributes, configuration)
        identity.token = mock_random.get_random_hex(64)
        if tags:
            self.tagger.tag_resource(arn=identities.arn(self, name), tags=tags)
        self.email_identities[name] = identity
        identities.ask(self, identity)
        return identity

    def ask_again(self: Any, address: str) -> None:
        known = self.email_identities.get(address)
        if known is None:
            self.create_email_identity_v2(address, None, None, None)
        else:
            identities.ask(self, known)

    def delete(self: Any, identity: str) -> None:
        self.email_identities.pop(identity, None)
        self.tagger.delete_all_tags_for_resource(identities.arn(self, identity))

    backend.create_email_identity_v2, backend.delete_identity = create, delete
    backend.verify_email_identity = backend.verify_email_address = ask_again


def _patch_tags() -> None:
    # sesv2/models.py:278 looks for an identity's tags below another ARN than its own.
    from moto.core.resource_tagging import TaggedResource
    from moto.sesv2 import models

    backend = models.SESV2Backend
    stock = backend.iter_tagged_resources

    def iter_tagged_resources(self: Any) -> Iterator[Any]:
        yield from (each for each in stock(self) if each.resource_type != "ses:email-identity")
        core = self.core_backend
        for name in core.email_identities:
            arn = identities.arn(core, name)
            tags = core.tagger.get_tag_dict_for_resource(arn)
            yield TaggedResource(arn=arn, tags=tags, resource_type="ses:identity")

    backend.iter_tagged_resources = iter_tagged_resources


def _patch_second() -> None:
    from moto.core.exceptions import JsonRESTError
    from moto.sesv2 import responses

    response = responses.SESV2Response

    def identity_of(self: Any) -> tuple[Any, Any]:
        core = self.sesv2_backend.core_backend
        name = str(_arguments().get("EmailIdentity") or "")
        identity = core.email_identities.get(name)
        if identity is None:
            raise _Refused("NotFoundException", f"Email identity <{name}> does not exist.", 404)
        return core, identity

    def create_email_identity(self: Any) -> str:
        core, arguments = self.sesv2_backend.core_backend, _arguments()
        name = str(arguments.get("EmailIdentity") or "")
        if name in core.email_identities:
            raise _Refused("AlreadyExistsException", f"Email identity {name} already exist.", 400)
        if not mail.ADDRESS.fullmatch(name if "@" in name else f"x@{name}"):
            raise _Refused("BadRequestException", f"<{name}> is not a valid email address or domain.", 400)
        identity = core.create_email_identity_v2(
            name, arguments.get("Tags"), arguments.get("DkimSigningAttributes"), arguments.get("ConfigurationSetName")
        )
        answer = {"IdentityType": identity.identity_type, "VerifiedForSendingStatus": False,
                  "DkimAttributes": identities.dkim(core, identity, False)}  # fmt: skip
        return json.dumps(answer)

    def get_email_identity(self: Any) -> str:
        return json.dumps(identities.described(*identity_of(self)))

    def delete_email_identity(self: Any) -> str:
        core, identity = identity_of(self)
        core.delete_identity(identity.email_identity)
        return json.dumps({})

    def list_email_identities(self: Any) -> str:
        core = self.sesv2_backend.core_backend
        listed = []
        for name, identity in core.email_identities.items():
            verified = identities.is_verified(core, name)
            listed.append(
                {"IdentityType": identity.identity_type, "IdentityName": name, "SendingEnabled": verified,
                 "VerificationStatus": "SUCCESS" if verified else "PENDING"}
            )  # fmt: skip
        return json.dumps({"EmailIdentities": listed})

    def send_email(self: Any) -> str:
        return json.dumps({"MessageId": _send(self.sesv2_backend.core_backend, "sesv2")})

    class _Refused(JsonRESTError):  # type: ignore[misc]
        def __init__(self, code: str, text: str, status: int):
            super().__init__(code, text)
            self.code = status

    for method in (create_email_identity, get_email_identity, delete_email_identity, list_email_identities, send_email):
        setattr(response, method.__name__, _refusing(method, _Refused))


def _refusing(method: Any, refused: Any) -> Any:
    def answered(self: Any) -> Any:
        try:
            return method(self)
        except Rejected as error:
            raise refused(
                error.code if error.code == "MessageRejected" else "BadRequestException", str(error), 400
            ) from None

    return answered


def _patch_first() -> None:
    from moto.core.responses import ActionResult
    from moto.ses import exceptions, responses

    response = responses.EmailResponse

    def send(self: Any) -> Any:
        try:
            return ActionResult({"MessageId": _send(self.backend, "ses")})
        except Rejected as error:
            kind = (
                exceptions.MessageRejectedError if error.code == "MessageRejected" else exceptions.InvalidParameterValue
            )
            raise kind(str(error)) from None

    def get_identity_verification_attributes(self: Any) -> Any:
        states = {
            name: {"VerificationStatus": "Success" if identities.is_verified(self.backend, name) else "Pending"}
            for name in _arguments().get("Identities") or ()
            if name in self.backend.email_identities
        }
        return ActionResult({"VerificationAttributes": states})

    def verifying(stock: Any) -> Any:
        def verify(self: Any) -> Any:
            if not mail.ADDRESS.fullmatch(str(_arguments().get("EmailAddress") or "")):
                raise exceptions.InvalidParameterValue("Invalid email address.")
            return stock(self)

        return verify

    def send_template(self: Any) -> Any:
        raise NotImplementedError("templates are not supported here")

    response.send_email = response.send_raw_email = send
    response.send_templated_email = response.send_bulk_templated_email = send_template
    response.get_identity_verification_attributes = get_identity_verification_attributes
    for name in ("verify_email_identity", "verify_email_address"):
        setattr(response, name, verifying(getattr(response, name)))


# --- sending ---------------------------------------------------------------------------------------------------------


class Rejected(Exception):
    """SES does not send it; the text is its own as far as known."""

    def __init__(self, text: str, code: str = "InvalidParameterValue"):
        super().__init__(text)
        self.code = code


def _arguments() -> outgoing.Arguments:
    """The arguments of the request that is carried out, as they were judged."""
    current = judged.current()
    assert current is not None
    return current.call.arguments


def _send(backend: Any, version: str) -> str:
    """Hand a message to the inbox; its id. Raises `Rejected`."""
    from moto.ses.utils import get_random_message_id

    arguments = _arguments()
    envelope = outgoing.envelope(arguments)
    if wrong := [each for each in (envelope.sender, *envelope.recipients) if not mail.ADDRESS.fullmatch(each)]:
        raise Rejected(f"Invalid email address<{wrong[0][:100]}>." if wrong[0] else "Missing final '@domain'")
    if not envelope.recipients:
        raise Rejected("There are no recipients.")
    if len(envelope.recipients) > MAX_RECIPIENTS:
        raise Rejected(f"Recipient count exceeds {MAX_RECIPIENTS}.")
    identity = identities.of_sender(backend, envelope.sender)
    if not identities.is_verified(backend, identity):
        region = backend.region_name.upper()
        text = f"The following identities failed the check in region {region}: {envelope.sender}"
        raise Rejected(f"Email address is not verified. {text}", "MessageRejected")
    identifier = get_random_message_id()
    try:
        host = f"{backend.region_name}.amazonses.com"
        message = outgoing.message(arguments, envelope, f"<{identifier}@{host}>", datetime.now(UTC))
    except outgoing.CannotSend as error:
        raise Rejected(str(error)) from error
    most = MAX_MESSAGE_BYTES[version]
    if len(message) > most:
        raise Rejected(f"Message length is more than {most} bytes long: '{len(message)}'.")
    mail.send(backend.account_id, envelope.sender, envelope.recipients, message)
    backend.sent_message_count += len(envelope.recipients)
    for metric in ("Send", "Delivery"):
        hooks.counted(backend.account_id, backend.region_name, "AWS/SES", metric)
    return str(identifier)
