"""`herd rollback`: makes an earlier version of a workload's output current again, its data and its page.

It is done with S3 alone, by the person's own credentials: what was published is still there, so no image need start and
no machine be free for readers to be rid of nonsense (docs/decisions/0029).

The order is a run's own (src/herd/runner/publishing.py). First the version stops to expire; then its page, kept since
it was published, is copied back to the address; then latest.json is the switch, written only if it is still what was
looked at; then the version that was current is marked for expiry. A run that publishes at the same moment wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from herd.errors import HerdError, WrongInput
from herd.runner.contract import keys, tags
from herd.runner.contract.documents import History, InputVersion, Rollback, Version, files_from, to_json
from herd.runner.contract.statuses import CHECK_FAILED_RUN, SUCCEEDED_RUN
from herd.runs import runs, snapshots
from herd.targets.target import Target

MOST_LISTED = 10
LONGEST_REASON = 500


@dataclass(frozen=True)
class Candidate:
    """An earlier version that can be made current. `checks`: one line for each, for people."""

    version: Version
    checks: tuple[str, ...]

    def __str__(self) -> str:
        seen = f": {'; '.join(self.checks)}" if self.checks else ""
        return f"{self.version.run_id}, published {self.version.published}{seen}"


@dataclass(frozen=True)
class Plan:
    """What is to be done. `etag`: of the latest.json that was looked at; `baseline`: the run whose values later runs
    are compared with, if that is one of those taken back.
    """

    target: Candidate
    current: Version
    etag: str
    taken_back: tuple[str, ...]
    baseline: str | None

    @property
    def workload(self) -> str:
        return self.current.workload


class _Unavailable(Exception):
    """Why a run's version cannot be made current, as the rest of a sentence that begins with the run."""


def reason(text: str) -> str:
    """Why somebody rolls back: one line. Raises WrongInput."""
    line = text.strip()
    if not line or not line.isprintable() or len(line) > LONGEST_REASON:
        raise WrongInput(
            f"--because: {text[:40]!r} cannot be a reason; it must be one line of 1 to {LONGEST_REASON} characters "
            "that can be printed"
        )
    return line


def plan(target: Target, workload: str, run_id: str | None) -> Plan:
    """Look at what is there. `run_id` None: the version before the current one.

    Raises WrongInput for a run that is unknown, was not published, is current already or has expired, with those that
    can be had.
    """
    current, etag = latest(target, workload)
    if current is None or etag is None:
        raise WrongInput(f"{workload} has published nothing yet, so there is nothing to go back to")
    earlier = list(_published_runs(target, workload, current.run_id))
    if run_id is None:
        candidate = next(_candidates(target, workload, _before(earlier, current.run_id)), None)
        if candidate is None:
            raise WrongInput(f"{workload} has no version before the current one, run {current.run_id}")
    else:
        try:
            candidate = _candidate(target, workload, run_id, current)
        except _Unavailable as problem:
            others = [run for run in earlier if run not in (run_id, current.run_id)]
            raise WrongInput("\n".join([f"run {run_id} {problem}", *_listed(target, workload, others)])) from None
    taken_back = (
        tuple(earlier[: earlier.index(candidate.version.run_id)]) if candidate.version.run_id in earlier else ()
    )
    baseline = runs.read_json(target, keys.baseline_key(workload)) or {}
    known = str(baseline.get("run_id"))
    return Plan(candidate, current, etag, taken_back, known if known in (*taken_back, current.run_id) else None)


def carry_out(target: Target, plan: Plan, because: str, now: datetime | None = None) -> Rollback:
    """Make it current; what was written down about it. Raises HerdError if something else was published meanwhile."""
    moment = now or datetime.now(UTC)
    version, replaced = plan.target.version, plan.current.run_id
    rollback = Rollback(plan.workload, version.run_id, replaced, runs.utc(moment), runs.who(target), because)
    store = _Store(target, plan.workload)
    store.mark(version.run_id, tags.PUBLISHED)
    try:
        _whole(target, version)
    except _Unavailable as problem:
        store.mark(version.run_id, tags.SUPERSEDED)
        raise HerdError(f"run {version.run_id} {problem}; nothing was changed") from None
    record = keys.rollback_key(plan.workload, f"{moment:%Y%m%dT%H%M%S}-{version.run_id}")
    # Before the switch: what is current is never without its reason.
    store.put(record, rollback.to_json())
    store.show(version.run_id)
    current = Version(
        workload=version.workload,
        run_id=version.run_id,
        published=version.published,
        prefix=version.prefix,
        items=version.items,
        files=version.files,
        inputs=version.inputs,
        previous=replaced,
        rollback=rollback,
    )
    if not store.switch(current, plan.etag):
        faster = store.give_way(version.run_id)
        store.delete(record)
        raise HerdError(
            f"run {faster} of {plan.workload} was published at the same moment and is current; nothing was rolled "
            "back: look at it, and try again if it is no better"
        )
    # A run before the last may have marked it just before the switch.
    store.mark(version.run_id, tags.PUBLISHED)
    store.mark(replaced, tags.SUPERSEDED)
    _forget(target, store, plan)
    return rollback


