"""Every key in the two buckets.

data bucket (private)
    <workload>/versions/<run id>/[<item>/]<path>    what runs wrote; only what latest.json names is published
    <workload>/latest.json                          Version: the current version and its manifest
    <workload>/baseline.json                        the accepted values that `max_drop` and `max_rise` compare with
    <workload>/history.json                         the values of the last published runs, for `trend`
    <workload>/rejected/<run id>/[<item>/]<path>    outputs that failed a check
    <workload>/cache/[items/<item>/]manifest.json   Cache: what `cache` keeps between runs
    <workload>/cache/[items/<item>/]objects/…       the files that the manifest names
    _runs/<workload>/<run id>[/<item>].json         the record of a run, or of one item of a fan-out
    _images/<content hash>.json                     BuiltFrom: the commit of an image, its files, packages
    _rollbacks/<workload>/<time>.json               Rollback: who made an earlier version current, and why
    _mail/<workload>/<run id>.json                  whether the report of that run was mailed, and to whom
    _due/<workload>/<scheduled time>.json           Marker: what came of a due time of a job, report or pipeline
    _watch/memory.json                              what the watch remembers
    _snapshots/<name>.json                          Snapshot: a named set of versions, which do not expire
reports bucket (public)
    <workload>/index.html, <workload>/<run id>/<path>
    <workload>/<run id>.page.html                   what the address showed while that run's version was current
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

INDEX: Final = "index.html"

LATEST: Final = "latest.json"
BASELINE: Final = "baseline.json"
HISTORY: Final = "history.json"
VERSIONS: Final = "versions"
REJECTED: Final = "rejected"
CACHE: Final = "cache"
RECORDS: Final = "_runs"
IMAGES: Final = "_images"
MAIL: Final = "_mail"
ROLLBACKS: Final = "_rollbacks"
DUE: Final = "_due"
WATCH: Final = "_watch"
SNAPSHOTS: Final = "_snapshots"

# S3 allows 1024 bytes of UTF-8 for a key: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
LONGEST_KEY = 1024


class BadPath(ValueError):
    """A file's path cannot become a key, or a key cannot become a file's path."""


def check_path(path: str) -> str:
    """Return `path` if it is a relative path with "/", safe as a key and below a folder; else raise BadPath.

    >>> check_path("tables/week=01.parquet")
    'tables/week=01.parquet'
    """
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise BadPath(f"{path!r}: the name is not UTF-8") from None
    if any(not character.isprintable() for character in path):
        raise BadPath(f"{path!r}: the name has characters that cannot be printed")
    if "\\" in path:
        raise BadPath(f"{path!r}: the name has a backslash")
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise BadPath(f"{path!r}: not a plain relative path")
    if length > LONGEST_KEY:
        raise BadPath(f"{path[:60]!r}…: the path is longer than S3's {LONGEST_KEY} bytes")
    return path


def check_segment(name: str) -> str:
    """Return `name` if it can be one part of a key (a run id, an item of a fan-out); else raise BadPath."""
    if "/" in name:
        raise BadPath(f"{name!r}: must not contain '/'")
    return check_path(name)


@dataclass(frozen=True)
class Keys:
    """The keys of one run of a workload; `item` is set in a task of a fan-out."""

    workload: str
    run_id: str
    item: str | None = None

    @property
    def version(self) -> str:
        """The run's folder: what latest.json names as its prefix."""
        return version_prefix(self.workload, self.run_id)

    @property
    def outputs(self) -> str:
        """The folder that this task writes: the run's, or its item's in it."""
        return self.version + self._item_folder

    @property
    def rejected(self) -> str:
        return rejected_prefix(self.workload, self.run_id) + self._item_folder

    @property
    def record(self) -> str:
        return record_key(self.workload, self.run_id, self.item)

    @property
    def _item_folder(self) -> str:
        return f"{self.item}/" if self.item is not None else ""


def version_prefix(workload: str, run_id: str) -> str:
    return f"{workload}/{VERSIONS}/{run_id}/"


def rejected_prefix(workload: str, run_id: str) -> str:
    return f"{workload}/{REJECTED}/{run_id}/"


