"""Charts as SVG and tables as HTML, in one style. Nothing in them is fetched when the page is read."""

from __future__ import annotations

import altair as alt
import pandas as pd
import vl_convert
from great_tables import GT, loc, style
from markupsafe import Markup

INK, SOFT, LINE, ACCENT, PALE = "#1d2733", "#667482", "#e3e8ee", "#d9480f", "#a9c4dd"
WIDE, NARROW = 860, 400
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

LEGEND = alt.Legend(
    title=None,
    format="%",
    orient="top",
    tickCount=4,
    labelColor=SOFT,
    labelFontSize=12,
    gradientLength=180,
    gradientThickness=8,
    gradientStrokeWidth=0,
)


def days(table: pd.DataFrame) -> Markup:
    x = alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=10, grid=False))
    base = alt.Chart(table).encode(x=x)
    each = base.mark_bar(color=PALE, width=max(2, 0.7 * WIDE / len(table))).encode(y=share("late"))
    smooth = base.mark_line(color=ACCENT, strokeWidth=2.5, interpolate="monotone").encode(y=share("smooth"))
    return svg((each + smooth).properties(width=WIDE, height=220))


def week(table: pd.DataFrame) -> Markup:
    table = table.assign(
        weekday=table["weekday"].map(dict(enumerate(WEEKDAYS))), clock=table["hour"].map("{:02d}".format)
    )
    shades = alt.Scale(range=["#eaf1f8", "#fbd9bd", ACCENT, "#7a2405"], interpolate="rgb")
    chart = (
        alt.Chart(table)
        .mark_rect(cornerRadius=3, stroke="white", strokeWidth=2)
        .encode(
            x=alt.X("clock:O", title="scheduled hour of departure", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("weekday:O", sort=WEEKDAYS, title=None),
            color=alt.Color("late:Q", scale=shades, legend=LEGEND),
        )
    )
    return svg(chart.properties(width=WIDE, height=210))


def airlines(table: pd.DataFrame) -> Markup:
    y = alt.Y("airline:N", sort=None, title=None, axis=alt.Axis(labelLimit=170))
    bars = alt.Chart(table).mark_bar(color=PALE, cornerRadiusEnd=3, height={"band": 0.7}).encode(x=share_x("late"), y=y)
    labels = bars.mark_text(align="left", dx=5, color=INK, fontSize=12).encode(text=alt.Text("late:Q", format=".0%"))
    return svg((bars + labels).properties(width=NARROW - 140, height=30 * len(table)))


def calibration(table: pd.DataFrame) -> Markup:
    top = float(table[["predicted", "happened"]].max().max()) * 1.08
    scale = alt.Scale(domain=[0, top], nice=False)
    diagonal = pd.DataFrame({"predicted": [0, top], "happened": [0, top]})
    ideal = alt.Chart(diagonal).mark_line(color=SOFT, strokeDash=[4, 4])
    model = alt.Chart(table).mark_line(color=ACCENT, point=alt.OverlayMarkDef(color=ACCENT, size=60))
    x = alt.X("predicted:Q", title="predicted", scale=scale, axis=alt.Axis(format="%", tickCount=5))
    y = alt.Y("happened:Q", title="happened", scale=scale, axis=alt.Axis(format="%", tickCount=5))
    return svg((ideal + model).encode(x=x, y=y).properties(width=NARROW - 40, height=300))


def routes_table(table: pd.DataFrame) -> Markup:
    table = table[["origin", "destination", "flights", "late"]]
    gt = GT(table, id="routes").cols_label(origin="From", destination="To", flights="Flights", late="Late")
    return Markup(gt.fmt_percent("late", decimals=0).fmt_integer("flights").as_raw_html())


def candidates_table(table: pd.DataFrame) -> Markup:
    """The candidates from the best to the worst; the first, which was published, in bold."""
    gt = GT(table, id="candidates").cols_label(candidate="Candidate", auc="AUC", log_loss="Log loss")
    gt = gt.fmt_number(["auc", "log_loss"], decimals=3)
    return Markup(gt.tab_style(style.text(weight="bold"), loc.body(rows=[0])).as_raw_html())


def share(field: str) -> alt.Y:
    return alt.Y(f"{field}:Q", title=None, axis=alt.Axis(format="%", tickCount=5))


def share_x(field: str) -> alt.X:
    return alt.X(f"{field}:Q", title=None, axis=None)


def svg(chart: alt.TopLevelMixin) -> Markup:
    chart = chart.configure(
        font=FONT, background="transparent", padding={"left": 14, "right": 8, "top": 5, "bottom": 5}
    )
    chart = chart.configure_view(stroke=None).configure_axis(
        labelColor=SOFT,
        labelFontSize=12,
        labelPadding=6,
        titleColor=SOFT,
        titleFontSize=12,
        titleFontWeight="normal",
        domain=False,
        ticks=False,
        gridColor=LINE,
    )
    return Markup(vl_convert.vegalite_to_svg(chart.to_dict()))
