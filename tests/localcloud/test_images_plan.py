"""From a Dockerfile and a folder to what the image holds: what is understood, what is refused and how it is said."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.images.context import Context, ContextError
from localcloud.images.dockerfile import ImageError, parse
from localcloud.images.plan import Plan, plan
from localcloud.images.tree import File, Folder, Link, Tree, TreeError

FILES = {
    "a.txt": "a",
    "b.txt": "b",
    "run.sh": "#!/bin/sh\n",
    "src/main.py": "print(1)",
    "src/deep/x.csv": "1",
    "lock.txt": "",
    ".hidden": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A build context with the files above."""
    root = tmp_path / "context"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "run.sh").chmod(0o755)
    return root


def planned(folder: Path, text: str, args: Mapping[str, str] | None = None, target: str | None = None) -> Plan:
    return plan(parse(text, args), Context(folder, folder / "Dockerfile"), target)


def files(tree: Tree) -> list[str]:
    return [path for path, entry in tree.items() if not isinstance(entry, Folder)]


COPIES = [
    ("file to a name", "COPY a.txt /x.txt", ["/x.txt"]),
    ("file into a folder", "COPY a.txt /x/", ["/x/a.txt"]),
    ("file into a folder that is there", "COPY src /x\nCOPY a.txt /x", ["/x/a.txt", "/x/deep/x.csv", "/x/main.py"]),
    ("relative to WORKDIR", "WORKDIR /w\nWORKDIR v\nCOPY a.txt .", ["/w/v/a.txt"]),
    ("several", "COPY a.txt b.txt /x/", ["/x/a.txt", "/x/b.txt"]),
    ("wildcard", "COPY *.txt /x/", ["/x/a.txt", "/x/b.txt", "/x/lock.txt"]),
    ("one character, a set, its negation", "COPY ?.txt /x/\nCOPY [a].txt /y/\nCOPY [^a]*.sh /z/", None),
    ("content of a folder, not the folder", "COPY src /x", ["/x/deep/x.csv", "/x/main.py"]),
    ("wildcard on folders", "COPY s*/ /x/", ["/x/deep/x.csv", "/x/main.py"]),
    ("leading slash is the context's root", "COPY /src/main.py /", ["/main.py"]),
    ("JSON form", 'COPY ["a.txt", "/with space/"]', ["/with space/a.txt"]),
    ("ADD of plain files is COPY", "ADD a.txt /x/", ["/x/a.txt"]),
    ("a wildcard may match nothing", "COPY nothing* /x/\nCOPY a.txt /", ["/a.txt"]),
    ("continuation with a comment and an empty line", "COPY a.txt \\\n  # why\n\n  /x/", ["/x/a.txt"]),
    ("variables", "ARG D=/x\nENV E=$D/y\nCOPY a.txt ${E}/${F:-z}/", ["/x/y/z/a.txt"]),
    ("later wins", "COPY a.txt /x\nCOPY b.txt /x", ["/x"]),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in COPIES], ids=[case[0] for case in COPIES])
def test_copy(folder: Path, text: str, expected: list[str] | None) -> None:
    got = files(planned(folder, f"FROM scratch\n{text}").tree)
    assert got == (expected or ["/x/a.txt", "/x/b.txt", "/y/a.txt", "/z/run.sh"])


def test_modes_are_dockers_without_the_umask(folder: Path) -> None:
    (folder / "a.txt").chmod(0o600)
    tree = planned(folder, "FROM scratch\nCOPY a.txt run.sh /\nCOPY --chmod=750 b.txt /").tree
    modes = {path: entry.mode for path, entry in tree.items() if isinstance(entry, File)}
    assert modes == {"/a.txt": 0o644, "/run.sh": 0o755, "/b.txt": 0o750}


