"""What a folder has that Herd can run: scripts and notebooks become jobs, a lock file becomes the image's packages.

Everything is copied; the folder stays as it is.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import stat
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from herd.runner.contract.kinds import FOLDERS
from herd.runner.contract.names import WORKLOAD

NOT_LOOKED_INTO = ("node_modules", "venv", "env", "build", "dist", "site-packages", "tests", "test")
HERDS_OWN = ("infra", "images", *FOLDERS.values(), "apps", "lib", "wheels")
NO_SCRIPT = re.compile(r"(test_.*|.*_test|conftest|setup|noxfile|__init__|__main__)\.py")
LARGEST_DATA_BYTES = 10_000_000
LARGEST_PROGRAM_BYTES = 50_000_000
"""A notebook holds its figures."""

MOST_DEPTH = 4
SECRET = re.compile(
    r"(?i).*(secret|credential|password|token|service.?account|id_rsa|id_ed25519).*|.*\.(pem|key|p12|pfx)"
)
"""Files that are not copied into an image, where whoever may pull it reads them."""

OF_PYTHON, OF_CONDA = "Herd reads requirements with hashes", "conda's; Herd reads requirements with hashes"
ELSEWHERE = {
    "uv.lock": "Herd reads it beside its pyproject.toml: put both into images/python, in place of requirements.lock",
    "poetry.lock": f"{OF_PYTHON}; `poetry export -f requirements.txt > requirements.lock` writes them",
    "Pipfile.lock": f"{OF_PYTHON}; `pipenv requirements --hash > requirements.lock` writes them",
    "pdm.lock": f"{OF_PYTHON}; `pdm export -f requirements > requirements.lock` writes them",
    "pylock.toml": f"{OF_PYTHON}; `uv pip compile pylock.toml --generate-hashes > requirements.lock` writes them",
    "renv.lock": "packages of R; `herd init --language r` makes images/r/: put it there, then `herd image lock r`",
    **dict.fromkeys(
        ("environment.yml", "environment.yaml", "conda-lock.yml"), f"{OF_CONDA}; list its packages for pip"
    ),
}
"""Lock files of other forms, and what makes of them what Herd reads."""


@dataclass
class Adopted:
    """`files`: what is written, by path from the project's root. `taken`, `left`: a line each, for the person."""

    files: dict[str, bytes] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def look(source: Path, reserved: frozenset[str], before: frozenset[str] = frozenset()) -> Adopted:
    """What to take from a folder. `reserved`: names that workloads of the project have already; `before`: files that
    jobs were made of by an earlier look."""
    result = Adopted()
    names = set(reserved)
    paths = list(_files(source, source, 0, result))
    programs = {path: code for path in paths if (code := _code(path, result, source)) is not None}
    imported = {
        path.with_name(f"{name}.py") for path, code in programs.items() for name in _imports(code) - {path.stem}
    }
    for path, code in programs.items():
        if path in imported and b"__main__" not in code:
            continue  # a module of other scripts, and taken with them
        if _shown(path, source) in before:
            result.left.append(f"{_shown(path, source)}: a job was made of it before")
            continue
        name = _name(path.stem, names)
        names.add(name)
        result.files |= _job(name, path, programs, source, result)
        what = "its code cells" if path.suffix == ".ipynb" else "as it is"
        more = len([file for file in result.files if file.startswith(f"jobs/{name}/")]) - 2
        also = f", with {more} file{'s' if more > 1 else ''} that it names" if more else ""
        result.taken.append(f"{_shown(path, source)} -> jobs/{name}/ ({what}{also}); runs by hand: herd run {name}")
    _locks(paths, source, result)
    for path in paths:
        if path.suffix.lower() in (".r", ".rmd", ".qmd"):
            result.left.append(f"{_shown(path, source)}: needs an image with R or Quarto; make one below images/")
    return result


def one(path: Path, name: str) -> Adopted:
    """What a job is made of that runs this one script or notebook of Python: with what lies beside it that it needs."""
    result, source = Adopted(), path.parent
    code = _code(path, result, source)
    if code is None:
        result.left = result.left or [f"{path.name}: is no script and no notebook of Python"]
        return result
    beside = (other for other in sorted(source.glob("*.py")) if other != path and other.is_file())
    programs = {other: text for other in beside if (text := _code(other, Adopted(), source)) is not None}
    result.files = _job(name, path, {**programs, path: code}, source, result)
    return result


