"""A notification as SNS wraps it for queues, functions and e-mail-json, signed by a key of this process.

Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from moto.core.utils import iso_8601_datetime_with_milliseconds

from localcloud.patches import hooks

CERTIFICATE = "/SimpleNotificationService-{name}.pem"
"""Path of the certificate at SNS's address."""

SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
"""Type of an envelope -> what of it is signed, in this order."""


def address(account: str, region: str) -> str:
    """Where SNS answers what needs no signature: the links of its mails."""
    site = hooks.site(account)
    return f"http://sns.{region}.localhost:{site.port if site is not None else 80}"


def unsubscribe_url(subscription: Any) -> str:
    """The link by which anybody who has it ends a subscription."""
    region = subscription.topic.sns_backend.region_name
    named = {"SubscriptionArn": subscription.arn, "Endpoint": subscription.endpoint}
    return f"{address(subscription.account_id, region)}/unsubscribe.html?{urlencode(named)}"


def notification(
    subscription: Any, message: str, message_id: str, subject: str | None, attributes: dict[str, Any]
) -> dict[str, Any]:
    """The envelope of a message."""
    fields: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": subscription.topic.arn,
        **({"Subject": subject} if subject else {}),
        "Message": message,
        "Timestamp": iso_8601_datetime_with_milliseconds(),
    }
    signed = _signed(subscription.topic, fields)
    signed["UnsubscribeURL"] = unsubscribe_url(subscription)
    if attributes:
        signed["MessageAttributes"] = attributes
    return signed


def confirmation(subscription: Any, message: str, message_id: str, subscribe_url: str) -> dict[str, Any]:
    """The envelope by which somebody is asked whether they want to subscribe."""
    return _signed(
        subscription.topic,
        {
            "Type": "SubscriptionConfirmation",
            "MessageId": message_id,
            "Token": subscription.token,
            "TopicArn": subscription.topic.arn,
            "Message": message,
            "SubscribeURL": subscribe_url,
            "Timestamp": iso_8601_datetime_with_milliseconds(),
        },
    )


def _signed(topic: Any, fields: dict[str, Any]) -> dict[str, Any]:
    version = "2" if str(getattr(topic, "signature_version", "1")) == "2" else "1"
    text = "".join(f"{name}\n{fields[name]}\n" for name in SIGNED[fields["Type"]] if name in fields)
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # what version 1 is
    key, name, _ = _identity()
    signature = key.sign(text.encode(), padding.PKCS1v15(), algorithm)
    url = address(topic.account_id, topic.sns_backend.region_name) + CERTIFICATE.format(name=name)
    return {
        **fields,
        "SignatureVersion": version,
        "Signature": base64.b64encode(signature).decode(),
        "SigningCertURL": url,
    }


def certificate(name: str) -> bytes | None:
    """The certificate of that name, in PEM; None if it is not this process's."""
    return _identity()[2] if name == _identity()[1] else None


@cache
def _identity() -> tuple[rsa.RSAPrivateKey, str, bytes]:
    """The process's key, its certificate's name, and the certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.now(UTC)
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return key, made.fingerprint(hashes.SHA256()).hex()[:32], made.public_bytes(serialization.Encoding.PEM)
