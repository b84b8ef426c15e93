"""Trainer and scorer of a run, with the same interface for all methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from alad_tf.baselines import anogan, classical, dagmm, dsebm
from alad_tf.experiments.baseline_settings import AnySettings, BaselineSettings
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.experiments.settings import Settings
from alad_tf.model import alad_trainer, distribution, networks, scores, weights
from alad_tf.model.batching import Parts, Score, Watch, in_chunks
from alad_tf.model.networks import Networks
from alad_tf.model.trainer import Loop

DEEP: dict[str, ModuleType] = {"DSEBM": dsebm, "DAGMM": dagmm, "AnoGAN": anogan}  # modules with the same interface


@dataclass
class Model:
    """Trainer and scorer of a run.

    Args:
        trainer: takes the training steps; None for methods that are trained when they are built.
        scores: maps rows [n, ...] to name -> [n], larger = more anomalous; reports its progress to a `Watch`.
        arrays: content of weights.npz.
        validation: the score whose mean on the validation rows controls early stopping; None: no early stopping.
        search: used instead of `scores` by a method that is too slow to score during training; resumes from given
            parts.
        networks: the networks of ALAD.
    """

    trainer: Loop | None
    scores: Score
    arrays: Callable[[], dict[str, np.ndarray]] = field(default=dict)
    validation: str | None = None
    search: Callable[[np.ndarray, Watch, Parts], dict[str, np.ndarray]] | None = None
    networks: Networks | None = None


def build(
    settings: AnySettings, seed: int, x_train: np.ndarray, strategy: tf.distribute.Strategy | None = None
) -> Model:
    """Build the model of a run before training; a method without networks is trained here.

    Args:
        settings: settings of the run.
        seed: governs all random numbers.
        x_train: [n, d] rows or images [n, height, width, channels].
        strategy: distributes the batches of ALAD over several devices.
    """
    if isinstance(settings, Settings):
        return _alad(settings, seed, x_train, strategy)
    return (_deep if settings.baseline in DEEP else _classical)(settings, seed, x_train)


def build_networks(settings: Settings, seed: int) -> Networks:
    """Build the networks of a run of ALAD with random initial weights."""
    released = settings.dynamics == "released" and settings.spectral_norm == "paper"
    return networks.build(
        settings.table,
        spectral_norm="released" if released else settings.spectral_norm,
        latent_discriminator=settings.latent_discriminator,
        seed=seed,
    )


def _alad(settings: Settings, seed: int, x_train: np.ndarray, strategy: tf.distribute.Strategy | None) -> Model:
    alad_trainer.set_precision(settings.precision)
    with distribution.scope(strategy):
        trained = build_networks(settings, seed)
        average = None if settings.ema_decay is None else build_networks(settings, seed)
    trainer = alad_trainer.Trainer(
        trained,
        settings.table,
        x_train,
        seed=seed,
        average=average,
        ema_decay=settings.ema_decay or 0.0,
        jit=settings.jit,
        strategy=strategy,
        dynamics=settings.dynamics,
    )
    scorer, scoring = scores.Scorer(trainer.scoring_networks), trainer.scoring_networks
    return Model(
        trainer,
        scores=lambda x, watch: scorer(x),
        arrays=lambda: weights.get_arrays(scoring),
        validation="features",
        networks=scoring,
    )


def _deep(settings: BaselineSettings, seed: int, x_train: np.ndarray) -> Model:
    module = DEEP[settings.baseline]
    model = module.Networks(settings.table, seed)
    trainer = module.Trainer(model, settings.table, x_train, seed=seed, jit=settings.jit)
    score = module.scorer(model, seed)

    def scores_now(x: np.ndarray, watch: Watch, *parts: Parts) -> dict[str, np.ndarray]:
        trainer.before_scoring()
        return score(x, watch, *parts)

    search = scores_now if module.COSTLY else None
    return Model(trainer, scores_now, lambda: weights.get_arrays(model), module.VALIDATION, search)


def _classical(settings: BaselineSettings, seed: int, x_train: np.ndarray) -> Model:
    rows = _as_rows(x_train)
    detector = classical.build(
        settings.baseline,
        n_features=rows.shape[1],
        expected_anomalies=PROTOCOLS[settings.dataset].top_fraction,
        seed=seed,
    ).fit(rows)

    def scores_of(x: np.ndarray, watch: Watch) -> dict[str, np.ndarray]:
        return in_chunks(lambda chunk: {"score": -detector.score_samples(_as_rows(chunk))}, x, watch)

    return Model(None, scores_of)


def _as_rows(x: npt.ArrayLike) -> np.ndarray:
    x = np.asarray(networks.as_input(x))
    return x.reshape(len(x), -1)
