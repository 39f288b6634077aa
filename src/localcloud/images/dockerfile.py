"""Dockerfiles as stages of instructions, with every problem named by its line.

The grammar (continuations, comments, flags, JSON and shell forms, quoting, `${NAME:-default}`) is BuildKit's own, from
e2b_dockerfile_utils. This module adds stages, build arguments and the refusal of what is not supported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from e2b_dockerfile_utils import DockerfileInstruction, DockerfileSyntaxError, ShellLex, parse_dockerfile_ast

MAX_BYTES = 1 << 20
"""A Dockerfile of more than 1 MiB is a mistake."""

_FLAGS = {
    "FROM": {"platform"},
    "COPY": {"from", "chown", "chmod", "link"},
    "ADD": {"chown", "chmod", "link"},
}
_UNCHECKED_FLAGS = ("RUN", "HEALTHCHECK")
_SINGLE_FLAGS = ("link",)

# Build arguments that every builder defines; empty ones may be used without a declaration.
_PLATFORM_ARGUMENTS = (
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
)


class ImageError(Exception):
    """An image cannot be built. The text holds every problem, one a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Unsupported(Exception):
    """What is wrong with the instruction at hand; whoever knows the instruction adds its line and text."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: its arguments are as written, `expand` resolves quotes and variables in them."""

    name: str
    text: str
    line: int
    args: tuple[str, ...]
    exec_form: bool
    flags: Mapping[str, str]

    def problem(self, message: str) -> str:
        """The line to show a person."""
        return f"Dockerfile line {self.line}: {shortened(self.text)}: {message}"


@dataclass(frozen=True)
class Stage:
    """What one FROM begins. `base` is an image's reference or the name of an earlier stage."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


@dataclass
class Scope:
    """The variables of a stage: ENV hides ARG. `unknown` collects names that neither defines: the base image may."""

    escape: str
    env: dict[str, str]
    args: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def expand(self, word: str) -> str:
        """A word with its quotes removed and its variables replaced."""
        try:
            return ShellLex(self.escape, env=_Recorded(self), skip_unset_env=False).process_word(word)
        except ValueError as error:
            raise Unsupported(str(error)) from error

    def get(self, name: str) -> str | None:
        """A variable's value, None where the Dockerfile gives it none."""
        return self.env.get(name, self.args.get(name))


class _Recorded(Mapping[str, str]):
    """A scope as the lexer wants it, noting what it asked for in vain."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __getitem__(self, name: str) -> str:
        value = self._scope.get(name)
        if value is None:
            self._scope.unknown.add(name)
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter({**self._scope.args, **self._scope.env})

    def __len__(self) -> int:
        return len({**self._scope.args, **self._scope.env})


@dataclass(frozen=True)
class Dockerfile:
    """The stages in order, and the build arguments that stand before the first of them."""

    stages: tuple[Stage, ...]
    escape: str
    arguments: Mapping[str, str]
    build_args: Mapping[str, str]

    def find(self, name: str, before: int | None = None) -> int | None:
        """The number of the last stage of that name (or number) before stage `before`; None if there is none."""
        end = len(self.stages) if before is None else before
        for number in range(end - 1, -1, -1):
            if self.stages[number].name == name.lower():
                return number
        return int(name) if name.isdecimal() and int(name) < end else None


def parse(text: str, build_args: Mapping[str, str] | None = None) -> Dockerfile:
    """Read a Dockerfile. Raises `ImageError` with all problems that its text alone shows."""
    arguments = dict(build_args or {})
    if len(text) > MAX_BYTES:
        raise ImageError([f"Dockerfile: longer than {MAX_BYTES} bytes"])
    try:
        ast = parse_dockerfile_ast(text)
    except DockerfileSyntaxError as error:
        where = f"Dockerfile line {error.line}" if error.line else "Dockerfile"
        raise ImageError([f"{where}: {str(error).split(': ', 1)[-1]}"]) from error
    problems: list[str] = []
    head = Scope(ast.escape_token, env={}, args=dict.fromkeys(_PLATFORM_ARGUMENTS, ""))
    drafts: list[tuple[str, str | None, list[Instruction]]] = []
    for parsed in ast.instructions:
        instruction = _instruction(parsed)
        try:
            _check(parsed, instruction)
            if instruction.name == "FROM":
                drafts.append((*_from(instruction, head), []))
            elif drafts:
                drafts[-1][2].append(instruction)
            elif instruction.name == "ARG":
                head.args.update(declared(instruction, head, arguments))
            else:
                raise Unsupported("only ARG may stand before the first FROM")
        except Unsupported as error:
            problems.append(instruction.problem(str(error)))
    if not drafts and not problems:
        problems.append("Dockerfile: has no FROM")
    if problems:
        raise ImageError(problems)
    stages = [Stage(name or str(number), base, tuple(body)) for number, (base, name, body) in enumerate(drafts)]
    return Dockerfile(tuple(stages), ast.escape_token, head.args, arguments)


def declared(instruction: Instruction, scope: Scope, arguments: Mapping[str, str]) -> dict[str, str]:
    """The build arguments that an ARG instruction gives a value: the one passed to the build, or its default."""
    values = {}
    for word in instruction.args:
        name, equals, default = word.partition("=")
        name = scope.expand(name)
        if name in arguments:
            values[name] = arguments[name]
        elif equals:
            values[name] = scope.expand(default)
    return values


def shortened(text: str, limit: int = 120) -> str:
    """An instruction's text on one line, of a length that a person reads."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _instruction(parsed: DockerfileInstruction) -> Instruction:
    args = tuple(parsed.args)
    if parsed.name in ("ENV", "LABEL"):  # the parser gives key, value and separator for each
        args = tuple(f"{key}={value}" for key, value in zip(args[::3], args[1::3], strict=True))
    flags = {}
    for flag in parsed.flags:
        name, _, value = flag.removeprefix("--").partition("=")
        flags[name] = value
    return Instruction(parsed.name, parsed.original, parsed.start_line, args, parsed.json, flags)


def _check(parsed: DockerfileInstruction, instruction: Instruction) -> None:
    name = instruction.name
    if name == "ONBUILD":
        raise Unsupported("ONBUILD is not supported")
    if parsed.heredocs:
        raise Unsupported("a heredoc (<<) is not supported; older builders do not know it either")
    if not instruction.args and not instruction.exec_form:
        raise Unsupported("has no arguments")
    if name == "SHELL" and not (instruction.exec_form and instruction.args):
        raise Unsupported('must be written as a JSON list, like SHELL ["/bin/sh", "-c"]')
    if name in ("CMD", "ENTRYPOINT") and instruction.args[0].lstrip().startswith("[") and not instruction.exec_form:
        raise Unsupported("looks like a JSON list but is not one (JSON strings stand in double quotes)")
    if name in _UNCHECKED_FLAGS:
        return
    for flag, value in instruction.flags.items():
        if flag not in _FLAGS.get(name, ()):
            raise Unsupported(f"--{flag} is not supported")
        if not value and flag not in _SINGLE_FLAGS:
            raise Unsupported(f"--{flag} has no value")


def _from(instruction: Instruction, head: Scope) -> tuple[str, str | None]:
    """The base and the name that a FROM instruction gives."""
    args = instruction.args
    if len(args) not in (1, 3) or (len(args) == 3 and args[1].upper() != "AS"):
        raise Unsupported("must be FROM image or FROM image AS name")
    base = head.expand(args[0])
    if not base:
        raise Unsupported("names no image: an argument in it has no value")
    return base, args[2].lower() if len(args) == 3 else None
