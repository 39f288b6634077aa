"""The watch of one environment: one function, what starts it, whom it tells, and what tells that it is silent.

It is started by a rule of EventBridge every five minutes, which is another service than Scheduler, so that a schedule
that is dead or switched off is seen; and by the events of runs, deployments and alarms of services. What it tells goes
to a topic from which everybody gets what is for them. What CloudWatch tells of the watch itself goes to a second one.
"""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_aws.cloudwatch.event_rule import EventRule
from pulumi_aws.cloudwatch.event_target import EventTarget
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.cloudwatch.metric_alarm import MetricAlarm
from pulumi_aws.lambda_.function import Function
from pulumi_aws.lambda_.permission import Permission
from pulumi_aws.scheduler.schedule import Schedule
from pulumi_aws.sns.topic import Topic
from pulumi_aws.sns.topic_subscription import TopicSubscription
from pulumi_aws.sqs.queue import Queue

from herd.infra import lifetime
from herd.infra.context import Component, Context, Document
from herd.infra.permissions.workload import allow, document
from herd.infra.settings.schema import Settings
from herd.infra.spec.load import Specs
from herd.infra.watching.archive import HANDLER, archive
from herd.infra.watching.plan import plan_of
from herd.infra.workloads.api import Api
from herd.infra.workloads.common import Platform
from herd.runner.contract import watching
from herd.runner.contract.alarms import ServiceAlarm, alarm_name
from herd.runner.contract.plan import Plan

RUNTIME = "python3.13"
EVERY = "rate(5 minutes)"
TIMEOUT_SECONDS, MEMORY_MB = 60, 256
SILENT_AFTER_MINUTES = 15
"""Three ticks in a row that never came are no accident."""

COPIES_MINUTES = 5
"""So long a copy may be missing: one that is replaced takes a while to become healthy."""

ERRORS_IN_FIVE_MINUTES = 5
"""One is somebody's odd request; five are a service that is broken."""

MINUTE = 60
ENDED = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]

Pattern = Mapping[str, Any]


