"""Marked blocks of a Dockerfile: written, read, replaced and taken out; what stands outside is never touched."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.infra.images import marks
from herd.infra.images.marks import BrokenMarks, Place, blocks, put

DOCKERFILE = """\
ARG BASE=debian
FROM ${BASE} AS deps
RUN echo \\
# a comment within
FROM here is a word \\
    && true
RUN <<END
FROM inside
END
FROM ${BASE}
# System packages go here.
CMD ["true"]
"""


def written(text: str, body: str = "RUN apt-get install x", place: Place = "after the last FROM") -> str:
    return put(text, "system", body, [b"image.toml"], "from image.toml, by `herd image lock x`", place)


@pytest.mark.parametrize(
    ("place", "before", "after"),
    [
        ("before the first FROM", "ARG BASE=debian", "FROM ${BASE} AS deps"),
        ("after the first FROM", "FROM ${BASE} AS deps", "RUN echo \\"),
        ("after the last FROM", "FROM ${BASE}", "# System packages go here."),
    ],
)
def test_a_new_block_goes_where_it_belongs(place: Place, before: str, after: str) -> None:
    lines = written(DOCKERFILE, place=place).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("# >>>"))
    assert lines[start - 1] == before
    assert lines[start + 1] == "RUN apt-get install x"
    assert lines[start + 2] == "# <<< herd system <<<"
    assert lines[start + 3] == after


def test_a_block_is_written_again_where_somebody_moved_it() -> None:
    block = "\n".join(written("FROM x\n").splitlines()[1:]) + "\n"
    moved = "FROM x\nUSER root\n" + block + "USER 1\n"
    again = written(moved, "RUN other")
    assert again.startswith("FROM x\nUSER root\n# >>> herd system ")
    assert again.endswith("RUN other\n# <<< herd system <<<\nUSER 1\n")


def test_the_seal_finds_a_change_of_either_side() -> None:
    block = blocks(written(DOCKERFILE))["system"]
    assert block.is_of([b"image.toml"])
    assert not block.is_of([b"image.toml changed"])
    assert not block.is_of([b"image", b".toml"]), "inputs are told apart"
    edited = written(DOCKERFILE).replace("install x", "install y")
    assert not blocks(edited)["system"].is_of([b"image.toml"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# >>> herd a 0123456789ab: x >>>\nRUN y\n", "line 1: the block a begins and does not end"),
        ("RUN y\n# <<< herd a <<<\n", "line 2: the block a ends and does not begin"),
        (
            "# >>> herd a 0123456789ab: x >>>\n# >>> herd b 0123456789ab: x >>>\n",
            "line 1: the block a begins and does not end",
        ),
        ("# >>> herd a 0123456789ab: x >>>\n# <<< herd b <<<\n", "line 2: the block b ends and does not begin"),
        ("# >>> herd a 0123456789ab: x >>>\n# <<< herd a <<<\n" * 2, "line 3: there is a second block a"),
        ("# >>> herd a no-seal: x >>>\n", "line 1: a mark of Herd was changed"),
        ("#  <<< herd a\n", "line 1: a mark of Herd was changed"),
    ],
)
def test_broken_marks_are_refused(text: str, message: str) -> None:
    with pytest.raises(BrokenMarks, match=f"^{re.escape(message)}; take all of the block out"):
        blocks(text)
    with pytest.raises(BrokenMarks):
        written("FROM x\n" + text)


def test_a_block_cannot_break_out_of_its_marks() -> None:
    with pytest.raises(ValueError, match="cannot hold a mark"):
        written(DOCKERFILE, "RUN x\n# <<< herd system <<<\nRUN y")
    with pytest.raises(ValueError, match="one line"):
        put(DOCKERFILE, "system", "RUN x", [], "a\nRUN y", "after the last FROM")


def test_a_file_without_a_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="has no FROM"):
        written("RUN x\n")


LINES = st.lists(
    st.sampled_from(["RUN x", "FROM a", "FROM b AS c", "# comment", "", "RUN y \\", "  && z", "COPY <<E /f", "E", "é"]),
    max_size=12,
).map(lambda lines: "FROM base\n" + "".join(f"{line}\n" for line in lines))
BODIES = st.sampled_from(["RUN a", "RUN a\nRUN b", "RUN a \\\n\n    && b", "# FROM c"])
PLACES: st.SearchStrategy[Place] = st.sampled_from(
    ["before the first FROM", "after the first FROM", "after the last FROM"]
)


@given(LINES, BODIES, BODIES, PLACES)
def test_what_stands_outside_is_never_touched(text: str, body: str, other: str, place: Place) -> None:
    once = written(text, body, place)
    assert written(once, body, place) == once
    assert blocks(once)["system"].body == body
    assert written(once, other, place) == written(text, other, place)
    assert written(once, "", place) == text
    assert marks.blocks(text) == {}
