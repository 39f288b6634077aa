"""The footer of a published page: what it says, and what a browser makes of it in every kind of page."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from herd.runner.contract.documents import InputVersion
from herd.runner.footer import SCRIPT, Footer, stamp
from tests.live.support import browser

Make = Callable[..., Any]
NOW = datetime.now(UTC)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
DAILY = {"expression": "cron(0 6 * * ? *)", "timezone": "Europe/Amsterdam", "minutes": 75}


def footer(due: datetime | None, **changes: Any) -> Footer:
    values = {
        "run_id": "20270131T060000-schedule-4f2a",
        "published": datetime(2027, 1, 31, 6, 10, tzinfo=UTC),
        "source": "commit 0123456789ab",
        "inputs": [InputVersion("flights", "20270131T050000-schedule-1b2c")],
        "zone": AMSTERDAM,
        "zone_name": "Europe/Amsterdam",
    }
    return Footer(due=due, **{**values, **changes})


def stamped(page: bytes, due: datetime | None, path: str = "index.html", is_entry: bool = True, **more: Any) -> bytes:
    source, target = Path(more.pop("folder")) / "source", io.BytesIO()
    source.write_bytes(page)
    with source.open("rb") as stream:
        stamp(path, stream, target, footer(due, **more), is_entry=is_entry)
    return target.getvalue()


# --- what it says --------------------------------------------------------------------------------------------------


def test_the_line_names_run_time_commit_inputs_and_the_next_deadline() -> None:
    assert footer(datetime(2027, 2, 1, 6, 15, tzinfo=UTC)).line() == (
        "Run 20270131T060000-schedule-4f2a · published 2027-01-31 07:10 Europe/Amsterdam · commit 0123456789ab · "
        "read flights (run 20270131T050000-schedule-1b2c) · the next one is due by 2027-02-01 07:15 Europe/Amsterdam"
    )
    assert footer(None, inputs=[]).line().endswith("· commit 0123456789ab")
    many = [InputVersion(f"i{number}", "r") for number in range(14)]
    assert "i9 (run r) and 4 more" in footer(None, inputs=many).line()


def test_what_names_say_is_text_and_never_markup() -> None:
    hostile = "</script><script>alert(1)</script>&ü"
    made = footer(NOW, run_id=hostile, source=hostile, inputs=[InputVersion(hostile, hostile)]).html(is_part=False)
    assert made.count(b"<script>") == 1 and b"&lt;/script&gt;" in made and b"&#252;" in made


def test_the_script_is_valid_in_html_and_in_xhtml() -> None:
    assert not {"<", "&", "--", "]]>"} & {sign for sign in ("<", "&", "--", "]]>") if sign in SCRIPT}
    assert SCRIPT.isascii()


def test_a_part_of_a_report_has_none_unless_it_is_the_first_page(tmp_path: Path) -> None:
    part = b"<li>x</li>"
    assert stamped(part, NOW, "part.html", is_entry=False, folder=tmp_path) == part
    assert b"herd-footer" in stamped(part, NOW, folder=tmp_path)
    assert b"data-herd-part" in stamped(b"<html>" + part, NOW, "more.html", is_entry=False, folder=tmp_path)
    frames = b"<html><frameset><frame src=a></frameset></html>"
    assert stamped(frames, NOW, folder=tmp_path) == frames


# --- what a run publishes ------------------------------------------------------------------------------------------


def page_of(report: Any, key: str = "sales/index.html") -> str:
    return str(report.read(key, report.settings["reports_bucket"]))


def test_a_run_publishes_its_page_with_a_footer_and_keeps_what_it_wrote(make: Make) -> None:
    flights = make("flights", "echo 1 > outputs/f.csv")
    assert flights.run("r0").status == 0
    sales = make(
        "sales", "echo '<h1>x</h1>' > outputs/index.html", kind="report", footer=True, deadline=DAILY, reads=["flights"]
    )
    assert sales.run("r1", HERD_SCHEDULED_TIME="2027-01-30T05:00:00Z").status == 0
    page = page_of(sales)
    assert "Run r1 " in page and "content abc" in page and "read flights (run r0)" in page
    assert "due by 2027-01-31 07:15 Europe/Amsterdam" in page and 'data-herd-due="2027-01-31T06:15:00Z"' in page
    assert page == page_of(sales, "sales/r1.page.html")
    assert sales.read("sales/versions/r1/index.html") == "<h1>x</h1>\n"


@pytest.mark.parametrize(
    ("built", "words"),
    [
        ({"schema": 1, "commit": "0123456789abcdef" * 2 + "01234567", "changed": False}, "commit 0123456789ab &#183;"),
        (
            {"schema": 1, "commit": "a" * 40, "changed": True},
            "commit aaaaaaaaaaaa with changes that were not committed",
        ),
        ({"schema": 1, "commit": "<b>", "changed": False}, "content 1f0c2d3e4a5b"),
        ({"schema": 2}, "content 1f0c2d3e4a5b"),
        (None, "content 1f0c2d3e4a5b"),
    ],
)
def test_the_commit_is_what_herd_up_wrote_else_the_content_s_hash(make: Make, built: Any, words: str) -> None:
    content = "1f0c2d3e4a5b"
    sales = make(
        "sales", "echo x > outputs/index.html", kind="report", footer=True, deadline=DAILY, content_hash=content
    )
    if built is not None:
        sales.s3.client.put_object(Bucket=sales.bucket, Key=f"_images/{content}.json", Body=json.dumps(built).encode())
    assert sales.run("r1").status == 0
    assert words in page_of(sales)


@pytest.mark.parametrize(
    ("deadline", "scheduled", "due"),
    [
        pytest.param(DAILY, "2027-03-27T05:00:00Z", "2027-03-28T05:15:00Z", id="the clocks go forward"),
        pytest.param(DAILY, "2027-03-27T12:34:56.789Z", "2027-03-28T05:15:00Z", id="started by hand"),
        pytest.param({**DAILY, "expression": "rate(2 hours)"}, "2027-03-27T05:00:00Z", "2027-03-27T08:15:00Z",
                     id="a rate"),
        pytest.param({**DAILY, "expression": "cron(0 6 1 1 ? *)"}, "2027-01-01T05:00:00Z", "2028-01-01T06:15:00Z",
                     id="yearly"),
        pytest.param({**DAILY, "timezone": "Mars/Olympus"}, "2027-03-27T05:00:00Z", None, id="no such zone"),
        pytest.param({**DAILY, "expression": "at(noon)"}, "2027-03-27T05:00:00Z", None, id="no schedule of ours"),
        pytest.param(None, "2027-03-27T05:00:00Z", None, id="by hand only"),
    ],
)  # fmt: skip
def test_when_the_next_one_is_due(make: Make, deadline: Any, scheduled: str, due: str | None) -> None:
    sales = make("sales", "echo x > outputs/index.html", kind="report", footer=True, deadline=deadline)
    assert sales.run("r1", HERD_SCHEDULED_TIME=scheduled).status == 0
    page = page_of(sales)
    assert "Run r1" in page and (f'data-herd-due="{due}"' in page if due else "data-herd-due=" not in page)


def test_each_page_of_a_fan_out_has_one_and_other_files_stay_as_they_are(make: Make) -> None:
    script = 'echo "<html>$HERD_ITEM" > outputs/page.html; echo "<li>" > outputs/part.html; mkdir outputs/d; '
    script += "mv outputs/part.html outputs/d; echo '{}' > outputs/d/x.json"
    sales = make("sales", script, kind="report", footer=True, deadline=DAILY, fan_out=["north", "south"])
    for item in ("north", "south"):
        assert sales.run("r1", HERD_ITEM=item).status == 0
    assert sales.run("r1", HERD_STEP="publish").status == 0
    assert "Run r1" in page_of(sales, "sales/r1/north/page.html")
    assert (
        page_of(sales, "sales/r1/south/d/part.html") == "<li>\n" and page_of(sales, "sales/r1/south/d/x.json") == "{}\n"
    )


def test_without_a_footer_a_page_is_published_byte_for_byte_in_its_own_encoding(make: Make) -> None:
    sales = make("sales", r"printf '<meta charset=latin1>\374' > outputs/index.html", kind="report")
    assert sales.run("r1").status == 0
    served = sales.s3.client.get_object(Bucket=sales.settings["reports_bucket"], Key="sales/index.html")
    assert served["Body"].read() == b"<meta charset=latin1>\xfc"
    assert served["ContentType"] == "text/html", "what the header said would be believed before the page"


# --- what a browser makes of it ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


PAST, FUTURE = NOW - timedelta(hours=3), NOW + timedelta(days=2)
OWN = '<p id="own" style="color:green">own</p>'
POLICY = '<head><meta http-equiv="Content-Security-Policy" content="{}"></head>'
STYLES = "<style>* { display: block; position: absolute; font-size: 90px } [hidden] { display: flex }</style>"

PAGES = {
    "whole": f"<!doctype html><html><head><title>t</title></head><body>{OWN}</body></html>".encode(),
    "fragment": OWN.encode(),
    "no end of body": f"<html><body>{OWN}".encode(),
    "end of body in a script": f"<body>{OWN}<script>var a = '</body></html>';</script></body></html>".encode(),
    "script left open": f"<body>{OWN}<script>var a = 1;".encode(),
    "comment left open": f"<body>{OWN}<!-- </body>".encode(),
    "table left open": f"<body>{OWN}<table><tr><td>x".encode(),
    "hidden parts left open": f"<body>{OWN}<div style='display:none'><p>x</body></html>".encode(),
    "styles of its own": f"<head>{STYLES}</head><body>{OWN}</body>".encode(),
    "flex": f"<style>body {{ display: flex; height: 100vh; margin: 0 }}</style><body>{OWN}</body>".encode(),
    "Latin-1": b"<meta charset=latin1><body>" + f"{OWN}<p id=l>ü</p></body>".encode("latin-1"),
    "UTF-16": "\ufeff".encode("utf-16-le") + f"<body>{OWN}<p id=l>ü</p></body>".encode("utf-16-le"),
    "byte order mark": b"\xef\xbb\xbf" + f"<body>{OWN}<p id=l>ü</p></body>".encode(),
    "policy: itself": (POLICY.format("default-src 'self'") + f"<body>{OWN}</body>").encode(),
    "policy: nothing": (POLICY.format("default-src 'none'") + f"<body>{OWN}</body>").encode(),
    "policy: a nonce": (POLICY.format("script-src 'nonce-x'") + f"<body>{OWN}</body>").encode(),
    "writes itself": f"<body><script>document.write({json.dumps(OWN)})</script></body>".encode(),
    "replaces its body": f"<body>x<script>addEventListener('DOMContentLoaded', () => "
    f"{{ document.body.innerHTML = {json.dumps(OWN)} }})</script></body>".encode(),
    "XHTML": f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title><script src="data:,"/></head><body>'
    f"{OWN}</body></html>".encode(),
}  # fmt: skip


def opened(window: Any, folder: Path, page: bytes, due: datetime | None, name: str = "page.html", **more: Any) -> Any:
    file = folder / name
    file.write_bytes(stamped(page, due, name, folder=folder, **more))
    window.get(file.as_uri())
    return window


def banner(window: Any) -> Any:
    from selenium.webdriver.common.by import By

    return window.find_element(By.CSS_SELECTOR, "[data-herd-due]")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_past_its_time_says_so_and_else_is_as_it_was(window: Any, tmp_path: Path, name: str) -> None:
    from selenium.webdriver.common.by import By

    file = "page.xhtml" if name == "XHTML" else "page.html"
    opened(window, tmp_path, PAGES[name], PAST, file)
    assert banner(window).is_displayed() and "This page is out of date" in banner(window).text
    line = window.find_element(By.ID, "herd-footer")
    assert line.is_displayed() and "commit 0123456789ab" in line.text
    place = banner(window).rect
    assert (place["x"], place["y"]) == (0, 0) and place["height"] < 120
    own = window.find_element(By.ID, "own")
    assert own.text == "own"
    for letter in window.find_elements(By.ID, "l"):
        assert letter.text == "ü"
    assert window.execute_script("return performance.getEntriesByType('resource').length") <= (name == "XHTML")
    problems = [entry["message"] for entry in window.get_log("browser") if "herd" in entry["message"]]
    assert not problems

    opened(window, tmp_path, PAGES[name], FUTURE, file)
    assert not banner(window).is_displayed() and window.find_element(By.ID, "herd-footer").is_displayed()


def test_a_page_that_stays_open_says_so_when_the_time_has_come(window: Any, tmp_path: Path) -> None:
    clock = b"<script>var now = Date.now(); Date.now = function () { return now; }; var tick; "
    clock += b"setInterval = function (f) { tick = f; };</script>"
    opened(window, tmp_path, b"<body>" + clock + b"x</body>", FUTURE)
    assert not banner(window).is_displayed()
    window.execute_script("now += 3 * 24 * 3600 * 1000; tick();")
    assert banner(window).is_displayed()
    assert (
        window.execute_script("return document.documentElement.style.marginTop")
        == f"{banner(window).rect['height']:.0f}px"
    )


def test_a_page_in_a_frame_of_its_report_leaves_it_to_the_first_page(window: Any, tmp_path: Path) -> None:
    (tmp_path / "widget.html").write_bytes(
        stamped(b"<html><p>w</p>", PAST, "widget.html", is_entry=False, folder=tmp_path)
    )
    opened(window, tmp_path, b"<body><iframe src=widget.html></iframe></body>", PAST)
    assert banner(window).is_displayed()
    window.switch_to.frame(0)
    assert "herd-footer" not in window.page_source
    window.get((tmp_path / "widget.html").as_uri())
    assert banner(window).is_displayed()
