"""ALAD as a scikit-learn outlier detector: parameters and training."""

from __future__ import annotations

import inspect
import math
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from itertools import repeat
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

import architectures
from alad_tf.columns.coarse import CoarseWarning, coarse_feature
from alad_tf.columns.encoder import TrainingCells
from alad_tf.errors import ConstantFeatureWarning, DivergedError, SettingsError, one_line
from alad_tf.estimator import custom_networks, tensorboard
from alad_tf.estimator.architecture import choose_table
from alad_tf.estimator.base import unchanged_on_error
from alad_tf.estimator.callbacks import History, Resumed, collapse, train
from alad_tf.estimator.checkpoint import Checkpoint, settings_of
from alad_tf.estimator.fitted import FittedALAD
from alad_tf.estimator.network_detector import CONSTRAINTS, old_name_of_score
from alad_tf.estimator.validation import constant_features, fit_scaling, hold_out, require_finite, require_in_range
from alad_tf.io import outputs
from alad_tf.model import networks
from alad_tf.model.alad_trainer import Trainer
from alad_tf.model.networks import Networks
from alad_tf.options import ROW_SCORES, SPECTRAL_NORMS
from architectures import Alad

JIT_STEPS = 5_000  # number of steps from which on XLA saves more time than its compilation takes


class ALAD(FittedALAD):
    """Adversarially Learned Anomaly Detection for tabular data.

    None for epochs, batch_size or learning_rate means the value of the architecture table. Training is unsupervised:
    all or nearly all rows should be normal.

    Args:
        architecture: name of a table of the paper ("kdd99", "arrhythmia", "toy"), a table (`architectures.Alad`), or
            None: `architectures.tabular.tabular` for the numbers of features and rows.
        epochs: passes over the training rows.
        batch_size: rows per step.
        learning_rate: learning rate of Adam. With architecture=None it depends on the number of steps.
        spectral_norm: "paper", "tfa" or None; see `networks.build`.
        latent_discriminator: False leaves out Dzz.
        ema_decay: decay of the moving average of the weights, which is used for scoring; None: no average.
        score_name: the score A(x): "neighbours" (mean distance of (x, x - G(E(x))) to the nearest training rows, a
            score of this package), or one of the paper's: "features" (Algorithm 1), "l1", "l2" or "logits" (Section
            V-F). `score`, its name in earlier releases, is deprecated.
        contamination: fraction of the training rows above the threshold set by `fit`, in (0, 0.5].
        scaling: scaling of each feature by the training rows: "standard" (mean 0, variance 1), "minmax" ([0, 1]), None.
        impute: allow missing cells in frames with mixed columns, as `alad fit --impute`.
        networks: custom Keras models instead of a table: {"G", "E", "Dxz", "Dxx"} and, except in the ablation, "Dzz".
            Training starts from copies of them, weights included; they have no regularizers and constraints.
        patience: epochs without a better reconstruction of the validation rows before training stops and the weights of
            the best epoch are restored; None: train for all epochs.
        log_dir: folder for TensorBoard: scalars, histograms and, with image_shape, images.
        image_shape: (height, width) or (height, width, 1 or 3) if rows are flattened images: TensorBoard then shows a
            few of them above their reconstructions.
        warm_start: `fit` resumes the last fit with its weights, averages, state of Adam, scaling and seed, for `epochs`
            more epochs. On the same rows, two fits of 5 epochs equal one of 10 bit for bit, if `learning_rate` and
            `jit` are given: by default, both depend on the number of epochs. There is no `partial_fit`: scaling,
            threshold and p-values need all training rows.
        jit: compile the training step with XLA; None: if training is long enough to benefit. On the first compilation,
            XLA writes a line to standard error that TensorFlow's log level does not filter.
        random_state: seed of initial weights, row order, z and dropout; the same seed gives bit-identical results.
            Keras layers of custom networks that draw numbers, such as Dropout, have a generator of their own: call
            tf.keras.utils.set_random_seed before each fit.
        verbose: 1 shows a progress bar, 0 nothing.

    Attributes:
        networks_: G, E, Dxz, Dxx and Dzz used for scoring (`alad_tf.model.networks.Networks`).
        table_: architecture and hyper-parameters in use; with custom networks, the hyper-parameters alone.
        seed_: the seed in use.
        center_, scale_: [d] each; the input of the networks is (x - center_) / scale_.
        history_: name of a loss or mean validation score -> list of values by epoch.
        training_state_: with warm_start, the arrays from which the next `fit` resumes.
        references_: with the score "neighbours", [m, 2 d] points (x, x - G(E(x))) of training rows, in scaled units.
        training_scores_: A(x) of the training rows, ascending.
        reference_scores_: A(x) that `p_value` compares with, ascending; reference_ names the rows: "training rows",
            "validation rows" or "held-out rows".
        usual_: usual range and difference of each feature on the held-out rows, or else on the training rows, for
            `explain`.
        threshold_: rows with a larger A(x) are outliers; threshold_rule_ tells how it was set; offset_ is -threshold_,
            as in scikit-learn.
        n_features_in_, feature_names_in_: as in scikit-learn; for mixed columns, the number of encoded features alone.
        encoder_: schema and preprocessing of a frame with mixed columns, with `names` of the encoded features; None for
            numbers alone. The model of `alad fit` has one too. All methods then take frames with its columns; arrays
            are rows of these columns, in the order of `encoder_.columns.sources`, and need columns of numbers alone.
        seconds_: duration of the last `fit`.
    """

    _parameter_constraints: dict[str, list[object]] = {  # noqa: RUF012 (scikit-learn's name and place)
        "architecture": [StrOptions(set(architectures.DATASETS)), Alad, None],
        "spectral_norm": [StrOptions({kind for kind in SPECTRAL_NORMS if kind}), None],
        "latent_discriminator": ["boolean"],
        "ema_decay": [Interval(Real, 0, 1, closed="neither"), None],
        "score_name": [StrOptions(set(ROW_SCORES))],
        "impute": ["boolean"],
        "networks": [dict, None],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "log_dir": [str, Path, None],
        "image_shape": [tuple, list, None],
        "warm_start": ["boolean"],
        "jit": ["boolean", None],
        **CONSTRAINTS,
    }

    @old_name_of_score
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
        score_name: str = "neighbours",
        contamination: float = 0.1,
        scaling: str | None = "standard",
        impute: bool = False,
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
        self.score_name = score_name
        self.contamination = contamination
        self.scaling = scaling
        self.impute = impute
        self.networks = networks
        self.patience = patience
        self.log_dir = log_dir
        self.image_shape = image_shape
        self.warm_start = warm_start
        self.jit = jit
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: npt.ArrayLike | TrainingCells,
        y: object = None,
        *,
        validation: npt.ArrayLike | None = None,
        callbacks: Iterable[tf.keras.callbacks.Callback] = (),
        checkpoint: Path | str | Checkpoint | None = None,
    ) -> ALAD:
        """Train on the rows of X [n, d] and set the threshold from their scores.

        Args:
            X: array or frame of finite numbers, or a frame that also has text, categories, booleans or dates. Such
                columns are encoded as in `alad fit`, and `encoder_` encodes new frames. `TrainingCells` bring their
                own encoder.
            y: ignored.
            validation: normal rows [m, d] to hold out, or the fraction of X to hold out, for early stopping and
                `p_value`.
            callbacks: Keras callbacks, see `callbacks.train`.
            checkpoint: folder for a checkpoint, written every minute, at the end of training and on Ctrl-C. The same
                call resumes from it with bit-identical results, except for what callbacks keep in memory. `fit`
                deletes the folder at its end; a `Checkpoint` is left to the caller. Not for `warm_start`.

        An estimator that was fitted before stays as it was if `fit` is refused or interrupted.

        Raises:
            ValueError: a parameter outside its range, fewer than two rows, NaN or infinite values, unsuitable columns.
            DivergedError: a loss or a weight is not finite.
        """
        self._validate_params()
        _require_together(self, checkpoint)
        kept = _checkpoint(checkpoint, self.log_dir)
        with unchanged_on_error(self):
            self._fit(X, validation, callbacks, kept)
        if kept is not None and kept is not checkpoint:
            kept.remove()
        return self

    def _fit(
        self,
        X: npt.ArrayLike | TrainingCells,
        validation: npt.ArrayLike | None,
        callbacks: Iterable[tf.keras.callbacks.Callback],
        kept: Checkpoint | None,
    ) -> None:
        started = time.monotonic()
        state = getattr(self, "training_state_", None) if self.warm_start else None
        if state is None:
            self.__dict__.pop("training_state_", None)
        X = self._validated(self._encoded(X, state is None), reset=state is None, least=2)
        require_finite(X, self._names(), "to train on")
        if state is None:
            self.seed_ = _seed(self.random_state, kept)
            self.history_: History = {}
        X, held_out = self._hold_out(X, validation)
        if state is None:
            self.center_, self.scale_ = fit_scaling(None if self.encoder_ else self.scaling, X)
        for rows, purpose in ((X, "to train on"), (held_out, "to validate on")):
            require_in_range(rows, self.center_, self.scale_, self._names(), purpose)
        _warn_of_features(X, self._names(), np.float32 if self.scaling is None else X.dtype.type)
        self.n_samples_fit_ = len(X)
        self.table_ = choose_table(
            self.architecture,
            self.networks,
            X.shape,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )
        self._train(X, held_out, state, callbacks, kept)
        self._choose_references(X)
        self._use_training_scores(self._score(X, training=True))
        if held_out is not None:
            self._use_reference(self._score(held_out), "validation rows")
        self._learn_usual(X if held_out is None else held_out, X)
        self.seconds_ = time.monotonic() - started
        _warn_of_collapse(self.history_, self.training_scores_)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Non-default parameters, with tables by name."""
        defaults = {name: option.default for name, option in inspect.signature(type(self)).parameters.items()}
        options = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if type(value) is not type(defaults[name]) or value != defaults[name]
        }
        if isinstance(self.architecture, Alad):
            options["architecture"] = self.architecture.name
        return f"ALAD({', '.join(f'{name}={value!r}' for name, value in options.items() if name != 'networks')})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle, also of an earlier release, without the option `impute`."""
        super().__setstate__({"impute": False, **state} if "score" in state else state)

    def _train(
        self,
        X: np.ndarray,
        held_out: np.ndarray | None,
        state: dict[str, np.ndarray] | None,
        callbacks: Iterable[tf.keras.callbacks.Callback],
        checkpoint: Checkpoint | None,
    ) -> None:
        """Train new networks, or resume from a state; `networks_` is set before the first step."""
        self._built_with = None
        trainer = self._trainer(X)
        if state is not None:
            _resume(trainer, state)
        self._use(trainer.scoring_networks)
        resumed = Resumed()
        if checkpoint is not None:
            resumed = Resumed(*checkpoint.restore(trainer, settings_of(self, X, held_out)), checkpoint)
        interrupted = nullcontext() if checkpoint is None else checkpoint.interrupted_between_chunks()
        try:
            with interrupted:
                history = self._history_of(trainer, X, held_out, callbacks, resumed)
        except DivergedError:
            if checkpoint is not None:
                checkpoint.remove()  # resuming would diverge again
            raise
        self.history_ = _joined(self.history_, history)
        if self.warm_start:
            self.training_state_ = trainer.get_arrays()

    def _history_of(
        self,
        trainer: Trainer,
        X: np.ndarray,
        held_out: np.ndarray | None,
        callbacks: Iterable[tf.keras.callbacks.Callback],
        resumed: Resumed,
    ) -> History:
        """Train and return losses and validation scores by epoch."""
        seen, shape = X if held_out is None else held_out, self.image_shape
        return train(
            trainer,
            self.table_.epochs,
            self._scorer,
            score=self.score_name,
            validation=None if held_out is None else self._scaled(held_out),
            patience=self.patience,
            callbacks=callbacks,
            log_dir=self.log_dir,
            pictures=None if shape is None else tensorboard.pictures(seen, shape, self._reconstructed),
            verbose=bool(self.verbose),
            resumed=resumed,
        )

    def _trainer(self, X: np.ndarray) -> Trainer:
        steps = self.table_.epochs * (len(X) // self.table_.batch_size)
        jit = steps >= JIT_STEPS if self.jit is None else bool(self.jit)
        return Trainer(
            self._build(),
            self.table_,
            self._scaled(X),
            seed=self.seed_,
            average=None if self.ema_decay is None else self._build(),
            ema_decay=self.ema_decay or 0.0,
            jit=jit,
        )

    def _build(self) -> Networks:
        options = dict(self._network_options)
        models = options.pop("networks")
        if models is not None:
            return custom_networks.copies(models)
        return networks.build(self.table_, **options, seed=self.seed_)

    def _hold_out(self, X: np.ndarray, validation: npt.ArrayLike | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Split X into (training rows, validation rows)."""
        if validation is None:
            if self.patience is not None:
                raise SettingsError(
                    f"Expected validation rows for patience={self.patience}. Received: none. Pass them to fit, or a "
                    "share of X such as validation=0.1."
                )
            return X, None
        if isinstance(validation, Real):
            return hold_out(X, float(validation), self.seed_)
        return X, self._finite(validation, "to validate on")


def _require_together(model: ALAD, checkpoint: object) -> None:
    """Refuse parameters that contradict each other (SettingsError)."""
    if model.warm_start and checkpoint is not None:
        raise SettingsError("Expected no checkpoint with warm_start. Received: both.")
    if model.networks is not None and model.latent_discriminator != ("Dzz" in model.networks):
        given = "with" if "Dzz" in model.networks else "without"
        raise SettingsError(
            f"Expected networks with Dzz, or without it and latent_discriminator=False. Received: networks {given} Dzz "
            f"and latent_discriminator={model.latent_discriminator}."
        )


def _checkpoint(given: Path | str | Checkpoint | None, log_dir: Path | str | None) -> Checkpoint | None:
    """The checkpoint in a folder, or a given one. Raises SettingsError if it would hold the logs."""
    if given is None or isinstance(given, Checkpoint):
        return given
    if log_dir is not None and outputs.is_within(log_dir, given):
        raise SettingsError(f"Expected log_dir outside the checkpoint {given}. Received: {log_dir}.")
    return Checkpoint(Path(given))


def _resume(trainer: Trainer, state: dict[str, np.ndarray]) -> None:
    """Restore the state of the last fit. Raises SettingsError if it is that of other networks."""
    try:
        trainer.set_arrays(state)
    except (KeyError, ValueError) as error:
        raise SettingsError(
            f"Expected the networks and averages of the last fit with warm_start. Received: {one_line(error)}. Set the "
            "parameters back, or warm_start=False."
        ) from error


def _joined(before: History, after: History) -> History:
    """The history of two fits, by epoch; NaN for values that one of them does not have."""
    lengths = [max(map(len, history.values()), default=0) for history in (before, after)]
    return {
        name: [*before.get(name, [math.nan] * lengths[0]), *after.get(name, [math.nan] * lengths[1])]
        for name in {**before, **after}
    }


def _warn_of_features(X: np.ndarray, names: Sequence[str], kind: type[np.floating[Any]]) -> None:
    """Warn about features of X [n, d] that are constant, or whose differences are lost in floating-point precision."""
    constants = constant_features(X, names)
    if constants:
        warnings.warn(constants, ConstantFeatureWarning, stacklevel=4)
    for line in filter(None, map(coarse_feature, names, X.T, repeat(kind))):
        warnings.warn(line, CoarseWarning, stacklevel=4)


def _warn_of_collapse(history: History, scores: np.ndarray) -> None:
    reason = collapse(history, scores)
    if reason:
        remedy = "The scores are useless. Try another seed, a smaller learning rate or more rows."
        warnings.warn(f"Training has collapsed: {reason}. {remedy}", ConvergenceWarning, stacklevel=4)


def _seed(random_state: int | np.random.RandomState | None, checkpoint: Checkpoint | None = None) -> int:
    """The given seed, or that of the checkpoint to resume from, or one drawn from the random state."""
    if isinstance(random_state, Integral):
        return int(random_state)
    if checkpoint is not None and checkpoint.seed is not None:
        return checkpoint.seed
    return int(check_random_state(random_state).randint(2**31 - 1))
