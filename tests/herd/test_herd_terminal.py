"""What programs print drives no terminal: shown and not obeyed, in every encoding, and word for word with `--raw`."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from herd import console
from herd.commands import tables
from herd.foreign import SHOWN_EVERY_SECONDS, Printed, on_one_line, shown
from herd.runs import follow
from herd.runs.logs import Line
from herd.runs.outputs import File, Version
from herd.runs.runs import Run
from herd.runs.status import WorkloadState

ROOT = Path(__file__).parents[2]

ATTACKS = {
    "clear the screen": "\x1b[2J",
    "title": "\x1b]0;pwn\x07",
    "clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\invoice\x1b]8;;\x1b\\",
    "C1": "\x9b2J\x9d0;pwn\x9c",
    "bell": "\x07",
    "backspace": "good\x08\x08\x08\x08evil",
    "direction": "\u202egnp.exe\u2066\u061c",
    "another end of line": "one\u2028two\x0bthree\x0cfour\x85five",
    "device control": "\x1bP+q544e\x1b\\",
    "delete": "\x7f",
    "tags": "\U000e0001\U000e0041",
    "half a character": "\ud800",
}

MARKUP = "[red]no[/red] [link=http://evil.example]click[/link] [/] :smile: \\[b]"


def is_harmless(text: str) -> bool:
    """No control character but line feed and tab, nothing that changes the direction or is half a character."""
    return not [
        char
        for char in text
        if (unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") and char not in "\n\t")
        or unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]


@pytest.mark.parametrize("text", ATTACKS.values(), ids=list(ATTACKS))
def test_orders_to_a_terminal_are_shown(text: str) -> None:
    for show_it in (shown, on_one_line):
        told = show_it(f"before {text} after")
        assert is_harmless(told) and told.startswith("before ") and told.endswith(" after")
        # Nothing is left out: what was there can be read.
        assert told.encode("ascii", "backslashreplace").decode().count("\\") >= 1


@given(st.text(max_size=200))
def test_any_text_is_harmless_and_what_is_harmless_stays(text: str) -> None:
    told = shown(text)
    assert is_harmless(told)
    assert shown(told) == told
    assert "\n" not in on_one_line(text) and "\t" not in on_one_line(text) and is_harmless(on_one_line(text))


@pytest.mark.parametrize(
    "text",
    ["plain", "1\u00a0000,5", "na\u00efve \u2013 \u4e2d\u6587", "\U0001f468\u200d\U0001f469", "a\tb\nc", "\\x1b"],
)
def test_peoples_languages_stay_as_they_are(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("done\r\n", ["done", ""]),
        ("\rtraining 0%\rtraining 10%\rtraining 20%\r", ["training 0%", "training 10%", "training 20%"]),
        ("all good\rERROR: no", ["all good", "ERROR: no"]),
        ("a\r\r\nb", ["a", "b"]),
    ],
)
def test_a_carriage_return_hides_nothing(text: str, lines: list[str]) -> None:
    assert shown(text).split("\n") == lines


# ── what a program prints while one looks on ────────────────────────────────────────────────────────────────────────


def fed(*pieces: bytes, step: float = 10.0) -> str:
    """What is shown of these pieces, `step` seconds apart."""
    moments = iter(range(10_000))
    written: list[str] = []
    printed = Printed(written.append, clock=lambda: next(moments) * step)
    for piece in pieces:
        printed.feed(piece)
    printed.feed(b"", last=True)
    return "".join(written)


@given(st.lists(st.binary(max_size=30), max_size=10), st.floats(0, 5))
def test_any_bytes_of_a_program_are_harmless(pieces: list[bytes], step: float) -> None:
    assert is_harmless(fed(*pieces, step=step))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), st.integers(1, 7))
def test_how_the_bytes_arrive_makes_no_difference(text: str, size: int) -> None:
    data = text.replace("\r", "").encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert fed(*pieces) == fed(data) == shown(text.replace("\r", ""))


def test_a_question_is_shown_before_its_line_has_ended() -> None:
    written: list[str] = []
    Printed(written.append).feed(b"(Pdb) ")
    assert written == ["(Pdb) "]


def test_a_progress_bar_is_shown_now_and_then_and_at_its_end() -> None:
    bar = [f"\rtraining {done:3d}%".encode() for done in range(0, 101, 10)]
    every = fed(*bar, b"\n", step=SHOWN_EVERY_SECONDS).splitlines()
    assert (every[0], every[-1], len(every)) == ("training   0%", "training 100%", 11)
    now_and_then = fed(*bar, b"\ndone\n", step=SHOWN_EVERY_SECONDS / 4).splitlines()
    assert now_and_then[-2:] == ["training 100%", "done"] and 2 < len(now_and_then) < 7


def test_an_end_of_line_in_two_halves_is_one() -> None:
    assert fed(b"a\r", b"\nb\r\n") == "a\nb\n"


# ── every way to the terminal ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """Both streams, as a terminal without colours gets them."""
    stream = StringIO()
    known = Console(file=stream, width=200, soft_wrap=True, highlight=False, color_system=None)
    for name in ("out", "err"):
        monkeypatch.setattr(console, name, lambda: known)
    yield stream


FOREIGN = "".join(text for name, text in ATTACKS.items()) + MARKUP


def test_each_function_of_the_console_shows_and_does_not_obey(screen: StringIO) -> None:
    console.say(FOREIGN)
    console.note(FOREIGN, style="bold")
    console.fail(FOREIGN)
    console.table([FOREIGN, "B"], [[f"file\n{FOREIGN}", "1"]], {FOREIGN: "red"})
    console.log_line(FOREIGN, f"{FOREIGN} | ")
    with console.step(FOREIGN) as step:
        step.update(FOREIGN)
        step.result = FOREIGN
    with console.waiting() as say:
        say(FOREIGN)
    with console.printed() as (out, err):
        out.feed(FOREIGN.encode("utf-8", "surrogatepass"))
        err.feed(FOREIGN.encode("utf-8", "surrogatepass"))
    said = screen.getvalue()
    assert is_harmless(said)
    assert said.count("[red]no[/red] [link=http://evil.example]click[/link] [/] :smile:") >= 9
    assert said.count("\\x1b]52;c;") >= 9


def test_a_table_keeps_a_row_on_its_line(screen: StringIO) -> None:
    console.table(["FILE", "SIZE"], [["a\nb\tc", "1 B"], ["\u4e2d\u6587", "2 B"]])
    lines = screen.getvalue().splitlines()
    assert lines[1].startswith("a\\nb\\tc  1 B") and len(lines) == 3
    assert lines[2] == "\u4e2d\u6587     2 B"


def test_status_outputs_and_runs_show_what_was_printed(screen: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Run("train", FOREIGN, "failed", datetime.now(UTC), datetime.now(UTC), 3, FOREIGN, 2)
    state = WorkloadState("train", "job", "failing", FOREIGN, None, None, failed, "/x", FOREIGN)
    target = SimpleNamespace(checkout=None, name="dev", engine=None, exports=SimpleNamespace(workloads={}, services={}))
    for module in (tables, follow):
        monkeypatch.setattr(module, "last_lines", lambda *_: [FOREIGN])
    monkeypatch.setattr(tables.review_dates, "deployed", lambda *_: [])
    tables.status(cast(Any, target), [state])
    tables.version(Version("train", FOREIGN, FOREIGN, "x/", (File(FOREIGN, 1),)))
    follow._print_change(cast(Any, target), failed, "/x", False)
    reader = SimpleNamespace(new=lambda: [Line(datetime.now(UTC), "s", FOREIGN)])
    follow._print_lines(cast(Any, reader), lambda _: "train | ", raw=False)
    assert is_harmless(screen.getvalue())
    follow._print_lines(cast(Any, reader), lambda _: "", raw=True)
    assert FOREIGN in screen.getvalue()


def test_what_was_typed_wrong_is_shown_too(cli: Any) -> None:
    for arguments in (
        ["up", "--x\x1b]0;a\x07"],
        ["\x1b[2J"],
        ["--\x9b2J"],
        ["new", "\x1b[2J", "x"],
        ["logs", "\x1b[2J"],
    ):
        done = cli(*arguments)
        assert done.exit_code == 2
        assert is_harmless(done.stdout + done.stderr), arguments


def test_json_stays_json(screen: StringIO) -> None:
    console.document(json.dumps({"reason": FOREIGN}) + "\n")
    assert json.loads(screen.getvalue()) == {"reason": FOREIGN} and is_harmless(screen.getvalue())


ELSEWHERE = {
    "src/herd/console.py": "it is the one place",
    "src/herd/toolchain/setup.py": "runs before the packages that the console needs",
    "src/herd/toolchain/progress.py": "the same; it makes its text harmless itself",
    "src/herd/toolchain/browser.py": "words of its own",
    "src/herd/toolchain/preflight.py": "words of its own",
    "src/herd/toolchain/pulumi_cli.py": "words of its own",
    "src/herd/runner/r/install.py": "runs inside a build, whose log this is",
    "src/herd/runner/rendering/render_markdown.py": "runs inside a task, whose log this is",
    "src/herd/runner/rendering/render_notebook.py": "the same",
    "src/herd/toolchain/docker.py": "words of its own",
    "src/herd/checkout/pull_request.py": "answers a script of a workflow",
    "src/herd/policy/analyzer.py": "tells the engine its port",
    "src/herd/runner/errors.py": "runs inside a task, whose log this is",
    "src/herd/language_host/program.py": "talks to the engine",
    "src/herd/language_host/server.py": "talks to the engine",
    "src/herd/language_host/offline.py": "talks to `herd check`",
}


def test_nothing_else_of_herd_prints() -> None:
    printing = set()
    for path in sorted((ROOT / "src/herd").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if re.fullmatch(
                r"print|typer\.(echo|secho)|click\.echo|(sys\.)?std(out|err)\.write|console\.(out|err)", called
            ):
                printing.add(str(path.relative_to(ROOT)))
    assert printing <= ELSEWHERE.keys()


# ── encodings ───────────────────────────────────────────────────────────────────────────────────────────────────────

WAYS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "strict ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "code page": {"PYTHONIOENCODING": "cp1252"},
    "C": {"LC_ALL": "C"},
    "C, and Python believes it": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LANG": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["explain", "hello"], 0),
        (["status"], 1),
        (["doctor"], None),
        (["up", "-e", "ü"], 2),
    ],
    ids=["help", "explain", "status", "doctor", "a wrong name"],
)
def test_no_encoding_ends_in_a_traceback(
    root: Path, way: dict[str, str], arguments: list[str], status: int | None
) -> None:
    (root / "jobs/hello/workload.toml").write_text(
        '[env]\nTEAM = "J\u00fcrgen \u2014 \u4e2d\u6587 \u2713"\n', encoding="utf-8"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-m", "herd", *arguments],
        capture_output=True,
        cwd=ROOT,
        env={**clean, "HERD_CHECKOUT": str(root), **way},
    )
    said = (done.stdout + done.stderr).decode("latin-1")
    assert "Traceback" not in said and "Error" not in said.replace("╭─ Error", ""), said
    assert status is None or done.returncode == status
    if way.get("PYTHONIOENCODING", "").startswith("ascii"):
        assert said.isascii()
        if arguments[0] == "explain":
            assert "J?rgen - ?? +" in said


LATIN_1 = """
import locale, sys
locale.getencoding = lambda: "ISO-8859-1"
from herd.__main__ import main
sys.exit(main())
"""


def test_a_locale_of_another_encoding_reads_files_as_utf_8(root: Path) -> None:
    """A terminal of Latin-1 gets Latin-1; what is read and written is UTF-8 all the same."""
    settings = root / "jobs/hello/workload.toml"
    settings.write_text('[env]\nTEAM = "J\u00fcrgen \u2014 \u2713"\n', encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    # Python reads no letter but ASCII then, wherever it is not told better.
    told = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "HERD_CHECKOUT": str(root)}

    def herd(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-c", LATIN_1, *arguments]
        return subprocess.run(command, capture_output=True, cwd=ROOT, env={**clean, **told})

    done = herd("explain", "hello")
    assert done.returncode == 0, done.stderr
    assert "J\u00fcrgen - +".encode("latin-1") in done.stdout
    assert herd("new", "report", "fresh-one").returncode == 0
    for file in (root / "reports/fresh-one").iterdir():
        template = ROOT / "src/herd/checkout/templates/report" / f"{file.name}.txt"
        assert len(file.read_text(encoding="utf-8")) >= len(template.read_text(encoding="utf-8")) - 40
