"""Where something can be added to a page without breaking it: what a browser makes of its bytes, as far as that goes.

A page is read as the HTML standard's tokenizer reads it (https://html.spec.whatwg.org/multipage/parsing.html), in one
pass of regular expressions over the file, so that 50 MB take a second and no memory. What is added is ASCII, which all
encodings that browsers know for pages but UTF-16 have in common.
"""

from __future__ import annotations

import codecs
import html
import mmap
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

Buffer = bytes | mmap.mmap

HTML = (".html", ".htm")
XHTML = (".xhtml", ".xht")
"""Ends of the names of pages, in small letters."""

_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

_TOKEN = re.compile(
    rb"<(?:(?P<comment>!--)|(?P<cdata>!\[CDATA\[)|(?P<bogus>[!?]|/(?=[^a-zA-Z>]))|(?P<tag>/?[a-zA-Z][^\s/>]*+))"
)
_ATTRIBUTES = re.compile(rb"""(?>(?:[^>"'=]++|=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+)|["'])*+)>""")
_ATTRIBUTE = re.compile(rb"""([^\s"'>/=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""")
_COMMENT_END = re.compile(rb"--!?>")
_SCRIPT = re.compile(rb"(?P<comment><!--)|(?P<end>-->)|<(?P<tag>/?)script(?=[\s/>])", re.IGNORECASE)
_XML_END = re.compile(rb"</body\s*>(?=(?:\s|<!--(?:(?!--).)*-->)*</html\s*>(?:\s|<!--(?:(?!--).)*-->)*\Z)", re.DOTALL)

_TEXT_ONLY = frozenset((b"style", b"xmp", b"iframe", b"noembed", b"noframes", b"noscript", b"textarea", b"title"))
"""Elements in which nothing but their own end is markup; `script` is one, with rules of its own."""

_ENCLOSING = frozenset((b"svg", b"math", b"template", b"select"))
"""Elements in which what is added would not be shown, if they are left open at the end."""

_OF_DOCUMENTS = frozenset((b"html", b"head", b"body"))

_LONGEST_XML_TAIL = 64 * 1024


@dataclass
class Markup:
    """What a page is, by positions in its bytes.

    `end`: where something can be added, last in what is shown; None where nothing can. `is_document`: a page of its
    own, not a part that another one loads. `policies`: its Content-Security-Policies, as positions of <meta> tags.
    """

    end: int | None
    is_document: bool = False
    policies: list[tuple[int, int]] = field(default_factory=list)


def read(page: Buffer) -> Markup:
    """Read a page of HTML."""
    return Reader(page).read()


def read_xml(page: Buffer) -> Markup:
    """Read a page of XHTML, where all that comes after its last element would be an error that hides all of it."""
    tail = max(0, len(page) - _LONGEST_XML_TAIL)
    last = _XML_END.search(page[tail:])
    markup = Reader(page, xml=True).read()
    return Markup(tail + last.start() if last else None, True, markup.policies)


class Reader:
    """One pass over the tags of a page; what another kind of reader adds to `_tag` sees each of them."""

    def __init__(self, page: Buffer, *, xml: bool = False) -> None:
        self._page = page
        self._xml = xml
        self._open: dict[bytes, list[int]] = {name: [] for name in _ENCLOSING}
        self._body_end: int | None = None
        self._has_frames = False
        self.markup = Markup(len(page))

    def read(self) -> Markup:
        position, cut = 0, None
        while cut is None and (token := _TOKEN.search(self._page, position)) is not None:
            end = self._after(token)
            if end is None:  # it is left open at the end of the file, which a browser takes to belong to it
                cut = token.start()
            else:
                position = end
        left_open = [starts[0] for starts in self._open.values() if starts]
        if self._has_frames:
            self.markup.end = None
        elif cut is not None or left_open:
            self.markup.end = min([*([cut] if cut is not None else []), *left_open])
        elif self._body_end is not None:
            self.markup.end = self._body_end
        return self.markup

    def _after(self, token: re.Match[bytes]) -> int | None:
        """Where what begins with `token` ends."""
        if token["comment"]:
            return _end(_COMMENT_END.search(self._page, token.end() - 2))
        if token["cdata"] and self._is_foreign:
            return self._past(b"]]>", token.end())
        if not token["tag"]:
            if self._page[token.start() : token.start() + 9].lower() == b"<!doctype":
                self.markup.is_document = True
            return self._past(b">", token.start())
        attributes = _ATTRIBUTES.match(self._page, token.end())
        if attributes is None:
            return None
        return self._tag(token["tag"].lower(), token.start(), attributes.end())

    @property
    def _is_foreign(self) -> bool:
        """Are the rules here those of XML?"""
        return self._xml or bool(self._open[b"svg"] or self._open[b"math"])

    def _tag(self, name: bytes, start: int, end: int) -> int | None:
        is_empty = self._page[end - 2 : end] == b"/>" and (self._is_foreign or name in (b"svg", b"math"))
        if name == b"/body":
            self._body_end = start
        elif name != b"/html":
            self._body_end = None
        if name in _OF_DOCUMENTS:
            self.markup.is_document = True
        elif name == b"frameset":
            self._has_frames = True
        elif name == b"meta" and _is_policy(self._page[start:end]):
            self.markup.policies.append((start, end))
        elif name in _ENCLOSING and not is_empty:
            self._open[name].append(start)
        elif name[:1] == b"/" and (starts := self._open.get(name[1:])):
            starts.pop()
        if is_empty or self._xml:
            return end
        if name == b"plaintext":
            return None
        if name == b"script":
            return self._after_script(end)
        if name in _TEXT_ONLY:
            closing = re.compile(rb"</" + name + rb"(?=[\s/>])", re.IGNORECASE).search(self._page, end)
            return closing.start() if closing else None
        return end

    def _after_script(self, position: int) -> int | None:
        """The position of its end tag: one that stands in a comment with a <script> of its own is none."""
        in_comment = in_script = False
        for token in _SCRIPT.finditer(self._page, position):
            if token["comment"]:
                in_comment = True
            elif token["end"]:
                in_comment = in_script = False
            elif not token["tag"]:
                in_script = in_comment
            elif in_script:
                in_script = False
            else:
                return token.start()
        return None

    def _past(self, text: bytes, position: int) -> int | None:
        where = self._page.find(text, position)
        return where + len(text) if where >= 0 else None


