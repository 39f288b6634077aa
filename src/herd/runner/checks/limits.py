"""A number against its limits, exactly: as the digits say, not as floating point rounds.

0.80 - 0.75 is 0.050000000000000044 in floating point; here it is 0.05, and lies on a limit of 0.05. So does 1e-12 not
pass for 0, and 9007199254740993 not for its neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from statistics import median

from ..contract.checks import Measured

LEAST_RUNS = 10
"""Published runs before `trend` says anything: a median of fewer is chance."""

_DIGITS = 700
"""Enough for the sum of the largest and the smallest double."""

_SHOWN_DIGITS = 6


def judge(check: Measured, observed: float, accepted: float | None, earlier: Sequence[float]) -> str | None:
    """What is wrong with `observed`, as the rest of a sentence; None if it keeps to every limit."""
    with localcontext(prec=_DIGITS):
        value = exact(observed)
        if check.min is not None and value < exact(check.min):
            return f"is below min = {show(check.min)}"
        if check.max is not None and value > exact(check.max):
            return f"is above max = {show(check.max)}"
        if accepted is not None:
            rise = value - exact(accepted)
            if check.max_drop is not None and -rise > exact(check.max_drop):
                return (
                    f"has dropped by {show(-rise)} from the accepted {show(accepted)}; "
                    f"max_drop = {show(check.max_drop)}"
                )
            if check.max_rise is not None and rise > exact(check.max_rise):
                return (
                    f"has risen by {show(rise)} from the accepted {show(accepted)}; max_rise = {show(check.max_rise)}"
                )
        if check.trend is not None and len(earlier) >= LEAST_RUNS:
            return _off_trend(check.trend, value, [exact(each) for each in earlier])
    return None


def without_comparison(check: Measured, accepted: float | None, earlier: Sequence[float]) -> str:
    """What a limit could not say yet, in brackets; empty if all of them spoke."""
    notes = []
    if accepted is None:
        limits = [name for name in ("max_drop", "max_rise") if getattr(check, name) is not None]
        if limits:
            names = " and ".join(limits)
            notes.append(f"{names} had nothing to compare with: this value has no accepted baseline yet")
    if check.trend is not None and len(earlier) < LEAST_RUNS:
        notes.append(f"trend needs {LEAST_RUNS} published runs with this value, and has {len(earlier)}")
    return f" ({'; '.join(notes)})" if notes else ""


def _off_trend(most: float, value: Decimal, earlier: Sequence[Decimal]) -> str | None:
    middle = median(earlier)
    spread = median(abs(each - middle) for each in earlier)
    if abs(value - middle) <= exact(most) * spread:
        return None
    if spread == 0:
        return f"is not {show(middle)}, which most of the last {len(earlier)} published runs had; trend = {show(most)}"
    return (
        f"is {show(abs(value - middle) / spread)} median deviations from {show(middle)}, the median of the last "
        f"{len(earlier)} published runs; trend = {show(most)}"
    )


def exact(number: float | Decimal) -> Decimal:
    """As its shortest digits say.

    >>> exact(0.1)
    Decimal('0.1')
    """
    return number if isinstance(number, Decimal) else Decimal(repr(number))


def show(number: float | Decimal, *beside: float | None) -> str:
    """A number for people: six digits, or as many as it takes to differ from those it is compared with.

    >>> show(0.69999999, 0.7)
    '0.69999999'
    """
    others = [exact(other) for other in beside if other is not None and exact(other) != exact(number)]
    digits = _SHOWN_DIGITS
    while digits < 20 and any(_text(number, digits) == _text(other, digits) for other in others):
        digits += 1
    return _text(number, digits)


def _text(number: float | Decimal, digits: int) -> str:
    if isinstance(number, int):
        return str(number) if abs(number) < 10**18 else f"{Decimal(number):.{digits}g}"
    value = float(number) if abs(exact(number)) < Decimal("1e308") else exact(number)
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**15:
        return str(int(value))
    return f"{value:.{digits}g}"
