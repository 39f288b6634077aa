"""What R prints when a package cannot be installed -> one message: which library, which package, what to add where.

A build prints thousands of lines, and the one that says why stands far above the last one. The earliest cause counts:
packages that fail because another one is missing follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .system_names import HEADERS, LIBRARIES, MODULES, PROGRAMS, R_HEADERS

LAST_LINES = 8
LONGEST_LINE = 300
LONGEST_SEARCHED = 2_000
"""Of a line; a compiler's command may be longer, what it says of its failure is not."""

_Q = "[‘’'\"`“”]"
_P = rf"{_Q}?([A-Za-z][A-Za-z0-9.]+){_Q}?"

_STARTS = re.compile(
    rf"\* installing \*(?:source|binary)\* package {_P}|"
    rf"- (?:Installing|Downloading|Building) {_P} |Error installing package {_P}|"
    rf"Installing package {_P}"
)
_FAILS = re.compile(
    rf"ERROR: (?:compilation|configuration|lazy loading|loading) failed for package {_P}|Error installing package {_P}|"
    rf"package {_P} cannot be loaded:"
)


@dataclass(frozen=True)
class Cause:
    """`package`: which could not be installed, "" if the log does not say. `what`: what is wrong; `todo`: what to do.

    `library`: Debian's package that is missing. `line`: its place in the log.
    """

    package: str
    what: str
    todo: str
    library: str = ""
    line: int = 0


def explain(log: str) -> str:
    """The message for the log of a failed installation."""
    first = cause(log)
    lines = [line.rstrip()[:LONGEST_LINE] for line in log.splitlines() if line.strip()]
    near = lines[-LAST_LINES:]
    if first is None:
        head = "an R package could not be installed, and its output does not say why in a way that Herd knows."
    else:
        whole = [line.rstrip()[:LONGEST_LINE] for line in log.splitlines()]
        near = [line for line in whole[max(0, first.line + 3 - LAST_LINES) : first.line + 3] if line.strip()]
        package = f"the R package {first.package}" if first.package else "an R package"
        head = f"{package} could not be installed: {first.what}.\n{first.todo}"
    # The message last: builders show the end of what a step printed.
    return "\n".join(["R's output where it failed:", *(f"  | {line}" for line in near), head])


def cause(log: str) -> Cause | None:
    """The first thing in a log that explains the rest; None where nothing does."""
    package = ""
    causes: list[tuple[int, Cause]] = []
    for number, whole in enumerate(log.splitlines()):
        line = whole[:LONGEST_SEARCHED]
        if start := _STARTS.search(line):
            package = next(filter(None, start.groups()), package)
        if fails := _FAILS.search(line):
            package = next(filter(None, fails.groups()), package)
        for rank, (pattern, read) in enumerate(_CAUSES):
            if match := pattern.search(line):
                what, todo, library, of = read(match)
                causes.append((_RANKS[rank], Cause(of or package, what, todo, library, number)))
                break
    # What names a library or a package says more than a general error below or above it.
    return min(causes, key=lambda entry: (entry[0], entry[1].line))[1] if causes else None


_Reading = tuple[str, str, str, str]
"""What, to do, library, package (where the line itself names it)."""


def _library(name: str, missing: str) -> _Reading:
    return (
        f"{missing}, which is in Debian's package {name}",
        f"`herd image lock` derives it from renv.lock where the package says that it needs it; where it does not, say "
        f'apt = ["{name}"] in the image\'s image.toml and lock again, which writes it into the Dockerfile',
        name,
        "",
    )


def _unknown_library(what: str, search: str) -> _Reading:
    return (
        what,
        f"find out which package of Debian's has it (`apt-file search {search}`), say it in the image's image.toml, "
        'like apt = ["libfoo-dev"], and run `herd image lock`',
        "",
        "",
    )


