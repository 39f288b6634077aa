"""What the delay model is told about a flight.

Training (jobs/delay-model) and serving (apis/delay-api) both call `features`, so that a column can never mean one thing
in the model and another in the API.
"""

from __future__ import annotations

import pandas as pd

LATE_MINUTES = 15
"""A departure counts as late when it leaves more than this many minutes after its scheduled time."""

WEATHER = ["temperature_c", "wind_kmh", "rain_mm", "visibility_km"]
CATEGORIES = ["origin", "dest", "carrier", "hour", "weekday"]
NUMBERS = ["minutes_of_day", "distance_km", *WEATHER]


def features(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """One row a flight, in the order of `flights`, with the columns CATEGORIES and NUMBERS.

    flights: scheduled (local time), origin, dest, carrier, distance_km
    weather: origin, hour_starting (local time), and the columns WEATHER, at most one row an origin and hour
    """
    hour_starting = flights["scheduled"].dt.floor("h")
    rows = flights.assign(hour_starting=hour_starting).merge(
        weather[["origin", "hour_starting", *WEATHER]],
        on=["origin", "hour_starting"],
        how="left",
        validate="many_to_one",
    )
    scheduled = rows["scheduled"].dt
    rows["hour"] = scheduled.hour
    rows["weekday"] = scheduled.dayofweek
    rows["minutes_of_day"] = scheduled.hour * 60 + scheduled.minute
    return rows[CATEGORIES + NUMBERS]


def is_late(flights: pd.DataFrame) -> pd.Series:
    """What the model learns to predict. Cancelled flights have no delay: leave them out before."""
    return flights["departure_delay"] > LATE_MINUTES
