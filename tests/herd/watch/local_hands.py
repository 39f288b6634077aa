"""What people, and AWS's bad days, do to the environment of the stories; each is undone when its `with` ends."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from localcloud import backends
from localcloud.agent.executions import detail
from localcloud.patches.stepfunctions import stored_executions
from tests.herd.watch.local_world import REGION, LocalWorld

WATCH: Final = "herd-dev-watch"


class Hands(LocalWorld):
    """An environment, and whoever reaches into it."""

    # --- time ---

    def until_each_minute(self, text: str) -> None:
        """As `until`, with a measurement of every minute."""
        end = self.at(text)
        while self.clock.now() < end:
            self._step(self.clock.now() + timedelta(minutes=1))

    def quietly_until(self, text: str) -> None:
        """Hours in which nothing is expected, as of a machine that wakes once an hour."""
        while self.clock.now() + timedelta(hours=1) < self.at(text):
            self._step(self.clock.now() + timedelta(hours=1))
        self.until(text)

    def pass_quietly(self, minutes: int) -> None:
        self._step(self.clock.now() + timedelta(minutes=minutes))

    # --- runs ---

    def _machine(self, name: str) -> str:
        return f"arn:aws:states:{REGION}:{self.server.account}:stateMachine:herd-dev-{name}"

    def _executions(self, name: str) -> list[Any]:
        with self.server.lock:
            machines = backends.stepfunctions(self.server.account, REGION).state_machines
            return [run for one in machines if one.arn == self._machine(name) for run in one.executions]

    def runs(self, name: str) -> list[str]:
        """Today's, by name."""
        return [str(run.name) for run in self._executions(name) if run.start_date >= self.day]

    def start(self, name: str, input: Mapping[str, Any] | None = None) -> None:
        self.client("stepfunctions").start_execution(stateMachineArn=self._machine(name), input=json.dumps(input or {}))
        self.settle()

    def input_of(self, name: str, run: str) -> Mapping[str, Any]:
        (text,) = [one.execution_input for one in self._executions(name) if one.name == run]
        loaded: dict[str, Any] = json.loads(text)
        return loaded

    def stop(self, name: str) -> None:
        """Somebody stops what is running."""
        for run in self._executions(name):
            if str(run.exec_status.value if run.exec_status else "RUNNING") == "RUNNING":
                self.client("stepfunctions").stop_execution(executionArn=run.exec_arn, cause="stopped by ana")

    def repeat_events(self, name: str) -> None:
        """The end of its last run is told once more."""
        run = self._executions(name)[-1]
        self._event("aws.states", "Step Functions Execution Status Change", [run.exec_arn],
                    detail(stored_executions.describe(run)))  # fmt: skip

    def _event(self, source: str, type: str, resources: list[str], about: Mapping[str, Any]) -> None:
        with self.server.lock:
            self.agent._bus.put(REGION, source, type, resources, about)
        self.settle()

    @contextmanager
    def another_machine(self, name: str) -> Iterator[str]:
        states = self.client("stepfunctions")
        role = f"arn:aws:iam::{self.server.account}:role/herd-dev-states"
        definition = json.dumps({"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "Herd.Failed"}}})
        arn = states.create_state_machine(name=name, roleArn=role, definition=definition)["stateMachineArn"]
        yield str(arn)
        states.delete_state_machine(stateMachineArn=arn)

    # --- what the program made ---

    @contextmanager
    def without(self, *parts: str) -> Iterator[None]:
        """As if the program did not make these: `without("MetricAlarm watch-silent")`."""
        provider, taken = self.plugins.provider("aws"), [one for one in self.made if one.part in parts]
        assert {one.part for one in taken} == set(parts), parts
        for one in reversed(taken):
            provider.delete(one.urn, one.id, one.outputs)
        yield
        for one in taken:
            identifier, outputs = provider.create(one.urn, one.inputs, False)
            again = replace(one, id=identifier, outputs=outputs)
            self.made = tuple(again if other is one else other for other in self.made)
        self.confirm()

    @contextmanager
    def without_state(self, name: str, state: str) -> Iterator[None]:
        """As if the state machine of a job did not have a state: it is passed by."""
        states, arn = self.client("stepfunctions"), self._machine(name)
        text = states.describe_state_machine(stateMachineArn=arn)["definition"]
        definition = json.loads(text)
        definition["States"][state] = {"Type": "Pass", "Next": definition["States"][state]["Next"]}
        states.update_state_machine(stateMachineArn=arn, definition=json.dumps(definition))
        yield
        states.update_state_machine(stateMachineArn=arn, definition=text)

    # --- permissions, rules, schedules ---

    @contextmanager
    def role_without(self, name: str, action: str) -> Iterator[None]:
        """`herd-dev-<name>` loses every statement with the action."""
        iam, of = self.client("iam"), f"herd-dev-{name}"
        policies = {
            one: iam.get_role_policy(RoleName=of, PolicyName=one)["PolicyDocument"]
            for one in iam.list_role_policies(RoleName=of)["PolicyNames"]
        }
        for policy, document in policies.items():
            less = [one for one in document["Statement"] if action not in _actions(one)]
            if less != document["Statement"]:
                text = json.dumps({**document, "Statement": less or [_NOTHING]})
                iam.put_role_policy(RoleName=of, PolicyName=policy, PolicyDocument=text)
        yield
        for policy, document in policies.items():
            iam.put_role_policy(RoleName=of, PolicyName=policy, PolicyDocument=json.dumps(document))

    @contextmanager
    def rule_off(self, name: str) -> Iterator[None]:
        events, rule = self.client("events"), f"herd-dev-watch_{name}"
        events.disable_rule(Name=rule)
        yield
        events.enable_rule(Name=rule)

    @contextmanager
    def target_gone(self, name: str) -> Iterator[None]:
        events, rule = self.client("events"), f"herd-dev-watch_{name}"
        targets = events.list_targets_by_rule(Rule=rule)["Targets"]
        events.remove_targets(Rule=rule, Ids=[one["Id"] for one in targets])
        yield
        events.put_targets(Rule=rule, Targets=targets)

    @contextmanager
    def permission_gone(self) -> Iterator[None]:
        functions = self.client("lambda")
        functions.remove_permission(FunctionName=WATCH, StatementId="rules")
        yield
        arn = f"arn:aws:events:{REGION}:{self.server.account}:rule/herd-dev-watch_*"
        functions.add_permission(FunctionName=WATCH, StatementId="rules", Action="lambda:InvokeFunction",
                                 Principal="events.amazonaws.com", SourceArn=arn)  # fmt: skip

    @contextmanager
    def schedule_off(self, name: str) -> Iterator[None]:
        scheduler = self.client("scheduler")
        was = scheduler.get_schedule(Name=name, GroupName="herd-dev")
        scheduler.update_schedule(**{**_declared(was), "State": "DISABLED"})
        yield
        scheduler.update_schedule(**_declared(was))

    @contextmanager
    def schedule_gone(self, name: str) -> Iterator[None]:
        scheduler = self.client("scheduler")
        was = scheduler.get_schedule(Name=name, GroupName="herd-dev")
        scheduler.delete_schedule(Name=name, GroupName="herd-dev")
        yield
        scheduler.create_schedule(**_declared(was))

    def purge_missed(self) -> None:
        sqs = self.client("sqs")
        sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName="herd-dev-missed_schedules")["QueueUrl"])
        for _ in range(3):
            self._step(self.clock.now() + timedelta(minutes=5))

    # --- mail ---

    @property
    def messages_topic(self) -> str:
        return next(one for one in self.topics if one.endswith("-messages"))

    def subscription(self, address: str) -> str:
        pages = self.client("sns").list_subscriptions_by_topic(TopicArn=self.messages_topic)["Subscriptions"]
        return next(str(one["SubscriptionArn"]) for one in pages if one["Endpoint"] == address)

    @contextmanager
    def unsubscribed(self, address: str, asked_again: bool = False) -> Iterator[None]:
        """And afterwards subscribed again, as `herd up` does, and confirmed. `asked_again`: before that, in vain."""
        sns, arn = self.client("sns"), self.subscription(address)
        policy = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["FilterPolicy"]
        sns.unsubscribe(SubscriptionArn=arn)
        again = {
            "TopicArn": self.messages_topic,
            "Protocol": "email",
            "Endpoint": address,
            "Attributes": {"FilterPolicy": policy},
        }
        if asked_again:
            sns.subscribe(**again)
        yield
        if not asked_again:
            sns.subscribe(**again)
        self.confirm()
        self.made = tuple(
            replace(one, id=new, outputs={**one.outputs, "id": new, "arn": new}) if one.id == arn else one
            for new in (self.subscription(address),)
            for one in self.made
        )

    @contextmanager
    def filtered(self, address: str) -> Iterator[None]:
        """Its subscription lets other messages through only."""
        sns, arn = self.client("sns"), self.subscription(address)
        policy = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["FilterPolicy"]
        change = {"SubscriptionArn": arn, "AttributeName": "FilterPolicy"}
        sns.set_subscription_attributes(**change, AttributeValue=json.dumps({"to": ["somebody@example.com"]}))
        yield
        sns.set_subscription_attributes(**change, AttributeValue=policy)

    @contextmanager
    def key_that_refuses(self) -> Iterator[None]:
        """The topic gets a key whose policy admits nobody but the account's administrators."""
        sns, kms = self.client("sns"), self.client("kms")
        admins = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{self.server.account}:root"},
            "Action": ["kms:PutKeyPolicy", "kms:Describe*", "kms:ScheduleKeyDeletion"],
            "Resource": "*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [admins]})
        key = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
        change = {"TopicArn": self.messages_topic, "AttributeName": "KmsMasterKeyId"}
        sns.set_topic_attributes(**change, AttributeValue=key)
        yield
        sns.set_topic_attributes(**change, AttributeValue="")

    # --- services ---

    def _group(self, name: str) -> Any:
        (arn,) = [
            one.id for one in self.made if one.type.endswith(":TargetGroup") and one.urn.endswith(f"::{name}-targets")
        ]
        return backends.elbv2(self.server.account, REGION).target_groups[arn]

    def has_copy_of(self, name: str) -> None:
        """One copy of it, which the load balancer finds healthy."""
        with self.server.lock:
            self._group(name).register([{"Id": "127.0.0.1", "Port": 1}])
        self.health_of_copies(name, "healthy")

    def health_of_copies(self, name: str, state: str) -> None:
        with self.server.lock:
            for target in self._group(name).targets.values():
                target["health"] = (state, None, None)

    def answers_5xx(self, name: str, times: int) -> None:
        group = self._group(name)
        suffix = group.arn.rpartition(":")[2]
        balancer = next(iter(group.load_balancer_arns)).rpartition(":loadbalancer/")[2]
        of = {"LoadBalancer": balancer, "TargetGroup": suffix}
        self.agent.meters.count(REGION, "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", of, times)

    def deployment(self, name: str, deployment: str, event: str, reason: str) -> None:
        """An event of ECS, as its documentation has it."""
        arn = f"arn:aws:ecs:{REGION}:{self.server.account}:service/herd-dev/herd-dev-{name}"
        about = {
            "eventType": "ERROR" if event.endswith("FAILED") else "INFO",
            "eventName": event,
            "deploymentId": deployment,
            "updatedAt": f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}",
            "reason": reason,
        }
        self._event("aws.ecs", "ECS Deployment State Change", [arn], about)


_NOTHING: Final = {"Effect": "Deny", "Action": "s3:CreateBucket", "Resource": "*"}
"""A policy has to say something."""


def _actions(statement: Mapping[str, Any]) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else list(actions)


def _declared(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """What was read, as it is written."""
    left_out = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")
    return {name: value for name, value in schedule.items() if name not in left_out}