def _header(match: re.Match[str]) -> _Reading:
    header = match[1]
    top = header.split("/")[0]
    if owner := R_HEADERS.get(header) or R_HEADERS.get(top):
        return _r_headers(owner, header)
    if library := HEADERS.get(header) or HEADERS.get(f"{top}/") or HEADERS.get(header.rsplit("/", 1)[-1]):
        return _library(library, f"the header {header} is missing")
    return _unknown_library(f"the header {header} is missing", header)


def _r_headers(owner: str, header: str) -> _Reading:
    return (
        f"the header {header} is missing, which the R package {owner} brings (LinkingTo)",
        f'lock it too: renv::install("{owner}"), renv::snapshot(type = "all"), then `herd image lock`',
        "",
        "",
    )


def _linked(match: re.Match[str]) -> _Reading:
    name = match[1]
    if library := LIBRARIES.get(name):
        return _library(library, f"the library lib{name} is missing")
    return _unknown_library(f"the library lib{name} is missing", f"lib{name}.so")


def _loaded(match: re.Match[str]) -> _Reading:
    name = match[1]
    shown = f"lib{name}.so{match[2]} is not there at run time"
    if library := LIBRARIES.get(name):
        return _library(library, shown)
    return _unknown_library(shown, f"lib{name}.so")


def _module(match: re.Match[str]) -> _Reading:
    name = next(filter(None, match.groups()))
    if library := MODULES.get(name.lower()):
        return _library(library, f"{name} was not found by its configure script")
    return _unknown_library(f"{name} was not found by its configure script", f"{name}.pc")


def _deb(match: re.Match[str]) -> _Reading:
    return _library(match[1], "its configure script did not find a library")


def _program(match: re.Match[str]) -> _Reading:
    name = next(filter(None, match.groups()))
    if library := PROGRAMS.get(name):
        return _library(library, f"the program {name} is missing")
    return _unknown_library(f"the program {name} is missing", f"bin/{name}")


def _not_locked(match: re.Match[str]) -> _Reading:
    needed, by = match[1], match[2] if match.lastindex and match.lastindex > 1 else ""
    names = " and ".join(re.findall(r"[A-Za-z][A-Za-z0-9.]+", needed))
    first = names.split(" ")[0]
    return (
        f"it needs the R package {names}, which is not there",
        f'lock it too: renv::install("{first}"), renv::snapshot(), then `herd image lock`; if it is locked, its own '
        "installation failed further up",
        "",
        by or "",
    )


def _unlocked(match: re.Match[str]) -> _Reading:
    return (
        f"others need {match[1].strip()[:200]}, which renv.lock does not have, so that the newest were taken",
        "lock them too: `herd image lock` says who needs them; in R: renv::snapshot()",
        "",
        "",
    )


def _no_source(match: re.Match[str]) -> _Reading:
    return (
        f"no repository of renv.lock has {match[1]} {match[2] or ''}".rstrip(),
        "correct its version or the repositories in renv.lock (`herd image lock` checks both); one that needs a newer "
        "R is not offered either",
        "",
        match[1],
    )


def _not_available(match: re.Match[str]) -> _Reading:
    return (
        f"it needs the R package {match[1]}, which is not locked, and no repository of renv.lock has it",
        f"lock it too, with the repository that has {match[1]}, then `herd image lock`",
        "",
        "",
    )


def _unreachable(match: re.Match[str]) -> _Reading:
    url = next(filter(None, match.groups()))
    return (
        f"the repository {url} cannot be reached from the build",
        "look whether it is up and its address in renv.lock is right; behind a company's proxy: docker build "
        "--secret id=ca,src=/path/to/bundle.crt",
        "",
        "",
    )


def _killed(match: re.Match[str]) -> _Reading:
    return (
        "the compiler was killed, most likely for want of memory",
        "give Docker more memory, or build with one job: ENV MAKEFLAGS=-j1",
        "",
        "",
    )


def _disk(match: re.Match[str]) -> _Reading:
    return "the disk is full", "make room: `docker system df` says what Docker has; then build again", "", ""


def _r_version(match: re.Match[str]) -> _Reading:
    return (
        f"it needs R {match[3]}, and the image has R {match[1]}",
        "lock an older version of the package, or lock with that R, which changes the base of the image",
        "",
        match[2],
    )