def came_from(settings: Path) -> str:
    """Of a workload.toml: which file an earlier look made the job of; empty for none."""
    try:
        first = settings.read_text(errors="replace").partition("\n")[0]
    except OSError:
        return ""
    match = re.fullmatch(r"# From (.*)\. `herd explain .*", first)
    return match[1] if match else ""


def _shown(path: Path, source: Path) -> str:
    """Its name on one line, whatever its letters are."""
    name = path.relative_to(source).as_posix()
    return name if name.isprintable() else ascii(name)


def _files(root: Path, folder: Path, depth: int, result: Adopted) -> Iterator[Path]:
    """In order; no hidden or foreign folders, no links."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        result.left.append(f"{_shown(folder, root)}: cannot be read ({error.strerror})")
        return
    for path in paths:
        if path.name.startswith("."):
            continue
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            result.left.append(f"{_shown(path, root)}: cannot be read ({error.strerror})")
            continue
        if stat.S_ISDIR(mode):
            skipped = path.name in NOT_LOOKED_INTO or (folder == root and path.name in HERDS_OWN)
            if not skipped and depth < MOST_DEPTH and not os.access(path / "pyvenv.cfg", os.F_OK):
                yield from _files(root, path, depth + 1, result)
        elif stat.S_ISREG(mode):
            yield path


def _code(path: Path, result: Adopted, source: Path) -> bytes | None:
    """The Python of a script or a notebook; None if it is neither, with the reason where somebody would expect it."""
    if path.suffix not in (".py", ".ipynb") or NO_SCRIPT.fullmatch(path.name):
        return None
    try:
        if (path.parent / "__init__.py").exists():
            raise _Left(f"a module of the package {path.parent.name}; put the package below lib/")
        code = _read(path, LARGEST_PROGRAM_BYTES)
        if path.suffix == ".ipynb":
            code = _cells(path, code)
        elif _tree(code) is None:
            raise _Left("is not Python that can be read")
    except _Left as reason:
        result.left.append(f"{_shown(path, source)}: {reason}")
        return None
    return code


class _Left(Exception):
    """Why a file is not taken."""


def _read(path: Path, most_bytes: int) -> bytes:
    try:
        if path.stat().st_size > most_bytes:
            raise _Left(f"has more than {most_bytes // 1_000_000} MB")
        return path.read_bytes()
    except OSError as error:
        raise _Left(f"cannot be read ({error.strerror})") from None


def _tree(code: bytes) -> ast.AST | None:
    """Of a program in any encoding that it declares; None if it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how it is written
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _cells(path: Path, content: bytes) -> bytes:
    """The code cells of a notebook, one after the other; what only a notebook understands is a comment."""
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
        metadata = notebook.get("metadata", {})
        kernel, info = metadata.get("kernelspec", {}), metadata.get("language_info", {})
        language = kernel.get("language") or info.get("name") or "python"
        cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _Left("is no notebook that can be read") from None
    if str(language).lower() not in ("python", "ipython"):
        raise _Left(f"a notebook in {language}")
    lines = [f"# The code cells of {path.name if path.name.isprintable() else ascii(path.name)}."]
    for cell in cells:
        magic = cell.lstrip().startswith("%%")
        lines.append("")
        for line in cell.rstrip().split("\n"):
            lines.append(f"# {line}" if magic or line.lstrip().startswith(("%", "!")) else line)
    try:
        code = "".join(f"{line}\n" for line in lines).encode()
    except UnicodeEncodeError:
        raise _Left("has half a character in a code cell") from None
    if _tree(code) is None:
        raise _Left("its code cells are not one program in Python")
    return code


def _imports(code: bytes) -> set[str]:
    """The first names of what a program imports."""
    names = set()
    for node in nodes(code):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def nodes(code: bytes) -> Iterator[ast.AST]:
    """All of a program; nothing of what is none."""
    tree = _tree(code)
    return ast.walk(tree) if tree is not None else iter(())


