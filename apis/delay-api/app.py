"""How likely is a departure from New York late? Open /docs to try it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from fastapi import HTTPException, Query, Request
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline  # FastAPI takes its page's script from a CDN, this brings it along
from features import LATE_MINUTES, WEATHER, features
from model import CurrentModel, Model, Unavailable
from pydantic import BaseModel, ConfigDict, Field, NaiveDatetime

app = FastAPIOffline(
    title="Flight delays",
    description=f"The probability that a departure from New York leaves more than {LATE_MINUTES} minutes late.",
    version="1",
    redoc_url=None,
)
current = CurrentModel(Path(os.environ["HERD_INPUTS"], "choose-model"))


class Flight(BaseModel):
    """A planned departure. Weather that is left out is taken as typical for the season."""

    model_config = ConfigDict(extra="forbid")

    origin: Literal["EWR", "JFK", "LGA"]
    dest: Annotated[str, Field(pattern="^[A-Z]{3}$", description="IATA code of the destination", examples=["LAX"])]
    carrier: Annotated[str, Field(pattern="^[A-Z0-9]{2}$", description="IATA code of the airline", examples=["B6"])]
    scheduled: Annotated[NaiveDatetime, Field(description="local departure time", examples=["2013-03-15T17:45"])]
    temperature_c: Annotated[float | None, Field(ge=-50, le=60)] = None
    wind_kmh: Annotated[float | None, Field(ge=0, le=300)] = None
    rain_mm: Annotated[float | None, Field(ge=0, le=200, description="in the hour of departure")] = None
    visibility_km: Annotated[float | None, Field(ge=0, le=50)] = None


class Prediction(BaseModel):
    late_probability: float
    usual: Annotated[float, Field(description="share of all departures that were late when the model was tested")]
    model: Annotated[str, Field(description="which candidate, from which run: see /model")]


@app.get("/", include_in_schema=False)
def about(request: Request) -> dict[str, str]:
    base = request.scope.get("root_path", "")
    return {"about": app.description, "docs": f"{base}/docs", "model": f"{base}/model"}


@app.get("/health")
def health() -> dict[str, str]:
    """The process is up. Whether there is a model to serve is another question: see /model."""
    return {"status": "ok"}


@app.get("/model")
def model() -> dict[str, object]:
    """Which model answers: the run that published it, how it was trained, and how good it is."""
    metrics = current.get().metrics
    return {key: metrics[key] for key in ("run_id", "candidate", "auc", "log_loss", "trained_on", "tested_on")}


@app.get("/predict")
def predict(flight: Annotated[Flight, Query()]) -> Prediction:
    """One flight, for example `/predict?origin=JFK&dest=LAX&carrier=B6&scheduled=2013-03-15T17:45`."""
    return predict_many([flight])[0]


@app.post("/predict")
def predict_many(flights: Annotated[list[Flight], Field(min_length=1, max_length=1000)]) -> list[Prediction]:
    """Up to a thousand flights at once."""
    model = current.get()
    rows = features(pd.DataFrame([as_row(flight, model, number) for number, flight in enumerate(flights)]))
    probabilities = model.pipeline.predict_proba(rows)[:, 1]
    return [
        Prediction(
            late_probability=round(float(probability), 4),
            usual=model.metrics["late_share"],
            model=f"{model.metrics['candidate']} of run {model.metrics['run_id']}",
        )
        for probability in probabilities
    ]


def as_row(flight: Flight, model: Model, number: int) -> dict[str, object]:
    """The flight as the features want it. Raises a 422 like FastAPI's own for what the model has never seen."""
    distances = {(route["origin"], route["dest"]): route["distance_km"] for route in model.serving["routes"]}
    problems = []
    if flight.carrier not in model.serving["carriers"]:
        problems.append(("carrier", f"the model has never seen a flight of {flight.carrier}"))
    if (flight.origin, flight.dest) not in distances:
        problems.append(("dest", f"the model has never seen a flight from {flight.origin} to {flight.dest}"))
    if problems:
        raise HTTPException(422, [{"type": "unknown", "loc": [number, name], "msg": why} for name, why in problems])
    weather = {name: getattr(flight, name) for name in WEATHER}
    return {
        **flight.model_dump(include={"origin", "dest", "carrier", "scheduled"}),
        "distance_km": distances[flight.origin, flight.dest],
        **{name: model.serving["typical_weather"][name] if value is None else value for name, value in weather.items()},
    }


@app.exception_handler(Unavailable)
def unavailable(request: Request, reason: Unavailable) -> JSONResponse:
    return JSONResponse({"detail": str(reason)}, status_code=503, headers={"Retry-After": "15"})
