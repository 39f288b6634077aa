"""A report in the public bucket. Its address, <workload>/index.html, always shows one whole version."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from .contract.keys import INDEX, report_page_key, report_version_prefix
from .contract.statuses import CANNOT_PUBLISH
from .errors import RunFailed
from .storage import Storage
from .workspace import opened

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
    html_pages = [path for path in top if path.lower().endswith((".html", ".htm"))]
    for candidates in (html_pages, top):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise RunFailed(
                f"which of {', '.join(candidates[:5])} is the report's first page? name it {INDEX}", CANNOT_PUBLISH
            )
    raise RunFailed(f"a report must write a page to outputs/, best {INDEX}; it wrote none", CANNOT_PUBLISH)


def publish(
    storage: Storage, bucket: str, workload: str, run_id: str, files: Mapping[str, Path], items: Sequence[str] = ()
) -> None:
    """Put a report's files where the address leads; `items` are the folders that a fan-out wrote."""
    page = None if items else entry(list(files))
    if page is not None and len(files) == 1 and page.lower().endswith((".html", ".htm")):
        with opened(files[page]) as stream:
            storage.upload(stream, bucket, report_page_key(workload), CacheControl=_ALWAYS_ASK)
        return
    for path, source in files.items():
        with opened(source) as stream:
            storage.upload(stream, bucket, report_version_prefix(workload, run_id) + path, CacheControl=_FOREVER)
    if page is not None:
        index = _redirect(workload, f"{quote(run_id)}/{quote(page)}")
    else:
        links = {item: _item_page(run_id, item, files) for item in items}
        index = _overview(workload, links)
    storage.put(bucket, report_page_key(workload), index.encode(), CacheControl=_ALWAYS_ASK)


def _item_page(run_id: str, item: str, files: Mapping[str, Path]) -> str:
    below = [path.removeprefix(f"{item}/") for path in files if path.startswith(f"{item}/")]
    return f"{quote(run_id)}/{quote(item)}/{quote(entry(below))}"


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
