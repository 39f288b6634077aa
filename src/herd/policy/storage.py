"""Rules about what is kept: buckets, image repositories, secrets, topics, queues, file systems, keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from herd.policy.documents import actions, allowing, everybody, services, statements, tests
from herd.policy.model import UNKNOWN, Resource, Rules, Stack

BUCKET = "aws:s3/bucket:Bucket"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
REPOSITORY = "aws:ecr/repository:Repository"
TOPIC, QUEUE = "aws:sns/topic:Topic", "aws:sqs/queue:Queue"
SECRET, SECRET_VERSION = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretVersion:SecretVersion"
PARAMETER = "aws:ssm/parameter:Parameter"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
rules = Rules()

COMPANIONS = {
    BLOCK: "public access block (AWS S3.8)",
    BUCKET_POLICY: "policy that refuses plain HTTP (AWS S3.5)",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "ownership controls, so access lists count (AWS S3.12)",
    "aws:s3/bucketVersioning:BucketVersioning": "versioning (AWS S3.14)",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "encryption (AWS S3.17)",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "lifecycle rules (AWS S3.13)",
}


@rules.whole(
    "buckets-complete",
    BUCKET,
    says="A bucket has a public access block, a policy, versions, encryption, an owner and a lifecycle.",
    why="Each of them is a resource of its own in AWS, and one that is forgotten is not missed until it is needed.",
    control="S3.8",
)
def buckets_complete(resources: Sequence[Resource], stack: Stack) -> Iterator[tuple[Resource, str]]:
    for bucket in resources:
        if bucket.type != BUCKET:
            continue
        having = {r.type for r in resources if r.type in COMPANIONS and _of(r, bucket)}
        if missing := [called for type_, called in COMPANIONS.items() if type_ not in having]:
            yield bucket, f"has no {', no '.join(missing)}"


@rules.each(
    "buckets-not-public",
    BLOCK,
    BUCKET_POLICY,
    says="The world may at most read single objects of a bucket; access lists never open one.",
    why="Listing a bucket shows everything in it; writing to it lets strangers publish in your name.",
    control="S3.2",
)
def buckets_not_public(resource: Resource, stack: Stack) -> Iterator[str]:
    if resource.type == BLOCK:
        for key in ("blockPublicAcls", "ignorePublicAcls"):
            if resource.lacks(key, True):
                yield f"lets access lists make objects public; turn {key} on"
    else:
        for statement in _allowing(resource):
            allowed = set(actions(statement)) | ({"everything but some"} if "NotAction" in statement else set())
            if everybody(statement) and allowed - {"s3:GetObject"}:
                yield f"lets the world do {', '.join(sorted(allowed - {'s3:GetObject'}))}; allow s3:GetObject at most"


@rules.each(
    "buckets-tls-only",
    BUCKET_POLICY,
    says="A bucket refuses plain HTTP.",
    why="Signed requests over HTTP can be read, and replayed, by whoever is on the way.",
    control="S3.5",
)
def tls_only(policy: Resource, stack: Stack) -> Iterator[str]:
    text = policy.props.get("policy")
    if text is UNKNOWN or text is None:
        return
    refused = any(
        statement.get("Effect") == "Deny" and everybody(statement) and ("aws:securetransport", ["false"]) in keys
        for statement in statements(text)
        for keys in [[(key, [value.lower() for value in values]) for _, key, values in tests(statement)]]
    )
    if not refused:
        yield "does not refuse plain HTTP; deny s3:* where aws:SecureTransport is false"


@rules.each(
    "buckets-broken-uploads-end",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    says="Parts of uploads that were broken off are removed.",
    why="Nobody sees them in a listing, and they are paid for until the bucket goes.",
    link="https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpu-abort-incomplete-mpu-lifecycle-config.html",
)
def broken_uploads_end(lifecycle: Resource, stack: Stack) -> Iterator[str]:
    rules = lifecycle.props.get("rules")
    if rules is not UNKNOWN and not any(rule.get("abortIncompleteMultipartUpload") for rule in rules or []):
        yield "keeps the parts of broken uploads for ever; add abortIncompleteMultipartUpload"


@rules.each(
    "kept-as-the-profile-says",
    BUCKET,
    REPOSITORY,
    says="A protected environment keeps its data whatever happens; any other leaves nothing behind.",
    why="`forceDestroy` removes a bucket with all that is in it. Without it an environment cannot be removed at all.",
    link="https://docs.aws.amazon.com/AmazonS3/latest/userguide/delete-bucket.html",
)
def kept_as_the_profile_says(resource: Resource, stack: Stack) -> Iterator[str]:
    key = "forceDestroy" if resource.type == BUCKET else "forceDelete"
    protected = stack.on("protect")
    value = resource.props.get(key)
    if value is UNKNOWN:
        return
    if protected and value:
        yield f"would be removed with all that is in it although this environment is protected; turn {key} off"
    if not protected and not value:
        yield f"could not be removed while something is in it; turn {key} on"


@rules.each(
    "images-immutable",
    REPOSITORY,
    says="An image's tag always means the same bytes, and images are scanned when they arrive.",
    why="prod runs the bytes that dev ran only if nobody can move a tag in between.",
    control="ECR.2",
)
def images_immutable(repository: Resource, stack: Stack) -> Iterator[str]:
    if repository.lacks("imageTagMutability", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"):
        yield 'lets tags be moved; set imageTagMutability to "IMMUTABLE"'
    scanning = repository.props.get("imageScanningConfiguration") or {}
    if not scanning.get("scanOnPush"):
        yield "does not scan what arrives; set imageScanningConfiguration.scanOnPush (AWS ECR.1)"


@rules.whole(
    "images-expire",
    REPOSITORY,
    says="Old images go.",
    why="A gigabyte for each commit is kept and paid for otherwise.",
    control="ECR.3",
)
def images_expire(resources: Sequence[Resource], stack: Stack) -> Iterator[tuple[Resource, str]]:
    policies = [r for r in resources if r.type == "aws:ecr/lifecyclePolicy:LifecyclePolicy"]
    for repository in resources:
        if repository.type == REPOSITORY and not any(
            repository.urn in p.links.get("repository", ()) or p.props.get("repository") == repository.props.get("name")
            for p in policies
        ):
            yield repository, "keeps every image for ever; give it a LifecyclePolicy"


@rules.each(
    "messages-encrypted",
    TOPIC,
    QUEUE,
    says="Queues and topics are encrypted, and topics never with alias/aws/sns.",
    why="CloudWatch and EventBridge may not use that key, so an alarm that goes to such a topic is never heard.",
    control="SNS.1",
)
def messages_encrypted(resource: Resource, stack: Stack) -> Iterator[str]:
    key = resource.props.get("kmsMasterKeyId")
    if resource.type == TOPIC and isinstance(key, str) and key.endswith("alias/aws/sns"):
        yield "is encrypted with alias/aws/sns, which alarms may not use; take a key of your own or none"
    if resource.type == QUEUE and not resource.has("kmsMasterKeyId") and resource.lacks("sqsManagedSseEnabled", True):
        yield "is not encrypted; set sqsManagedSseEnabled or a key (AWS SQS.1)"
    for statement in _allowing(resource):
        if everybody(statement) and not list(tests(statement)):
            yield "lets everybody send to it; name who may, or demand a source"


@rules.each(
    "secrets-not-in-state",
    SECRET_VERSION,
    PARAMETER,
    says="The program handles no secret's value.",
    why="What the program sets is in Pulumi's state, its history and its backups, for as long as they are kept.",
    link="https://docs.aws.amazon.com/secretsmanager/latest/userguide/best-practices.html",
)
def secrets_not_in_state(resource: Resource, stack: Stack) -> Iterator[str]:
    if resource.type == SECRET_VERSION:
        yield "writes a secret's value from the program; use `herd secret set`"
    elif resource.lacks("type", "SecureString"):
        from herd.policy.tasks import SECRET_NAME

        if SECRET_NAME.search(str(resource.props.get("name", "")).replace("/", "_").replace("-", "_")):
            yield "keeps what its name calls a secret as plain text; use `herd secret set`"


@rules.each(
    "secrets-owned",
    SECRET,
    says="A secret says whose it is.",
    why="A secret without an owner is never changed and never removed.",
    control="SecretsManager.5",
)
def secrets_owned(secret: Resource, stack: Stack) -> Iterator[str]:
    tags = secret.props.get("tags") or {}
    if not (tags.get("herd:owner") or tags.get("herd:workload")):
        yield "has no owner; tag it with herd:owner or herd:workload"


@rules.each(
    "keys-rotate",
    "aws:kms/key:Key",
    says="Keys rotate.",
    why="What an old key protected stays readable for whoever got hold of it once.",
    control="KMS.4",
)
def keys_rotate(key: Resource, stack: Stack) -> Iterator[str]:
    if key.props.get("keyUsage", "ENCRYPT_DECRYPT") == "ENCRYPT_DECRYPT" and key.lacks("enableKeyRotation", True):
        yield "does not rotate; turn enableKeyRotation on"


@rules.each(
    "encrypted-with-own-key",
    LOG_GROUP,
    TOPIC,
    QUEUE,
    SECRET,
    REPOSITORY,
    says="Where encryption_key is set (in prod) everything that is kept is encrypted with it.",
    why="Who may read it is then decided in one place, and taking the key away takes everything away.",
    link="https://docs.aws.amazon.com/prescriptive-guidance/latest/encryption-best-practices/kms.html",
)
def encrypted_with_own_key(resource: Resource, stack: Stack) -> Iterator[str]:
    if stack.setting("encryption_key", dev="none", prod="create") == "none":
        return
    if resource.type == REPOSITORY:
        encrypted = all(
            c.get("encryptionType") == "KMS" for c in resource.props.get("encryptionConfigurations") or [{}]
        )
    else:
        encrypted = any(resource.has(key) for key in ("kmsKeyId", "kmsMasterKeyId"))
    # A topic of alarms alone has nothing to hide, and a key that refuses must not silence the alarm about that.
    if not encrypted and not (resource.type == TOPIC and _is_for_alarms(resource)):
        yield "is not encrypted with the environment's key"


def _is_for_alarms(topic: Resource) -> bool:
    """Whether CloudWatch is all that its policy lets publish."""
    statements = _allowing(topic)
    return bool(statements) and all(services(one) == ["cloudwatch.amazonaws.com"] for one in statements)


def _allowing(resource: Resource) -> list[dict[str, object]]:
    try:
        return list(allowing(resource.props.get("policy")))
    except ValueError:
        return []


def _of(companion: Resource, bucket: Resource) -> bool:
    if bucket.urn and bucket.urn in companion.links.get("bucket", ()):
        return True
    name = companion.props.get("bucket")
    return name is not None and name in (bucket.props.get("bucket"), bucket.props.get("id"))
