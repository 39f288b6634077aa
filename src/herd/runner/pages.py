"""A report in the public bucket. Its address, <workload>/index.html, always shows one whole version."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import quote

from .contract.keys import INDEX, kept_page_key, report_page_key, report_version_prefix
from .contract.statuses import CANNOT_PUBLISH
from .errors import RunFailed
from .markup import HTML, XHTML, encoding_of, mapped
from .storage import Storage, content_type
from .workspace import opened

if TYPE_CHECKING:
    from .footer import Footer

# The address stays while what is behind it changes; files below a run's own folder never change.
_ALWAYS_ASK = "no-cache"
_FOREVER = "public, max-age=31536000, immutable"


def entry(paths: Sequence[str]) -> str:
    """Which of a report's files opens when somebody goes to its address. Raises RunFailed (73) when that is unclear.

    index.html, or the only page at the top, or the only file there (a PDF, say).
    """
    top = [path for path in paths if "/" not in path]
    if INDEX in top:
        return INDEX
    html_pages = [path for path in top if path.lower().endswith(HTML)]
    for candidates in (html_pages, top):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise RunFailed(
                f"which of {', '.join(candidates[:5])} is the report's first page? name it {INDEX}", CANNOT_PUBLISH
            )
    raise RunFailed(f"a report must write a page to outputs/, best {INDEX}; it wrote none", CANNOT_PUBLISH)


def publish(
    storage: Storage,
    bucket: str,
    workload: str,
    run_id: str,
    files: Mapping[str, Path],
    items: Sequence[str] = (),
    footer: Footer | None = None,
) -> None:
    """Put a report's files where the address leads; `items` are the folders that a fan-out wrote.

    What the address shows is kept beside it for as long as the version is: `herd rollback` copies it back.
    """
    page = None if items else entry(list(files))
    first = {page} if page is not None else {_item_page(item, files) for item in items}
    if page is not None and len(files) == 1 and page.lower().endswith(HTML):
        with _published(files[page], page, footer, is_entry=True) as (stream, kind):
            for key in (kept_page_key(workload, run_id), report_page_key(workload)):
                storage.upload(stream, bucket, key, CacheControl=_ALWAYS_ASK, ContentType=kind)
        return
    for path, source in files.items():
        with _published(source, path, footer, is_entry=path in first) as (stream, kind):
            key = report_version_prefix(workload, run_id) + path
            storage.upload(stream, bucket, key, CacheControl=_FOREVER, ContentType=kind)
    if page is not None:
        index = _redirect(workload, f"{quote(run_id)}/{quote(page)}")
    else:
        index = _overview(workload, {item: f"{quote(run_id)}/{quote(_item_page(item, files))}" for item in items})
    for key in (kept_page_key(workload, run_id), report_page_key(workload)):
        storage.put(bucket, key, index.encode(), CacheControl=_ALWAYS_ASK)


@contextmanager
def _published(source: Path, path: str, footer: Footer | None, *, is_entry: bool) -> Iterator[tuple[BinaryIO, str]]:
    """A file as it is published, and its type: with its footer, if it is a page that can have one."""
    with opened(source) as stream:
        kind = content_type(path)
        if not path.lower().endswith((*HTML, *XHTML)):
            yield stream, kind
            return
        with mapped(stream) as read:
            encoding = encoding_of(read)
        # What the header says is believed before what the page itself says.
        kind = kind.partition(";")[0] if encoding != "utf-8" else kind
        if footer is None:
            yield stream, kind
            return
        from .footer import stamp

        with tempfile.NamedTemporaryFile() as stamped:
            target = cast("BinaryIO", stamped)
            stamp(path, stream, target, footer, is_entry=is_entry)
            target.flush()
            yield target, kind


def _item_page(item: str, files: Mapping[str, Path]) -> str:
    below = [path.removeprefix(f"{item}/") for path in files if path.startswith(f"{item}/")]
    return f"{item}/{entry(below)}"


def _redirect(title: str, address: str) -> str:
    shown, target = html.escape(title), html.escape(address)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{shown}</title>'
        f'<meta http-equiv="refresh" content="0; url={target}"><p><a href="{target}">{shown}</a></p></html>\n'
    )


def _overview(title: str, links: Mapping[str, str]) -> str:
    shown = html.escape(title)
    listed = "".join(f'<li><a href="{html.escape(to)}">{html.escape(item)}</a></li>' for item, to in links.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{shown}</title>'
        f'<meta name="viewport" content="width=device-width"><body style="font-family:system-ui;margin:3rem">'
        f"<h1>{shown}</h1><ul>{listed}</ul></body></html>\n"
    )
