"""What images were built from: `herd up` writes the commit beside the data, by the hash of an image's content.

The program knows no Git, so that the same files deploy the same thing. Published pages look the commit up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from herd import console
from herd.checkout import git
from herd.runner.contract.documents import COMMIT, BuiltFrom
from herd.runner.contract.keys import built_from_key
from herd.runs import runs
from herd.targets.target import Target

if TYPE_CHECKING:
    from herd.infra.spec.load import AnySpec, Specs

SETTINGS = "workload.toml"


def write(target: Target, specs: Specs) -> None:
    """Write down the commit of every image that is deployed, where that is not known yet.

    Without Git there is none. A failure is said and changes nothing: pages then name the content by its hash.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    deployed = target.exports.workloads
    hashes = {name: deployed[name].content_hash for name in specs.workloads if name in deployed}
    sources = of_contents(target.checkout.root, specs.workloads, hashes)
    if not sources:
        return
    s3 = target.client("s3")

    def one(content: str) -> str | None:
        source = sources[content]
        try:
            if _is_known(target, content, source):
                return None
            s3.put_object(
                Bucket=target.exports.data_bucket,
                Key=built_from_key(content),
                Body=source.to_json(),
                ContentType="application/json",
            )
        except (BotoCoreError, ClientError) as error:
            return str(error)
        return None

    problems = [problem for problem in runs.in_parallel(one, sources) if problem]
    if problems:
        console.note(f"the commit of {len(problems)} images could not be written down: {problems[0]}", style="yellow")


def _is_known(target: Target, content: str, source: BuiltFrom) -> bool:
    """Is there a commit already? The first one stays, unless its files differed and those of this one do not."""
    from botocore.exceptions import ClientError

    try:
        entry = runs.read_json(target, built_from_key(content))
    except ClientError as error:
        # Who may not list the bucket is refused what is not there.
        if error.response["Error"]["Code"] not in ("AccessDenied", "403"):
            raise
        return False
    return entry is not None and (source.changed or entry.get("changed") is False)


def of_contents(root: Path, specs: Mapping[str, AnySpec], hashes: Mapping[str, str | None]) -> dict[str, BuiltFrom]:
    """Content hash -> what it is built from; empty where `root` lies in no repository with a commit."""
    commit = (_git(root, "rev-parse", "HEAD") or "").strip()
    status = _git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".")
    prefix = _git(root, "rev-parse", "--show-prefix")
    if not COMMIT.fullmatch(commit) or status is None or prefix is None:
        return {}
    changed = [entry[3:].removeprefix(prefix.strip()) for entry in status.split("\0") if entry]
    return {
        content: BuiltFrom(commit, any(_is_part(path, specs[name]) for path in changed))
        for name, content in hashes.items()
        if content
    }


def _is_part(path: str, spec: AnySpec) -> bool:
    """Whether a file goes into the image of `spec`; its settings do not, they travel in the task definition."""
    folders = (spec.folder.as_posix(), f"images/{spec.image}", *(f"lib/{name}" for name in spec.uses))
    return path != f"{folders[0]}/{SETTINGS}" and any(path.startswith(f"{folder}/") for folder in folders)


def _git(root: Path, *arguments: str) -> str | None:
    """What Git prints, names of files as they are; None where there is no Git, no repository or no commit."""
    printed = git.output(root, *arguments)
    return printed.decode(errors="surrogateescape") if printed is not None else None
