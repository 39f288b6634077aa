"""Render the report: read what the jobs published, draw, fill the template, write one self-contained page.

`data.py` prepares the numbers, `charts.py` draws them, `page.html` and `text.md` are the page
itself: text.md has one part a section.
"""

from __future__ import annotations

import os
from pathlib import Path

import charts
import data
import mistune
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

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
figures = [
    [charts.days(data.by_day(flights))],
    [charts.week(data.by_weekday_and_hour(flights))],
    [charts.airlines(airlines)],
    [charts.routes_table(data.worst_routes(flights))],
    [charts.calibration(model["calibration"]), charts.candidates_table(model["candidates"])],
]
wide = [True, True, False, False, True]
texts = [Markup(mistune.html(part)) for part in text.split("\n---\n")]
sections = [
    {"text": words, "figures": shown, "wide": full} for words, shown, full in zip(texts, figures, wide, strict=True)
]
page = templates.get_template("page.html").render(
    numbers=numbers, model=model, sections=sections, run=os.environ["HERD_RUN_ID"]
)
(outputs / "index.html").write_text(page)
print(f"{len(flights):,} flights, {len(page) / 1000:.0f} kB")
