"""The files of a new project, as this release writes them. Standard library only: an upgrade runs it from a wheel.

`python -m herd.checkout.project_files FOLDER '<values as JSON>'` writes them into an empty folder.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from herd import PACKAGE
from herd.version import VERSION

MARK = ".herd-project.json"
"""Says that a folder is a project of Herd's, which release wrote its files, and with which values."""

LOCK = "herd.lock"
WHEELS = "wheels"

TEMPLATES = PACKAGE / "checkout" / "project"
TEMPLATES_R = PACKAGE / "checkout" / "project_r"
"""What a project in R has instead of PYTHON's files."""
SHARED = (
    *("infra/__main__.py", "infra/hardware.py", "infra/images.py", "infra/outputs.py"),
    *("images/python/Dockerfile", "images/python/requirements.in", "images/python/requirements.lock"),
)
"""What this repository has itself. A wheel has it among the templates."""

PYTHON = (
    *("jobs/daily-numbers/main.py", "reports/overview/main.py", "tests/test_daily_numbers.py"),
    *(path for path in SHARED if path.startswith("images/")),
)
"""What a project in another language does without."""

FOR_A_PROJECT = {
    "workflows/deploy.yml": (
        "# main -> dev -> prod. Before",
        "# main -> dev. Another environment is another job. Before",
    ),
    "workflows/preview.yml": (
        "- run: .github/scripts/try-locally",
        "- run: make test\n      - run: .github/scripts/try-locally",
    ),
}
"""A workflow of this repository -> what is otherwise in a project's, which begins with dev alone and tests itself."""

LANGUAGES = {"python": "python", "r": "r"}
"""Language -> the folder of images/ for it."""

FOR_TESTS = ("iniconfig", "pluggy", "pytest")
"""Of requirements-dev.lock: what the project's own tests need besides Herd's packages."""


def files(values: Mapping[str, str], wheels: Path) -> dict[str, bytes]:
    """Each file of the project, by its path. `values`: name, owner, review_by; language where it is not Python,
    workflows where they are not the usual ones. `wheels`: the folder of both wheels."""
    language = values.get("language", "python")
    known = {**values, "release": VERSION, "image": LANGUAGES[language]}
    written = _templates(TEMPLATES, known)
    written |= {name: path.read_bytes() for name in SHARED if (path := shared(name)).exists()}
    if language == "r":
        written = {name: content for name, content in written.items() if name not in PYTHON}
        written |= _templates(TEMPLATES_R, known)
    if values.get("workflows") == "all":
        written |= workflows()
    written[LOCK] = lock(wheels).encode()
    written[MARK] = mark(values)
    return written


def image_files(language: str) -> dict[str, bytes]:
    """The image of a language, by path: for a project that begins with another one."""
    folder = f"images/{LANGUAGES[language]}/"
    if language == "r":
        return {name: content for name, content in _templates(TEMPLATES_R, {}).items() if name.startswith(folder)}
    return {name: shared(name).read_bytes() for name in SHARED if name.startswith(folder)}


def mode_of(content: bytes) -> int:
    """The permissions of a new file: what names its interpreter can be started."""
    return 0o755 if content.startswith(b"#!") else 0o644


def workflows() -> dict[str, bytes]:
    """This repository's workflows, their scripts and actions, for a project that has dev only."""
    folder = shared(".github")
    paths = sorted(path for room in ("actions", "scripts", "workflows") for path in (folder / room).rglob("*"))
    written = {}
    for path in paths:
        if path.is_file() and path.suffix != ".pyc":
            name, text = path.relative_to(folder).as_posix(), path.read_text("utf-8")
            text = text.replace("[dev, prod]", "[dev]")
            if name in FOR_A_PROJECT:
                text = text.replace(*FOR_A_PROJECT[name])
            if name == "workflows/deploy.yml":
                text = text[: text.index("\n  prod:\n")]
            written[f".github/{name}"] = text.encode()
    return written


def _templates(folder: Path, values: Mapping[str, str]) -> dict[str, bytes]:
    written = {}
    for path in sorted(folder.rglob("*.txt")):
        name = path.relative_to(folder).as_posix().removesuffix(".txt").replace("dot_", ".")
        text = path.read_text("utf-8")
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        written[name] = text.encode()
    return written


def mark(values: Mapping[str, str]) -> bytes:
    """The file that says what a project's files were made with."""
    return f"{json.dumps(dict(sorted({**values, 'release': VERSION}.items())))}\n".encode()


def shared(name: str) -> Path:
    """A file that this repository and every new project have: in the wheel, or in the checkout that this Herd is."""
    inside = TEMPLATES / name
    return inside if inside.exists() else PACKAGE.parents[1] / name


def lock(wheels: Path) -> str:
    """herd.lock: this release by the hashes of its wheels, what it needs, and what the project's tests need."""
    entries = dict(entries_of(shared("requirements.lock").read_text()))
    develop = dict(entries_of(shared("requirements-dev.lock").read_text()))
    entries |= {name: develop[name] for name in FOR_TESTS}
    for path in sorted(wheels.glob("*.whl")):
        name, version = path.name.split("-")[:2]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        name = name.replace("_", "-")
        entries[name] = f"{name}=={version} \\\n    --hash=sha256:{digest}\n"
    head = f"# Of `herd init` and `herd upgrade`; after changes of your own: pyproject.toml.\n--find-links {WHEELS}\n"
    return head + "".join(entries[name] for name in sorted(entries))


def entries_of(text: str) -> Iterator[tuple[str, str]]:
    """A lock file's packages: name and lines of each, all of one that has another version for other Pythons. Comments
    and options before the first one are left out."""
    entries: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if not line[0].isspace():
            name = line.split("==")[0].split("[")[0].strip() if "==" in line and not line.startswith(("#", "-")) else ""
        if name:
            entries[name] = entries.get(name, "") + line.rstrip("\r\n") + "\n"
    yield from entries.items()


def main(folder: str, values: str, wheels: str) -> None:
    for name, content in files(json.loads(values), Path(wheels)).items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
