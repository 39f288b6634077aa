"""What a folder has that Herd can run: scripts and notebooks become jobs, a lock file becomes the image's packages.

Everything is copied; the folder stays as it is.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from herd.runner.contract.kinds import FOLDERS
from herd.runner.contract.names import WORKLOAD

NOT_LOOKED_INTO = ("node_modules", "venv", "env", "build", "dist", "site-packages", "tests", "test")
HERDS_OWN = ("infra", "images", *FOLDERS.values(), "apps", "lib", "wheels")
NO_SCRIPT = re.compile(r"(test_.*|.*_test|conftest|setup|noxfile|__init__|__main__)\.py")
LARGEST_DATA_BYTES = 10_000_000
MOST_DEPTH = 4

ELSEWHERE = {
    "uv.lock": "uv export --format requirements-txt --no-emit-project",
    "poetry.lock": "poetry export -f requirements.txt",
    "Pipfile.lock": "pipenv requirements --hash",
    "renv.lock": "",
    "environment.yml": "",
}
"""Lock files of other forms, and what writes them as hashed requirements."""


@dataclass
class Adopted:
    """`files`: what is written, by path from the project's root. `taken`, `left`: a line each, for the person."""

    files: dict[str, bytes] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def look(source: Path, reserved: frozenset[str]) -> Adopted:
    """What to take from a folder. `reserved`: names that workloads of the project have already."""
    result = Adopted()
    names = set(reserved)
    paths = list(_files(source, source, 0))
    programs = {path: code for path in paths if (code := _code(path, result, source)) is not None}
    modules = {path.stem: path for path in programs if path.suffix == ".py"}
    imported = {name for path, code in programs.items() for name in _imports(code) if modules.get(name, path) != path}
    for path, code in programs.items():
        if path.suffix == ".py" and path.stem in imported and "__main__" not in code:
            continue  # a module of other scripts, and taken with them
        name = _name(path.stem, names)
        names.add(name)
        result.files |= _job(name, path, code, source, modules)
        what = "its code cells" if path.suffix == ".ipynb" else "as it is"
        more = len([file for file in result.files if file.startswith(f"jobs/{name}/")]) - 2
        also = f", with {more} file{'s' if more > 1 else ''} that it names" if more else ""
        result.taken.append(f"{path.relative_to(source)} -> jobs/{name}/ ({what}{also}); runs by hand: herd run {name}")
    _locks(paths, source, result)
    for path in paths:
        if path.suffix.lower() in (".r", ".rmd", ".qmd"):
            result.left.append(f"{path.relative_to(source)}: needs an image with R or Quarto; make one below images/")
    return result


def _files(root: Path, folder: Path, depth: int) -> Iterator[Path]:
    """In order; no hidden or foreign folders, no links."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name.startswith("."):
            continue
        if path.is_dir():
            skipped = path.name in NOT_LOOKED_INTO or (folder == root and path.name in HERDS_OWN)
            if not skipped and depth < MOST_DEPTH and not (path / "pyvenv.cfg").exists():
                yield from _files(root, path, depth + 1)
        elif path.is_file():
            yield path


def _code(path: Path, result: Adopted, source: Path) -> str | None:
    """The Python of a script or a notebook; None if it is neither, with the reason where somebody would expect it."""
    where = path.relative_to(source)
    if path.suffix == ".py" and not NO_SCRIPT.fullmatch(path.name):
        if (path.parent / "__init__.py").exists():
            result.left.append(f"{where}: a module of the package {path.parent.name}; put the package below lib/")
            return None
        try:
            code = path.read_text()
            ast.parse(code)
        except (SyntaxError, ValueError) as error:
            result.left.append(f"{where}: is not Python that can be read ({type(error).__name__})")
            return None
        return code
    if path.suffix == ".ipynb":
        return _notebook(path, where, result)
    return None


def _notebook(path: Path, where: Path, result: Adopted) -> str | None:
    """The code cells of a notebook, one after the other; what only a notebook understands is a comment."""
    try:
        notebook = json.loads(path.read_text())
        language = notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python")
        cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, AttributeError):
        result.left.append(f"{where}: is no notebook that can be read")
        return None
    if language != "python":
        result.left.append(f"{where}: a notebook in {language}")
        return None
    code = f'"""The code cells of {path.name}."""\n'
    for cell in cells:
        magic = cell.lstrip().startswith("%%")
        lines = [f"# {line}" if magic or line.lstrip().startswith(("%", "!")) else line for line in cell.splitlines()]
        code += "\n" + "\n".join(lines).rstrip() + "\n"
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        result.left.append(f"{where}: its code cells are not one program in Python")
        return None
    return code


def _imports(code: str) -> set[str]:
    """The first names of what a program imports."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _job(name: str, path: Path, code: str, source: Path, modules: dict[str, Path]) -> dict[str, bytes]:
    """Its folder: the program, modules of the same folder that it imports, small files that it names."""
    folder = f"jobs/{name}"
    script = f"{path.stem}.py" if path.suffix == ".ipynb" else path.name
    command = json.dumps(["python", script])
    settings = f"# From {path.relative_to(source).as_posix()}. `herd explain {name}` shows every setting.\n"
    found = {f"{folder}/workload.toml": f"{settings}command = {command}\n".encode()}
    found[f"{folder}/{script}"] = code.encode() if path.suffix == ".ipynb" else path.read_bytes()
    todo, seen = _imports(code), {path.stem}
    while todo:
        module = todo.pop()
        other = modules.get(module)
        if module in seen or other is None or other.parent != path.parent:
            continue
        seen.add(module)
        found[f"{folder}/{other.name}"] = other.read_bytes()
        todo |= _imports(other.read_text())
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= _data(folder, node.value, path.parent, source)
    return found


