"""No module of the product needs itself by a detour.

Imports inside of functions, those for types alone and those by `importlib` count too: a circle that is hidden there
still means that neither module can be read, tested or moved without the other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"


def modules_of(package: Path) -> dict[str, Path]:
    """Each module's name with its file; a package is named without `__init__`."""
    names = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imported(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The known modules that one names in its import statements, wherever they stand."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            yield from loaded(name, node, known)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                module = f"{base}.{alias.name}"
                if module in known or base in known:
                    yield module if module in known else base


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def loaded(name: str, call: ast.Call, known: Mapping[str, Path]) -> Iterator[str]:
    """The known modules that a call of `importlib.import_module` may load: all that its text can stand for."""
    pattern = ""
    for part in call.args[0].values if isinstance(call.args[0], ast.JoinedStr) else call.args[:1]:
        if isinstance(part, ast.Constant):
            pattern += re.escape(str(part.value))
        else:
            own = isinstance(part, ast.FormattedValue) and getattr(part.value, "id", "") == "__name__"
            pattern += re.escape(name) if own else ".*"
    yield from (module for module in known if re.fullmatch(pattern, module))


def circles(needs: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that reach each other (Tarjan's strongly connected components), sorted."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for other in needs[name]:
            if other not in number:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], number[other])
        if lowest[name] == number[name]:
            at = stack.index(name)
            group, stack[at:] = stack[at:], []
            if len(group) > 1 or name in needs[name]:
                found.append(sorted(group))

    for name in sorted(needs):
        if name not in number:
            visit(name)
    return sorted(found)


def needs_of(package: Path) -> dict[str, set[str]]:
    known = modules_of(package)
    return {name: set(imported(name, path, known)) - {name} for name, path in known.items()}


def rooms_of(needs: Mapping[str, set[str]], top: str) -> dict[str, set[str]]:
    """The same by room: folders and modules right below `top`."""
    depth = top.count(".") + 2

    def room(module: str) -> str:
        return ".".join(module.split(".")[:depth])

    rooms: dict[str, set[str]] = {}
    for name, others in needs.items():
        if name.startswith(f"{top}."):
            inside = {room(other) for other in others if other.startswith(f"{top}.")}
            rooms.setdefault(room(name), set()).update(inside - {room(name)})
    return rooms


@cache
def needs_of_product(package: str) -> dict[str, set[str]]:
    return needs_of(SOURCE / package)


PACKAGES = ("herd", "localcloud")

TOPS = sorted(
    path.relative_to(SOURCE).parent.as_posix().replace("/", ".")
    for package in PACKAGES
    for path in (SOURCE / package).rglob("__init__.py")
    if any(path.parent.glob("*/*.py"))
)
"""Packages with rooms: those that have folders."""


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other(package: str) -> None:
    assert circles(needs_of_product(package)) == []


@pytest.mark.parametrize("top", TOPS)
def test_no_rooms_import_each_other(top: str) -> None:
    """import-linter (pyproject.toml) holds their order too, but looks at no import within a function."""
    rooms = rooms_of(needs_of_product(top.partition(".")[0]), top)
    assert len(rooms) > 3 and circles(rooms) == []


def test_rooms_are_looked_at_on_every_floor() -> None:
    assert {"herd", "herd.infra", "localcloud", "localcloud.patches", "localcloud.plugins"} <= set(TOPS)


CASES: dict[str, tuple[dict[str, str], list[list[str]]]] = {
    "one way": ({"a.py": "from p import b\n", "b.py": "import json\n"}, []),
    "at the top": ({"a.py": "from p import b\n", "b.py": "import p.a\n"}, [["p.a", "p.b"]]),
    "in a function": ({"a.py": "from p.b import x\n", "b.py": "def f():\n    from p.a import y\n"}, [["p.a", "p.b"]]),
    "for types": (
        {"a.py": "from . import b\n", "b.py": "if TYPE_CHECKING:\n    from .a import A\n"},
        [["p.a", "p.b"]],
    ),
    "by __getattr__": (
        {"__init__.py": "def __getattr__(name):\n    from p.a import A\n", "a.py": "from p import f\n"},
        [["p", "p.a"]],
    ),
    "by registration": (
        {
            "a.py": "import p.r\n",
            "r/__init__.py": "for name in NAMES:\n    importlib.import_module(f'{__name__}.{name}')\n",
            "r/b.py": "import p.a\n",
        },
        [["p.a", "p.r", "p.r.b"]],
    ),
    "by a module's name": (
        {"a.py": "from importlib import import_module\nimport_module('p.b')\n", "b.py": "from p.a import f\n"},
        [["p.a", "p.b"]],
    ),
    "by its own name, of another package": ({"a.py": "importlib.import_module('json')\n"}, []),
    "over three": (
        {"a.py": "from p.r import b\n", "r/__init__.py": "", "r/b.py": "from ..c import x\n", "c.py": "import p.a\n"},
        [["p.a", "p.c", "p.r.b"]],
    ),
}


def test_rooms_can_go_in_a_circle_where_no_modules_do() -> None:
    needs = {"p.a.x": {"p.b.x"}, "p.b.x": set[str](), "p.b.y": {"p.a.y"}, "p.a.y": set[str](), "p.c": {"p.a.x"}}
    assert circles(needs) == []
    assert circles(rooms_of(needs, "p")) == [["p.a", "p.b"]]


@pytest.mark.parametrize("name", CASES)
def test_a_circle_is_found_wherever_it_hides(name: str, tmp_path: Path) -> None:
    files, expected = CASES[name]
    for path, text in {"__init__.py": "", **files}.items():
        (tmp_path / "p" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / path).write_text(text, encoding="utf-8")
    assert circles(needs_of(tmp_path / "p")) == expected