def of_current(target: Target, workload: str) -> Rollback | None:
    """The rollback that made the current version current; None where a run did."""
    version, _ = latest(target, workload)
    return version.rollback if version is not None else None


def rolled_back(target: Target) -> dict[str, Rollback]:
    """Of every workload whose current version is one of a rollback. Few ever had one, so few are looked at."""
    prefix = f"{keys.ROLLBACKS}/"
    listed = runs.listing(target, prefix, Delimiter="/")
    names = [entry["Prefix"].removeprefix(prefix)[:-1] for page in listed for entry in page.get("CommonPrefixes", ())]
    batch = [name for name in names if name in target.exports.batch]
    current = zip(batch, runs.in_parallel(lambda name: of_current(target, name), batch), strict=True)
    return {name: rollback for name, rollback in current if rollback is not None}


# --- what is there --------------------------------------------------------------------------------------------------


def latest(target: Target, workload: str) -> tuple[Version | None, str | None]:
    """latest.json and its ETag. Raises HerdError if it is not ours."""
    s3 = target.client("s3")
    try:
        response = s3.get_object(Bucket=target.exports.data_bucket, Key=keys.latest_key(workload))
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return None, None
    try:
        return Version.from_json(response["Body"].read()), str(response["ETag"])
    except ValueError as error:
        raise HerdError(f"{keys.latest_key(workload)} cannot be read: {error}") from None


def _published_runs(target: Target, workload: str, current: str) -> Iterator[str]:
    """Ids of the runs that still have files as versions, the last to end first.

    S3 dates objects to the second. Runs that share one are ordered by their records, which have milliseconds.
    """
    versions = keys.version_prefix(workload, "")[:-1]
    with_files = {current} | {
        entry["Prefix"].removeprefix(versions)[:-1]
        for page in runs.listing(target, versions, Delimiter="/")
        for entry in page.get("CommonPrefixes", ())
    }
    records = keys.record_key(workload, "").removesuffix(".json")

    def ended(run_id: str) -> str:
        return str((runs.read_record(target, workload, run_id) or {}).get("ended", ""))

    by_second: dict[datetime, list[str]] = {}
    for page in runs.listing(target, records, Delimiter="/"):
        for entry in page.get("Contents", ()):
            run_id = entry["Key"].removeprefix(records).removesuffix(".json")
            if run_id in with_files:
                by_second.setdefault(entry["LastModified"], []).append(run_id)
    for _, run_ids in sorted(by_second.items(), reverse=True):
        yield from run_ids if len(run_ids) == 1 else sorted(run_ids, key=ended, reverse=True)


def _before(runs_: Sequence[str], current: str) -> Sequence[str]:
    """Those that ended before the current one."""
    return runs_[runs_.index(current) + 1 :] if current in runs_ else runs_


def _candidates(target: Target, workload: str, run_ids: Iterable[str]) -> Iterator[Candidate]:
    for run_id in run_ids:
        try:
            yield _candidate(target, workload, run_id, None)
        except _Unavailable:
            continue


def _candidate(target: Target, workload: str, run_id: str, current: Version | None) -> Candidate:
    """The version of a run, from its record. Raises _Unavailable."""
    record = runs.read_record(target, workload, run_id)
    if record is None:
        raise _Unavailable(f"is none of {workload} that is known")
    status = record.get("status")
    if status == CHECK_FAILED_RUN:
        failed = [str(check["message"]) for check in record.get("checks") or () if not check.get("passed")]
        raise _Unavailable(f"was rejected and never published: {'; '.join(failed) or record.get('reason')}")
    if status != SUCCEEDED_RUN:
        raise _Unavailable(f"did not succeed ({status}) and was never published")
    if record.get("confirms"):
        raise _Unavailable(f"was not carried out, as it would have repeated run {record['confirms']}")
    if not record.get("files"):
        raise _Unavailable("wrote no files, so nothing of it was published")
    if current is not None and current.run_id == run_id:
        raise _Unavailable("is the current version already")
    checks = [check for check in record.get("checks") or () if check.get("message")]
    version = Version(
        workload=workload,
        run_id=run_id,
        published=str(record["ended"]),
        prefix=keys.version_prefix(workload, run_id),
        items=_items(target, workload, run_id),
        files=files_from(record["files"]),
        inputs=tuple(InputVersion(entry["name"], entry["run_id"]) for entry in record.get("inputs") or ()),
    )
    _whole(target, version)
    return Candidate(version, tuple(str(check["message"]) for check in checks))


