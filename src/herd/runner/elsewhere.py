"""What a page asks other servers for when somebody opens it: scripts, styles, images, fonts, frames; not its links.

A page that does shows less when those servers are gone, behind a company's proxy or offline, and tells them who reads
it. Found is what stands in the page; what a long script that came with a package may ask for is not.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .markup import HTML, XHTML, Buffer, Reader, attributes, mapped
from .workspace import opened

MOST = 20
"""Of one run: the log and the record need not name each."""

LONGEST_LOADER = 20_000
"""Characters. A script in the page that is longer is a package's whole code, whose addresses it rarely asks."""

LOADS: Mapping[bytes, tuple[str, ...]] = {
    b"script": ("src", "href", "xlink:href"),
    b"link": ("href",),
    b"img": ("src", "srcset"),
    b"source": ("src", "srcset"),
    b"iframe": ("src",),
    b"frame": ("src",),
    b"embed": ("src",),
    b"object": ("data",),
    b"video": ("src", "poster"),
    b"audio": ("src",),
    b"track": ("src",),
    b"input": ("src",),
    b"image": ("href", "xlink:href"),
    b"use": ("href", "xlink:href"),
    b"feimage": ("href", "xlink:href"),
    b"body": ("background",),
    b"table": ("background",),
    b"td": ("background",),
}
"""Attributes that a browser loads without being asked, by element."""

LOADING_LINKS = frozenset(
    ("stylesheet", "icon", "preload", "modulepreload", "prefetch", "manifest", "apple-touch-icon")
)

_ABROAD = re.compile(r"(?:https?:)?//[^/\s]", re.IGNORECASE)
IN_STYLE = re.compile(
    r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^"')\s]*))\s*\)|@import\s+(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE
)
_STYLE_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ADDRESS = re.compile(r"""https?://[^\s"'`<>\\)]+""", re.IGNORECASE)
_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["'`]((?:https?:)?//[^"'`]+)["'`]""")
_OF_A_PROGRAM = re.compile(r"\.(?:m?js|css|wasm|woff2?)(?:[?#]|$)", re.IGNORECASE)
_DELIVERS = (
    "cdn.",
    "unpkg.com",
    "cdnjs.",
    "esm.sh",
    "esm.run",
    "fonts.googleapis.com",
    "fonts.gstatic.com",
    "jspm.dev",
)
"""What hosts that deliver packages to browsers begin with, or are."""

_WEBSITE = re.compile(r"(?:https?:)?//(?:www\.w3\.org|schemas?\.)", re.IGNORECASE)
"""Names of formats look like addresses."""


@dataclass(frozen=True)
class Foreign:
    """`page` loads `address`; `what` is the element or rule that does."""

    page: str
    what: str
    address: str

    def __str__(self) -> str:
        shown = self.address if len(self.address) <= 120 else f"{self.address[:119]}…"
        return f"{self.page}: <{self.what}> {shown}" if self.what in _ELEMENTS else f"{self.page}: {self.what} {shown}"


_ELEMENTS = frozenset(name.decode() for name in LOADS)


def loaded_from_elsewhere(files: Mapping[str, Path]) -> tuple[Foreign, ...]:
    """In the pages and styles among the outputs, each address once a page, in order."""
    seen: dict[tuple[str, str], Foreign] = {}
    for path, source in files.items():
        kind = path.lower()
        if not kind.endswith((*HTML, *XHTML, ".css", ".svg")):
            continue
        with opened(source) as stream, mapped(stream) as page:
            if kind.endswith(".css"):
                loads: Iterable[tuple[str, str]] = in_style(page[:].decode("utf-8", "replace"))
            else:
                loads = in_page(page, xml=not kind.endswith(HTML))
            for what, address in loads:
                seen.setdefault((path, address), Foreign(path, what, address))
    return tuple(seen.values())


def in_page(page: Buffer, *, xml: bool = False) -> list[tuple[str, str]]:
    """What loads, and the address."""
    reader = _Loads(page, xml=xml)
    reader.read()
    return reader.loads


class _Loads(Reader):
    def __init__(self, page: Buffer, *, xml: bool) -> None:
        super().__init__(page, xml=xml)
        self.loads: list[tuple[str, str]] = []
        self._base = ""

    def _tag(self, name: bytes, start: int, end: int) -> int | None:
        after = super()._tag(name, start, end)
        values = (
            {key: value for key, value, _ in attributes(self._page[start:end])} if not name.startswith(b"/") else {}
        )
        if name == b"base" and not self._base and _ABROAD.match(values.get("href", "").strip()):
            self._base = values["href"].strip()
        if name == b"link" and not LOADING_LINKS & set(values.get("rel", "").lower().split()):
            values = {}
        for attribute in LOADS.get(name, ()):
            if attribute in values:
                addresses = _candidates(values[attribute]) if attribute == "srcset" else [values[attribute].strip()]
                self._add(name.decode(), addresses)
        if "style" in values:
            self.loads += in_style(values["style"])
        if name == b"iframe" and "srcdoc" in values:
            self.loads += in_page(values["srcdoc"].encode("utf-8", "surrogateescape"))
        content = self._page[end:after] if after is not None and after > end else b""
        if name == b"style" and self._xml:  # its text is not passed over there
            closing = self._page.find(b"</style", end)
            content = self._page[end:closing] if closing >= 0 else b""
        if name == b"style":
            self.loads += in_style(content.decode("utf-8", "replace"))
        elif name == b"script" and len(content) <= LONGEST_LOADER and _is_code(values.get("type", "")):
            self.loads += in_script(content.decode("utf-8", "replace"))
        return after

    def _add(self, what: str, addresses: Iterable[str]) -> None:
        for address in addresses:
            if _ABROAD.match(address):
                self.loads.append((what, address))
            elif self._base and address and not re.match(r"#|[a-zA-Z][a-zA-Z0-9+.-]*:", address):
                self.loads.append((what, f"{self._base.rsplit('/', 1)[0]}/{address.lstrip('/')}"))


def _candidates(srcset: str) -> list[str]:
    return [part.split()[0] for part in re.split(r",\s+|,(?=https?:)", srcset) if part.split()]


def _is_code(kind: str) -> bool:
    return kind.strip().lower() in ("", "module", "text/javascript", "application/javascript", "importmap")


def in_style(text: str) -> list[tuple[str, str]]:
    """The addresses of a style sheet.

    >>> in_style("@import '//fonts.example/a.css'; p { background: url(b.png) }")
    [('@import', '//fonts.example/a.css')]
    """
    loads = []
    for match in IN_STYLE.finditer(_STYLE_COMMENT.sub("", text)):
        address = next((group for group in match.groups() if group), "").strip()
        if _ABROAD.match(address):
            loads.append(("@import" if match[0].startswith("@") else "url()", html.unescape(address)))
    return loads


def in_script(text: str) -> Iterator[tuple[str, str]]:
    """Of a short script: what it imports, and addresses of programs, styles and fonts, which it is there to load."""
    imported = {match[1] for match in _IMPORT.finditer(text)}
    for address in dict.fromkeys([*imported, *(match[0] for match in _ADDRESS.finditer(text))]):
        host = address.partition("//")[2].partition("/")[0].lower()
        if _WEBSITE.match(address):
            continue
        if address in imported or _OF_A_PROGRAM.search(address) or host.startswith(_DELIVERS):
            yield "script", address
