"""The promises of an environment, each tested from outside: by AWS's API, as a visitor, or by a job's own code."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from herd.errors import HerdError, Interrupted
from herd.infra.naming import ENVIRONMENT_TAG
from herd.runner.contract.keys import latest_key
from herd.runs import outputs, runs
from herd.targets.target import Target

JOB, REPORT, API = "verify-job", "verify-report", "verify-api"

REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


class Broken(HerdError):
    """A promise is not kept; the text says what was observed instead."""


class NotTried(HerdError):
    """A promise cannot be tested from this machine, or the settings exclude it."""


@dataclass(frozen=True)
class Promise:
    """A promise as a sentence (`says`), and its test, which raises Broken or NotTried."""

    key: str
    says: str
    look: Callable[[Target, str], None]


@dataclass(frozen=True)
class Outcome:
    """The result of a test. `kept`: "yes", "no" or "not tried"; `why`: the reason, not yet redacted."""

    key: str
    says: str
    kept: str
    seconds: float
    why: str = ""


def attempt(key: str, says: str, look: Callable[[], None]) -> Outcome:
    """Run one test; an exception becomes its outcome, so that the next test runs. Only an interrupt goes through."""
    started = time.monotonic()
    kept, why = "yes", ""
    try:
        look()
    except NotTried as error:
        kept, why = "not tried", str(error)
    except Interrupted:
        raise
    except Exception as error:  # whatever a cloud answers is what is to be told
        kept, why = "no", str(error) or type(error).__name__
    return Outcome(key, says, kept, time.monotonic() - started, why)


def _ran(target: Target, word: str) -> None:
    for name, last in ((name, runs.last_runs(target).get(name)) for name in (JOB, REPORT)):
        if last is None:
            raise Broken(f"{name} has not run")
        if last.status != "succeeded":
            raise Broken(f"{name} {last.status}: {last.reason}")
        record = runs.read_record(target, name, last.id)
        if record is None or record.get("status") != "succeeded":
            raise Broken(f"{name} succeeded, and its record says {record and record.get('status')}")


def _published(target: Target, word: str) -> None:
    if (said := _read(target, "word.txt").decode()) != word:
        raise Broken(f"word.txt has {said!r}")


def _report(target: Target, word: str) -> None:
    url = target.exports.workloads[REPORT].url
    if not url:
        raise NotTried("reports = none: nothing is published at an address")
    _wait(target, f"the report's address to show what {JOB} published", lambda: _visit(url), (200, word))


def _answers(target: Target, word: str) -> None:
    url = target.exports.workloads[API].url
    if not url or not (target.reaches_internal or _is_public(target)):
        raise NotTried("its access is internal: it is reached from the environment's own network only")
    _wait(target, f"the API to answer with what {JOB} published", lambda: _visit(url), (200, word))


def _is_public(target: Target) -> bool:
    return 'access = "public"' in (target.checkout.root / "apis" / API / "workload.toml").read_text()


def _refused(target: Target, word: str) -> None:
    answers: dict[str, str] = json.loads(_read(target, "refusals.json"))
    allowed = {what: answer for what, answer in answers.items() if answer not in REFUSED}
    if allowed or not answers:
        raise Broken(
            "; ".join(f"{JOB} may {what} ({answer})" for what, answer in allowed.items()) or "nothing was tried"
        )


def _private(target: Target, word: str) -> None:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import ClientError

    known = target.client("s3").meta
    nobody = Config(signature_version=UNSIGNED, proxies=known.config.proxies, s3={"addressing_style": "path"})
    session: Any = boto3.Session()
    stranger = session.client(
        "s3",
        region_name=known.region_name,
        endpoint_url=known.endpoint_url,
        config=nobody,
    )
    bucket = target.exports.data_bucket
    attempts: dict[str, Callable[[], Any]] = {
        "read its data": lambda: stranger.get_object(Bucket=bucket, Key=latest_key(JOB)),
        "list its data": lambda: stranger.list_objects_v2(Bucket=bucket),
        "write into its data": lambda: stranger.put_object(Bucket=bucket, Key=latest_key(JOB), Body=b"{}"),
    }
    for what, ask in attempts.items():
        try:
            ask()
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status in (401, 403):
                continue
            raise Broken(f"who may {what} without a key was answered with {status}, not with a refusal") from None
        raise Broken(f"anybody may {what} without a key")


def _logged(target: Target, word: str) -> None:
    group = target.exports.workloads[JOB].log_group

    def lines() -> bool:
        pages = target.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return any(f"verify says {word}" in event["message"] for page in pages for event in page["events"])

    _wait(target, f"the line that {JOB} printed to be in its log", lines, True)


def _armed(target: Target, word: str) -> None:
    environment = f"{target.checkout.project}-{target.name}"
    pages = target.client("scheduler").get_paginator("list_schedules").paginate(NamePrefix=environment)
    schedules = [entry for page in pages for entry in page["Schedules"]]
    if not schedules:
        raise Broken("there is no schedule")
    for entry in schedules:
        schedule = target.client("scheduler").get_schedule(Name=entry["Name"], GroupName=entry["GroupName"])
        if schedule["State"] != "ENABLED":
            raise Broken(f"the schedule {schedule['Name']} is {schedule['State']}")
        if not schedule["Target"]["Arn"] or not schedule["Target"]["RoleArn"]:
            raise Broken(f"the schedule {schedule['Name']} starts nothing")


def _tagged(target: Target, word: str) -> None:
    machine = target.exports.batch[JOB].machine
    tags = {
        "the data bucket": target.client("s3").get_bucket_tagging(Bucket=target.exports.data_bucket)["TagSet"],
        "the job's machine": target.client("stepfunctions").list_tags_for_resource(resourceArn=machine)["tags"],
    }
    for what, listed in tags.items():
        values = {str(tag.get("Key", tag.get("key"))): tag.get("Value", tag.get("value")) for tag in listed}
        if values.get(ENVIRONMENT_TAG) != target.name:
            raise Broken(f"{what} has {ENVIRONMENT_TAG} = {values.get(ENVIRONMENT_TAG)}")


PROMISES = (
    Promise("ran", "the job and the report ran, and their records say so", _ran),
    Promise("published", "what the job wrote is published", _published),
    Promise("readable", "the report is readable at its address, by anybody who may", _report),
    Promise("answers", "the API answers, with what the job published", _answers),
    Promise("refused", "the job's role refuses what is not its own: data, baseline, secrets, roles", _refused),
    Promise("private", "nobody reads, lists or writes the data without a key", _private),
    Promise("logged", "what the job printed is in its log", _logged),
    Promise("armed", "its schedule is armed", _armed),
    Promise("tagged", "its resources say whose they are", _tagged),
)
"""In the order in which they are tested, after `deployed` and before `removed`."""


def _read(target: Target, file: str) -> bytes:
    version = outputs.find(target, JOB, None)
    answer = target.client("s3").get_object(Bucket=target.exports.data_bucket, Key=version.prefix + file)
    body: bytes = answer["Body"].read()
    return body


def _visit(url: str) -> tuple[int, str]:
    """GET without credentials; status and body. Names below `.localhost` go to this machine without a resolver."""
    parts = urlsplit(url)
    if (parts.hostname or "").endswith(".localhost"):
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=20)
        try:
            connection.request("GET", parts.path or "/", headers={"Host": parts.netloc})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


def _wait(target: Target, what: str, look: Callable[[], Any], wanted: Any) -> None:
    """Poll until `look` returns `wanted`, or (status, text) with the wanted status and a text that contains the word.

    Raises Broken after `pace.visible`.
    """
    deadline = time.monotonic() + target.pace.visible
    while True:
        try:
            seen = look()
        except (OSError, http.client.HTTPException) as error:
            seen = str(error)
        if seen == wanted or isinstance(seen, tuple) and seen[0] == wanted[0] and wanted[1] in seen[1]:
            return
        if time.monotonic() > deadline:
            last = f"{seen[0]} {seen[1][:300]}" if isinstance(seen, tuple) else str(seen)
            raise Broken(f"waited {target.pace.visible:.0f} s for {what}; last seen: {last}")
        time.sleep(target.pace.poll)
