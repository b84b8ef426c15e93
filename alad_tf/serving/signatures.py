"""Signatures of an exported model: functions of a module that holds only the model's variables.

Rows are scored independently. A row with a missing or infinite cell is invalid: it is flagged as an anomaly, its score
is the largest float32, and its other outputs are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
import tensorflow as tf

from alad_tf.errors import SettingsError
from alad_tf.estimator.usual import Usual
from alad_tf.model import categories, inference, keras_versions, neighbours
from alad_tf.model.categories import Blocks
from alad_tf.model.networks import Networks, as_input
from alad_tf.model.scores import scores_of
from alad_tf.serving.preprocessing_graph import (
    Tensors,
    argument,
    column_types,
    encoded,
    parsed_columns,
    parsed_rows,
    require_utf_8,
)
from alad_tf.typing import Document

LARGEST = float(np.finfo(np.float32).max)  # the score of an invalid row, or of a row whose score overflows


@dataclass(frozen=True)
class Detector:
    """Score, validity and threshold decision for a batch of rows.

    Args:
        networks: trained networks, whose input is (x - center) / scale.
        score: name of the score A(x).
        threshold: rows with a larger A(x) are anomalies.
        center, scale: float64 arrays with the shape of a row x.
        references: reference points of the score "neighbours", [m, 2 d] float32; None for the other scores.
        usual: scale of the differences in explanations; None: absolute differences.
        preprocessing: document of the preprocessing from columns to x (`preprocessing.to_document`), with the keys
            "impute" and "booleans" of `Columns`; None: the model takes x itself.
        blocks: features of x of each categorical column.
        unseen_score: added to A(x) for each category that training did not have: the largest score of a training row.

    Raises:
        SettingsError: the threshold is not finite.
    """

    networks: Networks
    score: str
    threshold: float
    center: np.ndarray
    scale: np.ndarray
    references: np.ndarray | None = None
    usual: Usual | None = None
    preprocessing: Document | None = None
    blocks: Blocks = ()
    unseen_score: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.threshold):
            raise SettingsError(f"Expected a finite threshold. Received: {self.threshold}. Pass another one.")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row x."""
        shape: tuple[int, ...] = self.networks.E.input_shape[1:]
        return shape


