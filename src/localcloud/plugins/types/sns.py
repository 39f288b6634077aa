"""SNS: topics, their subscriptions and policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.plugins.resource import Autoname, Cloud, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.types.attributes import Attributed
from localcloud.plugins.values import Props


@resource_type
class Topic(Attributed):
    """A topic; its id is its ARN."""

    token = "aws:sns/topic:Topic"
    service = "sns"
    table = """
        name ^
        namePrefix ^ =-
        contentBasedDeduplication bool default:false
        deliveryPolicy json
        displayName
        fifoTopic bool ^ default:false
        kmsMasterKeyId
        policy policy ?
        arn ~ =TopicArn
        beginningArchiveTime ~
        owner ~
    """
    plain = frozenset({"name"})
    tagging = Tagging()
    autoname = Autoname(limit=256, forbidden=r"[^A-Za-z0-9_-]")
    create_call, identifier = "create_topic", "TopicArn"
    read_attributes, read_key, delete_call = "get_topic_attributes", "TopicArn", "delete_topic"

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        name = inputs.get("name")
        if isinstance(name, str) and bool(inputs.get("fifoTopic")) != name.endswith(".fifo"):
            return [("name", "the name of a FIFO topic ends in .fifo, and only its does")]
        return []

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("sns", props["name"]), "owner": cloud.account}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        return {**super().live(cloud, described), "beginningArchiveTime": ""}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = super().read(cloud, identifier, props)
        return None if live is None else {**live, "name": identifier.rsplit(":", 1)[-1]}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        for name, text in self.attributes(new, changed - {"policy"} if not new.get("policy") else changed).items():
            self.call(cloud, "set_topic_attributes", TopicArn=identifier, AttributeName=name, AttributeValue=text)
        return {}


@resource_type
class TopicPolicy(Resource):
    """Who may do what with a topic; its id is the topic's ARN. Deleting puts the owner's default policy back."""

    token = "aws:sns/topicPolicy:TopicPolicy"
    service = "sns"
    table = """
        arn ! ^
        policy policy !
        owner ~ =-
    """

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"owner": cloud.account}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self._set(cloud, inputs["arn"], inputs["policy"])
        return inputs["arn"], {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        answer = self.call(cloud, "get_topic_attributes", TopicArn=identifier)["Attributes"]
        return {"arn": identifier, "policy": answer["Policy"]}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self._set(cloud, identifier, new["policy"])
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self._set(cloud, identifier, _owners_policy(identifier, cloud.account))

    def _set(self, cloud: Cloud, topic: str, text: str) -> None:
        self.call(cloud, "set_topic_attributes", TopicArn=topic, AttributeName="Policy", AttributeValue=text)


def _owners_policy(topic: str, account: str) -> str:
    actions = ("AddPermission", "DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic", "Publish",
               "RemovePermission", "SetTopicAttributes", "Subscribe")  # fmt: skip
    statement = {
        "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": [f"SNS:{action}" for action in actions],
        "Resource": topic, "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
    }  # fmt: skip
    return json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})


@resource_type
class TopicSubscription(Attributed):
    """Where a topic's messages go; its id is its ARN. One by e-mail waits until its owner has followed a link, and one
    that still waits cannot be ended: deleting it only forgets it, and it goes with its topic.
    """

    token = "aws:sns/topicSubscription:TopicSubscription"
    service = "sns"
    table = """
        topic ! ^ =TopicArn
        endpoint ! ^
        protocol ! ^
        confirmationTimeoutInMinutes int =-
        endpointAutoConfirms bool =-
        deliveryPolicy json
        filterPolicy json
        filterPolicyScope ?
        rawMessageDelivery bool default:false
        redrivePolicy json
        subscriptionRoleArn
        arn ~ =SubscriptionArn
        confirmationWasAuthenticated bool ~
        ownerId ~ =Owner
        pendingConfirmation bool ~
    """
    plain = frozenset({"topic", "endpoint", "protocol"})
    create_call, identifier, reads_back = "subscribe", "SubscriptionArn", True
    read_attributes, read_key, delete_call = "get_subscription_attributes", "SubscriptionArn", "unsubscribe"

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        attributes = described.get("Attributes") or {}
        named = {name: attributes[member] for name, member in _SUBSCRIPTION.items() if member in attributes}
        settled = {"confirmationWasAuthenticated": True, "pendingConfirmation": False}
        return {**settled, **super().live(cloud, described), **named}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        return {**super().arguments(cloud, inputs, updating), "ReturnSubscriptionArn": True}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        try:
            super().delete(cloud, identifier, props)
        except ClientError as error:
            if "pending confirmation" not in str(error):
                raise

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        wanted = self.attributes(new, changed)
        for name, text in sorted(
            wanted.items(), key=lambda one: one[0] != "FilterPolicyScope"
        ):  # policies depend on it
            self.call(
                cloud, "set_subscription_attributes",
                SubscriptionArn=identifier, AttributeName=name, AttributeValue=text,
            )  # fmt: skip
        return {}


_SUBSCRIPTION = {"topic": "TopicArn", "endpoint": "Endpoint", "protocol": "Protocol"}
