"""Checks that exported and converted models give the outputs of this package."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from alad_tf.errors import AladError
from alad_tf.model import categories, neighbours
from alad_tf.model.scores import anomaly_scores
from alad_tf.serving import c_api
from alad_tf.serving.sample_requests import Arrays, requests
from alad_tf.serving.signatures import LARGEST, Detector

TOLERANCE = 1e-3  # relative difference of scores between export and package; errors are far larger
ROUNDINGS = 100  # rounding errors of float32 in each cell of a row and of its reconstruction


class Expected(NamedTuple):
    """Outputs of this package for n rows, and how far others may be from them.

    Args:
        outputs: score, is_anomaly and is_valid, [n] each.
        tolerance: [n] allowed difference of scores.
        clear: [n] whether the score is farther from the threshold than the tolerance.
    """

    outputs: Arrays
    tolerance: np.ndarray
    clear: np.ndarray


def check(version: Path, detector: Detector) -> None:
    """Load a version in a separate process, as TensorFlow Serving does, and compare its outputs with the package's.

    Raises:
        AladError: the version does not load, or its outputs differ.
    """
    asked = requests(detector, 8)
    wanted = expected(detector, asked["serving_default"]["x"])
    compared = [(name, asked[name]) for name in ("serving_default", "regress", "raw") if name in asked]
    for (name, _), answer in zip(compared, c_api.answers(version, compared)):
        compare(name, {"score": answer["outputs"]} if name == "regress" else answer, wanted)


def compare(name: str, outputs: Arrays, wanted: Expected) -> None:
    """Compare outputs with those of this package.

    Args:
        name: signature or format, for the error message.
        outputs: score, and is_anomaly and is_valid if they are outputs, [n] each.
        wanted: result of `expected` for the same rows.

    Raises:
        AladError: a score differs by more than the tolerance, a row's validity differs, or a decision that is clear.
    """
    own = wanted.outputs
    same = np.abs(outputs["score"].astype(np.float64) - own["score"]) <= wanted.tolerance
    same &= outputs.get("is_valid", own["is_valid"]) == own["is_valid"]
    same &= (outputs.get("is_anomaly", own["is_anomaly"]) == own["is_anomaly"]) | ~wanted.clear
    if not same.all():
        raise AladError(
            f"Expected the scores of alad_tf, {own['score'].tolist()}, from {name}. Received: "
            f"{outputs['score'].tolist()}, and other outputs in {int((~same).sum())} rows. Nothing was exported."
        )


def expected(detector: Detector, x: np.ndarray) -> Expected:
    """`decisions`, with the tolerance of each score.

    It is relative to the score and to a usual one, and absolute: a score such as a distance can be 0, where its error
    is that of the cells, about the float32 epsilon times their norm and the square root of their number.
    """
    outputs = decisions(detector, x)
    score, valid = outputs["score"].astype(np.float64), outputs["is_valid"]
    usual = np.median(score[valid]) if valid.any() else 0.0
    scaled = _scaled(detector, x[valid])
    rows = np.concatenate([scaled, detector.networks.reconstruct(scaled)], axis=1).reshape(len(scaled), -1)
    cells = np.zeros(len(x))
    cells[valid] = np.nan_to_num(np.linalg.norm(rows.astype(np.float64), axis=1), nan=0.0, posinf=0.0)
    rounding = ROUNDINGS * np.finfo(np.float32).eps * np.sqrt(rows.shape[1]) * cells
    tolerance = TOLERANCE * (np.abs(score) + usual) + rounding
    return Expected(outputs, tolerance, np.abs(score - detector.threshold) > tolerance)


def _scaled(detector: Detector, x: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = ((x - detector.center) / detector.scale).astype(np.float32)
    return scaled


def _score(detector: Detector, x: tf.Tensor) -> np.ndarray:
    """A(x) of scaled rows x."""
    if detector.references is not None:
        points = neighbours.points(x, detector.networks.reconstruct(x))
        return neighbours.score(points.numpy(), detector.references)
    scores: np.ndarray = anomaly_scores(detector.networks, x)[detector.score].numpy()
    return scores


def decisions(detector: Detector, x: np.ndarray) -> Arrays:
    """Expected outputs for x, computed by this package: score, is_anomaly and is_valid, [n] each."""
    valid = np.isfinite(x).all(axis=tuple(range(1, x.ndim)))
    scaled = _scaled(detector, x[valid])
    score = np.full(len(x), LARGEST, np.float32)
    found = _score(detector, tf.constant(scaled))
    found = found + categories.unseen(tf.constant(scaled), detector.blocks).numpy() * np.float32(detector.unseen_score)
    score[valid] = np.nan_to_num(found, nan=LARGEST, posinf=LARGEST, neginf=-LARGEST)
    return {"score": score, "is_anomaly": (score.astype(np.float64) > detector.threshold) | ~valid, "is_valid": valid}
