"""What the program tells the watch's function beside the plan, and how the watch addresses what it tells."""

from __future__ import annotations

from typing import Final

# Variables of the function.
DATA_BUCKET: Final = "HERD_DATA_BUCKET"
TOPIC: Final = "HERD_TOPIC"
ENVIRONMENT: Final = "HERD_ENVIRONMENT"
"""The ARN of the topic of its messages."""

TO: Final = "to"
"""The message attribute with the addresses that a message is for, a String.Array; each subscription filters by its own.

CloudWatch's own messages have no attributes, so they pass no filter.
"""

REPORT_TYPE: Final = "Herd Report"
"""The detail-type of an event of `herd alarms`, whose source is `herd`: the answer is the plan and what is kept."""