def _configure(match: re.Match[str]) -> _Reading:
    return (
        f"its configure script ended with: {match[1].strip()[:200]}",
        "its output says what it looked for; a library of Debian's is written into the image's image.toml, like "
        'apt = ["libfoo-dev"], and comes by `herd image lock`',
        "",
        "",
    )


def _unloadable(match: re.Match[str]) -> _Reading:
    return "it was installed and cannot be loaded", "the lines above say why", "", match[1]


def _no_download(match: re.Match[str]) -> _Reading:
    return f"{match[1]} cannot be downloaded", "look whether it is there, and whether the build may reach it", "", ""


def _other(match: re.Match[str]) -> _Reading:
    return match[1].strip()[:200], "its output further up says more", "", ""


_TABLE: tuple[tuple[int, str, Callable[[re.Match[str]], _Reading]], ...] = (
    (0, r"No space left on device", _disk),
    (0, r"fatal error: Killed signal terminated program|internal compiler error: Killed|signal 9 \(Killed\)", _killed),
    (0, r"\* deb: ([a-z0-9][a-z0-9+.-]+)", _deb),
    (0, r"fatal error: ([\w.+/-]+\.(?:h|hh|hpp|hxx|H)|[\w+/-]+): No such file or directory", _header),
    (0, r"cannot find -l([\w.+-]+)", _linked),
    (0, r"lib([\w.+-]+?)\.so([\d.]*): cannot open shared object file", _loaded),
    (0, r"No package '([\w.+-]+)' found|Package ([\w.+-]+) was not found in the pkg-config search path", _module),
    (0, r"Could not find ([\w.+-]+)\.pc\b|Package '([\w.+-]+)'(?:, required by '[^']*')?,? not found", _module),
    (
        0,
        r"(?:sh|bash)?:? ?(?:\d+: |line \d+: )([\w.+-]+): (?:command )?not found|"
        r"make(?:\[\d+\])?: ([\w.+-]+): No such file or directory|configure: error: ([\w-]+-config) not found",
        _program,
    ),
    (0, rf"ERROR: this R is version ([\d.]+), package {_P} requires R >=? ?([\d.]+)", _r_version),
    (0, rf"failed to find source for {_Q}([A-Za-z][A-Za-z0-9.]+)(?: ([\d.-]+))?{_Q}", _no_source),
    (0, rf"package {_Q}([A-Za-z][A-Za-z0-9.]+){_Q} is not available", _not_available),
    (
        0,
        r"unable to access index for repository (\S+?)/src/contrib|"
        r"cannot open (?:URL|url) '([^']+)/src/contrib/PACKAGES",
        _unreachable,
    ),
    (
        1,
        rf"ERROR: dependenc(?:y|ies) ((?:{_Q}[A-Za-z0-9.]+{_Q}(?:, )?)+) (?:is|are) not available for package {_P}",
        _not_locked,
    ),
    (0, r"packages are needed and not locked: (.+)", _unlocked),
    (1, rf"there is no package called {_Q}([A-Za-z][A-Za-z0-9.]+){_Q}", _not_locked),
    (2, r"configure: error: (.+)", _configure),
    (3, rf"ERROR: ((?:compilation|configuration|lazy loading|loading) failed) for package {_P}", _other),
    (3, rf"package {_P} (cannot be loaded)", _unloadable),
    (3, rf"ERROR: (unable to .+) for package {_P}", _other),
    (3, r"cannot open (?:URL|url) '([^']+)'", _no_download),
    (4, r"^Error(?: in [^:]*)?: (?!Error installing)(.{5,})", _other),
)
_CAUSES = [(re.compile(pattern), read) for _, pattern, read in _TABLE]
_RANKS = [rank for rank, _, _ in _TABLE]


def tables() -> Iterator[str]:
    """Every package of Debian's that a message can name."""
    for table in (HEADERS, LIBRARIES, MODULES, PROGRAMS):
        yield from table.values()
