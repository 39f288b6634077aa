"""S3: that a bucket's events go to EventBridge is answered too."""

from __future__ import annotations

from typing import Any

from moto.s3 import responses

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
