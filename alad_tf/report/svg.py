"""Charts as inline SVG: curves over epochs, histograms, bars. Colours are CSS classes of the page."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from alad_tf.errors import visible

WIDTH, HEIGHT = 860, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 36
SMALLEST, LARGEST = 1e-300, 1e300  # span of an axis, and size of a value, whose arithmetic neither under- nor overflows
LONGEST = 160  # length limit of a cell in characters


class Axis(NamedTuple):
    """A map from a range of values to a range of pixels."""

    low: float
    high: float
    first: float
    last: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Pixel of a value, clipped to the range."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.first + share * (self.last - self.first), 2)

    def ticks(self) -> list[float]:
        """A few round values in the range: powers of ten, or multiples of 1, 2 or 5 times a power of ten."""
        if self.logarithmic:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return [10.0**power for power in powers][:: max(1, len(powers) // 6)]
        span = self.high - self.low
        if span < SMALLEST:
            return [self.low]
        rough = span / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step) + 1)]


def text(value: object, longest: int = LONGEST) -> str:
    """A value as escaped HTML text: long text is truncated, and what cannot be seen is escaped as in messages."""
    plain = str(value)
    return html.escape(visible(plain if len(plain) <= longest else plain[: longest - 1] + "…"))


def curves(lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], x_name: str) -> str:
    """Draw lines over a common axis, without values that are not finite or larger than LARGEST.

    Args:
        lines: name -> (x, y).
        x_name: label of the x axis.
    """
    points = {name: [(x, y) for x, y in zip(*line) if abs(y) <= LARGEST] for name, line in lines.items()}
    ys = [y for line in points.values() for _, y in line]
    xs = [x for line in points.values() for x, _ in line]
    if not ys:
        return '<p class="missing">No finite values.</p>'
    logarithmic = min(ys) > 0 and max(ys) > 100 * min(ys)
    margin = 0.0 if logarithmic else 0.04 * (max(ys) - min(ys) or 1.0)
    x_axis = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    y_axis = Axis(min(ys) - margin, max(ys) + margin, HEIGHT - BOTTOM, TOP, logarithmic)
    parts = [_axes(x_axis, y_axis, x_name)]
    for number, (name, line) in enumerate(points.items()):
        path = " ".join(f"{x_axis.place(x)},{y_axis.place(y)}" for x, y in line)
        parts.append(f'<polyline class="line c{number % 5}" points="{path}"><title>{text(name)}</title></polyline>')
        if len(line) == 1:
            parts.append(
                f'<circle class="dot c{number % 5}" cx="{path.split(",")[0]}" cy="{path.split(",")[1]}" r="3"/>'
            )
    keys = [f'<span class="key c{number % 5}">{text(name)}</span>' for number, name in enumerate(points)]
    label = f"{', '.join(points)} over the {x_name.lower()}"
    return f'{_svg(parts, label)}<p class="legend">{" ".join(keys)}</p>'


def histogram(edges: np.ndarray, counts: Mapping[str, np.ndarray], x_axis: Axis, threshold: float) -> str:
    """Draw a histogram of scores with a line at the threshold; bars above it have the class `over`.

    Args:
        edges: [bins + 1].
        counts: kind of rows -> [bins] int, the last kind in front.
        x_axis: axis of the scores.
        threshold: position of the line.
    """
    most = max(int(heights.max()) for heights in counts.values())
    y_axis = Axis(0.5, max(most, 1) * 1.3, HEIGHT - BOTTOM, TOP, logarithmic=True)
    parts = [_axes(x_axis, y_axis, "Score A(x)", "rows")]
    for number, (kind, heights) in enumerate(counts.items()):
        for k in np.flatnonzero(heights):
            x, end = x_axis.place(edges[k]), x_axis.place(edges[k + 1])
            top, bottom = y_axis.place(heights[k]), HEIGHT - BOTTOM
            over = " over" if edges[k] >= threshold else ""
            parts.append(
                f'<rect class="bar k{number}{over}" data-x="{(x + end) / 2:.2f}" x="{x}" y="{top}" '
                f'width="{max(end - x - 1, 1):.2f}" height="{max(bottom - top, 1):.2f}"><title>{text(kind)}: '
                f"{int(heights[k])} rows from {edges[k]:.4g} to {edges[k + 1]:.4g}</title></rect>"
            )
    at = x_axis.place(threshold)
    parts.append(f'<line id="threshold-line" class="threshold" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    keys = [f'<span class="key k{number}">{text(kind)}</span>' for number, kind in enumerate(counts)]
    return f'{_svg(parts, "Rows by score A(x)")}<p class="legend">{" ".join(keys)}</p>'


def bar(share: float, title: str = "") -> str:
    """A bar in a table cell, with the fraction `share` of its width."""
    width = round(100 * min(max(share, 0.0), 1.0), 1) if math.isfinite(share) else 100.0
    return f'<span class="track" title="{text(title)}"><span class="fill" style="width:{width}%"></span></span>'


def _axes(x_axis: Axis, y_axis: Axis, x_name: str, y_name: str = "") -> str:
    parts = []
    for value in y_axis.ticks():
        y = y_axis.place(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.4g}</text>')
    for value in x_axis.ticks():
        x = x_axis.place(value)
        parts.append(f'<text class="tick" x="{x}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{value:.4g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="name" x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{text(x_name)}</text>')
    parts.append(f'<text class="name" x="4" y="{TOP + 10}">{text(y_name)}</text>')
    return "".join(parts)


def _svg(parts: Sequence[str], label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(label)}">{"".join(parts)}</svg>'
