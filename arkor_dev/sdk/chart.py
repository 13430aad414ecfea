"""Draws a run for a notebook as SVG, so that the picture is saved with the notebook.

An image with the SVG in its address, since notebooks remove SVG elements from the HTML of other people.
"""

from __future__ import annotations

import base64
import math
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .metrics import Metrics

WIDTH: Final = 640
HEIGHT: Final = 220
LEFT: Final = 44
MARGIN: Final = 12
BOTTOM: Final = 24
CURVES: Final = (("loss", "Loss", "#3b6fd4"), ("eval_loss", "Held-out loss", "#c8792b"))
GRAY: Final = "#767676"
"""Legible on white and on black: an image cannot know the notebook's colours."""
POINTS: Final = 400
"""Maximum number of points of a curve: more than its pixels can show."""


def html_of(name: str, status: str, sentence: str | None, metrics: Metrics) -> str:
    """Return a run's heading, its loss curves and its verdict. Texts are escaped."""
    picture = picture_of({key: metrics.curve(key) for key, _, _ in CURVES})
    image = f'<img width="{WIDTH}" alt="Loss by step" src="{picture}">' if picture else ""
    verdict = f"<div>{escape(sentence)}</div>" if sentence else ""
    return (
        f'<div style="font: 14px system-ui, sans-serif; max-width: {WIDTH}px">'
        f"<div><b>{escape(name)}</b> · {escape(status)}</div>{image}{verdict}</div>"
    )


def picture_of(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """Return the address of a picture of `CURVES`, each as its steps and values; empty without a figure."""
    svg = _svg([(label, colour, *curves[key]) for key, label, colour in CURVES])
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}" if svg else ""


def _svg(curves: list[tuple[str, str, Sequence[float], Sequence[float]]]) -> str:
    curves = [curve for curve in curves if curve[2]]
    values = [value for _, _, _, ys in curves for value in ys if math.isfinite(value)]
    if not values:
        return ""
    steps = [step for _, _, xs, _ in curves for step in xs]
    low, high = min(values), max(values)
    high = high if high > low else low + 1
    first, last = min(steps), max(max(steps), min(steps) + 1)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - MARGIN) * (step - first) / (last - first)

    def y(value: float) -> float:
        return MARGIN + (HEIGHT - MARGIN - BOTTOM) * (high - value) / (high - low)

    parts = [
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>'
        f'<line x1="{LEFT}" x2="{WIDTH - MARGIN}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
        f'stroke="{GRAY}" opacity="0.3"/>'
        for value in (low, (low + high) / 2, high)
    ]
    for number, (label, colour, xs, ys) in enumerate(curves):
        points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in _thinned(xs, ys))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(
            f'<text x="{WIDTH - MARGIN}" y="{MARGIN + 12 + 16 * number}" text-anchor="end" fill="{colour}">'
            f"{label}</text>"
        )
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">step {first}</text>')
    parts.append(f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 6}" text-anchor="end">{last}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-size="11" '
        f'font-family="system-ui, sans-serif" fill="{GRAY}" xmlns="http://www.w3.org/2000/svg">'
        f"{''.join(parts)}</svg>"
    )


def _thinned(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
    """Return a curve's finite points, at most about `POINTS` of them and always the last."""
    pairs = [(step, value) for step, value in zip(xs, ys, strict=True) if math.isfinite(value)]
    stride = max(1, math.ceil(len(pairs) / POINTS))
    thinned = pairs[::stride]
    return thinned if not pairs or thinned[-1] == pairs[-1] else [*thinned, pairs[-1]]
