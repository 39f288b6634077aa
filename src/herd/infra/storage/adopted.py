"""What an environment uses and does not make: looked up, and refused where it does not fit, before anything is made."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pulumi_aws.ec2.get_subnet import get_subnet
from pulumi_aws.ec2.get_vpc import get_vpc
from pulumi_aws.ecr.get_repository import get_repository
from pulumi_aws.resourcegroupstaggingapi.get_resources import get_resources
from pulumi_aws.s3.get_bucket import get_bucket

from herd.infra.context import Account
from herd.infra.naming import ENVIRONMENT_TAG, PROJECT_TAG, Naming
from herd.infra.offer import ZONES_WITHOUT_FARGATE
from herd.infra.settings.load import SettingsError
from herd.infra.settings.schema import Settings


@dataclass(frozen=True)
class Adopted:
    """`vpc_cidr`: the addresses of the network, the company's or the environment's own. `repositories`: image folder ->
    address of the repository that environments share; empty where the environment has its own.
    """

    vpc_cidr: str
    repositories: Mapping[str, str]

    @classmethod
    def look_up(cls, settings: Settings, account: Account, images: Iterable[str]) -> "Adopted":
        """Asks AWS about everything that the settings adopt, and whose the environment's own names are; raises
        SettingsError with all that does not fit.
        """
        problems: list[str] = []
        vpc_cidr = _vpc(settings, problems)
        repositories = _repositories(settings, images, problems)
        problems += _bucket_problems(settings)
        if not problems:
            problems += _owner_problems(settings, account)
        if problems:
            where = f"Pulumi.{settings.environment}.yaml: herd"
            raise SettingsError("\n".join(f"{where}:{problem}" for problem in problems))
        return cls(vpc_cidr, repositories)


def _vpc(settings: Settings, problems: list[str]) -> str:
    if not settings.vpc:
        return settings.vpc_cidr
    try:
        cidr = get_vpc(id=settings.vpc).cidr_block
    except Exception as error:  # an invoke raises Exception itself, with the provider's words
        problems.append(f"vpc = {settings.vpc} cannot be looked up: {_reason(error)}")
        return settings.vpc_cidr
    for key, subnets in (("private_subnets", settings.private_subnets), ("public_subnets", settings.public_subnets)):
        problems += _subnet_problems(key, subnets, settings.vpc)
    return cidr


def _subnet_problems(key: str, subnets: Sequence[str], vpc: str) -> Iterator[str]:
    zones: dict[str, str] = {}
    for id_ in subnets:
        try:
            subnet = get_subnet(id=id_)
        except Exception as error:
            yield f"{key}: {id_} cannot be looked up: {_reason(error)}"
            continue
        if key == "private_subnets" and subnet.availability_zone_id in ZONES_WITHOUT_FARGATE:
            zone = f"{subnet.availability_zone} ({subnet.availability_zone_id})"
            yield f"{key}: {id_} lies in {zone}, where Fargate starts no task; take one in another zone"
        if subnet.vpc_id != vpc:
            yield f"{key}: {id_} lies in {subnet.vpc_id}, not in {vpc}"
        elif subnet.availability_zone in zones:
            yield f"{key}: {id_} and {zones[subnet.availability_zone]} lie in one zone, {subnet.availability_zone}"
        zones[subnet.availability_zone] = id_


def _repositories(settings: Settings, images: Iterable[str], problems: list[str]) -> dict[str, str]:
    addresses = {}
    for image in sorted(set(images)) if settings.image_repositories else ():
        name = f"{settings.image_repositories}/{image}"
        try:
            addresses[image] = get_repository(name=name).repository_url
        except Exception as error:
            problems.append(f"image_repositories: {name}, for images/{image}, cannot be looked up: {_reason(error)}")
    return addresses


def _bucket_problems(settings: Settings) -> Iterator[str]:
    for key, name in (("data_bucket", settings.data_bucket), ("log_bucket", settings.log_bucket)):
        if not name:
            continue
        try:
            region = get_bucket(bucket=name).bucket_region
        except Exception as error:
            yield f"{key} = {name} cannot be looked up: {_reason(error)}"
            continue
        if region != settings.region:
            yield f"{key} = {name} lies in {region}; it must be in {settings.region}, as the environment"


def _owner_problems(settings: Settings, account: Account) -> Iterator[str]:
    """Tags say whose things are. A bucket for data has one owner, or two environments would write one over the other's
    results. And ECS and, in one region, S3 hand over what exists under a name that is asked for: a stranger's would be
    changed, and removed with the environment.
    """
    naming = Naming(settings.project, settings.environment)
    own = {
        account.arn("ecs", f"cluster/{naming.cluster}"): f"the cluster {naming.cluster}",
        **{
            account.bucket_arn(name): f"the bucket {name}"
            for purpose in ("data", "reports", "logs")
            for name in [naming.bucket(account.id, purpose)]
        },
    }
    data = account.bucket_arn(settings.data_bucket) if settings.data_bucket else None
    try:
        mappings = get_resources(resource_arn_lists=[*own, *([data] if data else [])]).resource_tag_mapping_lists
    except Exception as error:
        yield f"environment: the tags of what bears its name cannot be looked up: {_reason(error)}"
        return
    tags = {resource.resource_arn: resource.tags for resource in mappings}
    mine = naming.tags()
    if data and not mine.items() <= tags.get(data, {}).items():
        wanted = ", ".join(f"{key} = {value}" for key, value in mine.items())
        yield (
            f"data_bucket = {settings.data_bucket} {_owner(tags.get(data, {}))}; an environment's data needs a bucket "
            f"of its own, which says so by its tags: {wanted}"
        )
    for arn, what in own.items():
        if arn in tags and arn != data and not mine.items() <= tags[arn].items():
            yield f"environment: {what} exists already and {_owner(tags[arn])}; choose another name for the stack"


def _owner(tags: Mapping[str, str]) -> str:
    project, environment = tags.get(PROJECT_TAG), tags.get(ENVIRONMENT_TAG)
    if not (project and environment):
        return "belongs to no environment"
    return f"belongs to the environment {environment} of the project {project}"


def _reason(error: Exception) -> str:
    """The provider's words on one line, without Pulumi's wrapping."""
    return " ".join(str(error).split())