def test_configuration_of_the_final_stage(folder: Path) -> None:
    config = planned(
        folder,
        """
        ARG TAG=slim
        FROM python:$TAG AS base
        ENV A=1 B="two words" \\
            PATH=/opt/venv/bin:$PATH
        ENV A=2 C=$A
        ENV OLD old form
        CMD ["base"]
        FROM base
        LABEL a="b c"
        WORKDIR /srv
        EXPOSE 8000 9000/udp
        USER 10001:10001
        STOPSIGNAL INT
        ENTRYPOINT exec run
        """,
    ).config
    assert config.environment == {
        "A": "2",
        "B": "two words",
        "C": "1",  # as it was before the instruction
        "OLD": "old form",
        "PATH": "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    assert config.entrypoint == ("/bin/sh", "-c", "exec run")
    assert config.command is None, "a CMD of the base belongs to the base's entry point"
    assert (config.workdir, config.user, config.stop_signal) == ("/srv", "10001:10001", "SIGINT")
    assert config.ports == ("8000", "9000/udp")
    assert config.labels == {"a": "b c"}


def test_build_arguments_and_targets(folder: Path) -> None:
    text = "ARG V=1\nFROM x:$V AS one\nARG V\nARG W=w\nENV V=$V W=$W\nFROM one AS two\nENV T=2"
    assert planned(folder, text).config.environment["T"] == "2"
    one = planned(folder, text, {"V": "7"}, target="one").config.environment
    assert (one["V"], one["W"], "T" in one) == ("7", "w", False)
    with pytest.raises(ImageError, match="no stage 'three'; there are: one, two"):
        planned(folder, text, target="three")


def test_stages(folder: Path) -> None:
    tree = planned(
        folder,
        """
        FROM scratch AS assets
        COPY src /data
        FROM scratch AS unused
        COPY not-there /
        FROM scratch
        COPY --from=assets /data/main.py /app/
        COPY --from=0 /data/deep /deep
        """,
    ).tree
    assert files(tree) == ["/app/main.py", "/deep/x.csv"]


def test_virtual_environments_are_named_by_labels(folder: Path) -> None:
    built = planned(
        folder,
        """
        FROM python:3 AS deps
        RUN python -m venv /opt/venv
        FROM python:3
        COPY --from=deps /opt/venv /opt/venv
        LABEL localcloud.venv./opt/venv="lock.txt" "localcloud.venv./opt/b"=src/main.py
        """,
    )
    assert {path: item.path for path, item in built.venvs.items()} == {"/opt/venv": "lock.txt", "/opt/b": "src/main.py"}
    assert files(built.tree) == [], "what is made from a lock file is laid later"


def test_what_is_not_exercised_is_said(folder: Path) -> None:
    built = planned(
        folder,
        "FROM python:3 AS a\nRUN one\nFROM python:3\nRUN apt-get  install \\\n x\nVOLUME /data\nUSER app\n"
        "HEALTHCHECK CMD true\nENV L=$LD_LIBRARY_PATH\nCOPY --chown=app a.txt /\nCOPY zz* /",
    )
    assert built.not_exercised == (
        "FROM python:3: its files and system packages; this machine's are used",
        "RUN apt-get install x",
        "VOLUME /data",
        "USER app",
        "HEALTHCHECK CMD true",
        "--chown=app of COPY: files belong to you",
        "COPY zz*: nothing in the build context matches",
        "$LD_LIBRARY_PATH of the base image, taken as empty",
    )


REFUSED = [
    ("unknown instruction", "FROM scratch\nCOPI a b", "Dockerfile line 2: unknown instruction: COPI"),
    ("nothing", "# only a comment\n", "Dockerfile: has no FROM"),
    ("before FROM", "ENV A=1\nFROM scratch", "line 1: ENV A=1: only ARG may stand before the first FROM"),
    ("FROM", "FROM a b", "line 1: FROM a b: must be FROM image or FROM image AS name"),
    ("FROM of nothing", "FROM $X", "line 1: FROM $X: names no image"),
    ("ONBUILD", "FROM a\nONBUILD RUN x", "line 2: ONBUILD RUN x: ONBUILD is not supported"),
    ("heredoc", "FROM a\nRUN <<EOF\nx\nEOF", "line 2: RUN <<EOF: a heredoc (<<) is not supported"),
    ("no arguments", "FROM a\nWORKDIR", "line 2: WORKDIR: has no arguments"),
    ("not JSON", "FROM a\nCMD ['x']", "line 2: CMD ['x']: looks like a JSON list but is not one"),
    ("flag", "FROM a\nCOPY --parents a.txt /", "--parents is not supported"),
    ("flag without a value", "FROM a\nCOPY --from= a.txt /", "--from has no value"),
    ("chmod", "FROM a\nCOPY --chmod=u+x a.txt /", "--chmod=u+x: only three octal digits"),
    ("missing", "FROM a\nCOPY nope /", "line 2: COPY nope /: nope: not in the build context"),
    ("no destination", "FROM a\nCOPY a.txt", "needs a source and a destination"),
    ("dots in a source", "FROM a\nCOPY ../x /", "../x: a path with '..' may leave the build context"),
    ("dots in a destination", "FROM a\nCOPY a.txt /../x", "'/../x': a path with '..' is not supported"),
    ("several to one", "FROM a\nCOPY a.txt b.txt /x", "the destination must be a folder and end with /"),
    ("several by wildcard", "FROM a\nCOPY *.txt /x", "*.txt matches several"),
    ("file over folder", "FROM a\nCOPY src /x/a.txt\nCOPY a.txt /x/", "/x/a.txt would be both a folder and a file"),
    ("below a file", "FROM a\nCOPY a.txt /x\nCOPY b.txt /x/y", "/x/y would lie in /x, which is not a folder"),
    ("ADD of an address", "FROM a\nADD https://example.com/x /", "ADD from an address is not supported"),
    ("made by RUN", "FROM a AS b\nRUN make\nFROM a\nCOPY --from=b /out /out", "/out of b would be made by RUN"),
    (
        "other image",
        "FROM a\nCOPY --from=uv:1 /uv /bin/",
        "/uv of uv:1 would be made by RUN or come from another image",
    ),
    ("signal", "FROM a\nSTOPSIGNAL NOPE", "'NOPE' is not a signal"),
    ("port", "FROM a\nEXPOSE http", "'http' is not a port"),
    ("substitution", "FROM a\nWORKDIR ${X", "line 2: WORKDIR ${X: failed to process"),
    ("required argument", "FROM a\nWORKDIR ${X:?is needed}", "X: is needed"),
    ("SHELL", "FROM a\nSHELL bash", "must be written as a JSON list"),
    ("lock file of a label", 'FROM a\nLABEL localcloud.venv./v="nope"', "LABEL localcloud.venv./v: nope: not in the"),
]


@pytest.mark.parametrize(("text", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refusals_name_line_and_text(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ImageError) as caught:
        planned(folder, text)
    assert message in str(caught.value)
    assert "Dockerfile" in str(caught.value)


def test_all_problems_are_named_at_once(folder: Path) -> None:
    with pytest.raises(ImageError) as caught:
        planned(folder, "FROM a\nCOPY x /\nEXPOSE y\nCOPY a.txt /\nWORKDIR /a/../b")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [f"Dockerfile line {n}" for n in (2, 3, 5)]


def test_an_archive_is_not_unpacked_in_silence(folder: Path) -> None:
    with tarfile.open(folder / "x.tgz", "w:gz") as archive:
        archive.add(folder / "a.txt", "a.txt")
    with pytest.raises(ImageError, match="ADD would unpack x.tgz"):
        planned(folder, "FROM a\nADD x.tgz /")
    assert files(planned(folder, "FROM a\nCOPY x.tgz /").tree) == ["/x.tgz"]


def test_ignored_files_are_not_there(folder: Path) -> None:
    (folder / ".dockerignore").write_text("# no\n*.txt\n!b.txt\nsrc\n!src/deep\n")
    assert files(planned(folder, "FROM a\nCOPY . /x/").tree) == ["/x/.dockerignore", "/x/.hidden", "/x/b.txt"] + [
        "/x/run.sh",
        "/x/src/deep/x.csv",
    ]
    with pytest.raises(ImageError, match=r"a.txt: not in the build context \(excluded by .dockerignore\)"):
        planned(folder, "FROM a\nCOPY a.txt /")
    (folder / "Dockerfile.dockerignore").write_text("run.sh\n")
    assert "/x/run.sh" not in files(planned(folder, "FROM a\nCOPY . /x/").tree), "the Dockerfile's own list comes first"
    (folder / "Dockerfile.dockerignore").write_text("[\n")
    with pytest.raises(ContextError, match="Invalid ignore pattern"):
        Context(folder, folder / "Dockerfile")


LINKS = [
    ("absolute", "/etc/passwd", "COPY src /x", "leads out of the build context"),
    ("upwards", "../../../etc/passwd", "COPY src /x", "leads out of the build context"),
    ("named itself", "../../outside", "COPY src/link /x", "leads out of the build context"),
    ("through a folder", "../..", "COPY src/link/outside /x", "leads out of the build context"),
    ("dangling, named itself", "nowhere", "COPY src/link /x", "a symbolic link to something that is not there"),
    ("inside the context but not the image", "../a.txt", "COPY src /", "leads out of the image"),
]


@pytest.mark.parametrize(("target", "text", "message"), [c[1:] for c in LINKS], ids=[c[0] for c in LINKS])
def test_links_that_leave_are_refused(folder: Path, target: str, text: str, message: str) -> None:
    (folder.parent / "outside").write_text("secret")
    (folder / "src/link").symlink_to(target)
    with pytest.raises(ImageError, match=message):
        planned(folder, f"FROM a\n{text}")


def test_links_that_stay_are_kept(folder: Path) -> None:
    (folder / "src/link").symlink_to("deep/x.csv")
    (folder / "top").symlink_to("src")
    tree = planned(folder, "FROM a\nCOPY src /x\nCOPY src/link /y\nCOPY top /z").tree
    assert tree.get("/x/link") == Link("deep/x.csv")
    assert isinstance(tree.get("/y"), File), "a source that is a link stands for what it points to"
    assert isinstance(tree.get("/z/main.py"), File)
    with pytest.raises(ImageError, match="/x/link is a symbolic link; copy to what it points to"):
        planned(folder, "FROM a\nCOPY src /x\nCOPY a.txt /x/link")


def test_other_kinds_of_files_are_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ImageError, match="pipe: neither a file, a folder nor a symbolic link"):
        planned(folder, "FROM a\nCOPY . /")


def test_a_file_that_changes_meanwhile_is_noticed(folder: Path, tmp_path: Path) -> None:
    context = Context(folder, folder / "Dockerfile")
    [item] = context.find("a.txt")
    digest = context.digest(item)
    (folder / "a.txt").write_text("other")
    with pytest.raises(ContextError, match="was changed while"):
        context.copy(item, tmp_path / "copy", digest)
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to("/etc/passwd")
    with pytest.raises(ContextError):
        context.digest(item)


LINES = st.sampled_from(
    ["FROM a", "FROM a AS b", "COPY . /", "COPY --from=b / /", "ENV A=1", "ENV A", "RUN x \\", "CMD [", 'CMD ["a"]']
    + ["LABEL a", "# c", "", "ARG", "ARG A=${A", "USER $A", "<<EOF", "EOF", "COPY <<EOF /", "WORKDIR \\", "ADD", "\0"]
)


@given(st.one_of(st.text(max_size=200), st.lists(LINES, max_size=8).map("\n".join)))
@settings(max_examples=300)
def test_any_text_is_planned_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    folder.mkdir(exist_ok=True)
    try:
        built = planned(folder, text)
    except ImageError as error:
        assert all(problem.startswith("Dockerfile") for problem in error.problems)
    else:
        assert all(path.startswith("/") and ".." not in path.split("/") for path, _ in built.tree.items())


@given(st.lists(st.sampled_from(["..", ".", "a", "b"]), min_size=1, max_size=6), st.integers(0, 3))
def test_a_link_in_a_tree_never_leads_out(parts: list[str], depth: int) -> None:
    path = "/" + "/".join(["d"] * depth + ["link"])
    try:
        tree = Tree()
        tree.put(path, Link("/".join(parts)))
    except TreeError:
        pass
    else:
        assert os.path.normpath("/r/" + "/".join(["d"] * depth + parts)).startswith("/r")


def test_an_image_of_the_whole_checkout_has_nothing_of_this_machine(tmp_path: Path) -> None:
    """The checkout's own ignore file, which Docker reads as well, keeps the local cloud's keys out."""
    ignore = Path(__file__).parents[2] / ".dockerignore"
    (tmp_path / ".dockerignore").write_text(ignore.read_text(encoding="utf-8"))
    kept_out = [".herd/cloud/aws/credentials", ".git/config", ".venv/bin/python", "lib/__pycache__/x.pyc"]
    for path in [*kept_out, "lib/x.py"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /app\n")
    seen = Context(tmp_path, tmp_path / "Dockerfile")
    assert [item.path for item in seen.walk("") if not item.is_folder] == [".dockerignore", "Dockerfile", "lib/x.py"]
    for path in kept_out:
        with pytest.raises(ContextError, match="excluded by .dockerignore"):
            seen.find(path)
