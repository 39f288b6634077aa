"""Bodies that are documents: JSON, forms and XML, each read strictly and written again in one form.

What two parsers could read in two ways is refused. Codes are AWS's own as far as known.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, quote
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from localcloud.request.errors import Refused

MAX_PARAMETERS = 10_000
"""Of a form; a call that is described by more is none that AWS takes."""

MAX_DEPTH = 64
"""Of what is nested in a document; AWS's own limits are lower (DynamoDB: 32)."""

MAX_ELEMENTS = 50_000
"""Of an XML document: a completed upload has 10,000 parts of some elements each."""

Pairs = dict[str, str]


def pairs(text: str) -> Pairs:
    """The names and values of a query or form, decoded once, each name there once. Raises `Refused`.

    A value without a name is left out: it says nothing, and parsers differ about whether it is there.
    """
    if text.count("&") >= MAX_PARAMETERS:
        raise Refused("MalformedQueryString", f"The form has more than {MAX_PARAMETERS} parameters.")
    try:
        parsed = [each for each in parse_qsl(text, keep_blank_values=True, errors="strict") if each[0]]
    except ValueError:
        raise Refused("MalformedQueryString", "The parameters are not encoded in UTF-8.") from None
    once(name for name, _ in parsed)
    return dict(parsed)


def once(names: Iterable[str]) -> None:
    """Raise `Refused` for a name that is there twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Refused("InvalidArgument", f"The parameter {twice[0][:80]} is there more than once.")


def form(body: bytes) -> Pairs:
    """The fields of a form. Raises `Refused`."""
    try:
        return pairs(body.decode())
    except UnicodeDecodeError:
        raise Refused("MalformedQueryString", "The form is not encoded in UTF-8.") from None


def url(path: str, query: Pairs) -> str:
    """Path and query, encoded; a parameter without a value has no equals sign."""
    named = (f"{quote(name)}={quote(value, safe='')}" if value else quote(name) for name, value in query.items())
    return f"{path}?{'&'.join(named)}" if query else path


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8 without a name twice; empty for no body. Raises `Refused`."""
    if not body:
        return {}
    try:
        parsed = json.loads(
            body.decode(), object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite_number
        )
    except RecursionError:
        raise _not_json("it is nested too deeply") from None
    except ValueError as error:
        raise _not_json(str(error)) from None
    if not isinstance(parsed, dict):
        raise _not_json("it is no object")
    todo: list[tuple[Any, int]] = [(parsed, 1)]
    while todo:
        value, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise _not_json("it is nested too deeply")
        if isinstance(value, str) and not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise _not_json("it has half of a character")
        if isinstance(value, dict):
            todo += [(each, depth) for each in value]
            todo += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            todo += [(each, depth + 1) for each in value]
    return parsed


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(items)
    if len(members) < len(items):
        raise ValueError("a name is there more than once")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number


def _not_json(why: str) -> Refused:
    return Refused("SerializationException", f"The body of the request is no JSON object: {why}")


ATTRIBUTES = ("xmlns", "xmlns:xsi", "xsi:type")
"""The attributes that requests have; the type is that of a grant's receiver."""


def xml(body: bytes) -> bytes:
    """An XML document written again: no document type, comments, prefixed elements, or other namespace inside.

    Raises `Refused`.
    """
    if not body:
        return body
    written: list[str] = []
    open_elements: list[str] = []
    namespace = ""
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count, namespace
        count += 1
        if len(open_elements) >= MAX_DEPTH or count > MAX_ELEMENTS:
            raise Refused("MalformedXML", "The XML you provided is nested too deeply or has too many elements.")
        if ":" in name:
            raise Refused("MalformedXML", f"The XML you provided has an element of another namespace: {name[:80]}")
        unknown = [each for each in attributes if each not in ATTRIBUTES]
        if unknown:
            raise Refused("MalformedXML", f"The XML you provided has an unknown attribute: {unknown[0][:80]}")
        if not open_elements:
            namespace = attributes.get("xmlns", "")
        elif attributes.pop("xmlns", namespace) != namespace:
            raise Refused("MalformedXML", f"The XML you provided has an element of another namespace: {name[:80]}")
        open_elements.append(name)
        written.append(f"<{name}{''.join(f' {key}={quoteattr(value)}' for key, value in attributes.items())}>")

    def end(name: str) -> None:
        open_elements.pop()
        written.append(f"</{name}>")

    def declaration(_: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise Refused("MalformedXML", f"The XML you provided is encoded in {encoding[:40]!r} and not in UTF-8.")

    def doctype(*_: Any) -> None:
        raise Refused("MalformedXML", "The XML you provided has a document type.")

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = lambda text: written.append(escape(text, {"\r": "&#13;"}))
    parser.XmlDeclHandler, parser.StartDoctypeDeclHandler = declaration, doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise Refused("MalformedXML", f"The XML you provided was not well-formed: {error}") from None
    return "".join(written).encode()