def _end(match: re.Match[bytes] | None) -> int | None:
    return match.end() if match else None


def attributes(tag: bytes) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Name, value and position of the value, with its quotes, of each attribute."""
    for match in _ATTRIBUTE.finditer(tag):
        group = next(number for number in (2, 3, 4) if match[number] is not None)
        start, end = match.span(group)
        quotes = group != 4
        value = html.unescape(match[group].decode("utf-8", "surrogateescape"))
        yield match[1].decode("ascii", "replace").lower(), value, (start - quotes, end + quotes)


def _is_policy(tag: bytes) -> bool:
    return any(name == "http-equiv" and value.strip().lower() == POLICY for name, value, _ in attributes(tag))


POLICY = "content-security-policy"


def admitting(tag: bytes, script_hash: str) -> bytes:
    """The <meta> tag of a policy that also lets the one script run whose hash this is; all else stays forbidden."""
    for name, value, (start, end) in attributes(tag):
        if name == "content":
            policy = html.escape(_admitting(value, script_hash)).encode("utf-8", "surrogateescape")
            return tag[:start] + b'"' + policy + b'"' + tag[end:]
    return tag


def _admitting(policy: str, script_hash: str) -> str:
    """A policy with the hash among the sources of scripts, if it does not let inline scripts run already.

    >>> _admitting("default-src 'self'; img-src *", "sha256-abc")
    "default-src 'self'; img-src *; script-src 'self' 'sha256-abc'"
    """
    directives = [part.split() for part in policy.split(";") if part.split()]
    by_name = {words[0].lower(): words for words in reversed(directives)}  # of two of a name the first counts
    for name in ("script-src-elem", "script-src", "default-src"):
        if name in by_name:
            sources = by_name[name][1:]
            break
    else:
        return policy
    lower = [source.lower() for source in sources]
    # Beside a hash or a nonce 'unsafe-inline' has no effect, so where it has one a hash would take it away.
    exact = any(source.startswith(("'nonce-", "'sha256-", "'sha384-", "'sha512-")) for source in lower)
    if "'unsafe-inline'" in lower and not exact and "'strict-dynamic'" not in lower:
        return policy
    admitted = [source for source in sources if source.lower() != "'none'"] + [f"'{script_hash}'"]
    if name == "default-src":
        return "; ".join([policy.rstrip().rstrip(";"), " ".join(["script-src", *admitted])])
    by_name[name][1:] = admitted
    return "; ".join(" ".join(words) for words in directives)


@dataclass(frozen=True)
class Edit:
    """Put `text` in the place of the bytes from `start` to `end`."""

    start: int
    end: int
    text: bytes


def write(page: Buffer, edits: list[Edit], target: BinaryIO) -> None:
    """Write a page with its edits, which do not meet."""
    position = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        _copy(page, position, edit.start, target)
        target.write(edit.text)
        position = edit.end
    _copy(page, position, len(page), target)


_PART = 1024 * 1024


def _copy(page: Buffer, start: int, end: int, target: BinaryIO) -> None:
    for position in range(start, end, _PART):
        target.write(page[position : min(position + _PART, end)])


def encoding_of(page: Buffer) -> str | None:
    """`utf-16-le`, `utf-16-be`, `utf-8`, or None: of another, which the page may name itself."""
    for bom, name in _UTF_16.items():
        if page[:2] == bom:
            return name
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for position in range(0, len(page), _PART):
            decoder.decode(page[position : position + _PART])
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return None
    return "utf-8"


def edited(page: Buffer, target: BinaryIO, edits: Callable[[Buffer], list[Edit]]) -> None:
    """Write a page with the edits that are made of it to `target`; UTF-16 is read and written as such."""
    encoding = _UTF_16.get(page[:2])
    if encoding is None:
        write(page, edits(page), target)
        return
    try:
        text = page[2:].decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # it only begins like that
        write(page, [], target)
        return
    position = 0
    target.write(page[:2])
    for edit in sorted([*edits(text), Edit(len(text), len(text), b"")], key=lambda edit: edit.start):
        for part in (text[position : edit.start], edit.text):
            target.write(part.decode("utf-8", "surrogatepass").encode(encoding, "surrogatepass"))
        position = edit.end


@contextmanager
def mapped(stream: BinaryIO) -> Iterator[Buffer]:
    """The bytes of an open file, read as they are asked for."""
    stream.seek(0, 2)
    if stream.tell() == 0:  # which cannot be mapped
        yield b""
        return
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as page:
        yield page
