"""Where the links in mail lead: a subscription is confirmed or ended, an address verified.

A link is all that is needed, as on AWS: who has been forwarded a mail can follow it too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from botocore.exceptions import ClientError

from localcloud.gateway import own_pages
from localcloud.patches.ses import identities
from localcloud.patches.sns import envelope
from localcloud.request import Response
from localcloud.server import Server
from localcloud.signing import Message

Named = Mapping[str, str]


class MailLinks:
    """Blocking: called from a worker thread."""

    def __init__(self, server: Server):
        self._server = server
        self._pages: Mapping[tuple[str, str], Callable[[str, Named], Response]] = {
            ("sns", "/confirmation.html"): self._confirm,
            ("sns", "/unsubscribe.html"): self._unsubscribe,
            ("email", "/verify.html"): self._verify,
        }

    def answer(self, message: Message, service: str, region: str) -> Response:
        prefix, _, suffix = envelope.CERTIFICATE.partition("{name}")
        if service == "sns" and message.path.startswith(prefix) and message.path.endswith(suffix):
            pem = envelope.certificate(message.path.removeprefix(prefix).removesuffix(suffix))
            if pem is not None:
                return Response(200, [("Content-Type", "application/x-pem-file"), *own_pages.GUARDED], pem)
        page = self._pages.get((service, message.path))
        if page is None:
            return own_pages.said("Not found", "There is no such page.", 404)
        if message.method != "GET":  # a program that only looks whether a link is good
            return own_pages.said("Follow the link", "Open it in a browser.", 405)
        return page(region, {name: values[0] for name, values in parse_qs(message.query).items()})

    def _confirm(self, region: str, named: Named) -> Response:
        sns = self._server.client("sns", region)
        try:
            arn = sns.confirm_subscription(TopicArn=named.get("TopicArn", ""), Token=named.get("Token", ""))
        except ClientError as error:
            return own_pages.said("Not confirmed", error.response["Error"]["Message"], 400)
        return own_pages.said(
            "Subscription confirmed!", f"You have subscribed to the topic. Your subscription: {arn['SubscriptionArn']}"
        )

    def _verify(self, region: str, named: Named) -> Response:
        identity = named.get("Identity", "")
        with self._server.lock:
            verified = identities.verify(self._server.account, region, identity, named.get("Token", ""))
        if not verified:
            return own_pages.said("Not verified", "The link is not that of an identity, or not any more.", 400)
        return own_pages.said("Congratulations!", f"You have verified {identity}: mail can be sent from it.")

    def _unsubscribe(self, region: str, named: Named) -> Response:
        sns, arn = self._server.client("sns", region), named.get("SubscriptionArn", "")
        try:
            attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
            if attributes["Endpoint"] != named.get("Endpoint"):
                return own_pages.said("Not removed", "The link is not that of a subscription.", 400)
            if attributes["ConfirmationWasAuthenticated"] == "true":
                return own_pages.said("Not removed", "Only the topic's owner can end this subscription.", 403)
            sns.unsubscribe(SubscriptionArn=arn)
        except ClientError as error:
            return own_pages.said("Not removed", error.response["Error"]["Message"], 400)
        return own_pages.said("Subscription removed!", f"{arn} gets no messages any more.")
