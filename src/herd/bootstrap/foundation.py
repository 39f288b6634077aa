"""The resources of the bootstrap project, in the order in which they are explained in docs/aws.md."""

import json
from typing import Any

import pulumi
from pulumi_aws.ecr.lifecycle_policy import LifecyclePolicy
from pulumi_aws.ecr.repository import Repository
from pulumi_aws.ecr.repository_policy import RepositoryPolicy
from pulumi_aws.get_caller_identity import get_caller_identity
from pulumi_aws.iam.open_id_connect_provider import OpenIdConnectProvider
from pulumi_aws.iam.policy import Policy
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy_attachment import RolePolicyAttachment
from pulumi_aws.kms.alias import Alias
from pulumi_aws.kms.key import Key
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_lifecycle_configuration import BucketLifecycleConfiguration
from pulumi_aws.s3.bucket_ownership_controls import BucketOwnershipControls
from pulumi_aws.s3.bucket_policy import BucketPolicy
from pulumi_aws.s3.bucket_public_access_block import BucketPublicAccessBlock
from pulumi_aws.s3.bucket_server_side_encryption_configuration import BucketServerSideEncryptionConfiguration
from pulumi_aws.s3.bucket_versioning import BucketVersioning

from herd.bootstrap import grants, permissions
from herd.bootstrap.scope import Scope
from herd.bootstrap.settings import Settings
from herd.infra.context import Account, Document
from herd.infra.images.image import CLEAN_UP
from herd.infra.naming import ENVIRONMENT_TAG, PROJECT_TAG
from herd.infra.permissions.workload import document
from herd.infra.storage.buckets import encryption_rule, lifecycle_rules, tls_only

GITHUB = "https://token.actions.githubusercontent.com"
KEEP_STATE_DAYS = 90
"""Earlier states of environments, to go back to when one was damaged."""

SESSION_SECONDS = {"preview": 60 * 60, "deploy": 2 * 60 * 60, "environments": 2 * 60 * 60, "run": 2 * 60 * 60}
"""Role (`run`: those that start runs) -> how long GitHub's jobs may stay who they are: as the longest of them takes."""

MAIN = "refs/heads/main"
CLAIMS = {
    "preview": ["pull_request", f"ref:{MAIN}"],
    "deploy": ["environment:dev", "environment:prod"],
    "environments": ["environment:pull-request", f"ref:{MAIN}"],
}
"""Which jobs of the workflows take on which role. A job with an environment says that instead of its branch."""

BRANCHES = {"deploy": MAIN, "run": MAIN}
"""Role -> the branch that its jobs must run on, whatever the environment's settings in GitHub let in."""


def look_up(settings: Settings) -> Account:
    """The account of the credentials. Raises pulumi.RunError where the settings name another one."""
    identity = get_caller_identity()
    if identity.account_id != settings.account:
        raise pulumi.RunError(
            f"bootstrap/Pulumi.main.yaml: account = {settings.account}, but the credentials are of the account "
            f"{identity.account_id}; nothing was changed"
        )
    return Account(settings.account, settings.region, identity.arn.split(":")[1])


