"""DSEBM, DAGMM and AnoGAN as scikit-learn outlier detectors."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

import architectures
from alad_tf.baselines import anogan, dagmm, dsebm
from alad_tf.errors import SettingsError
from alad_tf.estimator import thresholds, validation
from alad_tf.estimator.base import unchanged_on_error
from alad_tf.estimator.network_detector import CONSTRAINTS, NetworkDetector, old_name_of_score
from alad_tf.estimator.sklearn_versions import validated_rows
from alad_tf.model.batching import Score, padded, unwatched
from alad_tf.model.training_loop import chunks, with_progress_bar
from architectures import Dagmm, Dsebm, Gan, Table
from architectures.rows import of_width

Self = TypeVar("Self", bound="_Detector")


class _Detector(NetworkDetector):
    """Outlier detector with networks, trained on rows that are all or nearly all normal.

    Args:
        architecture: a table, or the name of a data set whose table is adapted to the number of features.
        epochs: passes over the training rows; None: the table's.
        batch_size: rows per step; None: the table's, or all rows if there are fewer.
        learning_rate: learning rate of Adam; None: the table's.
        score_name: one of the method's scores; None: the first one. Its old name `score` is deprecated.
        contamination: fraction of the training rows above the threshold that `fit` sets, in (0, 0.5].
        scaling: "standard", "minmax" or None; each feature is scaled by its statistics on the training rows.
        random_state: governs initial weights, row order, z, noise and dropout.
        verbose: 1 shows a progress bar, 0 nothing.

    Attributes:
        networks_: the trained networks.
        table_: architecture and hyper-parameters in use.
        seed_: the seed in use.
        center_, scale_: [d] each; the input of the networks is (x - center_) / scale_.
        threshold_: rows with a larger score are outliers; offset_ is its negative, as scikit-learn defines it.
        n_features_in_: d.
    """

    _scorer: Score
    _module: ClassVar[ModuleType]
    _method: ClassVar[str]
    _kind: ClassVar[type]  # of table
    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "architecture": [StrOptions({"kdd99", "arrhythmia"}), Dsebm, Dagmm, Gan],
        "score_name": [str, None],
        **CONSTRAINTS,
    }

    @old_name_of_score
    def __init__(
        self,
        architecture: str | Dsebm | Dagmm | Gan = "kdd99",
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        score_name: str | None = None,
        contamination: float = 0.1,
        scaling: str | None = "standard",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 1,
    ) -> None:
        self.architecture = architecture
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.score_name = score_name
        self.contamination = contamination
        self.scaling = scaling
        self.random_state = random_state
        self.verbose = verbose

    def fit(self: Self, X: npt.ArrayLike, y: object = None) -> Self:
        """Train on the rows of X [n, d] and set the threshold from their scores.

        Raises:
            ValueError: an option outside its range, fewer than two rows, NaN or infinite values.
            AladError: training diverged.
        """
        self._validate_params()
        if not isinstance(self.architecture, (str, self._kind)):
            raise SettingsError(
                f"Expected the name of a data set or a table of {self._method}. Received: a table of "
                f"{type(self.architecture).__name__.upper()}."
            )
        if self.score_name not in (None, *self._module.SCORES):
            allowed = ", ".join(self._module.SCORES)
            raise SettingsError(
                f"Expected a score of {self._method}. Received: {self.score_name!r}. Allowed: {allowed}."
            )
        with unchanged_on_error(self):
            x: np.ndarray = validated_rows(self, X, dtype=np.float64, ensure_min_samples=2)
            self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
            self.center_, self.scale_ = validation.fit_scaling(self.scaling, x)
            self.table_ = self._table(*x.shape)
            self._train(self._scaled(x))
            self._use_training_scores(self.anomaly_score(X))
        return self

    def anomaly_score(self, X: npt.ArrayLike) -> np.ndarray:
        """Anomaly score [n] of X [n, d]; larger = more anomalous. An overflow counts as the largest float32."""
        check_is_fitted(self, "networks_")
        x: np.ndarray = validated_rows(self, X, dtype=np.float64, reset=False)
        scores = self._scorer(padded(self._scaled(x)), unwatched)[self._known_score(self.score_name)]
        return thresholds.bounded(scores[: len(x)])

    def _known_score(self, name: str | None) -> str:
        return name or self._module.SCORES[0]

    def _table(self, n_rows: int, n_features: int) -> Table:
        given = self.architecture
        table: Table = (
            of_width(architectures.load(given, self._method), n_features) if isinstance(given, str) else given
        )
        if self.batch_size is not None and self.batch_size > n_rows:
            raise SettingsError(f"Expected a batch of at most the {n_rows} training rows. Received: {self.batch_size}.")
        rate = self.learning_rate or table.optimizer.learning_rate
        return replace(
            table,
            optimizer=replace(table.optimizer, learning_rate=rate),
            batch_size=min(self.batch_size or table.batch_size, n_rows),
            epochs=self.epochs or table.epochs,
        )

    def _train(self, X: np.ndarray) -> None:
        self._use(self._build())
        trainer = self._module.Trainer(self.networks_, self.table_, X, seed=self.seed_, jit=False)
        steps = self.table_.epochs * trainer.steps_per_epoch
        for _ in with_progress_bar(chunks(trainer, steps), steps, self._method, bool(self.verbose)):
            pass  # nothing to report between chunks
        trainer.before_scoring()

    def _build(self) -> tf.Module:
        return self._module.Networks(self.table_, self.seed_)

    def _scorer_of(self, networks: tf.Module) -> Score:
        return self._module.scorer(networks, self.seed_)


class DSEBM(_Detector):
    """Deep structured energy-based model (Zhai et al. 2016). Scores: "energy", "reconstruction"."""

    _module: ClassVar[ModuleType] = dsebm
    _method: ClassVar[str] = "DSEBM"
    _kind: ClassVar[type] = Dsebm


class DAGMM(_Detector):
    """Deep autoencoding Gaussian mixture model (Zong et al. 2018). Score: "energy"."""

    _module: ClassVar[ModuleType] = dagmm
    _method: ClassVar[str] = "DAGMM"
    _kind: ClassVar[type] = Dagmm


class AnoGAN(_Detector):
    """A GAN and a search for the z of each row (Schlegl et al. 2017). Scores: "released", "schlegl"."""

    _module: ClassVar[ModuleType] = anogan
    _method: ClassVar[str] = "AnoGAN"
    _kind: ClassVar[type] = Gan
