"""What a small application keeps: a table, a parameter, a secret, an encrypted bucket under a key of its own."""

import os

import pulumi
import pulumi_aws as aws

changed = bool(os.environ.get("CHANGED"))
key = aws.kms.Key("key", description="data at rest", enable_key_rotation=True, deletion_window_in_days=7)
alias = aws.kms.Alias("key", name="alias/app-data", target_key_id=key.key_id)
table = aws.dynamodb.Table(
    "orders", hash_key="id", range_key="at", billing_mode="PAY_PER_REQUEST",
    attributes=[{"name": "id", "type": "S"}, {"name": "at", "type": "N"}, {"name": "who", "type": "S"}],
    global_secondary_indexes=[{"name": "by-who", "hash_key": "who", "projection_type": "ALL"}],
    ttl={"attribute_name": "until", "enabled": True}, point_in_time_recovery={"enabled": True},
    stream_enabled=changed, stream_view_type="NEW_IMAGE" if changed else None,
)  # fmt: skip
aws.ssm.Parameter("greeting", name="/app/greeting", type="String", value="bye" if changed else "hello")
secret = aws.secretsmanager.Secret("password", recovery_window_in_days=0, kms_key_id=key.arn)
version = aws.secretsmanager.SecretVersion(
    "password", secret_id=secret.id, secret_string=pulumi.Output.secret("other" if changed else "canary-in-a-secret")
)
bucket = aws.s3.Bucket("data", force_destroy=True)
aws.s3.BucketServerSideEncryptionConfiguration(
    "data", bucket=bucket.id,
    rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn}}],
)  # fmt: skip
aws.s3.BucketCorsConfiguration(
    "data", bucket=bucket.id, cors_rules=[{"allowed_methods": ["GET"], "allowed_origins": ["https://app.example"]}]
)
logs = aws.cloudwatch.LogGroup("app", retention_in_days=14)
aws.cloudwatch.LogMetricFilter(
    "errors", log_group_name=logs.name, pattern="?ERROR ?Error",
    metric_transformation={"name": "errors", "namespace": "App", "value": "1", "default_value": "0"},
)  # fmt: skip
pulumi.export("table", table.name)
pulumi.export("secret", secret.arn)
pulumi.export("password", version.secret_string)
pulumi.export("read_back", aws.secretsmanager.get_secret_version_output(secret_id=version.secret_id).secret_string)
