"""The line at the end of a published page: which run it is of, and by when the next one is due.

When that time has passed a banner says so in the reader's browser: nothing else is running then that could tell, and
it works from a saved file. What is added asks for nothing, is ASCII, and valid in HTML and in XHTML.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import BinaryIO
from zoneinfo import ZoneInfo

from . import markup, record
from .contract.documents import InputVersion
from .contract.schedule import Schedule, next_runs
from .contract.task import Deadline
from .errors import say
from .markup import XHTML, Edit
from .storage import Storage
from .task import DeployedTask

MOST_INPUTS = 10

# In a page of several, what another page shows in a frame says nothing: that one does. Pages may leave elements open
# that are hidden, or write their body anew: so it looks again where it is. Nothing here is an error in XML.
SCRIPT = """(function () {
  var footer = document.currentScript.parentNode, banner = footer.querySelector('[data-herd-due]');
  if (footer.hasAttribute('data-herd-part')) { if (window.top !== window.self) { footer.remove(); return; } }
  var due = banner ? Date.parse(banner.getAttribute('data-herd-due')) : NaN, page = document.documentElement;
  function look() {
    if (footer.parentNode !== document.body) { document.body.appendChild(footer); }
    if (!(Date.now() > due)) { return; }
    if (banner.parentNode !== document.body) { document.body.appendChild(banner); }
    if (!banner.hidden) { return; }
    banner.hidden = false;
    banner.style.cssText = 'all:initial;display:block;box-sizing:border-box;position:fixed;top:0;left:0;right:0;' +
      'z-index:2147483647;padding:10px 16px;background:#a4161a;color:#fff;font:600 15px/1.4 system-ui,sans-serif';
    page.style.marginTop = banner.offsetHeight + 'px';
  }
  function later() { look(); setInterval(look, 60000); addEventListener('pageshow', look); }
  if (document.readyState === 'loading') { addEventListener('DOMContentLoaded', later); } else { later(); }
})();"""

SCRIPT_HASH = "sha256-" + base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
"""As a Content-Security-Policy admits it; the script is the same in every page."""

_LINE = "all:initial;display:block;clear:both;margin:32px 0 0;padding:10px 16px;border-top:1px solid #999;color:#555;"
_LINE += "background:#fff;font:13px/1.5 system-ui,sans-serif"


@dataclass(frozen=True)
class Footer:
    """What is said of a version. `source`: the commit, or the hash of the content, and the image's digest.

    `due`: when the next one is.
    """

    run_id: str
    published: datetime
    source: str
    inputs: Sequence[InputVersion]
    due: datetime | None
    zone: tzinfo
    zone_name: str

    def line(self) -> str:
        read = [f"{one.name} (run {one.run_id})" for one in self.inputs[:MOST_INPUTS]]
        more = len(self.inputs) - len(read)
        facts = [
            f"Run {self.run_id}",
            f"published {self.time(self.published)}",
            self.source,
            *([f"read {', '.join(read)}{f' and {more} more' if more else ''}"] if read else []),
            *([f"the next one is due by {self.time(self.due)}"] if self.due else []),
        ]
        return " · ".join(facts)

    def banner(self) -> str:
        """Only to be shown after `due`."""
        assert self.due is not None
        return (
            f"This page is out of date: a newer one was due by {self.time(self.due)} and has not come. "
            f"What it shows was published {self.time(self.published)}."
        )

    def html(self, *, is_part: bool) -> bytes:
        """What is added to a page; `is_part`: others of the same report lead to it, or show it in a frame."""
        banner = ""
        if self.due is not None:
            attributes = f'data-herd-due="{_utc(self.due)}" role="alert" hidden="hidden" style="display:none"'
            banner = f"<div {attributes}>{_text(self.banner())}</div>"
        part = ' data-herd-part=""' if is_part else ""
        return (
            f'\n<div xmlns="http://www.w3.org/1999/xhtml" id="herd-footer" role="contentinfo"{part} style="{_LINE}">'
            f"{_text(self.line())}{banner}<script>{SCRIPT}</script></div>\n"
        ).encode("ascii")

    def time(self, moment: datetime) -> str:
        """In the time zone of the schedule."""
        return f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M} {self.zone_name}"


def footer_of(task: DeployedTask, storage: Storage, published: datetime, inputs: Sequence[InputVersion]) -> Footer:
    """What a page of this run says."""
    zone, name = _zone(task.deadline)
    return Footer(task.run_id, published, _source(task, storage), inputs, due_by(task), zone, name)


def due_by(task: DeployedTask) -> datetime | None:
    """By when the next version is to be there: the due time after this run's own, and its deadline."""
    if task.deadline is None:
        return None
    schedule = Schedule(task.deadline.expression, "")
    try:
        own = datetime.fromisoformat(task.scheduled_time)
        following = next_runs(schedule, task.deadline.timezone, own if own.tzinfo else own.replace(tzinfo=UTC), 1)
    except (ValueError, LookupError, OverflowError) as error:
        say(f"the page says nothing of the next run: {error}")
        return None
    return following[0] + timedelta(minutes=task.deadline.minutes) if following else None


def stamp(path: str, source: BinaryIO, target: BinaryIO, footer: Footer, *, is_entry: bool) -> None:
    """Write the page `source`, whose name is `path`, with its footer to `target`; or as it is, where none can be added.

    Of a report's pages those get one that are documents of their own; `is_entry`: its first page, which always is.
    """

    def edits(page: markup.Buffer) -> list[Edit]:
        read = markup.read_xml(page) if path.lower().endswith(XHTML) else markup.read(page)
        if read.end is None or not (is_entry or read.is_document):
            return []
        added = [Edit(read.end, read.end, footer.html(is_part=not is_entry))]
        for start, end in read.policies:
            added.append(Edit(start, end, markup.admitting(page[start:end], SCRIPT_HASH)))
        return added

    with markup.mapped(source) as page:
        markup.edited(page, target, edits)


def _source(task: DeployedTask, storage: Storage) -> str:
    """The commit that the image was built from, else the content's hash; and the image's digest."""
    content = f"content {task.content_hash[:12]}" if task.content_hash else "content unknown"
    commit = record.built_from(task, storage)
    digest = task.image.partition("@")[2]
    return " · ".join([commit.words if commit else content, *([f"image {digest[:DIGEST_SHOWN]}"] if digest else [])])


DIGEST_SHOWN = len("sha256:") + 12


def _zone(deadline: Deadline | None) -> tuple[tzinfo, str]:
    if deadline is not None:
        try:
            return ZoneInfo(deadline.timezone), deadline.timezone
        except (LookupError, ValueError, OSError):
            pass
    return UTC, "UTC"


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _text(text: str) -> str:
    """As markup, in ASCII."""
    return html.escape(text).encode("ascii", "xmlcharrefreplace").decode()