class Watch(Component):
    """Tells the right people that something failed, is late, or did not happen.

        watch = Watch(context, project, project.specs, platform, apis)
        watch.function.name, watch.topic.arn

    Function with LogGroup and Permission, EventRules with a target each, two Topics with a subscription for each
    address, three MetricAlarms about the function and the starts that never came about, and two for each service. An
    environment of 200 jobs has no more of them than one of a single job.
    """

    def __init__(
        self,
        context: Context,
        parent: pulumi.Resource,
        specs: Specs,
        platform: Platform,
        services: Mapping[str, Api],
    ) -> None:
        super().__init__("Watch", "watch", parent)
        self.context = context
        self.plan = plan_of(specs, context.settings)
        self.topic = self._topic(context.naming.messages, "messages", key=context.key_arn)
        self.function = self._function(platform)
        self._starts(services)
        self._tells(self.plan)
        self.alarms_topic = self._topic(context.naming.watch_alarms, "alarms", policy=alarms_policy(context))
        self._is_watched(platform.missed_schedules)
        if context.settings.ends_at:
            self._ends(platform, context.settings.ends_at)
        for name, service in services.items():
            self._watches_service(name, service)
        self.register_outputs({})

    def _topic(
        self,
        name: str,
        child: str,
        *,
        key: pulumi.Input[str] | None = None,
        policy: Document | None = None,
    ) -> Topic:
        return Topic(
            self.child(child),
            name=name,
            kms_master_key_id=key,
            policy=json.dumps(policy) if policy else None,
            tags=self.context.tags(),
            opts=self.options(),
        )

    def _function(self, platform: Platform) -> Function:
        context, granted = self.context, platform.roles.watch
        log = LogGroup(
            self.child("log"),
            name=context.naming.watch_log_group,
            retention_in_days=context.settings.log_retention_days,
            kms_key_id=context.key_arn,
            tags=context.tags(),
            opts=self.options(),
        )
        return Function(
            self.child("function"),
            name=context.naming.watch,
            description=f"tells when something fails or does not happen in the environment {context.naming.prefix}",
            runtime=RUNTIME,
            architectures=["arm64"],
            handler=HANDLER,
            code=archive(self.plan),
            role=granted.role.arn,
            memory_size=MEMORY_MB,
            timeout=TIMEOUT_SECONDS,
            # What comes meanwhile waits in Lambda's own queue. Of two at once one decides again (`Aws.remember`), so
            # without a reservation nothing is told twice either.
            reserved_concurrent_executions=1 if context.settings.reserve_for_watch else None,
            environment={
                "variables": {watching.DATA_BUCKET: context.data_bucket, watching.TOPIC: self.topic.arn},
            },
            logging_config={"log_format": "Text", "log_group": log.name},
            tags=context.tags(),
            opts=self.options(depends_on=[*granted.ready, log]),
        )

    def _starts(self, services: Mapping[str, Api]) -> None:
        """The rules by which EventBridge starts the function, and its permission to."""
        context = self.context
        Permission(
            self.child("by-rules"),
            statement_id="rules",
            function=self.function.name,
            action="lambda:InvokeFunction",
            principal="events.amazonaws.com",
            source_arn=context.account.arn("events", f"rule/{context.naming.watch_rule('*')}"),
            opts=self.options(),
        )
        self._rule("ticks", "the watch looks at what is due", schedule=EVERY)
        for name, pattern in event_patterns(context, has_services=bool(services)).items():
            self._rule(name, f"the watch hears of {name}", pattern=pattern)

    def _rule(
        self, name: str, description: str, *, schedule: str | None = None, pattern: Pattern | None = None
    ) -> None:
        rule = EventRule(
            self.child(name),
            name=self.context.naming.watch_rule(name),
            description=description,
            schedule_expression=schedule,
            event_pattern=json.dumps(pattern) if pattern else None,
            tags=self.context.tags(),
            opts=self.options(),
        )
        EventTarget(
            self.child(f"{name}-to-function"),
            rule=rule.name,
            target_id="watch",
            arn=self.function.arn,
            opts=self.options(),
        )

    def _tells(self, plan: Plan) -> None:
        """A subscription for each address: SNS knows one of an address and topic, whoever owns what."""
        for address in sorted(plan.addresses):
            self._subscription(f"to-{address}", self.topic, address, {watching.TO: [address]})

    def _subscription(self, child: str, topic: Topic, address: str, only: Mapping[str, Any] | None = None) -> None:
        TopicSubscription(
            self.child(child),
            topic=topic.arn,
            protocol="email",
            endpoint=address,
            filter_policy=json.dumps(only) if only else None,
            opts=self.options(),
        )

    def _is_watched(self, missed: Queue | None) -> None:
        """What CloudWatch tells of the watch, past it and past every key: a plain topic, which a refusing key cannot
        silence.
        """
        for address in keepers(self.plan):
            self._subscription(f"alarms-to-{address}", self.alarms_topic, address)
        naming, dimensions = self.context.naming, {"FunctionName": self.function.name}
        self._alarm(
            "silent",
            f"the watch of {naming.prefix} has not run for {SILENT_AFTER_MINUTES} minutes: nobody is told of failures",
            namespace="AWS/Lambda",
            metric_name="Invocations",
            dimensions=dimensions,
            statistic="Sum",
            comparison_operator="LessThanThreshold",
            threshold=1,
            evaluation_periods=SILENT_AFTER_MINUTES // 5,
            # A function that is not started has no data at all; neither has one that is new.
            treat_missing_data="breaching",
            warm_up_configuration={"warm_up_period_duration_in_minutes": 2 * SILENT_AFTER_MINUTES},
        )
        self._alarm(
            "errors",
            f"the watch of {naming.prefix} fails: somebody may not be told of a failure; see {naming.watch_log_group}",
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions=dimensions,
            statistic="Sum",
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=1,
            evaluation_periods=1,
            treat_missing_data="notBreaching",
        )
        if missed is not None:
            self._alarm(
                "missed_starts",
                f"Scheduler gave up starting something in {naming.prefix}; the queue {naming.missed_schedules} has it",
                namespace="AWS/SQS",
                metric_name="ApproximateNumberOfMessagesVisible",
                dimensions={"QueueName": missed.name},
                statistic="Maximum",
                comparison_operator="GreaterThanThreshold",
                threshold=0,
                evaluation_periods=1,
                treat_missing_data="notBreaching",
            )

    def _alarm(self, purpose: str, description: str, **watched: Any) -> None:
        MetricAlarm(
            self.child(purpose.replace("_", "-")),
            name=self.context.naming.watch_alarm(purpose),
            alarm_description=description,
            period=5 * MINUTE,
            alarm_actions=[self.alarms_topic.arn],
            tags=self.context.tags(),
            opts=self.options(),
            **watched,
        )

    def _ends(self, platform: Platform, ends_at: str) -> None:
        """Two schedules of an environment that ends by itself: one tells so, the other has it removed."""
        context = self.context
        end, length = lifetime.read(ends_at), lifetime.parse(context.settings.ttl)
        warned = {
            "TopicArn": self.topic.arn,
            "Subject": f"{context.naming.prefix} ends soon"[:99],
            "Message": ending_message(context.settings, ends_at),
            "MessageAttributes": {
                watching.TO: {"DataType": "String.Array", "StringValue": json.dumps(sorted(self.plan.addresses))}
            },
        }
        removed = {
            "ProjectName": context.naming.ends_project,
            "EnvironmentVariablesOverride": [
                {"Name": watching.ENVIRONMENT, "Value": context.settings.environment, "Type": "PLAINTEXT"},
                {"Name": watching.DATA_BUCKET, "Value": context.data_bucket, "Type": "PLAINTEXT"},
            ],
        }
        for name, child, moment, operation, asked in (
            (context.naming.ends_soon, "ends-soon", lifetime.told_at(end, length), "sns:publish", warned),
            (context.naming.ends, "ends", end, "codebuild:startBuild", removed),
        ):
            Schedule(
                self.child(child),
                name=name,
                description=f"{context.naming.prefix} ends at {ends_at}; `herd keep` renews it",
                group_name=platform.schedule_group.name,
                schedule_expression=lifetime.at(moment),
                schedule_expression_timezone="UTC",
                flexible_time_window={"mode": "OFF"},
                target={
                    "arn": f"arn:{context.account.partition}:scheduler:::aws-sdk:{operation}",
                    "role_arn": platform.roles.scheduler.role.arn,
                    "input": pulumi.Output.json_dumps(asked),
                    "dead_letter_config": {"arn": platform.missed_schedules.arn} if platform.missed_schedules else None,
                    "retry_policy": {"maximum_event_age_in_seconds": 24 * 3600, "maximum_retry_attempts": 50},
                },
                opts=self.options(depends_on=platform.roles.scheduler.ready),
            )

    def _watches_service(self, name: str, service: Api) -> None:
        """CloudWatch counts what the load balancer sees; the rule of alarms hands a change of state to the watch, which
        knows whose the service is. So these have no action of their own.
        """
        dimensions = {
            "LoadBalancer": service.balancer.balancer.arn_suffix,
            "TargetGroup": service.target_group.arn_suffix,
        }
        replicas = service.spec.replicas
        kinds: dict[ServiceAlarm, dict[str, Any]] = {
            "copies": {
                "alarm_description": f"fewer than replicas.min = {replicas.min} healthy copies of {name}",
                "metric_name": "HealthyHostCount",
                "statistic": "Minimum",
                "comparison_operator": "LessThanThreshold",
                "threshold": replicas.min,
                "period": MINUTE,
                "evaluation_periods": COPIES_MINUTES,
                # Without a registered copy there is no data; the first has to start.
                "treat_missing_data": "breaching",
                "warm_up_configuration": {
                    "warm_up_period_duration_in_minutes": service.spec.start_minutes + 2 * COPIES_MINUTES
                },
            },
            "errors": {
                "alarm_description": f"{ERRORS_IN_FIVE_MINUTES} answers of 5xx by {name} in five minutes",
                "metric_name": "HTTPCode_Target_5XX_Count",
                "statistic": "Sum",
                "comparison_operator": "GreaterThanOrEqualToThreshold",
                "threshold": ERRORS_IN_FIVE_MINUTES,
                "period": 5 * MINUTE,
                "evaluation_periods": 1,
                "treat_missing_data": "notBreaching",
            },
        }
        naming = self.context.naming
        for kind, watched in kinds.items():
            MetricAlarm(
                self.child(f"{name}-{kind}"),
                name=alarm_name(naming.project, naming.environment, name, kind),
                namespace="AWS/ApplicationELB",
                dimensions=dimensions,
                tags=self.context.tags(service.spec),
                opts=self.options(),
                **watched,
            )


