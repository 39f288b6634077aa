"""What an image was built from, kept with its hash, and why another one will be built: files, packages and base.

Small whatever a project holds, and nothing secret: names and hashes of files, names and versions of packages.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeGuard

from herd.infra.images.build_context import Tree
from herd.packages import difference, python_lock

DIGITS = 12
MOST_FILES = 2_000
"""Above it the files of a folder are one entry, the deepest folders first."""
RUNNER = "runner"
LOCKS = ("requirements.lock", "renv.lock")

_FROM = re.compile(r"(?im)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$")
_ARG = re.compile(r"(?m)^\s*ARG\s+(\w+)=(\S+)\s*$")


@dataclass(frozen=True)
class Contents:
    """`files`: path, or folder with `/` -> the first digits of a hash. `packages`: name -> version. `bases`: what the
    stages begin with.
    """

    files: Mapping[str, str]
    packages: Mapping[str, str] = field(default_factory=dict)
    bases: tuple[str, ...] = ()

    @classmethod
    def of(cls, tree: Tree) -> "Contents":
        """Of a build context."""
        hashes = {path: f"{file.mode:o} {file.digest}" for path, file in tree.items()}
        packages: dict[str, str] = {}
        for lock in LOCKS:
            if lock in tree:
                packages |= _packages(lock, tree[lock].content)
        dockerfile = tree["Dockerfile"].content.decode("utf-8", "replace") if "Dockerfile" in tree else ""
        return cls(_grouped(hashes), packages, tuple(_bases(dockerfile)))

    def as_json(self) -> dict[str, Any]:
        return {"files": dict(self.files), "packages": dict(self.packages), "bases": list(self.bases)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Contents | None":
        """None where the document was written by an earlier Herd, or by somebody else."""
        files, packages, bases = value.get("files"), value.get("packages"), value.get("bases")
        if not (_is_texts(files) and _is_texts(packages) and isinstance(bases, list)):
            return None
        if not files or not all(isinstance(base, str) for base in bases):
            return None
        return cls(files, packages, tuple(bases))


@dataclass(frozen=True)
class Difference:
    """One thing in which an image differs from another: `old` became `new`, "" for nothing.

    `part`: `base`; `package`; of files `code` (the workload's), `lib`, `runner`, `lock` or `image`. `name`: of the
    package, or the file below that part. `path`: where it lies in the checkout.
    """

    part: str
    name: str
    old: str = ""
    new: str = ""
    path: str = ""

    def __str__(self) -> str:
        if self.part == "base":
            return f"base {self.old} -> {self.new}" if self.old and self.new else f"base {self.name} {self.verb}"
        if self.part == "package":
            (line,) = difference.lines(*({self.name: one} if one else {} for one in (self.old, self.new)))
            return f"package {line}"
        return f"{self.path} {self.verb}"

    @property
    def verb(self) -> str:
        return "changed" if self.old and self.new else "is new" if self.new else "is gone"


def differences(before: Contents, after: Contents, folder: str, image: str) -> list[Difference]:
    """In what the second image differs from the first: base, packages, files.

    `folder`: of the workload. `image`: the name of its image folder.
    """
    differ = list(_bases_differ(before.bases, after.bases)) if before.bases != after.bases else []
    for name in sorted({*before.packages, *after.packages}, key=lambda name: (name.lower(), name)):
        old, new = before.packages.get(name), after.packages.get(name)
        if old != new:
            differ.append(Difference("package", name, old or "", new or ""))
    for path in sorted({*before.files, *after.files}):
        old, new = before.files.get(path), after.files.get(path)
        if old == new or (path in LOCKS and before.packages != after.packages):
            continue
        top, _, rest = path.partition("/")
        part = {"workload": "code", "lib": "lib", RUNNER: "runner"}.get(top, "lock" if path in LOCKS else "image")
        name = rest if part in ("code", "lib") else path
        differ.append(Difference(part, name, old or "", new or "", _shown(path, folder, image)))
    return differ


def reasons(before: Contents, after: Contents, folder: str, image: str) -> list[str]:
    """Why the second is another image than the first, in the words of the checkout."""
    return [str(one) for one in differences(before, after, folder, image)]


def _shown(path: str, folder: str, image: str) -> str:
    top, _, rest = path.partition("/")
    if top == "workload":
        return f"{folder}/{rest}"
    if top == RUNNER:
        return "Herd's runner, which comes with Herd,"
    if top == "lib":
        return path
    return "the lock of its packages" if path in LOCKS else f"images/{image}/{path}"


def _grouped(hashes: Mapping[str, str]) -> dict[str, str]:
    """The files, as few as MOST_FILES entries; the runner is one, since nobody edits it."""
    depth = max((path.count("/") + 1 for path in hashes), default=1)
    while True:
        groups: dict[str, list[str]] = {}
        for path, digest in sorted(hashes.items()):
            parts = PurePosixPath(path).parts
            kept = 1 if parts[0] == RUNNER else depth
            name = path if len(parts) <= kept else "/".join(parts[:kept]) + "/"
            groups.setdefault(name, []).append(f"{path}\0{digest}\n")
        if len(groups) <= MOST_FILES or depth <= 1:
            return {name: hashlib.sha256("".join(of).encode()).hexdigest()[:DIGITS] for name, of in groups.items()}
        depth -= 1


def _packages(lock: str, content: bytes) -> dict[str, str]:
    text = content.decode("utf-8", "replace")
    if lock != "renv.lock":
        return python_lock.versions(text)
    try:
        locked = json.loads(text)
        packages = locked.get("Packages", {})
        versions = {str(name): str(one["Version"]) for name, one in packages.items() if "Version" in one}
        return {"R": str(locked["R"]["Version"]), **versions}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _bases(dockerfile: str) -> Iterator[str]:
    arguments = dict(_ARG.findall(dockerfile.replace("\\\n", " ")))
    stages: set[str] = set()
    for base, name in _FROM.findall(dockerfile):
        image = re.sub(r"\$\{?(\w+)(?::-[^}]*)?\}?", lambda match: arguments.get(match[1], match[0]), base)
        if image.lower() not in stages:
            yield image
        if name:
            stages.add(name.lower())


def _bases_differ(before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[Difference]:
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    gone, come = [base for base in old if base not in new], [base for base in new if base not in old]
    if len(gone) == len(come):
        pairs = zip(gone, come, strict=True)
        yield from (Difference("base", _short(other), _short(one), _short(other)) for one, other in pairs)
        return
    yield from (Difference("base", _short(base), old=_short(base)) for base in gone)
    yield from (Difference("base", _short(base), new=_short(base)) for base in come)


def _short(line: str) -> str:
    return re.sub(r"@sha256:([0-9a-f]{12})[0-9a-f]+", r"@\1", line)


def _is_texts(value: Any) -> TypeGuard[dict[str, str]]:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
