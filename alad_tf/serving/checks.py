"""Checks that exported and converted models give the outputs of this package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from alad_tf.errors import AladError
from alad_tf.model import categories, neighbours
from alad_tf.model.scores import anomaly_scores
from alad_tf.serving import c_api
from alad_tf.serving.sample_requests import Arrays, requests
from alad_tf.serving.signatures import LARGEST, Detector

TOLERANCE = 1e-3  # relative difference of scores between export and package; errors are far larger


def check(version: Path, detector: Detector) -> None:
    """Load a version in a separate process, as TensorFlow Serving does, and compare its outputs with the package's.

    Raises:
        AladError: the version does not load, or its outputs differ.
    """
    asked = requests(detector, 8)
    expected = decisions(detector, asked["serving_default"]["x"])
    compared = [(name, asked[name]) for name in ("serving_default", "regress", "raw") if name in asked]
    for (name, _), answer in zip(compared, c_api.answers(version, compared)):
        compare(name, answer["outputs" if name == "regress" else "score"], answer.get("is_valid"), expected)


def compare(name: str, score: np.ndarray, valid: np.ndarray | None, expected: Arrays) -> None:
    """Compare outputs with those of `decisions`.

    Args:
        name: signature or format, for the error message.
        score: [n] scores.
        valid: [n] validity; None if it is not an output.
        expected: result of `decisions` for the same rows.

    Raises:
        AladError: a score differs by more than TOLERANCE, or a row's validity differs.
    """
    scale = np.median(expected["score"][expected["is_valid"]])
    close = np.abs(score - expected["score"]) <= TOLERANCE * (np.abs(expected["score"]) + scale)
    if not close.all() or (valid is not None and (valid != expected["is_valid"]).any()):
        raise AladError(
            f"Expected the scores of alad_tf, {expected['score'].tolist()}, from {name}. Received: {score.tolist()}. "
            "Nothing was exported."
        )


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
    scaled = ((x[valid] - detector.center) / detector.scale).astype(np.float32)
    score = np.full(len(x), LARGEST, np.float32)
    found = _score(detector, tf.constant(scaled))
    found = found + categories.unseen(tf.constant(scaled), detector.blocks).numpy() * np.float32(detector.unseen_score)
    score[valid] = np.nan_to_num(found, nan=LARGEST, posinf=LARGEST, neginf=-LARGEST)
    return {"score": score, "is_anomaly": (score.astype(np.float64) > detector.threshold) | ~valid, "is_valid": valid}
