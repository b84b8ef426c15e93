"""Figures as files: PNG, and PDF and SVG beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alad_tf.io.atomic import replacing
from alad_tf.options import FIGURE_SUFFIXES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, PDF and SVG, arranged once for all three; the same figure gives the same bytes."""
    from matplotlib import rc_context

    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    dates = {".png": None, ".pdf": "CreationDate", ".svg": "Date"}
    with rc_context({"svg.hashsalt": "alad_tf", "pdf.fonttype": 42}):
        for suffix in FIGURE_SUFFIXES:
            date = dates[suffix]
            with replacing(path.with_suffix(suffix)) as temporary:
                figure.savefig(temporary, format=suffix[1:], metadata={date: None} if date else None)
    return path
