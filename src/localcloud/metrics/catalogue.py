"""The metrics that the local cloud's own services emit: one table, each line with the page that documents it.

Whoever emits another one is refused, so that nobody can alarm here on what does not exist on AWS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PAGES: Mapping[str, str] = {
    "AWS/ApplicationELB": "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/"
    "load-balancer-cloudwatch-metrics.html",
    "AWS/ECS": "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html",
    "AWS/Events": "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html",
    "AWS/Lambda": "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
    "AWS/SES": "https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-cloudwatch.html",
    "AWS/SQS": "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"
    "sqs-available-cloudwatch-metrics.html",
    "AWS/Scheduler": "https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html",
    "AWS/States": "https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html",
    "ECS/ContainerInsights": "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/"
    "Container-Insights-metrics-ECS.html",
}
"""Namespace -> the page that lists its metrics and their dimensions."""

TABLE = """
AWS/ApplicationELB     RequestCount                     Count         LoadBalancer | LoadBalancer TargetGroup
AWS/ApplicationELB     HTTPCode_ELB_4XX_Count           Count         LoadBalancer
AWS/ApplicationELB     HTTPCode_ELB_5XX_Count           Count         LoadBalancer
AWS/ApplicationELB     HTTPCode_Target_2XX_Count        Count         LoadBalancer | LoadBalancer TargetGroup
AWS/ApplicationELB     HTTPCode_Target_3XX_Count        Count         LoadBalancer | LoadBalancer TargetGroup
AWS/ApplicationELB     HTTPCode_Target_4XX_Count        Count         LoadBalancer | LoadBalancer TargetGroup
AWS/ApplicationELB     HTTPCode_Target_5XX_Count        Count         LoadBalancer | LoadBalancer TargetGroup
AWS/ApplicationELB     TargetResponseTime               Seconds       LoadBalancer | LoadBalancer TargetGroup
AWS/ApplicationELB     HealthyHostCount                 Count         LoadBalancer TargetGroup
AWS/ApplicationELB     UnHealthyHostCount               Count         LoadBalancer TargetGroup
AWS/ECS                CPUUtilization                   Percent       ClusterName ServiceName
AWS/ECS                MemoryUtilization                Percent       ClusterName ServiceName
AWS/Events             Invocations                      Count         - | RuleName
AWS/Events             FailedInvocations                Count         - | RuleName
AWS/Events             InvocationsSentToDlq             Count         - | RuleName
AWS/Events             InvocationsFailedToBeSentToDlq   Count         - | RuleName
AWS/Lambda             Invocations                      Count         - | FunctionName
AWS/Lambda             Errors                           Count         - | FunctionName
AWS/Lambda             Throttles                        Count         - | FunctionName
AWS/Lambda             Duration                         Milliseconds  - | FunctionName
AWS/Lambda             DeadLetterErrors                 Count         - | FunctionName
AWS/Lambda             DestinationDeliveryFailures      Count         - | FunctionName
AWS/Lambda             ConcurrentExecutions             Count         - | FunctionName
AWS/SES                Send                             Count         -
AWS/SES                Delivery                         Count         -
AWS/SQS                ApproximateNumberOfMessagesVisible     Count    QueueName
AWS/SQS                ApproximateNumberOfMessagesNotVisible  Count    QueueName
AWS/SQS                ApproximateNumberOfMessagesDelayed     Count    QueueName
AWS/SQS                ApproximateAgeOfOldestMessage          Seconds  QueueName
AWS/Scheduler          InvocationAttemptCount           Count         - | ScheduleGroup
AWS/Scheduler          TargetErrorCount                 Count         - | ScheduleGroup
AWS/Scheduler          TargetErrorThrottledCount        Count         - | ScheduleGroup
AWS/Scheduler          InvocationDroppedCount           Count         - | ScheduleGroup
AWS/Scheduler          InvocationsSentToDeadLetterCount            Count  - | ScheduleGroup
AWS/Scheduler          InvocationsFailedToBeSentToDeadLetterCount  Count  - | ScheduleGroup
AWS/States             ExecutionsStarted                Count         StateMachineArn
AWS/States             ExecutionsSucceeded              Count         StateMachineArn
AWS/States             ExecutionsFailed                 Count         StateMachineArn
AWS/States             ExecutionsTimedOut               Count         StateMachineArn
AWS/States             ExecutionsAborted                Count         StateMachineArn
AWS/States             ExecutionTime                    Milliseconds  StateMachineArn
ECS/ContainerInsights  RunningTaskCount                 Count         ClusterName ServiceName
ECS/ContainerInsights  PendingTaskCount                 Count         ClusterName ServiceName
ECS/ContainerInsights  DesiredTaskCount                 Count         ClusterName ServiceName
ECS/ContainerInsights  TaskCount                        Count         ClusterName
ECS/ContainerInsights  ServiceCount                     Count         ClusterName
"""
"""Namespace, metric, unit, and the sets of dimensions under which it is published; `-` is none."""


@dataclass(frozen=True)
class Metric:
    """A metric that a service publishes."""

    namespace: str
    name: str
    unit: str
    dimensions: tuple[tuple[str, ...], ...]

    @property
    def page(self) -> str:
        """The address of AWS's documentation of it."""
        return PAGES[self.namespace]

    def published(self, values: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """The sets of dimensions under which a measurement is counted, filled in with its values."""
        for names in self.dimensions:
            if all(name in values for name in names):
                yield {name: values[name] for name in names}


def _read() -> Iterator[Metric]:
    for line in TABLE.strip().splitlines():
        namespace, name, unit, rest = line.split(None, 3)
        sets = [words.split() for words in rest.split("|")]
        yield Metric(namespace, name, unit, tuple(() if words == ["-"] else tuple(words) for words in sets))


METRICS: Mapping[tuple[str, str], Metric] = {(metric.namespace, metric.name): metric for metric in _read()}
"""Namespace and name -> the metric."""
