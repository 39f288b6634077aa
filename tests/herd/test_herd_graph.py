"""`herd graph`: as text, as a picture and for scripts; circles end, hostile names stay names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.runs import graph_svg
from herd.runs.graph import Graph, Node

NAMES = st.sampled_from("abcdefgh")
EDGES = st.dictionaries(NAMES, st.lists(NAMES, max_size=3, unique=True).map(tuple))


def graph_of(after: dict[str, tuple[str, ...]], reads: dict[str, tuple[str, ...]]) -> Graph:
    named = sorted(
        {*after, *reads, *(one for edges in (after, reads) for sources in edges.values() for one in sources)}
    )
    return Graph({name: Node(name, "job") for name in named}, after, reads)


SETTINGS = """
config:
  aws:region: eu-west-1
  herd:datasets:
    prices:
      uri: s3://prices-of-others/all/
"""


@pytest.fixture
def project(root: Path) -> Path:
    write = {
        "jobs/load/workload.toml": 'schedule = "0 6 * * 1-5"\nreads = ["load"]\n',
        "jobs/train/workload.toml": 'after = ["load"]\nreads = ["load"]\nfan_out = ["small", "large"]\n',
        "jobs/train/main.py": "",
        "jobs/load/main.py": "",
        "jobs/hello/workload.toml": 'schedule = "@yearly"\npaused = "until the auditors come"\n',
        "reports/page/workload.toml": 'after = ["train", "load"]\nreads = ["train", "prices"]\n',
        "reports/page/report.md": "# Page\n",
        "apis/scores/workload.toml": 'reads = ["train"]\n',
        "apis/scores/main.py": "",
        "Pulumi.dev.yaml": SETTINGS,
    }
    for path, text in write.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


TEXT = """\
load (job, 06:00 Mon-Fri UTC)
├─ page (report) after train too reads train, prices
└─ train (job, 2 items) reads load
hello (job, 00:00 on 1 Jan UTC, paused)
scores (api) reads train
"""


def test_it_shows_what_starts_after_what_and_who_reads_whom(cli: Any, project: Path) -> None:
    done = cli("graph")
    assert (done.exit_code, done.stdout) == (0, TEXT), done.stderr


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("scores", {"load", "train", "scores"}, id="what a service depends on"),
        pytest.param("load", {"load", "train", "page", "scores"}, id="what depends on a job"),
        pytest.param("prices", {"prices", "page"}, id="a dataset"),
        pytest.param("hello", {"hello"}, id="one by itself"),
    ],
)
def test_a_part_of_it(cli: Any, project: Path, name: str, shown: set[str]) -> None:
    document = json.loads(cli("graph", name, "--json").stdout)
    assert {node["name"] for node in document["nodes"]} == shown


def test_for_scripts(cli: Any, project: Path) -> None:
    document = json.loads(cli("graph", "page", "--format", "json").stdout)
    assert {"from": "train", "to": "page", "kind": "starts"} in document["edges"]
    assert {"from": "prices", "to": "page", "kind": "read by"} in document["edges"]


def test_a_name_that_is_none_is_refused(cli: Any, project: Path) -> None:
    done = cli("graph", "trian")
    assert done.exit_code == 2 and "did you mean 'train'?" in done.stderr


def test_the_picture_has_all_and_runs_nothing(cli: Any, project: Path) -> None:
    picture = ElementTree.fromstring(cli("graph", "--format", "svg").stdout)
    texts = {element.text for element in picture.iter() if element.tag.endswith("}text")}
    assert {"load", "train", "page", "scores", "hello", "prices"} <= texts
    assert not [element for element in picture.iter() if element.tag.endswith(("script", "foreignObject", "image"))]


def test_a_hostile_name_is_text() -> None:
    name = '"><script>alert(1)</script>&'
    text = graph_svg.draw(Graph({name: Node(name, "job", name)}, {}, {}), name)
    assert ElementTree.fromstring(text) is not None and "<script" not in text


@given(EDGES, EDGES)
def test_any_graph_is_shown_whole(after: dict[str, tuple[str, ...]], reads: dict[str, tuple[str, ...]]) -> None:
    graph = graph_of(after, reads)
    layers = graph.layers()
    assert sorted(name for layer in layers for name in layer) == sorted(graph.nodes)
    assert len(graph_svg.draw(graph, "any").split('class="box"')) == len(graph.nodes) + 1
    list(graph.lines())


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12))
def test_without_circles_each_stands_right_of_what_it_depends_on(pairs: list[tuple[int, int]]) -> None:
    after: dict[str, tuple[str, ...]] = {}
    for one, other in {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}:
        after["abcdefgh"[other]] = (*after.get("abcdefgh"[other], ()), "abcdefgh"[one])
    graph = graph_of(after, {})
    column = {name: number for number, layer in enumerate(graph.layers()) for name in layer}
    assert all(column[source] < column[name] for name, sources in after.items() for source in sources)
    shown = [line.lstrip("│ ├└─").split(" ")[0] for line in graph.lines()]
    assert sorted(shown) == sorted(graph.nodes)
