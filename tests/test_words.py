"""Names of values say what the value is, and a module has one name (docs/contributing.md, Glossary)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src"

NAMELESS = frozenset({"told", "found", "given"})
"""That a value was told, found or given says where it came from, never what it is: `identity`, `match`, `options`."""

ROOMS = sorted({path.relative_to(SOURCES).parent.as_posix() for path in SOURCES.rglob("*.py")})


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that a module gives or uses, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.keyword(arg=str(name)) | ast.alias(asname=str(name)) | ast.MatchAs(name=str(name)):
                yield node.lineno, name


def other_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Our own modules and functions that are imported under another name than theirs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or "").split(".")[0] in ("herd", "localcloud")
        ):
            for alias in node.names:
                if alias.asname not in (None, alias.name):
                    yield node.lineno, f"{alias.name} as {alias.asname}"


def of_room(room: str) -> Iterator[tuple[str, ast.AST]]:
    for path in sorted((SOURCES / room).glob("*.py")):
        yield path.relative_to(SOURCES).as_posix(), ast.parse(path.read_text())


@pytest.mark.parametrize("room", ROOMS)
def test_values_are_named_by_what_they_are(room: str) -> None:
    nameless = [
        f"{file}:{line}: {name}"
        for file, tree in of_room(room)
        for line, name in names(tree)
        if name.strip("_").lower() in NAMELESS
    ]
    assert not nameless


@pytest.mark.parametrize("room", ROOMS)
def test_a_module_has_one_name(room: str) -> None:
    aliases = [f"{file}:{line}: {alias}" for file, tree in of_room(room) for line, alias in other_names(tree)]
    assert not aliases


@pytest.mark.parametrize(
    "source, seen",
    [
        ("told = 1", ["told"]),
        ("def f(given): pass", ["given"]),
        ("lambda found: 0", ["found"]),
        ("f(found=1)", ["found"]),
        ("self._told = 1", ["_told"]),
        ("class Given: pass", ["Given"]),
        ("import x as found", ["found"]),
        ("match x:\n    case {'a': found}: pass", ["found"]),
        ("NOT_FOUND = 127", []),
        ("x.founder", []),
    ],
)
def test_nameless_values_are_seen(source: str, seen: list[str]) -> None:
    assert [name for _, name in names(ast.parse(source)) if name.strip("_").lower() in NAMELESS] == seen
