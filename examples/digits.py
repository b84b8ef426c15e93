"""scikit-learn's digits as images of 8 by 8 pixels, with eights as normal: AUROC, and a figure of reconstructions.

Half of the eights are for training; AUROC compares the other eights with all other digits. G has only seen eights and
turns every digit into one: x' = G(E(x)) is close to x if x is an eight, and far from it otherwise.

    python examples/digits.py [--seed S] [--epochs N] [--figure FILE] [--log-dir DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from alad_tf import ALAD

NORMAL = 8
SHOWN = 10  # images of each kind in the figure


def draw(x: np.ndarray, x_hat: np.ndarray, anomaly: np.ndarray, scores: np.ndarray, path: Path) -> None:
    """Draw rows of images: eights, their reconstructions, other digits, their reconstructions, with scores."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(4, SHOWN, figsize=(SHOWN * 0.8, 4.0), layout="constrained")
    for first, kind in ((0, ~anomaly), (2, anomaly)):
        rows = np.flatnonzero(kind)[:SHOWN]
        for column, row in enumerate(rows):
            for axis, image in zip(axes[first : first + 2, column], (x[row], x_hat[row])):
                axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0.0, vmax=16.0)
                axis.set(xticks=[], yticks=[])
            axes[first + 1, column].set_xlabel(f"{scores[row]:.2g}", fontsize=8)
    for axis, name in zip(axes[:, 0], ("eights: x", "x' = G(E(x))", "others: x", "x' = G(E(x))")):
        axis.set_ylabel(name, fontsize=7)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main() -> None:
    """Train, print AUROC and draw the figure."""
    parser = argparse.ArgumentParser(description="ALAD on scikit-learn's digits as images.")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--epochs", type=int, metavar="N", help="fewer epochs, for a quick look (default: the table's)")
    parser.add_argument("--figure", type=Path, default=Path("digits.png"), metavar="FILE", help="default: %(default)s")
    parser.add_argument("--log-dir", type=Path, metavar="DIR", help="write losses and images for TensorBoard")
    options = parser.parse_args()
    if options.epochs is not None and options.epochs < 1:
        parser.error(f"Expected at least 1 epoch. Received: {options.epochs}.")
    x, digit = load_digits(return_X_y=True)
    normal = np.random.default_rng(options.seed).permutation(np.flatnonzero(digit == NORMAL))
    train, new = normal[: len(normal) // 2], np.setdiff1d(np.arange(len(x)), normal[: len(normal) // 2])
    model = ALAD(
        epochs=options.epochs,
        image_shape=(8, 8),
        log_dir=options.log_dir,
        random_state=options.seed,
        verbose=0,
    )
    model.fit(x[train])
    scores, anomaly = model.anomaly_score(x[new]), digit[new] != NORMAL
    print(f"{len(train)} eights to train on, {len(new)} digits to score: AUROC {roc_auc_score(anomaly, scores):.4f}")
    draw(x[new], model.reconstruct(x[new]), anomaly, scores, options.figure)
    print(f"figure: {options.figure}")


if __name__ == "__main__":
    main()