def _data(folder: str, text: str, *places: Path) -> dict[str, bytes]:
    """The file that a text of a program names, at the same relative path, if it is there and small."""
    inside = PurePosixPath(text)
    if not text or len(text) > 200 or "\0" in text or inside.is_absolute() or ".." in inside.parts or not inside.suffix:
        return {}
    if inside.parts[0] in ("outputs", "inputs") or any(part.startswith(".") for part in inside.parts):
        return {}
    for place in places:
        path = place / inside
        if path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(place.resolve()):
            return {f"{folder}/{inside}": path.read_bytes()} if path.stat().st_size <= LARGEST_DATA_BYTES else {}
    return {}


def _name(stem: str, taken: set[str]) -> str:
    """A workload's name that is like the file's."""
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:26].strip("-")
    if not WORKLOAD.fullmatch(name):
        name = f"job-{name}".strip("-")
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    return unique


def _locks(paths: list[Path], source: Path, result: Adopted) -> None:
    """The first hashed requirements become the Python image's packages."""
    chosen: Path | None = None
    for path in paths:
        where = path.relative_to(source)
        if path.name in ELSEWHERE:
            how = (
                f"; `{ELSEWHERE[path.name]} > requirements.lock` writes what Herd reads" if ELSEWHERE[path.name] else ""
            )
            result.left.append(f"{where}: Herd reads requirements with hashes{how}")
        elif path.suffix in (".lock", ".txt") and path.name.startswith("requirements"):
            if not _is_hashed(path.read_text(errors="replace")):
                how = f"uv pip compile {where} --universal --generate-hashes -o images/python/requirements.lock"
                result.left.append(f"{where}: has packages without hashes; `{how}` locks them")
            elif chosen is not None:
                result.left.append(f"{where}: {chosen.relative_to(source)} was taken before it")
            else:
                chosen = path
    if chosen is None:
        return
    image = "images/python"
    result.files[f"{image}/requirements.lock"] = chosen.read_bytes()
    wanted = chosen.with_suffix(".in")
    names = re.findall(r"(?m)^([A-Za-z0-9][^\s;\\]*)", chosen.read_text())
    listed = "".join(f"{name}\n" for name in names)
    result.files[f"{image}/requirements.in"] = wanted.read_bytes() if wanted.is_file() else listed.encode()
    result.taken.append(f"{chosen.relative_to(source)} -> {image}/requirements.lock: what jobs may import")


def _is_hashed(text: str) -> bool:
    """Is every requirement one version with a hash?"""
    joined = re.sub(r"\\\n", " ", text)
    lines = [line.split(" #")[0].strip() for line in joined.splitlines()]
    wanted = [line for line in lines if line and not line.startswith(("#", "-"))]
    return bool(wanted) and all("==" in line and "--hash=sha256:" in line for line in wanted)
