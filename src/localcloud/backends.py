"""The door to moto's models: one function per service. Hold the server's lock while you use what they give.

They load a service's part of moto at the first call, so that a cloud pays memory only for the services in use.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from moto.backends import get_backend
from moto.core.base_backend import BackendDict


def _of(service: str, account: str, region: str) -> Any:
    return get_backend(service)[account][region]


def ecs(account: str, region: str) -> Any:
    """`.clusters`, `.services` by "cluster:service", `.tasks` by cluster and ARN, `.run_task` …"""
    return _of("ecs", account, region)


def elbv2(account: str, region: str) -> Any:
    """`.load_balancers`, `.target_groups` by ARN, `.listeners` …"""
    return _of("elbv2", account, region)


def ec2(account: str, region: str) -> Any:
    """`.security_groups`, `.enis`, `.vpcs`, `.internet_gateways` … of moto's many mixed into one."""
    return _of("ec2", account, region)


def ec2_subnets(account: str, region: str) -> dict[str, Any]:
    """Subnets by their ids; moto keeps them by zone."""
    return {each.id: each for zone in ec2(account, region).subnets.values() for each in zone.values()}


def security_group_vpcs(account: str, region: str) -> dict[str, str]:
    """Security group -> its VPC."""
    return {each: vpc for vpc, groups in ec2(account, region).groups.items() if vpc for each in groups}


def iam(account: str) -> Any:
    """`.roles` by id, `.managed_policies` by ARN, `.instance_profiles` … IAM has no regions."""
    return _of("iam", account, "aws")


def application_autoscaling(account: str, region: str) -> Any:
    """`.targets` by dimension and resource."""
    return _of("applicationautoscaling", account, region)


def sns(account: str, region: str) -> Any:
    """`.topics` by ARN."""
    return _of("sns", account, region)


def kms(account: str, region: str) -> Any:
    """`.keys` by id, `.key_to_aliases` …"""
    return _of("kms", account, region)


def s3control(account: str) -> Any:
    """`.public_access_block` of the account."""
    return _of("s3control", account, "aws")


def acm(account: str, region: str) -> Any:
    """`.get_certificate` …"""
    return _of("acm", account, region)


def autoscaling(account: str, region: str) -> Any:
    """`.autoscaling_groups` by name."""
    return _of("autoscaling", account, region)


def cloudfront(account: str) -> Any:
    """`.distributions`, `.origin_access_controls` by id."""
    return _of("cloudfront", account, "aws")


def route53(account: str) -> Any:
    """`.zones` by id, each with `.rrsets`."""
    return _of("route53", account, "aws")


def ssl_policies() -> Any:
    """Names of what a listener may negotiate, as moto knows them."""
    from moto.elbv2.ssl_policies import SSL_POLICIES

    return SSL_POLICIES


def events(account: str, region: str) -> Any:
    """`.event_buses`, `.put_events` …"""
    return _of("events", account, region)


def logs(account: str, region: str) -> Any:
    """`.groups` by name, `.create_log_stream`, `.put_log_events` …"""
    return _of("logs", account, region)


def cloudwatch(account: str, region: str) -> Any:
    """`.metric_data`, `.alarms`, `.put_metric_data` …"""
    return _of("cloudwatch", account, region)


def function(account: str, region: str, name: str, qualifier: str = "") -> Any | None:
    """A Lambda function by name or ARN, in the version or by the alias that is named there or by `qualifier`."""
    from moto.awslambda.exceptions import LambdaClientError
    from moto.core.exceptions import ServiceException

    try:
        return _of("lambda", account, region).get_function(name, qualifier or None)
    except (LambdaClientError, ServiceException, KeyError, ValueError):
        return None


def functions(account: str) -> Iterator[Any]:
    """All versions of all Lambda functions. Their part of moto is not loaded where nobody has made one."""
    if "moto.awslambda.models" in sys.modules:
        for _, backend in regions("lambda", account):
            for group in list(backend._lambdas._functions.values()):
                yield from (each for each in (group["latest"], *group["versions"]) if each is not None)


def event_source_mappings(account: str) -> Iterator[Any]:
    """What Lambda polls: `.enabled`, `.event_source_arn`, `.function_arn`, `.batch_size` …"""
    if "moto.awslambda.models" in sys.modules:
        for _, backend in regions("lambda", account):
            yield from list(backend._event_source_mappings.values())


def scheduler(account: str, region: str) -> Any:
    """`.schedule_groups` by name, each with `.schedules` by name."""
    return _of("scheduler", account, region)


def secretsmanager(account: str, region: str) -> Any:
    """`.get_secret_value` …"""
    return _of("secretsmanager", account, region)


def ssm(account: str, region: str) -> Any:
    """`.get_parameters` …"""
    return _of("ssm", account, region)


def s3(account: str) -> Any:
    """`.buckets` by name: S3 has no regions here."""
    return _of("s3", account, "aws")


def s3_object(account: str, bucket: str, key: str, version: str = "") -> Any | None:
    """An object's version, the newest unless one is named; None where there is none or it is a delete marker."""
    return s3(account).get_object(bucket, key, version or None) if bucket in s3(account).buckets else None


def stepfunctions(account: str, region: str) -> Any:
    """The backend that executes; `get_backend("stepfunctions")` is one that only writes down (moto 5.2.5)."""
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    return stepfunctions_parser_backends[account][region]


