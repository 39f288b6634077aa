"""What pages load from other servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from herd.runner.elsewhere import LONGEST_LOADER, in_page, loaded_from_elsewhere

CDN = "https://cdn.example/x"

LOADS = {
    "script": f'<script src="{CDN}"></script>',
    "script without quotes, in capitals": f"<SCRIPT SRC={CDN}></SCRIPT>",
    "module": f'<script type="module">import vega from "{CDN}"</script>',
    "import of a module later": f"<script>import('{CDN}').then(run)</script>",
    "loader": "<script>load('https://cdn.example/x')</script>",
    "style sheet": f'<link rel="stylesheet" href="{CDN}">',
    "icon": f'<link href="{CDN}" rel="shortcut icon">',
    "image": f'<img alt="a > b" src="{CDN}">',
    "image without scheme": '<img src="//cdn.example/x">',
    "images of several sizes": f'<img srcset="small.png 1x, {CDN} 2x">',
    "font": f"<style>@font-face {{ src: url({CDN}) }}</style>",
    "imported style": f'<style>@import "{CDN}";</style>',
    "style of an element": f'<p style="background: url(&quot;{CDN}&quot;)">',
    "frame": f'<iframe src="{CDN}"></iframe>',
    "in a frame of its own": f'<iframe srcdoc="&lt;img src=&quot;{CDN}&quot;&gt;"></iframe>',
    "video": f'<video poster="{CDN}"></video>',
    "object": f'<object data="{CDN}"></object>',
    "in a drawing": f'<svg><image xlink:href="{CDN}"/></svg>',
    "below a foreign base": '<base href="https://cdn.example/"><img src="x">',
}

KEPT = {
    "link": f'<a href="{CDN}">more</a>',
    "canonical": f'<link rel="canonical" href="{CDN}">',
    "relative": '<script src="x.js"></script><img src="/y.png">',
    "data": '<img src="data:image/png;base64,aHR0cHM6Ly94">',
    "comment": f'<!-- <script src="{CDN}"></script> -->',
    "text": f"<p>&lt;img src={CDN}&gt; {CDN}</p>",
    "text of a field": f'<textarea><img src="{CDN}"></textarea>',
    "name of a format": '<svg xmlns="http://www.w3.org/2000/svg"></svg><script>ns("http://www.w3.org/2000/svg")</script>',
    "address that a script shows": "<script>show('https://example.com/about')</script>",
    "package whose code is in the page": f"<script>{'x' * LONGEST_LOADER}load('{CDN}.js')</script>",
    "data of a chart": f'<script type="application/json">{{"url": "{CDN}.js"}}</script>',
    "comment in a style": f"<style>/* url({CDN}) */</style>",
}


@pytest.mark.parametrize("case", LOADS)
def test_what_is_loaded_is_found(case: str) -> None:
    assert [address.removeprefix("https:") for _, address in in_page(LOADS[case].encode())] == [CDN[6:]]


@pytest.mark.parametrize("case", KEPT)
def test_what_is_not_loaded_is_not(case: str) -> None:
    assert in_page(KEPT[case].encode()) == []


def test_styles_and_drawings_are_looked_at_too(tmp_path: Path) -> None:
    files = {"a.css": f"p {{ background: url({CDN}) }}", "b.svg": f'<svg><image href="{CDN}"/></svg>', "c.txt": CDN}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = loaded_from_elsewhere({name: (tmp_path / name).resolve() for name in files})
    assert [str(one) for one in found] == [f"a.css: url() {CDN}", f"b.svg: <image> {CDN}"]


@pytest.mark.parametrize("alone", [False, True])
def test_a_run_says_so_or_refuses(make: Callable[..., Any], alone: bool) -> None:
    script = f"echo '<!doctype html><script src=\"{CDN}\"></script>' > outputs/index.html"
    report = make("page", script, kind="report", self_contained=alone)
    run = report.run("r1")
    assert f"index.html: <script> {CDN}" in run.log
    assert run.status == (65 if alone else 0) and (report.latest is None) is alone
    assert report.record("r1")["elsewhere"] == [f"index.html: <script> {CDN}"]
    assert report.record("r1")["status"] == ("check-failed" if alone else "succeeded")
