"""Reports: what lies behind the public address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

Make = Callable[..., Any]


@pytest.fixture
def report(make: Make) -> Callable[..., Any]:
    return lambda script, **settings: make("sales", script, kind="report", **settings)


def head(report: Any, key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = report.s3.client.head_object(Bucket=report.settings["reports_bucket"], Key=key)
    return found


def pages(report: Any) -> list[str]:
    found: list[str] = report.keys(report.settings["reports_bucket"])
    return found


@pytest.mark.parametrize("name", ["index.html", "report.html"])
def test_one_page_is_the_address(report: Callable[..., Any], name: str) -> None:
    sales = report(f"echo '<h1>ü</h1>' > outputs/{name}")
    assert sales.run("r1").status == 0
    assert pages(sales) == ["sales/index.html", "sales/r1.page.html"]
    assert sales.read("sales/r1.page.html", sales.settings["reports_bucket"]) == "<h1>ü</h1>\n"
    served = head(sales, "sales/index.html")
    assert (served["ContentType"], served["CacheControl"]) == ("text/html; charset=utf-8", "no-cache")
    assert sales.latest["files"][0]["path"] == name


def test_several_files_lie_in_a_folder_of_the_run_and_old_ones_expire(report: Callable[..., Any]) -> None:
    sales = report("echo page > outputs/index.html; mkdir outputs/img; echo x > 'outputs/img/a b.png'")
    for run_id in ("r1", "r2"):
        assert sales.run(run_id).status == 0
    assert 'url=r2/index.html"' in sales.read("sales/index.html", sales.settings["reports_bucket"])
    assert head(sales, "sales/r2/img/a b.png")["ContentType"] == "image/png"
    assert "immutable" in head(sales, "sales/r2/index.html")["CacheControl"]
    bucket = sales.settings["reports_bucket"]
    assert sales.tags("sales/r1/index.html", bucket) == {"herd:superseded": "true"}
    assert sales.tags("sales/r1.page.html", bucket) == {"herd:superseded": "true"}
    assert sales.tags("sales/r2.page.html", bucket) == {}
    assert sales.tags("sales/r2/index.html", bucket) == {} and sales.tags("sales/index.html", bucket) == {}


def test_a_document_is_what_the_address_leads_to(report: Callable[..., Any]) -> None:
    sales = report("echo x > 'outputs/q1 \"&.pdf'")
    assert sales.run("r1").status == 0
    index = sales.read("sales/index.html", sales.settings["reports_bucket"])
    assert 'url=r1/q1%20%22%26.pdf"' in index


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("true", "a report must write a page"),
        ("mkdir outputs/d; echo > outputs/d/index.html", "a report must write a page"),
        ("echo > outputs/a.html; echo > outputs/b.html", "which of a.html, b.html is the report's first page?"),
    ],
)
def test_a_report_without_a_first_page_fails(report: Callable[..., Any], script: str, words: str) -> None:
    sales = report(script)
    run = sales.run("r1")
    assert run.status == 73 and words in run.log and pages(sales) == []


def test_a_check_that_fails_leaves_the_page_as_it_was(report: Callable[..., Any]) -> None:
    checks = [{"file": "n.json", "value": "rows", "min": 10}]
    report("echo good > outputs/index.html; echo '{\"rows\": 10}' > outputs/n.json", checks=checks).run("r1")
    bad = report("echo bad > outputs/index.html; echo '{\"rows\": 9}' > outputs/n.json", checks=checks)
    assert bad.run("r2").status == 65
    assert bad.read("sales/r1/index.html", bad.settings["reports_bucket"]) == "good\n"
    assert "r1/index.html" in bad.read("sales/index.html", bad.settings["reports_bucket"])


def test_a_fan_out_of_pages_gets_an_overview(report: Callable[..., Any]) -> None:
    sales = report('echo "$HERD_ITEM" > outputs/page.html', fan_out=["north", "south"])
    for item in ("north", "south"):
        assert sales.run("r1", HERD_ITEM=item).status == 0
    assert sales.run("r1", HERD_STEP="publish").status == 0
    index = sales.read("sales/index.html", sales.settings["reports_bucket"])
    assert '<a href="r1/north/page.html">north</a>' in index and "r1/south/page.html" in index
    assert sales.read("sales/r1/south/page.html", sales.settings["reports_bucket"]) == "south\n"
