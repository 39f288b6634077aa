"""A secret of each kind is put to use and then looked for, everywhere and in every usual encoding.

It may lie only in the files that exist for it (`herd.checkout.private_files.PURPOSES`, and the person's own `~/.aws`),
and these are closed to others.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from harness.processes import variables_of, words_of
from herd.checkout.find import Checkout
from herd.checkout.private_files import PURPOSES, exposed
from tests.faults.hostile import (
    DATA_BUCKET,
    PERSONS_KEY,
    PERSONS_SECRET,
    PERSONS_TOKEN,
    Estate,
    eventually,
)
from tests.live.support import LOGINS

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-hostile")]

OF_A_SECRET = "canary-" + secrets.token_urlsafe(24)
OF_A_PARAMETER = "canary-" + secrets.token_urlsafe(24)
OF_THE_SETTINGS = "canary-" + secrets.token_urlsafe(24)
OF_A_REFUSED_CALL = "canary-" + secrets.token_urlsafe(24)
OF_HERD = "canary-" + secrets.token_urlsafe(24)
OF_A_CONNECTION = "canary-" + secrets.token_urlsafe(24)
FAMILY = "herd-dev-canary"

LARGEST = 64 * 2**20


class Watcher(threading.Thread):
    """Collects the command lines of all processes, again and again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            for process in psutil.process_iter():
                self.seen.add("\0".join(words_of(process)))


@pytest.fixture(scope="module")
def used(estate: Estate) -> Iterator[dict[str, str]]:
    """All secrets, by kind, after each was put to use; and what was printed meanwhile as "printed …"."""
    sandbox = estate.sandbox
    watcher = Watcher()
    watcher.start()
    printed: dict[str, str] = {}

    def keep(name: str, done: object) -> None:
        printed[f"printed by {name}"] = f"{getattr(done, 'stdout', '')}\n{getattr(done, 'stderr', '')}"

    run_with_secrets(estate)
    variables = {**sandbox.herd_env(), "CANARY": OF_THE_SETTINGS}
    set_it = 'printf %s "$CANARY" | pulumi config set --secret team:canary'
    for name, value in (("api-key", OF_HERD), ("warehouse-login", json.dumps({"password": OF_A_CONNECTION}))):
        words = f'printf %s "$CANARY" | .venv/bin/python -m herd secret set {name}'
        keep(f"secret set {name}", sandbox.run("sh", "-c", words, env={"CANARY": value}))
    stack = sandbox.folder / "Pulumi.dev.yaml"
    warehouse = "  herd:connections:\n    warehouse: {driver: postgresql, host: 10.0.0.1, secret: warehouse-login}\n"
    stack.write_text(stack.read_text().rstrip() + "\n" + warehouse)
    needs = 'retries = 0\nconnects = ["warehouse"]\n[secrets]\nAPI_KEY = "api-key"\n'
    sandbox.write("jobs/tick/workload.toml", needs)
    keep("config set", sandbox.run("sh", "-c", set_it, env=variables))
    keep("preview", sandbox.herd("preview"))
    keep("preview --json", sandbox.pulumi("preview", "--json", "--diff"))
    sandbox.write("jobs/tick/main.py", (sandbox.folder / "jobs/tick/main.py").read_text() + "# changed\n")
    keep("up", sandbox.herd("up", "--no-run"))
    keep("run", sandbox.herd("run", "tick"))
    keep("try", sandbox.herd("try", "tick"))
    for command in (
        "status",
        "status --json",
        "logs tick",
        "logs echo",
        "outputs tick",
        "doctor",
        "explain tick",
        "secret list",
    ):
        keep(command, sandbox.herd(*command.split(), check=False))
    keep("stack export", sandbox.pulumi("stack", "export"))
    keep("a wrong call", refused(estate))
    watcher.over.set()
    watcher.join()
    variables = estate.task_variables("echo")
    path = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"].partition(estate.api)[2]
    token = variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    task = json.loads(estate.ask(estate.api, path, Authorization=token).body)
    yield {
        "person's access key": PERSONS_KEY,
        "person's secret key": PERSONS_SECRET,
        "person's Pulumi token": PERSONS_TOKEN,
        "local cloud's secret key": estate.root.secret_key,
        "passphrase": (sandbox.folder / ".herd/pulumi/passphrase").read_text().strip(),
        "task's secret key": task["SecretAccessKey"],
        "task's session token": task["Token"],
        "container token": token,
        # `up` logged in by itself: what every login begins with stands for its.
        "registry password": LOGINS[0],
        "Secrets Manager value": OF_A_SECRET,
        "SSM SecureString": OF_A_PARAMETER,
        "secret setting": OF_THE_SETTINGS,
        "secret of a refused call": OF_A_REFUSED_CALL,
        "kept by herd secret": OF_HERD,
        "password of a connection": OF_A_CONNECTION,
        **printed,
        "printed by the process list": "\n".join(watcher.seen - {own_arguments()}),
    }
    estate.client("secretsmanager").delete_secret(SecretId="canary", ForceDeleteWithoutRecovery=True)
    estate.client("ssm").delete_parameter(Name="/canary")