class Served(tf.Module):
    """The functions of an exported model.

    Args:
        detector: the detector to export. Its networks are copied, and spectral norm is folded into the copies.
        double: scale rows in float64, as the package does, or in float32, for formats without float64.

    Raises:
        SettingsError: a column or a category is not in UTF-8.
    """

    def __init__(self, detector: Detector, *, double: bool = True) -> None:
        super().__init__(name="ALAD")
        if detector.preprocessing:
            require_utf_8(detector.preprocessing)
        self._detector, self._double = detector, double
        self._scaled = bool(np.any(detector.center != 0.0) or np.any(detector.scale != 1.0))
        networks = inference.fold(detector.networks, pairs=True)
        self._G, self._E, self._Dxx = _hidden(networks.G), _hidden(networks.E), _hidden(networks.Dxx)
        models = networks.E, networks.G, networks.Dxx
        self.weights = [weight for model in models for weight in keras_versions.weights(model)]
        if detector.references is not None:
            self.references = tf.Variable(detector.references, trainable=False, name="references")

    @property
    def rows(self) -> tf.TensorSpec:
        """TensorSpec of a batch x [n, ...]."""
        return tf.TensorSpec([None, *self._detector.shape], tf.float32, name="x")

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Concrete functions by signature name."""
        latent = tf.TensorSpec([None, *self._E().output_shape[1:]], tf.float32, name="z")
        examples = tf.TensorSpec([None], tf.string, name="inputs")
        functions: dict[str, tuple[Callable[..., Tensors], list[tf.TensorSpec]]] = {
            "serving_default": (self.decide, [self.rows]),
            "scores": (self.scores, [self.rows]),
            "explain": (self.explain, [self.rows]),
            "encode": (self.encode, [self.rows]),
            "generate": (self.generate, [latent]),
            "regress": (self.regress, [examples]),
        }
        if len(self._detector.shape) > 1:
            functions["raw"] = (self.raw_images, [tf.TensorSpec(self.rows.shape, tf.uint8, name="x")])
            functions = {name: (_allow_empty_batch(call), specs) for name, (call, specs) in functions.items()}
        if self._detector.preprocessing:
            columns = [
                tf.TensorSpec([None], kind, name=argument(position))
                for position, kind in enumerate(column_types(self._detector.preprocessing).values())
            ]
            functions["raw"] = (self.raw, columns)
        return {
            name: tf.function(call, autograph=False).get_concrete_function(*specs)
            for name, (call, specs) in functions.items()
        }

    def decide(self, x: tf.Tensor) -> Tensors:
        """x [n, ...] -> score [n], is_anomaly [n], is_valid [n]; of columns with categories also unseen [n]."""
        rows, valid = self._rows(x)
        return self._decision(rows, self._scores(rows, self._G()(self._E()(rows)), valid), valid)

    def scores(self, x: tf.Tensor) -> Tensors:
        """x [n, ...] -> features, l1, l2, logits [n] each (Section V-F), neighbours if it is A(x), is_valid [n]."""
        rows, valid = self._rows(x)
        return {**self._scores(rows, self._G()(self._E()(rows)), valid), "is_valid": valid}

    def explain(self, x: tf.Tensor) -> Tensors:
        """`decide`, `scores`, latent E(x), reconstruction G(E(x)), expected, contribution and share, [n, ...] each.

        Reconstruction and expected are in the units of x; the last three are as in `ALAD.explain`.
        """
        rows, valid = self._rows(x)
        latent = self._E()(rows)
        x_hat = self._G()(latent)
        scores, usual = self._scores(rows, x_hat, valid), self._detector.usual
        if usual is None:
            expected, contribution = x_hat, tf.abs(rows - x_hat)
        else:
            expected, contribution = usual.explained(rows, lambda moved: self._G()(self._E()(moved)))
        total = tf.reduce_sum(contribution, axis=range(1, len(contribution.shape)), keepdims=True)
        return {
            **self._decision(rows, scores, valid),
            **scores,
            "latent": _or_zeros(latent, valid),
            "reconstruction": _or_zeros(self._unscaled(x_hat), valid),
            "expected": _or_zeros(self._unscaled(expected), valid),
            "contribution": _or_zeros(contribution, valid),
            "share": _or_zeros(contribution / tf.maximum(total, np.finfo(np.float32).tiny), valid),
        }

    def encode(self, x: tf.Tensor) -> Tensors:
        """x [n, ...] -> latent E(x) [n, latent], is_valid [n]."""
        rows, valid = self._rows(x)
        return {"latent": _or_zeros(self._E()(rows), valid), "is_valid": valid}

    def generate(self, z: tf.Tensor) -> Tensors:
        """z [n, latent] -> x [n, ...], G(z) in the units of x; is_valid [n]."""
        latent, valid = _finite(z)
        return {"x": _or_zeros(self._unscaled(self._G()(latent)), valid), "is_valid": valid}

    def regress(self, inputs: tf.Tensor) -> Tensors:
        """Serialised tf.Example [n] -> outputs [n]: the score.

        Without preprocessing an example holds the feature "x", a list of floats; with preprocessing, one feature per
        column, a float or bytes.
        """
        if self._detector.preprocessing:
            return {"outputs": self.raw(*parsed_columns(inputs, self._detector.preprocessing))["score"]}
        return {"outputs": self.decide(parsed_rows(inputs, self._detector.shape))["score"]}

    def raw(self, *columns: tf.Tensor) -> Tensors:
        """Columns of the training file, [n] float64 or text each -> the outputs of `decide`."""
        assert self._detector.preprocessing is not None
        named = dict(zip(column_types(self._detector.preprocessing), columns))
        x, valid = encoded(named, self._detector.preprocessing)
        return self.decide(tf.where(valid[:, None], x, np.nan))

    def raw_images(self, x: tf.Tensor) -> Tensors:
        """Images [n, height, width, channels] uint8 -> the outputs of `decide`, whose input are pixels in [-1, 1]."""
        return self.decide(as_input(x))

    def _scores(self, rows: tf.Tensor, x_hat: tf.Tensor, valid: tf.Tensor) -> Tensors:
        """Finite scores: the largest float32 for invalid rows and for overflows. Unseen categories raise A(x) alone."""
        detector, found = self._detector, scores_of(self._Dxx(), rows, x_hat)
        if detector.references is not None:
            found["neighbours"] = neighbours.mean_distance(neighbours.points(rows, x_hat), self.references)
        if detector.blocks:
            unseen = tf.cast(categories.unseen(rows, detector.blocks), tf.float32)
            found[detector.score] += unseen * np.float32(detector.unseen_score)
        return {name: tf.where(valid & (score <= LARGEST), score, LARGEST) for name, score in found.items()}

    def _decision(self, rows: tf.Tensor, scores: Tensors, valid: tf.Tensor) -> Tensors:
        score, blocks = scores[self._detector.score], self._detector.blocks
        anomaly = (score > _below(self._detector.threshold)) | ~valid
        unseen = {"unseen": tf.where(valid, categories.unseen(rows, blocks), 0)} if blocks else {}
        return {"score": score, "is_anomaly": anomaly, "is_valid": valid, **unseen}

    def _rows(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(scaled rows, with zeros for invalid ones, and valid rows [n])."""
        x, valid = _finite(x)
        center, scale = self._detector.center, self._detector.scale
        if self._scaled and self._double:
            x = tf.cast((tf.cast(x, tf.float64) - center) / scale, tf.float32)
        elif self._scaled:
            high = center.astype(np.float32)  # the rounding error of center is subtracted too
            x = (x - high - (center - high).astype(np.float32)) / scale.astype(np.float32)
        return x, valid

    def _unscaled(self, x: tf.Tensor) -> tf.Tensor:
        if not self._scaled:
            return x
        return tf.cast(tf.cast(x, tf.float64) * self._detector.scale + self._detector.center, tf.float32)


