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


def with_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Add the weather at the airport in the hour of the scheduled departure; missing where it is not known.

    flights: scheduled (local time), origin, …
    weather: hour_starting (local time), origin and the columns WEATHER, at most one row an hour and origin
    """
    hour_starting = flights["scheduled"].dt.floor("h")
    return flights.assign(hour_starting=hour_starting).merge(
        weather[["origin", "hour_starting", *WEATHER]], on=["origin", "hour_starting"], how="left", validate="m:1"
    )


def features(flights: pd.DataFrame) -> pd.DataFrame:
    """One row a flight, in the same order, with the columns CATEGORIES and NUMBERS.

    flights: scheduled (local time), origin, dest, carrier, distance_km and the columns WEATHER
    """
    scheduled = flights["scheduled"].dt
    return flights.assign(
        hour=scheduled.hour,
        weekday=scheduled.day_of_week,
        minutes_of_day=scheduled.hour * 60 + scheduled.minute,
    )[CATEGORIES + NUMBERS]


def is_late(flights: pd.DataFrame) -> pd.Series:
    """What the model learns to predict. Cancelled flights have no delay: leave them out before."""
    return flights["departure_delay"] > LATE_MINUTES