def own_arguments() -> str:
    return "\0".join(psutil.Process().cmdline())


def refused(estate: Estate) -> object:
    """A call with a secret that the API refuses, so that it may be tempted to log it."""
    client = estate.client("secretsmanager")
    with pytest.raises(Exception, match=r"(?i)exists"):
        client.create_secret(Name="canary", SecretString=OF_A_REFUSED_CALL)
    return None


def run_with_secrets(estate: Estate) -> None:
    """A task that gets both secrets as variables, and ends well if they are right."""
    arn = estate.client("secretsmanager").create_secret(Name="canary", SecretString=OF_A_SECRET)["ARN"]
    estate.client("ssm").put_parameter(Name="/canary", Value=OF_A_PARAMETER, Type="SecureString")
    ecs = estate.client("ecs")
    model = ecs.describe_task_definition(taskDefinition="herd-dev-tick")["taskDefinition"]
    container = dict(model["containerDefinitions"][0])
    role = {"RoleName": model["executionRoleArn"].rpartition("/")[2], "PolicyName": "canary"}
    reading = ["secretsmanager:GetSecretValue", "ssm:GetParameters", "ssm:GetParameter"]
    statement = {"Effect": "Allow", "Action": reading, "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    estate.client("iam").put_role_policy(**role, PolicyDocument=json.dumps(document))
    wanted = hashlib.sha256(f"{OF_A_SECRET}{OF_A_PARAMETER}".encode()).hexdigest()
    program = (
        "import hashlib, os, sys; "
        "found = hashlib.sha256((os.environ['ONE'] + os.environ['TWO']).encode()).hexdigest(); "
        f"sys.exit(found != '{wanted}')"
    )
    container["entryPoint"], container["command"] = ["/opt/herd/venv/bin/python", "-c"], [program]
    container["secrets"] = [{"name": "ONE", "valueFrom": arn}, {"name": "TWO", "valueFrom": "/canary"}]
    kept = ("taskRoleArn", "executionRoleArn", "networkMode", "cpu", "memory", "requiresCompatibilities", "volumes")
    definition = ecs.register_task_definition(
        family=FAMILY,
        containerDefinitions=[container],
        **{name: model[name] for name in kept if name in model},
    )["taskDefinition"]["taskDefinitionArn"]
    subnet = estate.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    task = ecs.run_task(
        cluster="herd-dev",
        taskDefinition=definition,
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
    )["tasks"][0]["taskArn"]

    def ended() -> object:
        found = ecs.describe_tasks(cluster="herd-dev", tasks=[task])["tasks"][0]
        return found if found["lastStatus"] == "STOPPED" else None

    found = eventually("the task to end", ended)
    assert found["containers"][0]["exitCode"] == 0, found
    ecs.deregister_task_definition(taskDefinition=definition)
    estate.client("iam").delete_role_policy(**role)


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, as it stands in JSON and addresses, in hexadecimal, and in base64 wherever it begins."""
    raw = secret.encode()
    found = {raw, json.dumps(secret)[1:-1].encode(), quote(secret, safe="").encode(), raw.hex().encode()}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        start, end = (0, 2, 3)[shift], (-4 if (shift + len(raw)) % 3 else None)
        found |= {encoded[start:end], base64.urlsafe_b64encode(b"\0" * shift + raw)[start:end]}
    return found


SECRETS = (
    "person's access key",
    "person's secret key",
    "person's Pulumi token",
    "local cloud's secret key",
    "passphrase",
    "task's secret key",
    "task's session token",
    "container token",
    "registry password",
    "Secrets Manager value",
    "SSM SecureString",
    "secret setting",
    "secret of a refused call",
    "kept by herd secret",
    "password of a connection",
)


@pytest.fixture(scope="module")
def places(estate: Estate, used: dict[str, str]) -> dict[str, bytes]:
    """Everything that might hold a secret: files, objects, log events, printed texts, command lines."""
    found: dict[str, bytes] = {name: text.encode() for name, text in used.items() if name.startswith("printed ")}
    sandbox = estate.sandbox
    assert hasattr(sandbox, "temporary")
    for folder in (sandbox.folder, sandbox.home, sandbox.temporary):
        for path in walk(folder):
            with suppress(FileNotFoundError):  # a file may go while we look
                found[str(path)] = path.read_bytes()
    s3 = estate.client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        for item in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            name = f"s3://{bucket['Name']}/{item['Key']}"
            found[name] = s3.get_object(Bucket=bucket["Name"], Key=item["Key"])["Body"].read()
    logs = estate.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        found[f"logs of {group['logGroupName']}"] = "\n".join(event["message"] for event in events).encode()
    return found


def walk(folder: Path) -> Iterator[Path]:
    """Files below a folder; links are not followed (they lead to installed packages)."""
    for here, _, names in os.walk(folder):
        for name in names:
            path = Path(here) / name
            try:
                about = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(about.st_mode) and about.st_size < LARGEST:
                yield path


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_nowhere_in_clear(
    estate: Estate, used: dict[str, str], places: dict[str, bytes], kind: str
) -> None:
    allowed = [estate.sandbox.folder / ".herd" / name for name in PURPOSES] + [estate.sandbox.home / ".aws"]
    allowed += [estate.sandbox.folder / "tests"]  # a copy of this test names the person's keys
    wanted = spellings(used[kind])
    assert len(used[kind]) >= 16
    found = [
        place
        for place, content in places.items()
        if any(spelling in content for spelling in wanted)
        and not any(Path(place).is_relative_to(folder) for folder in allowed)
    ]
    assert found == []


def test_the_search_would_find_it(places: dict[str, bytes], used: dict[str, str], estate: Estate) -> None:
    """Each secret that has a file of its own is found there; texts, objects and logs were really looked at."""
    state = estate.sandbox.folder / ".herd"
    assert used["passphrase"].encode() in places[str(state / "pulumi/passphrase")]
    assert used["local cloud's secret key"].encode() in places[str(state / "cloud/aws/credentials")]
    assert b"nobody else may read this" in b"".join(v for k, v in places.items() if k.startswith(f"s3://{DATA_BUCKET}"))
    assert b"ticked" in places["logs of /herd-dev/tick"]
    assert b"localcloud\0serve" in places["printed by the process list"]
    assert str(state / "cloud/journal/requests") in places and str(state / "cloud/cloud.log") in places
    for shift in range(3):
        hidden = base64.b64encode(b"abc"[:shift] + b"Authorization " + used["passphrase"].encode() + b" and more")
        assert any(spelling in hidden for spelling in spellings(used["passphrase"]))


def test_nothing_with_a_secret_is_open_to_others(estate: Estate, used: dict[str, str]) -> None:
    assert list(exposed(Checkout(estate.sandbox.folder, Path("/nonexistent")))) == []
    assert hasattr(estate.sandbox, "temporary")
    for path in estate.sandbox.temporary.iterdir():
        if path.is_dir():
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_the_persons_keys_are_not_in_the_cloud_or_its_tasks(estate: Estate, used: dict[str, str]) -> None:
    for process in [psutil.Process(estate.pid), *psutil.Process(estate.pid).children(recursive=True)]:
        values = " ".join(variables_of(process).values())
        assert PERSONS_KEY not in values and PERSONS_SECRET not in values
