"""A page as one file: what it loads from its own version becomes `data:` addresses. Asked for by `herd share`.

Pictures, styles, scripts, fonts and frames are found as `elsewhere` finds them. What a page loads from other servers
stays, and so does what a file cannot hold; both are named.
"""

from __future__ import annotations

import base64
import html
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import unquote

from . import elsewhere, markup, pages
from .errors import RunFailed
from .markup import HTML, XHTML, Buffer, Edit, Reader, attributes
from .storage import content_type

MOST_DEPTH = 8
"""Of frames in frames and styles in styles."""

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//|#|/|$")
_RELATIVE_IMPORT = re.compile(rb"""(?:\bfrom|\bimport)\s*\(?\s*["'`]\.{1,2}/""")
_FRAGMENT_ONLY = (b"use",)
"""Elements that take no `data:` address."""


@dataclass
class Shared:
    """The file. `elsewhere`: what it loads from other servers; `left`: what it would load and this file has not."""

    content: bytes = b""
    inlined: int = 0
    elsewhere: tuple[str, ...] = ()
    left: list[str] = field(default_factory=list)


def pages_among(paths: Sequence[str]) -> list[str]:
    """Those that are pages, by their names."""
    return [path for path in paths if path.lower().endswith((*HTML, *XHTML))]


def first_page(paths: Sequence[str]) -> str | None:
    """The one that opens at a report's address; None where there is none, or several could be."""
    try:
        return pages.entry(paths)
    except RunFailed:
        return None


def self_contained(page: str, files: Mapping[str, bytes]) -> Shared:
    """The page with all that it loads from `files`, which are named as in the version."""
    shared = Shared()
    shared.content = _page(page, files, shared, (page,))
    foreign = elsewhere.in_page(shared.content, xml=page.lower().endswith(XHTML))
    shared.elsewhere = tuple(dict.fromkeys(address for _, address in foreign))
    shared.left = list(dict.fromkeys(shared.left))
    return shared


def _page(path: str, files: Mapping[str, bytes], shared: Shared, within: tuple[str, ...]) -> bytes:
    target = BytesIO()

    def edits(page: Buffer) -> list[Edit]:
        reader = _Inline(page, path, files, shared, within)
        reader.read()
        return reader.edits

    markup.edited(files[path], target, edits)
    return target.getvalue()


class _Inline(Reader):
    """Finds where a page loads its own files, and what stands there instead."""

    def __init__(
        self, page: Buffer, path: str, files: Mapping[str, bytes], shared: Shared, within: tuple[str, ...]
    ) -> None:
        super().__init__(page, xml=path.lower().endswith(XHTML))
        self.edits: list[Edit] = []
        self._path, self._files, self._shared, self._within = path, files, shared, within

    def _tag(self, name: bytes, start: int, end: int) -> int | None:
        after = super()._tag(name, start, end)
        if name.startswith(b"/"):
            return after
        tag = self._page[start:end]
        rel = next((value for key, value, _ in attributes(tag) if key == "rel"), "").lower().split()
        loads = () if name == b"link" and not elsewhere.LOADING_LINKS & set(rel) else elsewhere.LOADS.get(name, ())
        for key, value, (first, last) in attributes(tag):
            new = None
            if key in loads:
                new = self._candidates(value) if key == "srcset" else self._address(value, name)
            elif key == "style":
                new = self._style(value)
            elif name == b"a" and key == "href":
                self._link(_inside(self._path, value))
            if new is not None and new != value:
                text = html.escape(new).encode("utf-8", "surrogateescape")
                self.edits.append(Edit(start + first, start + last, b'"' + text + b'"'))
        if name == b"style" and after is not None and after > end:
            content = self._page[end:after].decode("utf-8", "surrogateescape")
            if (new := self._style(content)) != content:
                self.edits.append(Edit(end, after, new.encode("utf-8", "surrogateescape")))
        return after

    def _link(self, path: str | None) -> None:
        if path in self._files and path != self._path:
            self._shared.left.append(f"{path} (a link)")

    def _style(self, text: str) -> str:
        return _in_style(text, self._path, self._files, self._shared, self._within)

    def _candidates(self, srcset: str) -> str:
        parts = [part.split() for part in re.split(r",\s+", srcset) if part.split()]
        return ", ".join(" ".join([self._address(part[0], b"img") or part[0], *part[1:]]) for part in parts)

    def _address(self, address: str, element: bytes) -> str | None:
        if element in _FRAGMENT_ONLY:
            if not address.strip().startswith("#"):
                self._shared.left.append(address)
            return None
        return _data(address, self._path, self._files, self._shared, self._within)


def _data(address: str, path: str, files: Mapping[str, bytes], shared: Shared, within: tuple[str, ...]) -> str | None:
    """The `data:` address of one of the version's own files; None for any other address."""
    inside = _inside(path, address)
    if inside is None:
        return None
    if inside not in files or inside in within or len(within) > MOST_DEPTH:
        shared.left.append(inside)
        return None
    content, name = files[inside], inside.lower()
    if name.endswith((*HTML, *XHTML)):
        content = _page(inside, files, shared, (*within, inside))
    elif name.endswith(".css"):
        text = content.decode("utf-8", "surrogateescape")
        content = _in_style(text, inside, files, shared, (*within, inside)).encode("utf-8", "surrogateescape")
    elif name.endswith((".js", ".mjs")) and _RELATIVE_IMPORT.search(content):
        shared.left.append(f"what {inside} imports")
    shared.inlined += 1
    _, mark, fragment = address.partition("#")
    kind = content_type(inside).replace(" ", "")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}{mark}{fragment}"


def _in_style(text: str, path: str, files: Mapping[str, bytes], shared: Shared, within: tuple[str, ...]) -> str:
    def replaced(match: re.Match[str]) -> str:
        address = next((group for group in match.groups() if group), "").strip()
        new = _data(address, path, files, shared, within)
        if new is None:
            return match[0]
        return f'@import url("{new}")' if match[0].startswith("@") else f'url("{new}")'

    return elsewhere.IN_STYLE.sub(replaced, text)


def _inside(path: str, address: str) -> str | None:
    """The file of the version that an address on the page `path` names; None for one of another kind.

    >>> _inside("parts/a.html", "../img/b%20c.png?v=2#top"), _inside("a.html", "https://example.com/x.png")
    ('img/b c.png', None)
    """
    address = address.strip()
    if _SCHEME.match(address):
        return None
    plain = unquote(re.split(r"[?#]", address, maxsplit=1)[0])
    whole = posixpath.normpath(posixpath.join(posixpath.dirname(path), plain))
    return None if whole.startswith("../") or whole in (".", "..") else whole