class Foundation(pulumi.ComponentResource):
    """State and its key, a data bucket for each environment that is kept, repositories, boundary, and with a GitHub
    repository the roles of its jobs. All of it is protected: `pulumi destroy` refuses until that is off on purpose.
    """

    def __init__(self, settings: Settings, account: Account) -> None:
        super().__init__("herd:bootstrap:Foundation", "foundation")
        self.settings = settings
        self.scope = Scope(
            account,
            settings.project,
            settings.environments,
            settings.read_buckets,
            settings.iam_path,
            settings.adopted_buckets,
        )
        self._tags = {**settings.tags, PROJECT_TAG: settings.project}
        self._state()
        self.data_buckets = {name: self._data(name) for name in settings.environments}
        self.repositories = {image: self._repository(image) for image in settings.images}
        self.boundary = self._policy("boundary", permissions.boundary(self.scope))
        self.roles = self._roles() if settings.repository else {}
        if settings.repository:
            self._policy("pr-boundary", permissions.boundary(self.scope.of_pull_requests()))
        self.register_outputs({})

    def exports(self) -> dict[str, Any]:
        """What Pulumi.<stack>.yaml and the workflows' variables are filled with."""
        scope = self.scope
        return {
            "account": scope.account.id,
            "region": scope.account.region,
            "backend": f"s3://{scope.state_bucket}?region={scope.account.region}",
            "secrets_provider": f"awskms://{scope.state_key_alias}?region={scope.account.region}",
            "boundary": self.boundary.arn,
            "image_repositories": scope.project,
            "data_buckets": {name: bucket.bucket for name, bucket in self.data_buckets.items()},
            # A pull request's is none of these: `herd.checkout.pull_request` knows it by its name.
            "roles": {name: role.arn for name, role in self.roles.items()},
        }

    def _state(self) -> None:
        """What no environment could be repaired without: versions are kept, nobody but the two roles needs it."""
        self.key = Key(
            "state",
            description=f"secrets in the state of {self.settings.project}'s environments",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            tags=self._tags,
            opts=self._kept(),
        )
        Alias("state", name=self.scope.state_key_alias, target_key_id=self.key.id, opts=self._kept())
        self._bucket("state", self.scope.state_bucket, self._tags, earlier_versions(KEEP_STATE_DAYS), self.key.arn)

    def _data(self, environment: str) -> Bucket:
        """S3's own encryption: with a key of the environment its data could not outlive it."""
        tags = {**self._tags, ENVIRONMENT_TAG: environment}
        rules = lifecycle_rules(keep_days=400)
        return self._bucket(f"data-{environment}", self.scope.data_bucket(environment), tags, rules, None)

    def _bucket(
        self, name: str, physical: str, tags: dict[str, str], rules: list[Any], key_arn: pulumi.Input[str] | None
    ) -> Bucket:
        bucket = Bucket(name, bucket=physical, tags=tags, opts=self._kept())
        of = pulumi.ResourceOptions(parent=self)
        BucketOwnershipControls(name, bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}, opts=of)
        BucketServerSideEncryptionConfiguration(name, bucket=bucket.id, rules=[encryption_rule(key_arn)], opts=of)
        versioning = BucketVersioning(name, bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=of)
        BucketLifecycleConfiguration(
            name, bucket=bucket.id, rules=rules, opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning])
        )
        block = BucketPublicAccessBlock(
            name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=of,
        )
        policy = document(tls_only(self.scope.account.bucket_arn(physical)))
        BucketPolicy(
            name,
            bucket=bucket.id,
            policy=json.dumps(policy),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )
        return bucket

    def _repository(self, image: str) -> Repository:
        """Shared by all environments, so that prod runs the very bytes that dev ran."""
        repository = Repository(
            f"image-{image}",
            name=self.scope.repository(image),
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            tags=self._tags,
            opts=self._kept(),
        )
        LifecyclePolicy(
            f"image-{image}",
            repository=repository.name,
            policy=json.dumps(CLEAN_UP),
            opts=pulumi.ResourceOptions(parent=self),
        )
        RepositoryPolicy(
            f"image-{image}",
            repository=repository.name,
            policy=json.dumps(grants.no_pushes(self.scope)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return repository

    def _roles(self) -> dict[str, Role]:
        provider = self.settings.oidc_provider or self._github()
        scope = self.scope
        granted = {
            "preview": {
                "preview-state": grants.state_access(scope, write=False),
                "preview-look-ups": grants.look_ups(scope),
                "preview-reads": grants.reads(scope),
            },
            "deploy": {
                "deploy-state": grants.state_access(scope, write=True),
                "deploy-look-ups": grants.look_ups(scope),
                **grants.deployment(scope),
            },
            "environments": grants.pull_requests(scope),
        }
        roles = {name: self._role(name, provider, CLAIMS[name], documents) for name, documents in granted.items()}
        # Each environment's own, so that who may start prod's jobs is for prod's rules in GitHub to say.
        for environment in dict.fromkeys(("dev", *scope.environments)):
            name = f"run-{environment}"
            documents = {f"{name}-starts": grants.starts(scope, environment)}
            roles[name] = self._role(name, provider, [f"environment:{environment}"], documents)
        return roles

    def _github(self) -> pulumi.Input[str]:
        return OpenIdConnectProvider(
            "github", url=GITHUB, client_id_lists=["sts.amazonaws.com"], tags=self._tags, opts=self._kept()
        ).arn

    def _role(
        self, name: str, provider_arn: pulumi.Input[str], claims: list[str], documents: dict[str, Document]
    ) -> Role:
        settings, purpose = self.settings, name.partition("-")[0]
        trust = pulumi.Output.from_input(provider_arn).apply(
            lambda arn: json.dumps(
                permissions.github_trust(
                    arn,
                    settings.repository,
                    settings.repository_id,
                    settings.owner_id,
                    claims,
                    BRANCHES.get(purpose),
                )
            )
        )
        role = Role(
            name,
            name=self.scope.role_name(name),
            description=f"{name} of {settings.project}'s environments, by GitHub Actions of {settings.repository}",
            assume_role_policy=trust,
            max_session_duration=SESSION_SECONDS[purpose],
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        for key, permitted in documents.items():
            policy = self._policy(key, permitted)
            RolePolicyAttachment(key, role=role.name, policy_arn=policy.arn, opts=pulumi.ResourceOptions(parent=self))
        return role

    def _policy(self, name: str, permitted: Document) -> Policy:
        return Policy(
            name,
            name=f"{self.settings.project}-{name}",
            policy=json.dumps(permitted, separators=(",", ":")),
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _kept(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=True)


def earlier_versions(days: int) -> list[Any]:
    """Overwritten and deleted objects stay for a while."""
    return [
        {
            "id": "earlier-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": days},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        }
    ]
