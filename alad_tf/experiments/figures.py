"""Figures of one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from alad_tf.data import base
from alad_tf.model import networks
from alad_tf.report import plots


def draw_figures(
    run_dir: Path, split: base.Split, test_scores: Mapping[str, np.ndarray], trained: networks.Networks
) -> None:
    """Draw the figure of a run: Figure 2 for data of two features, reconstructions for images."""
    if split.x_test.shape[1:] == (2,):
        _draw_plane(run_dir, split, trained)
    if split.x_test.ndim == 4:
        _draw_images(run_dir, split, test_scores["features"], trained)


def _draw_plane(run_dir: Path, split: base.Split, trained: networks.Networks) -> None:
    """Figure 2, for data of two features."""
    z = trained.E(split.x_test, training=False)
    x_hat = trained.G(z, training=False)
    plots.save_toy_figure(split.x_test, x_hat.numpy(), z.numpy(), split.y_test, run_dir / "reconstructions.png")


def _draw_images(run_dir: Path, split: base.Split, score: np.ndarray, trained: networks.Networks) -> None:
    """Figures 5 and 6: normal and anomalous test images over their reconstructions."""
    shown = {}
    for kind, name in enumerate(("normal", "anomalous")):
        rows = np.flatnonzero(split.y_test == kind)[:10]
        x_hat = trained.reconstruct(networks.as_input(split.x_test[rows]))
        shown[name] = (split.x_test[rows], ((x_hat.numpy() + 1.0) * 127.5).round().astype(np.uint8), score[rows])
    plots.save_images_figure(shown, run_dir / "reconstructions.png")
