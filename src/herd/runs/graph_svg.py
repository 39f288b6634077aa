"""A graph of workloads as a picture: SVG without scripts, in the colours of who looks at it, light or dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from herd.runs.graph import Graph, Node
from herd.runs.status import TROUBLE

BOX_WIDTH, BOX_HEIGHT, LINE_HEIGHT = 210, 46, 16
GAP_X, GAP_Y, MARGIN = 72, 22, 20
"""In pixels."""

CHARACTERS = 30
"""Of a line in a box, at 12 pixels."""

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.about { font-size: 10.5px; fill: #59636e; }
.box { fill: #f6f8fa; stroke: #818b98; }
.report .box { rx: 14; } .api .box { stroke-width: 2; } .dataset .box { stroke-dasharray: 4 3; }
.trouble .box { stroke: #d1242f; stroke-width: 2; }
.starts, .reads { fill: none; stroke: #59636e; } .reads { stroke-dasharray: 3 4; }
marker path { fill: #59636e; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .about { fill: #9198a1; } .box { fill: #151b23; stroke: #656c76; }
  .trouble .box { stroke: #f85149; } .starts, .reads { stroke: #9198a1; } marker path { fill: #9198a1; }
}
"""


def draw(graph: Graph, title: str) -> str:
    """The document. Solid lines: starts when that has succeeded; dashed: reads what that has published."""
    places = _places(graph)
    width = max((x for x, _ in places.values()), default=0) + BOX_WIDTH + MARGIN
    height = max((y for _, y in places.values()), default=0) + BOX_HEIGHT + MARGIN
    body = [*_edges(graph, places), *(_box(graph.nodes[name], *place) for name, place in places.items())]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label={quoteattr(title)}>',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
            *body,
            "</svg>",
            "",
        ]
    )


def _places(graph: Graph) -> Mapping[str, tuple[int, int]]:
    """The upper left corner of each box: a column for each layer, ordered by where what leads to it stands."""
    places: dict[str, tuple[int, int]] = {}
    for column, layer in enumerate(graph.layers()):

        def height_of_sources(name: str) -> float:
            sources = [places[one][1] for one in (*graph.after.get(name, ()), *graph.reads.get(name, ()))
                       if one in places]  # fmt: skip
            return sum(sources) / len(sources) if sources else 0.0

        for row, name in enumerate(sorted(layer, key=lambda name: (height_of_sources(name), name))):
            places[name] = (MARGIN + column * (BOX_WIDTH + GAP_X), MARGIN + row * (BOX_HEIGHT + GAP_Y))
    return places


def _edges(graph: Graph, places: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    for kind, edges, shift in (("starts", graph.after, -6), ("reads", graph.reads, 6)):
        for name, sources in edges.items():
            for source in sources:
                if source != name:
                    yield _curve(kind, f"{source} → {name}", places[source], places[name], shift)


def _curve(kind: str, title: str, source: tuple[int, int], target: tuple[int, int], shift: int) -> str:
    x1, y1 = source[0] + BOX_WIDTH, source[1] + BOX_HEIGHT // 2 + shift
    x2, y2 = target[0], target[1] + BOX_HEIGHT // 2 + shift
    bend = max(GAP_X // 2, abs(x2 - x1) // 2)
    path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return f'<path class="{kind}" d="{path}" marker-end="url(#end)"><title>{escape(title)}</title></path>'


def _box(node: Node, x: int, y: int) -> str:
    classes = f"{node.kind} trouble" if node.state in TROUBLE else node.kind
    return (
        f'<g class="{escape(classes)}"><title>{escape(f"{node.name}: {node.about}")}</title>'
        f'<rect class="box" x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="4"/>'
        f'<text x="{x + 10}" y="{y + 19}">{escape(_short(node.name))}</text>'
        f'<text class="about" x="{x + 10}" y="{y + 19 + LINE_HEIGHT}">{escape(_short(node.about, 37))}</text></g>'
    )


def _short(text: str, most: int = CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
