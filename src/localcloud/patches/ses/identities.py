"""Identities of SES: an address is verified by the link in a mail, a domain by its DKIM records in Route 53."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

from localcloud import backends, mail
from localcloud.patches import hooks

SENDER = "no-reply-aws@amazon.com"
TOKENS = 3


def arn(backend: Any, identity: str) -> str:
    """The identity's ARN."""
    return f"arn:aws:ses:{backend.region_name}:{backend.account_id}:identity/{identity}"


def is_verified(backend: Any, name: str) -> bool:
    """Whether mail may be sent from an identity."""
    identity = backend.email_identities.get(name)
    if identity is None:
        return False
    if identity.identity_type == "DOMAIN":
        return _has_records(backend, name)
    mailbox = mail.mailbox(backend.account_id)
    return mailbox is not None and mailbox.was_followed(identity.token)


def of_sender(backend: Any, address: str) -> str:
    """The identity that an address belongs to: its own, or that of its domain or of one above; "" if there is none."""
    if address in backend.email_identities:
        return address
    labels = address.rpartition("@")[2].lower().split(".")
    domains = (".".join(labels[place:]) for place in range(len(labels) - 1))
    return next((domain for domain in domains if domain in backend.email_identities), "")


def ask(backend: Any, identity: Any) -> None:
    """Mail an address the link by which it is verified; a domain has no mail."""
    if identity.identity_type == "DOMAIN":
        return
    site = hooks.site(backend.account_id)
    named = urlencode({"Identity": identity.email_identity, "Token": identity.token})
    port = site.port if site is not None else 80
    link = f"http://email.{backend.region_name}.localhost:{port}/verify.html?{named}"
    text = (
        "Dear Amazon Web Services Customer,\n\nWe have received a request to authorize this email address for use with "
        f"Amazon SES in region {backend.region_name}. If you requested this verification, please go to the following "
        f"URL to confirm that you are authorized to use this email address:\n\n{link}\n"
    )
    subject = f"Amazon Web Services – Email Address Verification Request in region {backend.region_name}"
    message = mail.compose(SENDER, "Amazon Web Services", identity.email_identity, subject, text)
    mail.send(backend.account_id, SENDER, [identity.email_identity], message)


def verify(account: str, region: str, name: str, token: str) -> bool:
    """Somebody followed the link of an identity's mail; whether it was one. Hold the server's lock."""
    identity = backends.ses(account, region).email_identities.get(name)
    mailbox = mail.mailbox(account)
    if identity is None or mailbox is None or not token or token != getattr(identity, "token", ""):
        return False
    mailbox.follow(token)
    return True


def dkim_tokens(backend: Any, domain: str) -> list[str]:
    """The names of the records that a domain has to have, the same for as long as the account is."""
    return [
        hashlib.sha256(f"{backend.account_id}/{backend.region_name}/{domain}/{number}".encode()).hexdigest()[:32]
        for number in range(TOKENS)
    ]


def _has_records(backend: Any, domain: str) -> bool:
    wanted = {f"{token}._domainkey.{domain}." for token in dkim_tokens(backend, domain)}
    there = {
        str(record.name).rstrip(".") + "."
        for _, route53 in backends.regions("route53", backend.account_id)
        for zone in route53.zones.values()
        for record in zone.rrsets
        if record.type == "CNAME"
    }
    return wanted <= there


def described(backend: Any, identity: Any) -> dict[str, Any]:
    """An identity as GetEmailIdentity answers it."""
    verified = is_verified(backend, identity.email_identity)
    return {
        "IdentityType": identity.identity_type,
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": verified,
        "VerificationStatus": "SUCCESS" if verified else "PENDING",
        "DkimAttributes": dkim(backend, identity, verified),
        "MailFromAttributes": {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
        "Policies": identity.policies,
        "Tags": backend.tagger.list_tags_for_resource(arn(backend, identity.email_identity)).get("Tags", []),
        **({"ConfigurationSetName": identity.configuration_set_name} if identity.configuration_set_name else {}),
    }


def dkim(backend: Any, identity: Any, verified: bool) -> dict[str, Any]:
    """How the mail of an identity is signed."""
    attributes = {"SigningAttributesOrigin": "AWS_SES", "NextSigningKeyLength": "RSA_2048_BIT"}
    if identity.identity_type != "DOMAIN":
        return {"SigningEnabled": False, "Status": "NOT_STARTED", **attributes}
    tokens = dkim_tokens(backend, identity.email_identity)
    status = "SUCCESS" if verified else "PENDING"
    return {"SigningEnabled": True, "Status": status, "Tokens": tokens, **attributes,
            "CurrentSigningKeyLength": "RSA_2048_BIT"}  # fmt: skip