def stepfunctions_regions(account: str) -> list[Any]:
    """The executing backends of all regions in use."""
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    return list(stepfunctions_parser_backends[account].values())


def regions(service: str, account: str) -> Iterator[tuple[str, Any]]:
    """The regions of an account that the service has been used in, with their backends."""
    yield from list(get_backend(service)[account].items())


def detach_interface(account: str, region: str, attachment: dict[str, Any]) -> None:
    """Delete the network interface that moto made for a task; nothing happens if somebody else already has."""
    ec2 = _of("ec2", account, region)
    for detail in attachment["details"]:
        if detail["name"] == "networkInterfaceId":
            ec2.enis.pop(detail["value"], None)


def forget(account: str) -> None:
    """Empty an account, as if nobody had ever used it."""
    for service in list(BackendDict._instances):
        dict.pop(service, account, None)
    buckets = get_backend("s3").bucket_accounts
    for name in [name for name, (_, owner) in buckets.items() if owner == account]:
        del buckets[name]


# --- single things, for whoever decides on permissions; None for what is not there ----------------------------------


def role(account: str, name: str) -> Any | None:
    """A role by its name: `.arn`, `.policies`, `.managed_policies`, `.permissions_boundary_arn`, `.tags` …"""
    return next((role for role in _of("iam", account, "aws").roles.values() if role.name == name), None)


def policy(account: str, arn: str) -> Any | None:
    """A managed policy, AWS's own included: `.versions`, `.default_version_id`."""
    from moto.iam.exceptions import NotFoundException

    try:
        return _of("iam", account, "aws").get_policy(arn)
    except NotFoundException:
        return None


def task_definition(account: str, region: str, reference: str) -> Any | None:
    """A task definition by ARN, family and revision, or family."""
    from moto.ecs.exceptions import TaskDefinitionNotFoundException

    try:
        return ecs(account, region).describe_task_definition(reference)
    except (TaskDefinitionNotFoundException, ValueError):
        return None


def secret(account: str, region: str, identifier: str) -> Any | None:
    """A secret by ARN, by ARN without its last six characters, or by name: `.arn`, `.policy`, `.kms_key_id`."""
    secrets = secretsmanager(account, region).secrets.values()
    wanted = identifier.partition(":secret:")[2] or identifier
    return next((s for s in secrets if wanted in (s.name, s.arn.partition(":secret:")[2])), None)


def database_instances(account: str) -> list[Any]:
    """RDS's, of all regions: `.db_instance_identifier`, `.engine`, `.status` … Does not load moto's part."""
    if "moto.rds.models" not in sys.modules:
        return []
    return [one for part in get_backend("rds")[account].values() for one in part.databases.values()]


def key(account: str, region: str, identifier: str) -> Any | None:
    """A KMS key by id, alias or ARN of either: `.arn`, `.policy`."""
    backend = _of("kms", account, region)
    name = identifier.rpartition(":")[2].removeprefix("key/")
    return next((k for k in backend.keys.values() if name == k.id or name in k.aliases), None)


def key_of_ciphertext(blob: bytes) -> str:
    """The id of the key that something was encrypted with; "" if it cannot be told."""
    import struct

    from moto.kms import utils

    try:
        return str(utils._deserialize_ciphertext_blob(blob).key_id)
    except (struct.error, ValueError):
        return ""


def queue(account: str, region: str, name: str) -> Any | None:
    """An SQS queue by name."""
    return _of("sqs", account, region).queues.get(name)


def topic(account: str, region: str, arn: str) -> Any | None:
    """An SNS topic by ARN."""
    return _of("sns", account, region).topics.get(arn)


def ses(account: str, region: str) -> Any:
    """`.email_identities` by name, of both versions of the API."""
    return _of("ses", account, region)


def repository(account: str, region: str, name: str) -> Any | None:
    """An ECR repository by name."""
    return _of("ecr", account, region).repositories.get(name)


def tags(account: str, region: str, arn: str) -> dict[str, str]:
    """The tags of a resource, as far as moto's tagging API or the resource itself knows them."""
    service, name = arn.split(":")[2], arn.rsplit("/", 1)[-1]
    if service == "iam":
        owner = role(account, name)
        pairs = owner.tags if owner is not None else []
    elif service == "secretsmanager":
        kept = secret(account, region, arn)
        pairs = (kept.tags if kept is not None else None) or []
    elif service == "ecr":  # moto's tagging API does not list them
        return dict(_of("ecr", account, region).tagger.get_tag_dict_for_resource(arn))
    else:
        arn = arn.partition(":log-stream:")[0]  # what is asked of a group names its streams
        listed = _of("resourcegroupstaggingapi", account, region)._get_resources_generator()
        return next(({str(key): str(value) for key, value in one.tags.items()} for one in listed if one.arn == arn), {})
    return {str(pair["Key"]): str(pair["Value"]) for pair in pairs}


def session(account: str, access_key: str) -> Any | None:
    """What AssumeRole gave out under an access key: `.arn`, `.secret_access_key`, `.session_token`, `.expiration`."""
    return next((one for one in _of("sts", account, "aws").assumed_roles if one.access_key_id == access_key), None)


def session_policy(account: str, arn: str) -> str:
    """The policy that the newest session of that ARN was given by AssumeRole; "" for none."""
    newest = (one for one in reversed(_of("sts", account, "aws").assumed_roles) if one.arn == arn)
    return str(next((one.policy for one in newest), None) or "")
