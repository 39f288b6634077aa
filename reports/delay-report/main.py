"""Render the report: read what the jobs published, draw, fill the template, write one self-contained page.

`data.py` prepares the numbers, `charts.py` draws them, `page.html` and `text.md` are the page itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import charts
import data
import mistune
from jinja2 import Environment, FileSystemLoader, StrictUndefined

inputs = Path(os.environ["HERD_INPUTS"])
outputs = Path(os.environ["HERD_OUTPUTS"])

flights = data.read_flights(inputs / "ingest-flights")
model = data.read_model(inputs / "choose-model")
airlines = data.by_airline(flights)
hours = data.by_hour(flights)

templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=lambda name: name is not None and name.endswith(".html"),
    undefined=StrictUndefined,  # a misspelt name stops the run; without this it would leave a gap in the page
)
templates.filters["percent"] = lambda share: f"{share:.0%}"
templates.filters["day"] = lambda moment: f"{moment:%-d %B %Y}"

numbers = data.key_numbers(flights)
text = templates.get_template("text.md").render(
    numbers=numbers,
    model=model,
    best=airlines.iloc[-1],
    worst=airlines.iloc[0],
    safest=hours.iloc[0],
    riskiest=hours.iloc[-1],
)
figures = {
    "days": charts.days(data.by_day(flights)),
    "week": charts.week(data.by_weekday_and_hour(flights)),
    "airlines": charts.airlines(airlines),
    "calibration": charts.calibration(model["calibration"]),
    "routes": charts.routes_table(data.worst_routes(flights)),
    "candidates": charts.candidates_table(model["candidates"]),
}
sections = [mistune.html(part) for part in text.split("\n---\n")]
page = templates.get_template("page.html").render(
    numbers=numbers, model=model, sections=sections, figures=figures, run=os.environ["HERD_RUN_ID"]
)
(outputs / "index.html").write_text(page)
print(f"{len(flights):,} flights, {len(page) / 1000:.0f} kB")
