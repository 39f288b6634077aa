"""S3: that a bucket's events go to EventBridge is answered too, and queues and topics have to permit the bucket."""

from __future__ import annotations

import logging
from typing import Any

from moto.s3 import responses

from localcloud.iam.errors import Denied
from localcloud.patches import hooks
from localcloud.patches.loading import when_loaded

log = logging.getLogger(__name__)

_SAID = "<EventBridgeConfiguration></EventBridgeConfiguration>"


def apply() -> None:
    """Answer what was put."""
    # s3/responses.py:1380 leaves EventBridgeConfiguration out of GetBucketNotificationConfiguration.
    response = responses.S3Response
    stock = response.get_bucket_notification

    def get_bucket_notification(self: Any) -> Any:
        answer = stock(self)
        kept = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if kept is None or kept.event_bridge is None:
            return answer
        status, headers, body = answer
        text = body.decode() if isinstance(body, bytes) else body
        end = "</NotificationConfiguration>"
        whole = text if end in text else text.removesuffix("/>") + ">" + end
        return status, headers, whole.replace(end, _SAID + end)

    response.get_bucket_notification = get_bucket_notification
    when_loaded("moto.s3.notifications", _ask_the_receiver)


def _ask_the_receiver() -> None:
    # s3/notifications.py sends to queues and topics whatever their policies say.
    from moto.s3 import notifications

    to_queue, to_topic = notifications._send_sqs_message, notifications._send_sns_message

    def send_sqs_message(account_id: str, event_body: Any, queue_name: str, region_name: str) -> None:
        arn = f"arn:aws:sqs:{region_name}:{account_id}:{queue_name}"
        if _is_permitted(account_id, event_body, "sqs:SendMessage", arn):
            to_queue(account_id, event_body, queue_name, region_name)

    def send_sns_message(account_id: str, event_body: Any, topic_arn: str, region_name: str) -> None:
        if _is_permitted(account_id, event_body, "sns:Publish", topic_arn):
            to_topic(account_id, event_body, topic_arn, region_name)

    notifications._send_sqs_message, notifications._send_sns_message = send_sqs_message, send_sns_message


def _is_permitted(account: str, event: Any, action: str, arn: str) -> bool:
    site = hooks.site(account)
    records = event.get("Records")
    bucket = records[0]["s3"]["bucket"]["arn"] if records else f"arn:aws:s3:::{event['Bucket']}"
    try:
        if site is not None:
            site.permit("s3.amazonaws.com", action, arn, bucket)
    except Denied as denied:
        log.warning("an event of %s is lost: %s", bucket, denied)
        return False
    return True
