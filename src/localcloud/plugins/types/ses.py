"""SES: identities that mail is sent from, in both versions of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.plugins.resource import Cloud, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props


@resource_type
class EmailIdentity(Resource):
    """An address or a domain; its id is that. It is verified by the link in a mail, or by records of its zone."""

    token = "aws:sesv2/emailIdentity:EmailIdentity"
    service = "sesv2"
    table = """
        emailIdentity ! ^
        arn ~
        dkimSigningAttributes object ~ =DkimAttributes
            currentSigningKeyLength
            nextSigningKeyLength
            signingAttributesOrigin
            status
            tokens list
        identityType ~
        verificationStatus ~
        verifiedForSendingStatus bool ~
    """
    tagging = Tagging()
    create_call, named_by, reads_back = "create_email_identity", "emailIdentity", True
    read_call, read_key, delete_call = "get_email_identity", "EmailIdentity", "delete_email_identity"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("ses", f"identity/{props['emailIdentity']}")}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = super().read(cloud, identifier, props)
        return None if live is None else {**live, "emailIdentity": identifier}


@resource_type
class EmailAddress(Resource):
    """An address; its id is that. It is verified by the link in a mail."""

    token = "aws:ses/emailIdentity:EmailIdentity"
    service = "ses"
    table = """
        email ! ^ =EmailAddress
        arn ~
    """
    create_call, named_by, reads_back = "verify_email_identity", "email", True
    read_key, delete_call = "Identity", "delete_identity"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("ses", f"identity/{props['email']}")}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        answer: Mapping[str, Any] = self.call(cloud, "get_identity_verification_attributes", Identities=[identifier])
        return {"email": identifier} if identifier in answer["VerificationAttributes"] else None