def _job(name: str, path: Path, programs: Mapping[Path, bytes], source: Path, result: Adopted) -> dict[str, bytes]:
    """Its folder: the program, modules of the same folder that it imports, small files that it names."""
    folder = f"jobs/{name}"
    script = f"{path.stem}.py"
    if not (script.isprintable() and script.isascii()) or script.startswith("-"):
        script = f"{name}.py"
    # JSON's texts are TOML's too, if they are ASCII.
    settings = f"# From {_shown(path, source)}. `herd explain {name}` shows every setting.\n"
    settings += f"command = {json.dumps(['python', script])}\n"
    code = programs[path]
    files = {f"{folder}/workload.toml": settings.encode(), f"{folder}/{script}": code}
    todo, seen = _imports(code), {path.stem}
    while todo:
        module = todo.pop()
        other = path.with_name(f"{module}.py")
        if module in seen or other not in programs:
            continue
        seen.add(module)
        files[f"{folder}/{other.name}"] = programs[other]
        todo |= _imports(programs[other])
    for node in nodes(code):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for place in (path.parent, source):
                if (data := _data(node.value, place)) is not None:
                    _add_data(files, folder, node.value, data, result, source)
                    break
    return files


def _data(text: str, place: Path) -> Path | None:
    """The file that a text of a program names, if it is there."""
    inside = PurePosixPath(text)
    if not text or len(text) > 200 or "\0" in text or inside.is_absolute() or ".." in inside.parts or not inside.suffix:
        return None
    if inside.parts[0] in ("outputs", "inputs") or any(part.startswith(".") for part in inside.parts):
        return None
    path = place / inside
    try:
        is_ours = path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(place.resolve())
    except (OSError, RuntimeError, ValueError):  # too long a name, a circle of links, half a character
        return None
    return path if is_ours else None


def _add_data(files: dict[str, bytes], folder: str, text: str, path: Path, result: Adopted, source: Path) -> None:
    """At the same relative path; nothing that is there already, nor what looks like a secret."""
    name = f"{folder}/{PurePosixPath(text)}"
    if name in files:
        return
    try:
        if SECRET.fullmatch(path.name):
            raise _Left("looks like a secret, and an image is no place for one: herd secret set")
        if not name.isprintable():
            raise _Left("has a name that cannot be a file's of a job")
        files[name] = _read(path, LARGEST_DATA_BYTES)
    except _Left as reason:
        line = f"{_shown(path, source)}: {reason}"
        if line not in result.left:
            result.left.append(line)


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
    chosen: tuple[Path, str] | None = None
    for path in paths:
        try:
            if path.name in ELSEWHERE:
                raise _Left(ELSEWHERE[path.name])
            if path.suffix not in (".lock", ".txt") or not path.name.startswith("requirements"):
                continue
            text = _decoded(_read(path, LARGEST_PROGRAM_BYTES))
            if not _is_hashed(text):
                how = "uv pip compile {} --universal --generate-hashes -o images/python/requirements.lock"
                raise _Left(
                    f"has packages without hashes; `{how.format(shlex.quote(_shown(path, source)))}` locks them"
                )
            if chosen is not None:
                raise _Left(f"{_shown(chosen[0], source)} was taken before it")
            chosen = path, text
        except _Left as reason:
            result.left.append(f"{_shown(path, source)}: {reason}")
    if chosen is None:
        return
    path, text = chosen
    image = "images/python"
    result.files[f"{image}/requirements.lock"] = text.encode()
    wanted = path.with_suffix(".in")
    names = dict.fromkeys(re.findall(r"(?m)^([A-Za-z0-9][^\s;\\]*)", text))
    listed = "".join(f"{name}\n" for name in names)
    is_there = wanted.is_file() and not wanted.is_symlink()
    result.files[f"{image}/requirements.in"] = wanted.read_bytes() if is_there else listed.encode()
    result.taken.append(f"{_shown(path, source)} -> {image}/requirements.lock: what jobs may import")


def _decoded(content: bytes) -> str:
    """UTF-8, or UTF-16 as PowerShell writes it."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding).replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise _Left("is no text in UTF-8") from None


def _is_hashed(text: str) -> bool:
    """Is every requirement one version with a hash, and nothing taken from another file or folder?"""
    joined = re.sub(r"\\\n", " ", text)
    lines = [line.split(" #")[0].strip() for line in joined.splitlines()]
    options = [line for line in lines if re.match(r"(-[rce]|--(requirement|constraint|editable))\b", line)]
    wanted = [line for line in lines if line and not line.startswith(("#", "-"))]
    return bool(wanted) and not options and all("==" in line and "--hash=sha256:" in line for line in wanted)