def latest_key(workload: str) -> str:
    return f"{workload}/{LATEST}"


def baseline_key(workload: str) -> str:
    return f"{workload}/{BASELINE}"


def history_key(workload: str) -> str:
    return f"{workload}/{HISTORY}"


def cache_prefix(workload: str, item: str | None = None) -> str:
    """What `cache` keeps of a workload, or of one item of its fan-out.

    >>> cache_prefix("churn", "north")
    'churn/cache/items/north/'
    """
    return f"{workload}/{CACHE}/" if item is None else f"{workload}/{CACHE}/items/{check_segment(item)}/"


def cache_manifest_key(workload: str, item: str | None = None) -> str:
    return f"{cache_prefix(workload, item)}manifest.json"


def cache_objects_prefix(workload: str, item: str | None = None) -> str:
    return f"{cache_prefix(workload, item)}objects/"


def record_key(workload: str, run_id: str, item: str | None = None) -> str:
    """Of a run, or of one item of a fan-out.

    >>> record_key("churn", "20270131T060000-manual-4f2a")
    '_runs/churn/20270131T060000-manual-4f2a.json'
    """
    return f"{RECORDS}/{workload}/{run_id}/{item}.json" if item is not None else f"{RECORDS}/{workload}/{run_id}.json"


def due_prefix(workload: str) -> str:
    """The markers of a workload or pipeline; their names sort by time."""
    return f"{DUE}/{workload}/"


def due_key(workload: str, scheduled_time: str) -> str:
    """The marker of one due time, which is as Scheduler writes it.

    >>> due_key("churn", "2027-01-31T06:00:00Z")
    '_due/churn/2027-01-31T06:00:00Z.json'
    """
    return f"{due_prefix(workload)}{check_segment(scheduled_time)}.json"


def mail_key(workload: str, run_id: str) -> str:
    return f"{MAIL}/{workload}/{run_id}.json"


def rollback_key(workload: str, name: str) -> str:
    return f"{ROLLBACKS}/{workload}/{name}.json"


def built_from_key(content_hash: str) -> str:
    """What is known of the content of an image.

    >>> built_from_key("1f0c")
    '_images/1f0c.json'
    """
    return f"{IMAGES}/{check_segment(content_hash)}.json"


def snapshot_key(name: str) -> str:
    """A named set of published versions.

    >>> snapshot_key("before-the-merger")
    '_snapshots/before-the-merger.json'
    """
    return f"{SNAPSHOTS}/{check_segment(name)}.json"


WATCH_MEMORY: Final = f"{WATCH}/memory.json"


def report_page_key(workload: str, page: str = INDEX) -> str:
    """A page's lasting address in the reports bucket."""
    return f"{workload}/{page}"


def kept_page_key(workload: str, run_id: str) -> str:
    """The page of one version, beside the address: what that leads to by relative links it leads to as well."""
    return f"{workload}/{check_segment(run_id)}.page.html"


def report_version_prefix(workload: str, run_id: str) -> str:
    """What a version's pages load, in the reports bucket."""
    return f"{workload}/{run_id}/"


# Patterns for permissions, and for S3's listings: `*` stands for anything.

ALL_RECORDS: Final = f"{RECORDS}/*"
ALL_IMAGES: Final = f"{IMAGES}/*"
ALL_REPORT_PAGES: Final = f"*/{INDEX}"
"""The lasting addresses of reports, in their own bucket."""
ALL_DUE: Final = f"{DUE}/*"
ALL_SNAPSHOTS: Final = f"{SNAPSHOTS}/*"


def all_of(workload: str) -> str:
    """All of a workload in a bucket, but its records."""
    return f"{workload}/*"


def all_versions(workload: str) -> str:
    return f"{workload}/{VERSIONS}/*"


def all_rejected(workload: str) -> str:
    return f"{workload}/{REJECTED}/*"


def all_cached(workload: str) -> str:
    return f"{cache_prefix(workload)}*"


def all_records(workload: str) -> str:
    return f"{RECORDS}/{workload}/*"


def all_mail(workload: str) -> str:
    return f"{MAIL}/{workload}/*"


def all_due(workload: str) -> str:
    return f"{due_prefix(workload)}*"
