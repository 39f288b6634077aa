"""The numbers behind the report: one small table for each figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

LATE_MINUTES = 15
FEWEST_FLIGHTS = 200  # below this a share says more about chance than about an airline or a route


def read_flights(folder: Path) -> pd.DataFrame:
    """All flights with the names of their airlines and destinations; `late` is missing for cancelled ones."""
    flights = pd.concat(map(pd.read_parquet, sorted(folder.glob("flights/*.parquet"))), ignore_index=True)
    airlines = pd.read_csv(folder / "airlines.csv").set_index("carrier")["name"]
    airports = pd.read_csv(folder / "airports.csv").set_index("faa")["name"]
    cancelled = flights["departure_delay"].isna()
    return flights.assign(
        airline=flights["carrier"].map(airlines).str.replace(r" (Inc|Co|Corporation|Airlines Inc)\.?$", "", regex=True),
        destination=flights["dest"].map(airports).fillna(flights["dest"]),
        cancelled=cancelled,
        late=(flights["departure_delay"] > LATE_MINUTES).astype(float).mask(cancelled),
    )


def read_model(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    metrics["candidates"] = pd.DataFrame(json.loads((folder / "candidates.json").read_text()))
    metrics["calibration"] = pd.DataFrame(metrics["calibration"])
    return metrics


def key_numbers(flights: pd.DataFrame) -> dict[str, Any]:
    late = flights[flights["late"] == 1]
    return {
        "from": flights["scheduled"].min(),
        "to": flights["scheduled"].max(),
        "flights": len(flights),
        "late": flights["late"].mean(),
        "cancelled": flights["cancelled"].mean(),
        "typical_delay": late["departure_delay"].median(),
    }


def by_day(flights: pd.DataFrame) -> pd.DataFrame:
    """day, late (share), smooth (the mean of the seven days around it)"""
    days = flights.groupby(flights["scheduled"].dt.normalize().rename("day"))["late"].mean().reset_index()
    return days.assign(smooth=days["late"].rolling(7, center=True, min_periods=4).mean())


def by_weekday_and_hour(flights: pd.DataFrame) -> pd.DataFrame:
    """weekday (Monday = 0), hour, late, flights"""
    scheduled = flights["scheduled"].dt
    keys = [scheduled.day_of_week.rename("weekday"), scheduled.hour.rename("hour")]
    return shares(flights, keys, fewest=20)


def by_hour(flights: pd.DataFrame) -> pd.DataFrame:
    """hour, late, flights: from the safest hour to the riskiest"""
    return shares(flights, [flights["scheduled"].dt.hour.rename("hour")]).sort_values("late")


def by_airline(flights: pd.DataFrame) -> pd.DataFrame:
    """airline, late, flights: from the worst to the best"""
    return shares(flights, ["airline"]).sort_values("late", ascending=False)


def worst_routes(flights: pd.DataFrame, count: int = 9) -> pd.DataFrame:
    """origin, destination, late, flights of the routes that are late most often"""
    return shares(flights, ["origin", "destination"]).nlargest(count, "late")


def shares(flights: pd.DataFrame, keys: list[Any], fewest: int = FEWEST_FLIGHTS) -> pd.DataFrame:
    table = flights.groupby(keys)["late"].agg(late="mean", flights="size").reset_index()
    return table[table["flights"] >= fewest].reset_index(drop=True)
