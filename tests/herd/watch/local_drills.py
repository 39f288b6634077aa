"""What breaks the chain from a rule to a mailbox, link by link, and what `herd alarms test` is to say of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from herd.targets.exports import Exports
from herd.targets.inbox import Mail, Message
from herd.targets.target import Pace
from localcloud import mail
from tests.herd.watch.local_hands import WATCH, Hands
from tests.herd.watch.local_stories import BEN


class Here:
    """The environment of this process as the target of a command."""

    name = "dev"
    pace = Pace(0.01, 0.01, 1, 1, 1)

    def __init__(self, world: Hands) -> None:
        self.world = world
        self.inbox = self

    def client(self, service: str) -> Any:
        return self.world.client(service)

    def require_exports(self) -> Exports:
        return Exports.model_validate(dict(self.world.exports))

    # --- the inbox ---

    def messages(self, to: str = "", after: int = 0) -> list[Mail]:
        return [_mail(letter) for letter in self.world.inbox.letters(to, after)]

    def message(self, number: int) -> Message:
        letter = next(one for one in self.world.inbox.letters() if one.number == number)
        return Message(_mail(letter), {}, self.world._text(number), ())


def _mail(letter: Any) -> Mail:
    return Mail(letter.number, letter.arrived, letter.sender, letter.recipients, letter.subject, letter.size)


@contextmanager
def rule_gone(world: Hands, name: str) -> Iterator[None]:
    events, rule = world.client("events"), f"herd-dev-watch_{name}"
    was = events.describe_rule(Name=rule)
    targets = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.remove_targets(Rule=rule, Ids=[one["Id"] for one in targets])
    events.delete_rule(Name=rule)
    yield
    kept = {key: was[key] for key in ("Name", "ScheduleExpression", "EventPattern", "Description") if was.get(key)}
    events.put_rule(**kept)
    events.put_targets(Rule=rule, Targets=targets)


@contextmanager
def permission_of_another_rule(world: Hands) -> Iterator[None]:
    with world.permission_gone():
        functions = world.client("lambda")
        functions.add_permission(
            FunctionName=WATCH,
            StatementId="other",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=f"arn:aws:events:eu-west-1:{world.server.account}:rule/other",
        )
        yield
        functions.remove_permission(FunctionName=WATCH, StatementId="other")


@contextmanager
def trusted_by_nobody(world: Hands) -> Iterator[None]:
    iam, of = world.client("iam"), "herd-dev-watch"
    was = json.dumps(iam.get_role(RoleName=of)["Role"]["AssumeRolePolicyDocument"])
    with changed_function(world, Timeout=59):  # so that it has to be started anew
        iam.update_assume_role_policy(
            RoleName=of, PolicyDocument=was.replace("lambda.amazonaws.com", "ec2.amazonaws.com")
        )
        yield
        iam.update_assume_role_policy(RoleName=of, PolicyDocument=was)


@contextmanager
def changed_function(world: Hands, **change: Any) -> Iterator[None]:
    functions = world.client("lambda")
    was = functions.get_function_configuration(FunctionName=WATCH)
    functions.update_function_configuration(FunctionName=WATCH, **change)
    yield
    functions.update_function_configuration(FunctionName=WATCH, **{key: was[key] for key in change})


@contextmanager
def never_runs(world: Hands) -> Iterator[None]:
    functions = world.client("lambda")
    functions.put_function_concurrency(FunctionName=WATCH, ReservedConcurrentExecutions=0)
    yield
    functions.put_function_concurrency(FunctionName=WATCH, ReservedConcurrentExecutions=1)


@contextmanager
def topic_that_refuses(world: Hands) -> Iterator[None]:
    sns, change = world.client("sns"), {"TopicArn": world.messages_topic, "AttributeName": "Policy"}
    was = sns.get_topic_attributes(TopicArn=world.messages_topic)["Attributes"]["Policy"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": world.messages_topic}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    sns.set_topic_attributes(**change, AttributeValue=policy)
    yield
    sns.set_topic_attributes(**change, AttributeValue=was)


@contextmanager
def mail_refused(world: Hands) -> Iterator[None]:
    """SNS takes it, and nothing comes of it."""

    class Refuses:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.inbox, name)

        def keep(self, *_: Any) -> None:
            """The mailbox is full."""

    mail.connect(world.server.account, Refuses())  # type: ignore[arg-type]
    yield
    mail.connect(world.server.account, world.inbox)


Break = Callable[[Hands], AbstractContextManager[Any]]

LINKS: dict[str, tuple[Break, str]] = {
    "the rule of ticks is off": (lambda w: w.rule_off("ticks"), "the rule herd-dev-watch_ticks is switched off"),
    "the rule of ticks is gone": (lambda w: rule_gone(w, "ticks"), "the rule herd-dev-watch_ticks is gone"),
    "ticks have no target": (
        lambda w: w.target_gone("ticks"), "the rule herd-dev-watch_ticks does not start the function herd-dev-watch"
    ),
    "the rule of runs is off": (lambda w: w.rule_off("runs"), "the rule herd-dev-watch_runs is switched off"),
    "the rule of runs is gone": (lambda w: rule_gone(w, "runs"), "the rule herd-dev-watch_runs is gone"),
    "runs have no target": (
        lambda w: w.target_gone("runs"), "the rule herd-dev-watch_runs does not start the function herd-dev-watch"
    ),
    "rules may not start it": (
        lambda w: w.permission_gone(), "the function herd-dev-watch does not let the rule herd-dev-watch_ticks start it"
    ),
    "another rule may start it": (
        permission_of_another_rule, "the function herd-dev-watch does not let the rule herd-dev-watch_ticks start it"
    ),
    "its role may not read": (lambda w: w.role_without("watch", "s3:GetObject"), "the function herd-dev-watch fails"),
    "its role may not tell": (lambda w: w.role_without("watch", "sns:Publish"), "Publish"),
    "its role is not Lambda's": (trusted_by_nobody, "the function herd-dev-watch cannot be started"),
    "it may never run": (never_runs, "the function herd-dev-watch cannot be started"),
    "its bucket is another": (
        lambda w: changed_function(w, Environment={"Variables": {
            "HERD_DATA_BUCKET": "somebody-s", "HERD_TOPIC": w.messages_topic
        }}),
        "the function herd-dev-watch fails",
    ),
    "the topic refuses": (topic_that_refuses, "Publish"),
    "the topic's key refuses": (lambda w: w.key_that_refuses(), "kms:"),
    "nobody is subscribed": (lambda w: w.unsubscribed(BEN), f"the topic has no subscription of {BEN}"),
    "nobody has confirmed": (lambda w: w.unsubscribed(BEN, asked_again=True), f"{BEN} has not confirmed"),
    "a filter lets others through": (
        lambda w: w.filtered(BEN), f"the subscription of {BEN} lets other messages through only"
    ),
    "mail is refused": (mail_refused, f"SNS has sent nothing to {BEN}"),
}  # fmt: skip
