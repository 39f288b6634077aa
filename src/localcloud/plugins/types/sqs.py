"""SQS: queues, and those of their attributes that are resources of their own."""

from __future__ import annotations

from typing import ClassVar

from localcloud.plugins.resource import Autoname, Cloud, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.types.attributes import Attributed
from localcloud.plugins.values import Props


@resource_type
class Queue(Attributed):
    """A queue; its id is its URL."""

    token = "aws:sqs/queue:Queue"
    service = "sqs"
    table = """
        name ^ =QueueName
        namePrefix ^ =-
        contentBasedDeduplication bool default:false
        deduplicationScope ?
        delaySeconds int default:0
        fifoQueue bool ^ default:false
        fifoThroughputLimit ?
        kmsDataKeyReusePeriodSeconds int ?
        kmsMasterKeyId
        maxMessageSize int ? =MaximumMessageSize
        messageRetentionSeconds int default:345600 =MessageRetentionPeriod
        policy policy ?
        receiveWaitTimeSeconds int default:0 =ReceiveMessageWaitTimeSeconds
        redriveAllowPolicy json ?
        redrivePolicy json ?
        sqsManagedSseEnabled bool ?
        visibilityTimeoutSeconds int default:30 =VisibilityTimeout
        arn ~ =QueueArn
        url ~ =-
    """
    plain = frozenset({"name"})
    tagging = Tagging(
        "Tags", pairs=None, add="tag_queue", remove="untag_queue", list="list_queue_tags", resource="QueueUrl"
    )
    autoname = Autoname(limit=80, forbidden=r"[^A-Za-z0-9_-]")
    create_call, identifier = "create_queue", "QueueUrl"
    read_attributes, read_key, delete_call = "get_queue_attributes", "QueueUrl", "delete_queue"

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        name = inputs.get("name")
        if isinstance(name, str) and bool(inputs.get("fifoQueue")) != name.endswith(".fifo"):
            return [("name", "the name of a FIFO queue ends in .fifo, and only its does")]
        return []

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("sqs", props["name"]), **({"url": props["id"]} if "id" in props else {})}

    def creating_tags(self, cloud: Cloud, inputs: Props) -> Props:
        tags = self.all_tags(cloud, inputs)
        return {"tags": tags} if tags else {}  # in lower case here, and nowhere else

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = self.live(cloud, self.call(cloud, self.read_attributes, QueueUrl=identifier, AttributeNames=["All"]))
        tags = self.call(cloud, "list_queue_tags", QueueUrl=identifier).get("Tags", {})
        return {**live, "name": identifier.rsplit("/", 1)[-1], "url": identifier, "tagsAll": tags}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if wanted := self.attributes(new, changed):
            self.call(cloud, "set_queue_attributes", QueueUrl=identifier, Attributes=wanted)
        return {}

    def tagged(self, identifier: str, props: Props) -> str:
        return identifier


class _Policy(Resource):
    """One attribute of a queue; its id is the queue's URL."""

    service = "sqs"
    attribute: ClassVar[str]

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self._set(cloud, inputs["queueUrl"], inputs[self._property()])
        return inputs["queueUrl"], {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        answer = self.call(cloud, "get_queue_attributes", QueueUrl=identifier, AttributeNames=[self.attribute])
        text = answer.get("Attributes", {}).get(self.attribute)
        return {"queueUrl": identifier, self._property(): text} if text else None

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self._set(cloud, identifier, new[self._property()])
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self._set(cloud, identifier, "")

    def _property(self) -> str:
        return self.attribute[:1].lower() + self.attribute[1:]

    def _set(self, cloud: Cloud, queue: str, text: str) -> None:
        self.call(cloud, "set_queue_attributes", QueueUrl=queue, Attributes={self.attribute: text})


@resource_type
class QueuePolicy(_Policy):
    """Who may do what with a queue."""

    token = "aws:sqs/queuePolicy:QueuePolicy"
    table = """
        queueUrl ! ^
        policy policy !
    """
    attribute = "Policy"


@resource_type
class RedrivePolicy(_Policy):
    """Where messages go that are received too often."""

    token = "aws:sqs/redrivePolicy:RedrivePolicy"
    table = """
        queueUrl ! ^
        redrivePolicy json !
    """
    attribute = "RedrivePolicy"


@resource_type
class RedriveAllowPolicy(_Policy):
    """Which queues may use this one for their dead letters."""

    token = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
    table = """
        queueUrl ! ^
        redriveAllowPolicy json !
    """
    attribute = "RedriveAllowPolicy"
