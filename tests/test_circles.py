"""No module of the product needs itself by a detour.

Imports inside of functions and those for types alone count too: a circle that is hidden there still means that neither
module can be read, tested or moved without the other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
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
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                module = f"{base}.{alias.name}"
                if module in known or base in known:
                    yield module if module in known else base


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


def rooms_of(needs: Mapping[str, set[str]], top: str, own: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """The same by room: folders and modules right below `top`; `own`: deeper folders that are rooms of their own."""
    depth = top.count(".") + 2

    def room(module: str) -> str:
        return next((name for name in own if f"{module}.".startswith(f"{name}.")), ".".join(module.split(".")[:depth]))

    rooms: dict[str, set[str]] = {}
    for name, others in needs.items():
        if name.startswith(f"{top}."):
            inside = {room(other) for other in others if other.startswith(f"{top}.")}
            rooms.setdefault(room(name), set()).update(inside - {room(name)})
    return rooms


@pytest.mark.parametrize("package", ["herd", "localcloud"])
def test_no_modules_import_each_other(package: str) -> None:
    assert circles(needs_of(SOURCE / package)) == []


@pytest.mark.parametrize(
    ("top", "own"),
    [
        ("herd", ()),
        # The rules of a workload's settings look at the machine that would be made: it is below them, jobs are above.
        ("herd.infra", ("herd.infra.workloads.states",)),
    ],
)
def test_no_rooms_import_each_other(top: str, own: tuple[str, ...]) -> None:
    """import-linter (pyproject.toml) holds their order too, but looks at no import within a function."""
    rooms = rooms_of(needs_of(SOURCE / "herd"), top, own)
    assert len(rooms) > 10 and circles(rooms) == []


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
    "over three": (
        {"a.py": "from p.r import b\n", "r/__init__.py": "", "r/b.py": "from ..c import x\n", "c.py": "import p.a\n"},
        [["p.a", "p.c", "p.r.b"]],
    ),
}


def test_rooms_can_go_in_a_circle_where_no_modules_do() -> None:
    needs = {"p.a.x": {"p.b.x"}, "p.b.x": set[str](), "p.b.y": {"p.a.y"}, "p.a.y": set[str](), "p.c": {"p.a.x"}}
    assert circles(needs) == []
    assert circles(rooms_of(needs, "p")) == [["p.a", "p.b"]]
    assert circles(rooms_of(needs, "p", own=("p.b.y",))) == []


@pytest.mark.parametrize("name", CASES)
def test_a_circle_is_found_wherever_it_hides(name: str, tmp_path: Path) -> None:
    files, expected = CASES[name]
    for path, text in {"__init__.py": "", **files}.items():
        (tmp_path / "p" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / path).write_text(text, encoding="utf-8")
    assert circles(needs_of(tmp_path / "p")) == expected
