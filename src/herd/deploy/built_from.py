"""What images were built from: `herd up` writes it beside the data, by the hash of an image's content.

The commit, which published pages look up (the program knows no Git, so that the same files deploy the same thing), and
the files, packages and bases, by which a preview says why an image will be built again (herd.deploy.why).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from herd import console
from herd.checkout import git
from herd.infra.images.build_context import Stager, StagingError, content_hash
from herd.infra.images.contents import Contents
from herd.runner.contract.documents import COMMIT, SCHEMA, BuiltFrom
from herd.runner.contract.keys import built_from_key
from herd.runs import runs
from herd.targets.target import Target

if TYPE_CHECKING:
    from herd.infra.spec.load import AnySpec, Specs

SETTINGS = "workload.toml"


def write(target: Target, specs: Specs) -> None:
    """Write down what every deployed image was built from, where that is not known yet.

    Without Git there is no commit. A failure is said and changes nothing: pages then name the content by its hash.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    deployed = target.exports.workloads
    hashes = {name: deployed[name].content_hash for name in specs.workloads if name in deployed}
    of_hash = {content: specs.workloads[name] for name, content in hashes.items() if content}
    sources = of_contents(target.checkout.root, specs.workloads, hashes)
    stager = Stager(target.checkout.root, target.name)
    reading = Lock()

    def one(content: str) -> str | None:
        source = sources.get(content)
        try:
            entry = _read(target, content)
            with reading:
                document = completed(entry, source, lambda: _contents(stager, of_hash[content], content))
            if document == entry:
                return None
            target.client("s3").put_object(
                Bucket=target.exports.data_bucket,
                Key=built_from_key(content),
                Body=json.dumps(document, sort_keys=True).encode(),
                ContentType="application/json",
            )
        except (BotoCoreError, ClientError) as error:
            return str(error)
        return None

    problems = [problem for problem in runs.in_parallel(one, of_hash) if problem]
    if problems:
        console.note(f"what {len(problems)} images were built from could not be written: {problems[0]}", style="yellow")


def completed(
    entry: Mapping[str, Any] | None, source: BuiltFrom | None, contents: Callable[[], Contents | None]
) -> Mapping[str, Any] | None:
    """The document with what is known now; `entry` itself where that adds nothing.

    The first commit stays, unless its files differed and those of this one do not. Contents of a hash never change.
    """
    known = dict(entry or {})
    has_commit = isinstance(known.get("changed"), bool)
    if source is not None and (not has_commit or (known["changed"] and not source.changed)):
        known |= json.loads(source.to_json())
    if "files" not in known and (now := contents()) is not None:
        known |= {"schema": SCHEMA, **now.as_json()}
    return entry if known == (entry or {}) else known


def _contents(stager: Stager, spec: AnySpec, content: str) -> Contents | None:
    """None where the files are others meanwhile."""
    try:
        tree = stager.tree(spec)
    except StagingError:
        return None
    return Contents.of(tree) if content_hash(tree) == content else None


def _read(target: Target, content: str) -> dict[str, Any] | None:
    from botocore.exceptions import ClientError

    try:
        return runs.read_json(target, built_from_key(content))
    except ClientError as error:
        # Who may not list the bucket is refused what is not there.
        if error.response["Error"]["Code"] not in ("AccessDenied", "403"):
            raise
        return None


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
