"""A fitted ALAD: scores, reconstructions, explanations, networks, model folders."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import tensorflow as tf
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from alad_tf.errors import SettingsError
from alad_tf.estimator import explanations, persistence, plots, thresholds
from alad_tf.estimator.rows import RowDetector
from alad_tf.estimator.usual import Usual
from alad_tf.io import model_folder
from alad_tf.model import categories, forks, inference, neighbours
from alad_tf.model.batching import padded
from alad_tf.model.networks import Networks
from alad_tf.model.scores import BLOCK_ROWS, Scorer
from alad_tf.typing import Document, Options

Self = TypeVar("Self", bound="FittedALAD")
MOST_USUAL = 1 << 16  # rows used to compute `usual_`


class FittedALAD(RowDetector):
    """Scores, reconstructions, explanations and persistence of trained networks; see `ALAD` for the attributes.

    For a model with `encoder_`, rows X are a frame with its columns. If all of them are numbers, X may also be an array
    of their cells [n, columns], in the order of `encoder_.columns.sources`.
    """

    score_name: str
    networks_: Networks
    table_: Any
    history_: dict[str, list[float]]
    _scorer: Scorer
    _built_with: Options | None = None
    seed_: int
    references_: np.ndarray
    usual_: Usual

    # Scores -------------------------------------------------------------------------------------------------------

    def anomaly_score(self, X: npt.ArrayLike) -> np.ndarray:
        """A(x) of each row of X [n, d]: [n] float32, larger = more anomalous.

        Raises:
            ValueError: NaN or infinity, or other columns than in training.
        """
        check_is_fitted(self, "training_scores_")
        return self._score(self._finite(X, "to score"))

    def score_rows(self, X: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """A(x) as in `anomaly_score`, but rows with NaN or infinite values are flagged instead of refused.

        Returns:
            (scores [n] float32, valid [n] bool): an invalid row has the largest float32 as its score and is an outlier.
        """
        return self.score_features(self._numbers(X))

    def score_features(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`score_rows` of features X [n, d]; `encoder_.features` encodes frames."""
        check_is_fitted(self, "training_scores_")
        valid = np.isfinite(X).all(axis=1)
        scores = np.full(len(X), thresholds.LARGEST, np.float32)
        if valid.any():
            scores[valid] = self._score(X if valid.all() else X[valid])
        return scores, valid

    def reconstruct(self, X: npt.ArrayLike) -> np.ndarray:
        """x' = G(E(x)) of each row of X [n, d], in the units of X (or of encoded features, [n, features]): float64.

        Raises:
            ValueError: NaN or infinity, or other columns than in training.
        """
        check_is_fitted(self, "training_scores_")
        return self._reconstructed(self._finite(X, "to reconstruct"))

    def explain(self, X: npt.ArrayLike, top: int = 5) -> pd.DataFrame:
        """List the features, or columns of a mixed frame, that contribute most to each row, largest contribution first.

        Args:
            X: [n, d] finite rows. The index of a frame names the rows.
            top: number of features or columns per row, if there are as many.

        Returns:
            A frame of n * min(top, number of features or columns) rows: row, feature, value, expected and difference in
            the units of X (NaN for categories), contribution (for a number, the absolute difference divided by the
            usual one on normal rows; for a category, its surprise) and share (of the row's sum of contributions); see
            `Usual`.
        """
        check_is_fitted(self, "training_scores_")
        if not isinstance(top, Integral) or top < 1:
            raise SettingsError(f"Expected a number of features of at least 1. Received: {top!r}.")
        rows = self._finite(X, "to explain")
        expected, contributions = self.contributions(rows)
        index = np.arange(len(rows)) if not isinstance(X, pd.DataFrame) else np.asarray(X.index)
        if self.encoder_ is None:
            values = np.asarray(rows, np.float64)
            return explanations.table(index, self._names(), values, expected, contributions, int(top))
        encoder = self.encoder_
        return explanations.table(
            index,
            encoder.columns.names,
            encoder.cells(self._frame(X)).to_numpy(object),
            encoder.cells(expected).to_numpy(object),
            encoder.column_sums(contributions),
            int(top),
        )

    def contributions(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected values and contributions of features: [n, d] each.

        Args:
            X: [n, d] finite features, in whose units the expected values are; `encoder_.features` encodes frames.
        """
        check_is_fitted(self, "training_scores_")
        expected, contributions = self.usual.explain(self._scaled(X), self._reconstruct)
        return expected * self.scale_ + self.center_, contributions

    @property
    def usual(self) -> Usual:
        """Usual range and error of each feature; unknown in models of earlier releases."""
        check_is_fitted(self, "training_scores_")
        return getattr(self, "usual_", None) or Usual.unknown(self.n_features_in_)

    # The networks -------------------------------------------------------------------------------------------------

    @property
    def generator(self) -> tf.keras.Model:
        """G: z [n, latent] -> x [n, d], in scaled units."""
        return self._model("G")

    @property
    def encoder(self) -> tf.keras.Model:
        """E: x [n, d], in scaled units, -> z [n, latent]."""
        return self._model("E")

    @property
    def discriminator_xz(self) -> tf.keras.Model:
        """Dxz: (x, z) -> (logits [n, 1], features)."""
        return self._model("Dxz")

    @property
    def discriminator_xx(self) -> tf.keras.Model:
        """Dxx: (x, x') -> (logits [n, 1], features f_xx)."""
        return self._model("Dxx")

    @property
    def discriminator_zz(self) -> tf.keras.Model:
        """Dzz: (z, z') -> (logits [n, 1], features); None without it."""
        return self._model("Dzz")

    # Samples and plots --------------------------------------------------------------------------------------------

    def sample(self, n: int = 1, random_state: int | np.random.RandomState | None = None) -> np.ndarray:
        """Generate rows G(z) with z from N(0, I), in the units of X (or as encoded features of a mixed frame).

        Returns:
            [n, d] float64.
        """
        check_is_fitted(self, "networks_")
        if not isinstance(n, Integral) or n < 1:
            raise SettingsError(f"Expected a number of rows of at least 1. Received: {n!r}.")
        forks.require_threads()
        z = check_random_state(random_state).standard_normal((int(n), self.table_.latent_dim)).astype(np.float32)
        rows: np.ndarray = np.asarray(self.networks_.G(z, training=False)) * self.scale_ + self.center_
        return rows

    def plot_history(self, ax: Any = None) -> Any:
        """Plot losses and validation scores by epoch; return the Axes, new ones unless given."""
        check_is_fitted(self, "history_")
        return plots.draw_history(self.history_, ax)

    def plot_scores(self, X: Any = None, ax: Any = None) -> Any:
        """Plot histograms of the reference scores and the scores of X, if given, with the threshold; return the Axes.

        Args:
            X: rows [m, d], or a frame.
            ax: Axes of matplotlib; None: new ones.
        """
        check_is_fitted(self, "training_scores_")
        self._require_fitted_score()
        scores = {self.reference_: self.reference_scores_}
        if X is not None:
            scores["X"] = self.anomaly_score(X)
        return plots.draw_scores(scores, self.threshold_, ax)

    # On disk ------------------------------------------------------------------------------------------------------

    def save(self, folder: Path | str, documents: Document | None = None, *, overwrite: bool = False) -> None:
        """Write a model folder: JSON, weights and a manifest of SHA-256 sums, without pickles.

        Args:
            folder: new folder, or with `overwrite` a model folder to replace.
            documents: additional JSON documents by name.
            overwrite: replace an existing model folder.

        Raises:
            SettingsError: the folder exists or is not a model folder, the networks are custom, or `score_name` was
                changed after the fit.
            ValueError: a parameter was set to a value outside its range.
        """
        self._require_fitted_score()
        self._validate_params()
        if model_folder.is_model_folder(Path(folder)) and not overwrite:
            raise SettingsError(
                f"Expected a new folder for the model. Received: {folder}, a model. Pass overwrite=True to replace it."
            )
        if self.encoder_ is not None:
            documents = {**persistence.of_encoder(self), **(documents or {})}
        persistence.write(self, folder, documents or {})

    def save_keras(self, folder: Path | str) -> None:
        """Write G, E, Dxz, Dxx and Dzz as .keras files of plain Keras layers, see `inference.save`.

        Their input is in scaled units, (x - center_) / scale_.
        """
        check_is_fitted(self, "networks_")
        inference.save(self.networks_, folder)

    @classmethod
    def load(cls: type[Self], folder: Path | str) -> Self:
        """Load the estimator from a model folder; its scores are bit-identical to those of the saved one.

        Raises:
            DataError: the folder is missing, damaged, in a newer format, or does not hold a model.
        """
        with persistence.reading(folder) as (options, state):
            model = cls(**options)
            model._validate_params()
            model.__setstate__(state)
        return model

    # Helpers ------------------------------------------------------------------------------------------------------

    def _scorer_of(self, networks: Networks) -> Scorer:
        return Scorer(networks)

    @property
    def _network_options(self) -> Options:
        """Parameters that `networks_` are built with, kept when they are built for the first time since `fit`."""
        if self._built_with is None:
            self._built_with = {name: getattr(self, name) for name in persistence.OF_NETWORKS}
        return self._built_with

    def _model(self, name: str) -> tf.keras.Model:
        check_is_fitted(self, "networks_")
        return getattr(self.networks_, name)

    def _score(self, X: np.ndarray, training: bool = False) -> np.ndarray:
        """A(x) of finite rows; an overflow counts as the largest float32.

        For each category that the encoder does not know, the largest score of a training row is added, so that the row
        is more anomalous than every training row. Training rows have such categories where training was resumed.
        """
        blocks = (X[start : start + BLOCK_ROWS] for start in range(0, len(X), BLOCK_ROWS))
        scores = thresholds.bounded(np.concatenate([self._scored(padded(block))[: len(block)] for block in blocks]))
        if not self._blocks:
            return scores
        unseen = categories.unseen(tf.constant(X), self._blocks).numpy()
        if unseen.any():
            largest = scores.max() if training else self.training_scores_[-1]
            with np.errstate(over="ignore"):
                scores = thresholds.bounded(scores + unseen.astype(np.float32) * np.float32(largest))
        return scores

    def _scored(self, X: np.ndarray) -> np.ndarray:
        if self.score_name == "neighbours":
            if not hasattr(self, "references_"):
                raise SettingsError(
                    f"Expected another score than 'neighbours' after a fit with score_name={self._fitted_score!r}, "
                    "which stores no rows to measure distances to. Received: 'neighbours'. Call fit again."
                )
            return neighbours.score(self._points(X), self.references_)
        scores: np.ndarray = self._scorer(self._scaled(X))[self.score_name]
        return scores

    def _choose_references(self, X: np.ndarray) -> None:
        """Store the training rows to which the score "neighbours" measures distances."""
        self.__dict__.pop("references_", None)
        if self.score_name == "neighbours":
            kept = neighbours.choose(len(X), self.n_features_in_, self.seed_)
            self.references_ = thresholds.bounded(self._points(X[kept]))

    def _learn_usual(self, X: np.ndarray, training: np.ndarray) -> None:
        """Learn from normal rows X what is usual, for `explain`; for categories, some training rows are stored."""
        known, blocks = None, self._blocks
        if blocks:
            kept = neighbours.choose(len(training), self.n_features_in_, self.seed_)
            known = categories.Categories.of_rows(thresholds.bounded(self._scaled(training[kept])), blocks)
        self.usual_ = Usual.of_rows(self._scaled(X[:MOST_USUAL]), self._reconstruct, known)

    def _points(self, X: np.ndarray) -> np.ndarray:
        """The points (x, x - x') of rows X for the score "neighbours": [n, 2 d] float32."""
        scaled = self._scaled(X)
        points: np.ndarray = neighbours.points(scaled, self._reconstruct(scaled)).numpy()
        return points

    def _reconstructed(self, X: np.ndarray) -> np.ndarray:
        """x' = G(E(x)) [n, d] in the units of X."""
        x_hat: np.ndarray = self._reconstruct(self._scaled(X)) * self.scale_ + self.center_
        return x_hat

    def _reconstruct(self, scaled: np.ndarray) -> np.ndarray:
        """x' = G(E(x)) [n, d] in scaled units."""
        forks.require_threads()
        G, E = self.networks_.G, self.networks_.E
        starts = range(0, max(len(scaled), 1), BLOCK_ROWS)
        return np.concatenate([G(E(scaled[i : i + BLOCK_ROWS], training=False), training=False) for i in starts])
