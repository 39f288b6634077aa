"""What a run's result is made of: code, image, settings, parameters and inputs. Its record says so.

Two runs that are made of the same have the same result, where all that they read has versions. So a run that a pipeline
starts is left out where it would repeat the last published one (`TaskSettings.settings_digest` is set), and `herd why`
names what has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .checks import to_entry
from .documents import Version
from .statuses import SUCCEEDED_RUN
from .task import Param, TaskSettings

Inputs = Mapping[str, str]
"""Input -> its content (`content_of`); without those that have no version yet."""


@dataclass(frozen=True)
class MadeOf:
    """`image` is a reference with a digest, `code` the content hash of what it was built from, `settings` a digest."""

    image: str
    code: str
    settings: str
    params: Mapping[str, Param]
    inputs: Inputs

    @classmethod
    def by(cls, task: TaskSettings, inputs: Inputs) -> MadeOf:
        """Of a run with these settings, whose parameters are its own, that reads this."""
        return cls(task.image, task.content_hash, settings_of(task), dict(task.params), dict(inputs))

    @classmethod
    def recorded(cls, record: Mapping[str, Any] | None) -> MadeOf | None:
        """Of a run, by its record; None where it did not succeed or does not say it all, as before this was kept."""
        if record is None or record.get("status") != SUCCEEDED_RUN or not record.get("settings"):
            return None
        inputs = dict(record.get("contents") or {})
        return cls(record["image"], record["content_hash"], record["settings"], dict(record["params"]), inputs)


def contents(versions: Mapping[str, Version | None]) -> Inputs:
    """What a run reads, by input."""
    return {name: content_of(version) for name, version in versions.items() if version is not None}


def content_of(version: Version) -> str:
    """The same for versions with the same files, whichever run made them, as far as Herd knows what is in them.

    A file that a workload streamed to S3 by itself has no sum: then it is the run that counts.
    """
    known = all(file.sha256 for file in version.files)
    return version.digest if known else f"run {version.run_id}"


def settings_of(task: TaskSettings) -> str:
    """A digest of the settings that a result depends on besides the parameters; empty where it depends on more."""
    if not task.settings_digest:
        return ""
    settings = [
        task.settings_digest,
        list(task.command),
        [asdict(read) for read in task.reads],
        [to_entry(check) for check in task.checks],
        list(task.cache),
    ]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
