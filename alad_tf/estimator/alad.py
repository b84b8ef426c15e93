"""ALAD as a scikit-learn outlier detector. A(x) is larger for anomalies; scikit-learn's scores are smaller."""

from __future__ import annotations

import math
import platform
import warnings
from collections.abc import Iterable
from dataclasses import asdict, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import sklearn
import tensorflow as tf
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

import architectures
from alad_tf._version import __version__
from alad_tf.errors import DataError, SettingsError, one_line
from alad_tf.estimator import custom_networks, explanations, tensorboard, thresholds
from alad_tf.estimator.base import Thresholded
from alad_tf.estimator.callbacks import History, collapse, silence_xla, train
from alad_tf.estimator.persistence import plain, require_sound
from alad_tf.estimator.validation import SCALINGS, constant_features, first_text, fit_scaling, require_finite
from alad_tf.io import model_folder
from alad_tf.model import inference, networks, weights
from alad_tf.model.alad_trainer import Trainer
from alad_tf.model.networks import Networks
from alad_tf.model.scores import BLOCK_ROWS, Scorer
from alad_tf.options import SCORES, SPECTRAL_NORMS
from architectures import Alad, rows
from architectures.tabular import tabular

if TYPE_CHECKING:
    import pandas as pd


JIT_STEPS = 5_000  # from here on XLA gains more in training than its compilation costs


