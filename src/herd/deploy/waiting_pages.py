"""The page at a report's address until it is first published: words, where S3 would answer with XML and AccessDenied.

`herd up` puts it there, and only where nothing is: the report's first run replaces it, as each run replaces the page
of the last one. It is public, so it says nothing but the report's name and when it is made.
"""

from __future__ import annotations

import html

from herd import console
from herd.runner.contract.keys import report_page_key
from herd.runner.contract.kinds import PAGES
from herd.runs import runs
from herd.targets.exports import BatchExport
from herd.targets.target import Target

THERE_ALREADY = ("PreconditionFailed", "ConditionalRequestConflict")
"""What S3 answers to a conditional write of what is there, or is being written."""

AGAIN_SECONDS = 60
"""After which the page looks whether the report is there."""


def put(target: Target) -> None:
    """At the address of each report that has none. A failure is said and changes nothing."""
    from botocore.exceptions import BotoCoreError, ClientError

    bucket = target.exports.reports_bucket
    reports = {name: entry for name, entry in target.exports.batch.items() if entry.kind in PAGES and entry.url}
    if not bucket or not reports:
        return
    s3 = target.client("s3")

    def one(name: str) -> str | None:
        try:
            s3.put_object(
                Bucket=bucket,
                Key=report_page_key(name),
                Body=page(name, reports[name]).encode(),
                ContentType="text/html; charset=utf-8",
                CacheControl="no-cache",
                IfNoneMatch="*",
            )
        except ClientError as error:
            return None if error.response["Error"]["Code"] in THERE_ALREADY else str(error)
        except BotoCoreError as error:
            return str(error)
        return None

    problems = [problem for problem in runs.in_parallel(one, reports) if problem]
    if problems:
        console.note(f"the pages of reports that are not there yet could not be put: {problems[0]}", style="yellow")


def page(name: str, entry: BatchExport) -> str:
    """For whoever has the address already."""
    when = f" It is made by a schedule: {entry.schedule.text} ({entry.timezone})." if entry.schedule else ""
    shown = html.escape(name)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{AGAIN_SECONDS}"><meta name="viewport" content="width=device-width">'
        f"<title>{shown}: not there yet</title>"
        "<style>:root{color-scheme:light dark}"
        "body{font:1.1rem/1.5 system-ui;max-width:34rem;margin:4rem auto;padding:0 1rem}"
        f"</style><h1>{shown} is not there yet</h1>"
        f"<p>No run of this report has succeeded so far.{html.escape(when)}</p>"
        "<p>This address will show it; the page looks again by itself.</p></html>\n"
    )