def ending_message(settings: Settings, ends_at: str) -> str:
    """What its owners read a while before it ends."""
    name = settings.environment
    who = f", made by {settings.made_by}" if settings.made_by else ""
    return (
        f"The environment {name} of {settings.project}{who}, ends at {ends_at}: then all of it is removed, what its "
        f"jobs published included.\n\nEach deployment renews it. To keep it longer without one:\n\n"
        f"    herd keep -e {name} --ttl {settings.ttl}        where it is on this machine\n"
        f"    herd keep --stack {name} --ttl {settings.ttl}   where it is on AWS\n"
    )


def event_patterns(context: Context, *, has_services: bool) -> dict[str, Pattern]:
    """What starts the function beside the clock: by the whole prefix of this environment's names.

    Those of `dev-2` begin alike; the watch looks them up in its plan, where they are not.
    """
    account, prefix = context.account, context.naming.prefix
    runs = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ENDED, "stateMachineArn": [{"prefix": context.machine_arn(f"{prefix}-")}]},
    }
    if not has_services:
        return {"runs": runs}
    services = account.arn("ecs", f"service/{context.naming.cluster}/")
    return {
        "runs": runs,
        "deployments": {
            "source": ["aws.ecs"],
            "detail-type": ["ECS Deployment State Change"],
            "resources": [{"prefix": services}],
        },
        "alarms": {
            "source": ["aws.cloudwatch"],
            "detail-type": ["CloudWatch Alarm State Change"],
            "resources": [{"prefix": account.arn("cloudwatch", f"alarm:{prefix}-")}],
        },
    }


def alarms_policy(context: Context) -> Document:
    """CloudWatch may publish the alarms of this environment, and nobody else anything."""
    account, naming = context.account, context.naming
    return document(
        {
            **allow("sns:Publish", account.arn("sns", naming.watch_alarms)),
            "Sid": "Alarms",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Condition": {
                "StringEquals": {"aws:SourceAccount": account.id},
                "ArnLike": {"aws:SourceArn": account.arn("cloudwatch", f"alarm:{naming.watch_alarm('*')}")},
            },
        }
    )


def keepers(plan: Plan) -> list[str]:
    """Who looks after the watch itself: those who hear of every workload; where there are none, all owners."""
    return sorted({recipient.address for recipient in plan.recipients}) or sorted(plan.addresses)
