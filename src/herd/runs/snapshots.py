"""Snapshots: named sets of published versions, one small document each in the data bucket.

A snapshot copies nothing: it names versions, and what is named is not marked for expiry while the snapshot is there,
neither by the next run (`herd.runner.publishing`) nor by `herd rollback`. It is written before marks are looked at, so
a run that publishes at the same moment either sees it or has its mark taken off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from herd.errors import HerdError, WrongInput, unknown
from herd.runner.contract import keys, names, tags
from herd.runner.contract.documents import Snapshot, Version
from herd.runs import runs
from herd.targets.target import Target


def check_name(text: str) -> str:
    """The name of a snapshot. Raises WrongInput."""
    if names.SNAPSHOT.fullmatch(text):
        return text
    raise WrongInput(f"{text!r} cannot be a snapshot's name; allowed: {names.SNAPSHOT_RULE}")


def take(target: Target, name: str, by: str, now: datetime | None = None) -> Snapshot:
    """Name the current version of every output. Raises WrongInput where the name is taken, HerdError where nothing is
    published.
    """
    check_name(name)
    current = current_versions(target)
    if not current:
        raise HerdError(f"{target.name} has published nothing yet, so there is nothing to name; `herd status` says why")
    snapshot = Snapshot(name, target.name, runs.utc(now or datetime.now(UTC)), by, current)
    if not _put(target, snapshot):
        raise WrongInput(
            f"there is a snapshot {name!r} already, and a snapshot does not change; choose another name, or remove "
            f"it first: {command(target, name)} --remove"
        )
    latest = current_versions(target)
    for workload, version in current.items():
        # Superseded since it was looked at: the run that did so has not seen the snapshot.
        if workload not in latest or latest[workload].run_id != version.run_id:
            mark(target, workload, version.run_id, tags.PUBLISHED)
    return snapshot


def current_versions(target: Target) -> dict[str, Version]:
    """The current version of each output. Raises HerdError for a manifest that is not ours."""
    target.client("s3")  # made before the threads: making clients is not thread-safe
    batch = sorted(target.exports.batch)
    texts = runs.in_parallel(lambda name: _text(target, keys.latest_key(name)), batch)
    versions = {}
    for name, text in zip(batch, texts, strict=True):
        if text is not None:
            try:
                versions[name] = Version.from_json(text)
            except ValueError as error:
                raise HerdError(f"{keys.latest_key(name)} cannot be read: {error}") from None
    return versions


def listed(target: Target) -> list[Snapshot]:
    """All snapshots, the newest last. Raises HerdError for one that cannot be read."""
    snapshots = [find(target, name) for name in _names(target)]
    return sorted(snapshots, key=lambda snapshot: (snapshot.at, snapshot.name))


def find(target: Target, name: str) -> Snapshot:
    """Raises WrongInput where there is none of that name, HerdError where it cannot be read."""
    text = _text(target, keys.snapshot_key(check_name(name)))
    if text is None:
        raise WrongInput(unknown(name, list(_names(target)), "snapshot"))
    try:
        return Snapshot.from_json(text)
    except ValueError as error:
        raise HerdError(f"{keys.snapshot_key(name)} cannot be read: {error}") from None


def gone(target: Target, snapshot: Snapshot) -> dict[str, int]:
    """Output -> how many files of its version are not there any more; only where any are."""

    def missing(item: tuple[str, Version]) -> int:
        _, version = item
        there = dict(_objects(target, target.exports.data_bucket, version.prefix))
        return sum(there.get(version.prefix + file.path) != file.bytes for file in version.files)

    target.client("s3")
    counts = zip(snapshot.outputs, runs.in_parallel(missing, snapshot.outputs.items()), strict=True)
    return {name: count for name, count in counts if count}


def remove(target: Target, name: str) -> Snapshot:
    """Forget it. Versions that are neither current nor in another snapshot expire as superseded ones do."""
    snapshot = find(target, name)
    target.client("s3").delete_object(Bucket=target.exports.data_bucket, Key=keys.snapshot_key(name))
    current = current_versions(target)
    for workload, version in snapshot.outputs.items():
        if workload not in current or current[workload].run_id != version.run_id:
            mark(target, workload, version.run_id, tags.SUPERSEDED)
    return snapshot


def command(target: Target, name: str) -> str:
    """What a person types about a snapshot."""
    return f"`herd snapshot {name} {' '.join(target.option)}`".rstrip("`")


def mark(target: Target, workload: str, run_id: str, tag: str) -> None:
    """Tag all files of a version, its pages too. What a snapshot names is not marked as superseded."""
    if tag == tags.SUPERSEDED and run_id in _named(target, workload):
        return
    exports, s3 = target.exports, target.client("s3")
    places = [(exports.data_bucket, keys.version_prefix(workload, run_id))]
    export: Any = exports.batch.get(workload)
    if export is not None and export.url and exports.reports_bucket:
        of = (keys.report_version_prefix, keys.kept_page_key)
        places += [(exports.reports_bucket, prefix(workload, run_id)) for prefix in of]
    objects = [(bucket, key) for bucket, prefix in places for key, _ in _objects(target, bucket, prefix)]
    set_ = {"TagSet": [{"Key": tag, "Value": "true"}]}
    runs.in_parallel(lambda place: s3.put_object_tagging(Bucket=place[0], Key=place[1], Tagging=set_), objects)


def _named(target: Target, workload: str) -> set[str]:
    """The runs of a workload that snapshots name."""
    snapshots = listed(target)
    return {snapshot.outputs[workload].run_id for snapshot in snapshots if workload in snapshot.outputs}


def _names(target: Target) -> Iterator[str]:
    prefix = f"{keys.SNAPSHOTS}/"
    for key, _ in _objects(target, target.exports.data_bucket, prefix):
        name = key.removeprefix(prefix).removesuffix(".json")
        if names.SNAPSHOT.fullmatch(name):
            yield name


def _put(target: Target, snapshot: Snapshot) -> bool:
    """False where there is one of that name."""
    from botocore.exceptions import ClientError

    try:
        target.client("s3").put_object(
            Bucket=target.exports.data_bucket,
            Key=keys.snapshot_key(snapshot.name),
            Body=snapshot.to_json(),
            ContentType="application/json",
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
            raise
        return False
    return True


def _objects(target: Target, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    for page in runs.listing(target, prefix, bucket):
        for entry in page.get("Contents", ()):
            yield entry["Key"], int(entry["Size"])


def _text(target: Target, key: str) -> bytes | None:
    s3 = target.client("s3")
    try:
        return bytes(s3.get_object(Bucket=target.exports.data_bucket, Key=key)["Body"].read())
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return None


def as_json(snapshot: Snapshot, missing: Mapping[str, int]) -> dict[str, Any]:
    """For scripts. `gone_files`: how many files of the version are not there any more."""
    return {
        "name": snapshot.name,
        "environment": snapshot.environment,
        "at": snapshot.at,
        "by": snapshot.by,
        "outputs": {
            name: {
                "run": version.run_id,
                "published": version.published,
                "sha256": version.digest,
                "files": len(version.files),
                "bytes": sum(file.bytes for file in version.files),
                "gone_files": missing.get(name, 0),
            }
            for name, version in sorted(snapshot.outputs.items())
        },
    }