# Helpers -----------------------------------------------------------------------------------------------


def _allow_empty_batch(call: Callable[..., Tensors]) -> Callable[..., Tensors]:
    """Make a function of images accept an empty batch, which convolutions reject, by running it on a row of zeros."""

    def answer(rows: tf.Tensor) -> Tensors:
        count = tf.shape(rows)[0]
        zeros = tf.zeros([tf.cast(count == 0, tf.int32), *rows.shape[1:]], rows.dtype)
        return {name: values[:count] for name, values in call(tf.concat([rows, zeros], axis=0)).items()}

    return answer


def _hidden(model: tf.keras.Model) -> Callable[[], tf.keras.Model]:
    """Wrap a Keras model in a closure: as an attribute, it would be saved with all of its functions."""
    return lambda: model


def _finite(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(rows, with zeros for those with NaN or infinite values, and finite rows [n])."""
    valid = tf.reduce_all(tf.abs(values) <= LARGEST, axis=range(1, len(values.shape)))
    return _masked(values, valid), valid


def _or_zeros(values: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Finite values of valid rows, zeros for the others."""
    bounded = tf.clip_by_value(values, -LARGEST, LARGEST)
    return _masked(tf.where(tf.abs(bounded) <= LARGEST, bounded, 0.0), valid)  # also False for NaN


def _masked(values: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.reshape(valid, [-1, *[1] * (len(values.shape) - 1)]), values, 0.0)


def _below(threshold: float) -> np.float32:
    """The largest float32 not above the threshold: a float32 score exceeds both or neither."""
    with np.errstate(over="ignore"):
        rounded = np.float32(threshold)
    return rounded if float(rounded) <= threshold else np.nextafter(rounded, np.float32(-np.inf))
