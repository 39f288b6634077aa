"""Whether a job depends on nothing but what has versions, so that a run that would repeat another can be left out."""

import hashlib
import json
from collections.abc import Collection, Iterator

from herd.infra.spec.models import JobSpec

UNVERSIONED_CHECKS = {
    "newest": "a check of age (newest) judges differently as time goes on",
    "changed": "a check that something has changed compares with the last version",
    "connection": "a check asks a database, which has no versions",
    "command": "a check of a command's may look at anything",
}
"""Kind of check -> why its verdict is not known from an earlier run."""


def obstacles(spec: JobSpec, datasets: Collection[str]) -> Iterator[str]:
    """Why a run cannot be said to repeat an earlier one."""
    if not spec.after:
        yield "it has no `after`: a run that is due by its own schedule always runs"
    if not spec.reads:
        yield "it has no `reads`, so what it works on is not known to Herd"
    if spec.name in {read.name for read in spec.reads}:
        yield "it reads its own last output, and so goes on from where it was"
    if others := sorted({read.name for read in spec.reads} & set(datasets)):
        yield f"it reads {', '.join(others)}: a dataset that others write has no versions"
    if spec.connects:
        yield f"it connects to {', '.join(spec.connects)}, which has no versions"
    if spec.secrets:
        yield "it has [secrets], and so reaches for what has no versions"
    if spec.publish:
        yield "it has `publish`, which changes something elsewhere"
    if spec.fan_out:
        yield "it has `fan_out`: each of its items is a task of its own"
    kinds = {check.kind for check in spec.checks}
    yield from (why for kind, why in UNVERSIONED_CHECKS.items() if kind in kinds)


def settings_digest(spec: JobSpec, datasets: Collection[str]) -> str:
    """Of settings that the result depends on and the task does not see as such; empty where every run is to run."""
    if spec.skip_unchanged is False or any(True for _ in obstacles(spec, datasets)):
        return ""
    return hashlib.sha256(json.dumps(dict(sorted(spec.env.items()))).encode()).hexdigest()[:16]
