"""Plots of what soaks have seen, as SVG."""

from collections.abc import Sequence
from typing import Final, NamedTuple

_WIDTH, _HEIGHT, _MARGIN = 800, 260, 50
_TEXT_PX: Final = 300


class Curve(NamedTuple):
    """Something that was looked at again and again."""

    #: What it is, with what to read of it.
    label: str
    colour: str
    #: When, or in which round, and how much it was then.
    points: Sequence[tuple[float, float]]


def svg(curves: Sequence[Curve], width: str) -> str:
    """Draw curves, each from 0 to its highest value, over the same length.

    Args:
        curves: what is drawn, one or two, which have points.
        width: how long that is, in words.
    """
    end = max(at for curve in curves for at, _ in curve.points)
    lines = []
    for number, (label, colour, points) in enumerate(curves):
        top = max(value for _, value in points) * 1.1
        drawn = " ".join(
            f"{_MARGIN + at / end * (_WIDTH - 2 * _MARGIN):.1f},"
            f"{_HEIGHT - _MARGIN - value / top * (_HEIGHT - 2 * _MARGIN):.1f}"
            for at, value in points
        )
        lines.append(
            f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{_MARGIN + number * _TEXT_PX}" y="30" fill="{colour}">{label}</text>'
        )
    foot = f'<text x="{_MARGIN}" y="{_HEIGHT - 20}">{width}</text>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    style = ' font-family="sans-serif" font-size="14">'
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return f"{head}{style}{paper}{''.join(lines)}{foot}</svg>\n"