class ALAD(Thresholded, BaseEstimator):
    """Adversarially Learned Anomaly Detection of rows of numbers.

    None for epochs, batch_size or learning_rate means the table's. Training is unsupervised: rows should be normal,
    or nearly all of them.

    Args:
        architecture: name of a table of the paper ("kdd99", "arrhythmia", "toy"), a table (`architectures.Alad`), or
            None: `architectures.tabular.tabular` for the number of features and of rows.
        epochs: passes over the training rows.
        batch_size: rows of a step.
        learning_rate: of Adam. With architecture=None it follows from the number of steps.
        spectral_norm: "paper", "tfa" or None; see `networks.build`.
        latent_discriminator: False leaves out Dzz.
        ema_decay: decay of the average of the weights that scores; None: the weights themselves score.
        score: "features" (Algorithm 1), "l1", "l2" or "logits" (Section V-F).
        contamination: share of the training rows that the threshold of `fit` puts on the outliers' side, in (0, 0.5].
        scaling: "standard" (mean 0, variance 1), "minmax" ([0, 1]) or None, of each feature on the training rows.
        networks: Keras models of one's own instead of a table: {"G", "E", "Dxz", "Dxx"} and, but for the ablation,
            "Dzz". Training starts from copies of them, weights included.
        patience: epochs without a better reconstruction of the validation rows before training stops, with the best
            epoch's weights; None: train to the end.
        log_dir: where scalars, histograms and, with image_shape, images for TensorBoard are written.
        image_shape: (height, width) or (height, width, 1 or 3), where a row is an image, read line by line: a few rows
            over their reconstructions are then drawn for TensorBoard.
        warm_start: `fit` goes on from the last one, instead of anew: with the same weights, averages, state of Adam,
            scaling and seed, for as many epochs as `epochs` says. On the same rows, two fits of 5 epochs have the bits
            of one of 10 (with the same learning_rate given). There is no `partial_fit`: a batch of rows has neither
            the scale of the features nor the scores that a threshold and a p-value need.
        jit: compile the training step with XLA; None: where training is long enough to gain from it.
        random_state: seed of weights, order of rows, z and dropout: the same one gives the same bits.
        verbose: 1 draws a progress bar, 0 nothing.

    Attributes:
        networks_: G, E, Dxz, Dxx and Dzz that score (`alad_tf.model.networks.Networks`).
        table_: architecture and hyper-parameters in use; of networks of one's own, only the latter apply.
        seed_: the seed that was used.
        center_, scale_: [d] each: networks see (x - center_) / scale_.
        history_: losses and mean validation scores, a list over the epochs for each.
        training_state_: with warm_start, the arrays that the next `fit` goes on from.
        training_scores_: A(x) of the training rows, ascending.
        reference_scores_: A(x) that `p_value` compares with, ascending; reference_ says whose: "training rows",
            "validation rows" or "held-out rows".
        threshold_: rows of a larger A(x) are outliers; threshold_rule_ says where it comes from; offset_ is
            -threshold_, as in scikit-learn.
        n_features_in_, feature_names_in_: as in scikit-learn.
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012 (scikit-learn's name and place)
        "architecture": [StrOptions(set(architectures.DATASETS)), Alad, None],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "spectral_norm": [StrOptions({kind for kind in SPECTRAL_NORMS if kind}), None],
        "latent_discriminator": ["boolean"],
        "ema_decay": [Interval(Real, 0, 1, closed="neither"), None],
        "score": [StrOptions(set(SCORES))],
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
        "scaling": [StrOptions({kind for kind in SCALINGS if kind}), None],
        "networks": [dict, None],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "log_dir": [str, Path, None],
        "image_shape": [tuple, list, None],
        "warm_start": ["boolean"],
        "jit": ["boolean", None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        architecture: str | Alad | None = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        spectral_norm: str | None = "paper",
        latent_discriminator: bool = True,
        ema_decay: float | None = 0.999,
        score: str = "features",
        contamination: float = 0.1,
        scaling: str | None = "standard",
        networks: dict[str, tf.keras.Model] | None = None,
        patience: int | None = None,
        log_dir: str | Path | None = None,
        image_shape: tuple[int, ...] | None = None,
        warm_start: bool = False,
        jit: bool | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 1,
    ) -> None:
        self.architecture = architecture
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.spectral_norm = spectral_norm
        self.latent_discriminator = latent_discriminator
        self.ema_decay = ema_decay
        self.score = score
        self.contamination = contamination
        self.scaling = scaling
        self.networks = networks
        self.patience = patience
        self.log_dir = log_dir
        self.image_shape = image_shape
        self.warm_start = warm_start
        self.jit = jit
        self.random_state = random_state
        self.verbose = verbose

    # Training -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        callbacks: Iterable[tf.keras.callbacks.Callback] = (),
    ) -> ALAD:
        """Train on the rows of X [n, d] and set the threshold from their scores.

        Args:
            X: array or frame of finite numbers.
            y: ignored.
            validation: normal rows [m, d] that are not trained on, or the share of X to hold out for it: for early
                stopping and for `p_value`.
            callbacks: Keras callbacks, see `fitting.train`.

        Raises:
            ValueError: an option outside its range, fewer than two rows, NaN or infinity, columns that do not fit.
            AladError: training diverged.
        """
        self._validate_params()
        state = getattr(self, "training_state_", None) if self.warm_start else None
        X = self._numbers(X, reset=state is None, least=2)
        require_finite(X, self._names(), "to train on")
        if state is None:
            self.seed_ = _seed(self.random_state)
            self.history_: History = {}
        X, held_out = self._hold_out(X, validation)
        if state is None:
            self.center_, self.scale_ = fit_scaling(self.scaling, X)
        constants = constant_features(X, self._names())
        if constants:
            warnings.warn(constants, UserWarning, stacklevel=2)
        self.n_samples_fit_ = len(X)
        self.table_ = self._table(*X.shape)
        trainer = self._trainer(X)
        if state is not None:
            trainer.set_arrays(state)
        self._use(trainer.scoring_networks)
        history = train(
            trainer,
            self.table_.epochs,
            self._scorer,
            score=self.score,
            validation=None if held_out is None else self._scaled(held_out),
            patience=self.patience,
            callbacks=callbacks,
            log_dir=self.log_dir,
            pictures=self._pictures(X if held_out is None else held_out),
            verbose=bool(self.verbose),
        )
        self.history_ = {name: [*self.history_.get(name, ()), *values] for name, values in history.items()}
        if self.warm_start:
            self.training_state_ = trainer.get_arrays()
        self.training_scores_ = np.sort(self._score(X))
        self._set_reference(self.training_scores_, "training rows")
        if held_out is not None:
            self._set_reference(np.sort(self._score(held_out)), "validation rows")
        reason = collapse(self.history_, self.training_scores_)
        if reason:
            warnings.warn(
                f"Training has collapsed: {reason}. Its scores are of no use. Take another seed, a smaller learning "
                "rate or more rows.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self.set_threshold(contamination=self.contamination)

    def set_threshold(
        self,
        *,
        contamination: float | None = None,
        false_positive_rate: float | None = None,
        value: float | None = None,
        X: Any = None,
    ) -> ALAD:
        """Set the threshold anew, from exactly one of three.

        Args:
            contamination: share of the training rows above it, in (0, 0.5].
            false_positive_rate: share of normal rows that were not trained on above it, at most, in (0, 1).
            value: the threshold itself.
            X: with false_positive_rate: those rows [m, d]. None: the rows held out so far.

        Raises:
            ValueError: none or several of the three, one outside its range, or no rows held out.
        """
        check_is_fitted(self, "training_scores_")
        given = {"contamination": contamination, "false_positive_rate": false_positive_rate, "value": value}
        rules = {name: float(number) for name, number in given.items() if number is not None}
        if len(rules) != 1:
            raise SettingsError(f"Expected one of {', '.join(given)}. Received: {', '.join(rules) or 'none'}.")
        ((rule, number),) = rules.items()
        if not np.isfinite(number):
            raise SettingsError(f"Expected a finite {rule}. Received: {number}.")
        if rule == "contamination" and not 0.0 < number <= 0.5:
            raise SettingsError(f"Expected contamination above 0 and at most 0.5. Received: {number}.")
        if rule == "false_positive_rate" and not 0.0 < number < 1.0:
            raise SettingsError(f"Expected false_positive_rate above 0 and below 1. Received: {number}.")
        if X is not None:
            if rule != "false_positive_rate":
                raise SettingsError(f"Expected rows X with false_positive_rate only. Received: X with {rule}.")
            self.calibrate(X)
        if rule == "contamination":
            threshold, of = thresholds.quantile_threshold(self.training_scores_, number), "training rows"
        elif rule == "false_positive_rate":
            threshold, of = thresholds.false_positive_threshold(self._held_out_scores(), number), self.reference_
        else:
            threshold, of = number, "none"
        self.threshold_, self.offset_ = threshold, -threshold
        self.threshold_rule_ = {"rule": rule, "value": number, "scores": of}
        return self

    def calibrate(self, X: Any) -> ALAD:
        """Take the scores of X [m, d], normal rows that were not trained on, as the reference of `p_value`."""
        self._set_reference(np.sort(self.anomaly_score(X)), "held-out rows")
        return self

    # Scores -------------------------------------------------------------------------------------------------------

    def anomaly_score(self, X: Any) -> np.ndarray:
        """A(x) of each row of X [n, d]: [n] float32, larger = more anomalous.

        Raises:
            ValueError: NaN or infinity, or other columns than in training.
        """
        check_is_fitted(self, "training_scores_")
        X = self._numbers(X)
        require_finite(X, self._names(), "to score")
        return self._score(X)

    def score_rows(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """A(x) as `anomaly_score`, for rows that may hold NaN or infinity: those are flagged instead of refused.

        Returns:
            (scores [n] float32, valid [n] bool): a row that is not valid has the largest float and is an outlier.
        """
        check_is_fitted(self, "training_scores_")
        X = self._numbers(X)
        valid = np.isfinite(X).all(axis=1)
        scores = np.full(len(X), thresholds.LARGEST, np.float32)
        if valid.any():
            scores[valid] = self._score(X if valid.all() else X[valid])
        return scores, valid

    def score_samples(self, X: Any) -> np.ndarray:
        """-A(x) of each row: [n] float64, smaller = more anomalous, as scikit-learn has it."""
        return -self.anomaly_score(X).astype(np.float64)

    def p_value(self, X: Any) -> np.ndarray:
        """Share of normal rows with a score as large, [n] in (0, 1]: small = anomalous; see `reference_`.

        Against held-out rows (fit's validation, `calibrate`), a fresh normal row has at most p with a chance of at most
        p. Against the training rows, which score lower than fresh ones, it is too small.
        """
        return thresholds.p_values(self.anomaly_score(X), self.reference_scores_)

    def reconstruct(self, X: Any) -> np.ndarray:
        """x' = G(E(x)) of each row of X [n, d], in the units of X: [n, d] float64.

        Raises:
            ValueError: NaN or infinity, or other columns than in training.
        """
        check_is_fitted(self, "training_scores_")
        X = self._numbers(X)
        require_finite(X, self._names(), "to reconstruct")
        x_hat: np.ndarray = self._reconstruct(self._scaled(X)) * self.scale_ + self.center_
        return x_hat

    def explain(self, X: Any, top: int = 5) -> pd.DataFrame:
        """The features of each row that are reconstructed worst, worst first.

        Args:
            X: [n, d] finite rows, or a frame, whose index then names the rows.
            top: features a row.

        Returns:
            A frame of n * top rows: row, feature, value (x), reconstruction (x'), difference (x - x'), all in the units
            of X, and share: of the row's absolute differences in the scaled units that the networks see.
        """
        import pandas as pd

        check_is_fitted(self, "training_scores_")
        if not isinstance(top, Integral) or top < 1:
            raise SettingsError(f"Expected a number of features of at least 1. Received: {top!r}.")
        index = np.asarray(X.index) if hasattr(X, "index") and hasattr(X, "columns") else None
        X = self._numbers(X)
        require_finite(X, self._names(), "to explain")
        scaled = self._scaled(X)
        x_hat = self._reconstruct(scaled)
        order, shares = explanations.worst(np.abs(scaled - x_hat), top)
        n, k = order.shape
        value = np.take_along_axis(np.asarray(X, np.float64), order, axis=1)
        reconstruction = np.take_along_axis(x_hat, order, axis=1) * self.scale_[order] + self.center_[order]
        return pd.DataFrame(
            {
                "row": np.repeat(np.arange(n) if index is None else index, k),
                "feature": np.asarray(self._names(), object)[order].ravel(),
                "value": value.ravel(),
                "reconstruction": reconstruction.ravel(),
                "difference": (value - reconstruction).ravel(),
                "share": shares.ravel(),
            }
        )

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

    # On disk ------------------------------------------------------------------------------------------------------

    def save(self, folder: Path | str, documents: dict[str, Any] | None = None) -> None:
        """Write a model folder: JSON, weights and a manifest of checksums; nothing is pickled.

        Args:
            folder: new, or a model folder to replace.
            documents: more JSON to keep in it, by name.

        Raises:
            SettingsError: the folder is there and is no model folder; the networks are one's own.
        """
        check_is_fitted(self, "training_scores_")
        if self.networks is not None:
            raise SettingsError(
                "Expected networks of a table to save. Received: networks of one's own, which this format cannot hold. "
                "Save each with Keras (estimator.generator.save(...)), or pickle the estimator."
            )
        arrays = {
            "weights": weights.get_arrays(self.networks_),
            "scaling": {"center": self.center_, "scale": self.scale_},
            "scores": {"training": self.training_scores_, "reference": self.reference_scores_},
        }
        if self.warm_start:
            arrays["training"] = self.training_state_
        model_folder.write(Path(folder), {"model": self._document(), **(documents or {})}, arrays)

    def save_keras(self, folder: Path | str) -> None:
        """Write G, E, Dxz, Dxx and Dzz as .keras files of plain Keras layers, see `folding.save`.

        They see rows in scaled units, (x - center_) / scale_.
        """
        check_is_fitted(self, "networks_")
        inference.save(self.networks_, folder)

    @classmethod
    def load(cls, folder: Path | str) -> ALAD:
        """The estimator that `save` wrote; it scores bit for bit as it did.

        Raises:
            DataError: the folder is missing, damaged, of a newer format, or does not hold a model.
        """
        documents, arrays = model_folder.read(Path(folder))
        try:
            return cls._restored(documents["model"], arrays)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DataError(
                f"Expected a model of ALAD in {folder}. Received: one that does not fit together: {one_line(error)}."
            ) from None

    def _document(self) -> dict[str, Any]:
        left_out = ("architecture", "networks", "random_state", "log_dir")
        settings = {name: value for name, value in self.get_params().items() if name not in left_out}
        names = getattr(self, "feature_names_in_", None)
        return {
            "table": asdict(self.table_),
            "settings": {name: plain(value) for name, value in settings.items()},
            "seed": self.seed_,
            "data": {
                "rows": self.n_samples_fit_,
                "features": self.n_features_in_,
                "names": None if names is None else names.tolist(),
            },
            "threshold": {"value": self.threshold_, "rule": self.threshold_rule_},
            "reference": {"of": self.reference_, "rows": len(self.reference_scores_)},
            "last_epoch": {name: values[-1] for name, values in self.history_.items()},
            "epochs_trained": len(self.history_["loss_d"]),
            "versions": {
                "alad_tf": __version__,
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "numpy": np.__version__,
                "scikit-learn": sklearn.__version__,
            },
        }

    @classmethod
    def _restored(cls, document: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> ALAD:
        table = rows.alad(document["table"])
        model = cls(table, random_state=int(document["seed"]), **document["settings"])
        model._validate_params()
        model.table_, model.seed_ = table, int(document["seed"])
        model.n_features_in_ = table.data_dim
        if document["data"]["names"] is not None:
            model.feature_names_in_ = np.asarray(document["data"]["names"], object)
        model.n_samples_fit_ = int(document["data"]["rows"])
        model.center_, model.scale_ = arrays["scaling"]["center"], arrays["scaling"]["scale"]
        model.training_scores_ = arrays["scores"]["training"]
        model._set_reference(arrays["scores"]["reference"], document["reference"]["of"])
        require_sound(model, document, arrays)
        threshold = document["threshold"]
        model.threshold_, model.offset_ = float(threshold["value"]), -float(threshold["value"])
        model.threshold_rule_ = dict(threshold["rule"])
        model.history_ = {name: [value] for name, value in document["last_epoch"].items()}
        built = model._build()
        weights.set_arrays(built, arrays["weights"])
        model._use(built)
        if "training" in arrays:
            model.training_state_ = arrays["training"]
        return model

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        if "networks_" in state:
            state.pop("_scorer")
            state["networks_"] = weights.get_arrays(state["networks_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "networks_" in state:
            built = self._build()
            weights.set_arrays(built, state["networks_"])
            self._use(built)

    # Parts of the above -------------------------------------------------------------------------------------------

    def _table(self, n_rows: int, n_features: int) -> Alad:
        """The table with this estimator's hyper-parameters, for these rows."""
        if self.architecture is None:
            latent_dim = None
            if self.networks is not None:
                latent_dim = custom_networks.require(self.networks, n_features)
            table = tabular(n_features, n_rows=n_rows, epochs=self.epochs, batch_size=self.batch_size)
            if latent_dim is not None:
                table = replace(table, name="networks of one's own", latent_dim=latent_dim)
        elif self.networks is not None:
            raise SettingsError("Expected an architecture or networks. Received: both.")
        else:
            named = architectures.load(self.architecture) if isinstance(self.architecture, str) else self.architecture
            assert isinstance(named, Alad)
            table = named
        if table.data_dim != n_features:
            raise SettingsError(
                f"Expected {table.data_dim} features for the architecture {table.name}. Received: {n_features}. Pass "
                "architecture=None for a table of that many."
            )
        batch_size = self.batch_size or min(table.batch_size, n_rows)
        if batch_size > n_rows:
            raise SettingsError(f"Expected a batch of at most the {n_rows} training rows. Received: {batch_size}.")
        rate = self.learning_rate or table.optimizer.learning_rate
        return replace(
            table,
            epochs=int(self.epochs or table.epochs),
            batch_size=int(batch_size),
            optimizer=replace(table.optimizer, learning_rate=float(rate)),
        )

    def _trainer(self, X: np.ndarray) -> Trainer:
        steps = self.table_.epochs * (len(X) // self.table_.batch_size)
        jit = steps >= JIT_STEPS if self.jit is None else bool(self.jit)
        if jit:
            silence_xla()
        return Trainer(
            self._build(),
            self.table_,
            self._scaled(X),
            seed=self.seed_,
            average=None if self.ema_decay is None else self._build(),
            ema_decay=self.ema_decay or 0.0,
            jit=jit,
        )

    def _pictures(self, X: np.ndarray) -> Callable[[], np.ndarray] | None:
        """Draws some rows of X as images, each over its reconstruction: [k, 2 height, width, channels] in [0, 1]."""
        if self.image_shape is None:
            return None
        shape = tuple(self.image_shape)
        if len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,)) or math.prod(shape) != X.shape[1]:
            raise SettingsError(
                f"Expected image_shape as (height, width) or (height, width, 1 or 3) of {X.shape[1]} features. "
                f"Received: {shape}."
            )
        rows, low, high = X[: tensorboard.PICTURES], X.min(), X.max()

        def draw() -> np.ndarray:
            both = np.concatenate([rows, self._reconstruct(self._scaled(rows)) * self.scale_ + self.center_], axis=1)
            images = both.reshape(len(rows), 2 * shape[0], shape[1], *(shape[2:] or (1,)))
            return np.clip((images - low) / max(high - low, np.finfo(np.float64).tiny), 0.0, 1.0)

        return draw

    def _build(self) -> Networks:
        if self.networks is not None:
            return custom_networks.copies(self.networks)
        return networks.build(
            self.table_,
            spectral_norm=self.spectral_norm,
            latent_discriminator=self.latent_discriminator,
            seed=self.seed_,
        )

    def _use(self, scoring: Networks) -> None:
        self.networks_ = scoring
        self._scorer = Scorer(scoring)

    def _model(self, name: str) -> Any:
        check_is_fitted(self, "networks_")
        return getattr(self.networks_, name)

    def _set_reference(self, scores: np.ndarray, of: str) -> None:
        self.reference_scores_, self.reference_ = scores, of

    def _held_out_scores(self) -> np.ndarray:
        if self.reference_ == "training rows":
            raise SettingsError(
                "Expected normal rows that were not trained on, for a false-positive rate. Received: none. Pass them "
                "as X, or as fit's validation."
            )
        return self.reference_scores_

    def _hold_out(self, X: np.ndarray, validation: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """(training rows, validation rows)."""
        if validation is None:
            if self.patience is not None:
                raise SettingsError(
                    f"Expected validation rows for patience={self.patience}. Received: none. Pass them to fit, or a "
                    "share of X such as validation=0.1."
                )
            return X, None
        if isinstance(validation, Real):
            if not 0.0 < float(validation) < 1.0:
                raise SettingsError(f"Expected a share of X above 0 and below 1. Received: {validation}.")
            if math.ceil(float(validation) * len(X)) >= len(X):
                raise SettingsError(
                    f"Expected rows to train on beside those held out. Received: {len(X)} rows, of which the share "
                    f"{validation} is to be held out."
                )
            X, held_out = train_test_split(X, test_size=float(validation), random_state=self.seed_)
            return X, held_out
        held_out = self._numbers(validation)
        require_finite(held_out, self._names(), "to validate on")
        return X, held_out

    def _numbers(self, X: Any, reset: bool = False, least: int = 1) -> np.ndarray:
        """X as [n, d] floats, columns checked by scikit-learn; NaN and infinity are let through."""
        try:
            return self._validate_data(
                X,
                reset=reset,
                dtype=[np.float64, np.float32],
                force_all_finite=False,
                ensure_min_samples=least,
            )
        except ValueError as error:
            place = first_text(X)
            if place is None:
                raise
            raise DataError(f"Expected numbers. Received: {place}. Encode or drop that column.") from error

    def _names(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        return [f"x{k}" for k in range(self.n_features_in_)] if names is None else names.tolist()

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return ((X - self.center_) / self.scale_).astype(np.float32)

    def _score(self, X: np.ndarray) -> np.ndarray:
        """A(x) of finite rows; what overflows is as anomalous as can be."""
        blocks = [self._scored(X[start : start + BLOCK_ROWS]) for start in range(0, len(X), BLOCK_ROWS)]
        largest = thresholds.LARGEST
        return np.nan_to_num(np.concatenate(blocks), nan=largest, posinf=largest, neginf=-largest)

    def _scored(self, X: np.ndarray) -> np.ndarray:
        scores: np.ndarray = self._scorer(self._scaled(X))[self.score]
        return scores

    def _reconstruct(self, scaled: np.ndarray) -> np.ndarray:
        """x' = G(E(x)) [n, d] in scaled units."""
        G, E = self.networks_.G, self.networks_.E
        starts = range(0, max(len(scaled), 1), BLOCK_ROWS)
        return np.concatenate([G(E(scaled[i : i + BLOCK_ROWS], training=False), training=False) for i in starts])

    def _more_tags(self) -> dict[str, Any]:
        return {"requires_y": False}


def _seed(random_state: Any) -> int:
    """The seed itself, or one drawn from the random state."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