def _items(target: Target, workload: str, run_id: str) -> tuple[str, ...] | None:
    """The items of a fan-out, each of which has a record of its own."""
    prefix = keys.record_key(workload, run_id, "").removesuffix(".json")
    items = [key.removeprefix(prefix).removesuffix(".json") for key, _ in _objects(target, _data(target), prefix)]
    return tuple(items) or None


def _whole(target: Target, version: Version) -> None:
    """Raises _Unavailable unless every file of it is there, and the page of a report."""
    there = dict(_objects(target, _data(target), version.prefix))
    gone = [file for file in version.files if there.get(version.prefix + file.path) != file.bytes]
    if gone:
        raise _Unavailable(
            f"has expired: {len(gone)} of its {len(version.files)} files are gone (superseded versions are kept for "
            "keep_versions_days)"
        )
    kept = keys.kept_page_key(version.workload, version.run_id)
    reports = _reports(target, version.workload)
    if reports is not None and kept not in dict(_objects(target, reports, kept)):
        raise _Unavailable("has no page any more, or was published by a release of Herd that kept none")


def _listed(target: Target, workload: str, run_ids: Iterable[str]) -> list[str]:
    """The lines that say what can be had."""
    lines = []
    for candidate in _candidates(target, workload, run_ids):
        lines.append(f"  {candidate}")
        if len(lines) == MOST_LISTED:
            break
    return ["these can be had:", *lines] if lines else ["no earlier version can be had"]


def _objects(target: Target, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    for page in runs.listing(target, prefix, bucket):
        for entry in page.get("Contents", ()):
            yield entry["Key"], int(entry["Size"])


def _data(target: Target) -> str:
    return target.exports.data_bucket


def _reports(target: Target, workload: str) -> str | None:
    """Where the pages of a report lie; None for a job, and where nothing is published."""
    return target.exports.reports_bucket if target.exports.workload(workload).url else None


# --- what is done ---------------------------------------------------------------------------------------------------


class _Store:
    """The two buckets, as far as one workload has something there."""

    def __init__(self, target: Target, workload: str) -> None:
        self._target, self._workload = target, workload
        self._s3: Any = target.client("s3")
        self._data, self._reports = _data(target), _reports(target, workload)

    def mark(self, run_id: str, tag: str) -> None:
        """Tag all files of a version, its pages too."""
        snapshots.mark(self._target, self._workload, run_id, tag)

    def put(self, key: str, body: bytes) -> None:
        self._s3.put_object(Bucket=self._data, Key=key, Body=body, ContentType="application/json")

    def delete(self, key: str) -> None:
        self._s3.delete_object(Bucket=self._data, Key=key)

    def show(self, run_id: str) -> None:
        """Put the page of a version where the address leads. Its tags stay with the copy that is kept."""
        if self._reports is None:
            return
        self._s3.copy_object(
            Bucket=self._reports,
            Key=keys.report_page_key(self._workload),
            CopySource={"Bucket": self._reports, "Key": keys.kept_page_key(self._workload, run_id)},
            MetadataDirective="COPY",
            TaggingDirective="REPLACE",
            Tagging="",
        )

    def switch(self, version: Version, etag: str) -> bool:
        """False if latest.json is not that of `etag` any more."""
        from botocore.exceptions import ClientError

        try:
            self._s3.put_object(
                Bucket=self._data,
                Key=keys.latest_key(self._workload),
                Body=version.to_json(),
                ContentType="application/json",
                CacheControl="no-cache",
                IfMatch=etag,
            )
        except ClientError as error:
            # 409: another write of the same key is going on (S3, "Conditional writes").
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                raise
            now, _ = latest(self._target, self._workload)
            # The answer to our own request may have been lost, and the request sent again.
            return now is not None and now == version
        return True

    def give_way(self, run_id: str) -> str:
        """Leave things as the run that was faster wants them; the id of what is current."""
        while True:
            before, _ = latest(self._target, self._workload)
            assert before is not None
            self.show(before.run_id)
            after, _ = latest(self._target, self._workload)
            if after is not None and after.run_id == before.run_id:
                break
        if before.run_id != run_id:
            self.mark(run_id, tags.SUPERSEDED)
        return before.run_id


def _forget(target: Target, store: _Store, plan: Plan) -> None:
    """Take what was taken back out of the history that `trend` looks back on: it must not become the usual level."""
    entries = runs.read_json(target, keys.history_key(plan.workload))
    if entries is None:
        return
    history = History.from_json(to_json(entries))
    store.put(keys.history_key(plan.workload), history.up_to(plan.target.version.run_id, plan.taken_back).to_json())
