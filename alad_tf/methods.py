"""What a run trains and scores with, for each method alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

import numpy as np
import tensorflow as tf

from alad_tf import networks, replicas, scores, training
from alad_tf.baselines import anogan, classical, dagmm, dsebm
from alad_tf.baselines.settings import BaselineSettings
from alad_tf.loop import Loop
from alad_tf.networks import Networks
from alad_tf.settings import PROTOCOLS, Settings

Watch = Callable[[int, int], None]  # is told how many rows are scored, of how many
CHUNK_ROWS = 4096  # in one pass
CHUNK_IMAGES = 256


@dataclass
class Model:
    """What a run trains and scores with.

    Args:
        trainer: takes the steps; None where making the model was all that there is to train.
        scores: name -> [n], larger = more anomalous, of rows [n, ...]; tells a `Watch` how far it is.
        arrays: what weights.npz holds.
        validation: the score whose mean on the validation rows ends training; None: there is none.
        costly: scoring takes so long that it is done once, at the end.
        networks: of ALAD.
    """

    trainer: Loop | None
    scores: Callable[[np.ndarray, Watch], Mapping[str, np.ndarray]]
    arrays: Callable[[], dict[str, np.ndarray]] = field(default=dict)
    validation: str | None = None
    costly: bool = False
    networks: Networks | None = None


def build(settings: Settings | BaselineSettings, seed: int, x_train: np.ndarray) -> Model:
    """The model of a run before its training; a method without networks is trained at once.

    Args:
        settings: of the run.
        seed: of all that is random.
        x_train: [n, d] rows or images [n, height, width, channels].
    """
    if isinstance(settings, Settings):
        return _alad(settings, seed, x_train)
    make = {"DSEBM": _dsebm, "DAGMM": _dagmm, "AnoGAN": _anogan}.get(settings.baseline, _classical)
    return make(settings, seed, x_train)


def build_networks(settings: Settings, seed: int) -> Networks:
    """The networks of a run of ALAD with freshly drawn weights."""
    return networks.build(
        settings.table,
        spectral_norm=settings.spectral_norm,
        latent_discriminator=settings.latent_discriminator,
        seed=seed,
    )


def _alad(settings: Settings, seed: int, x_train: np.ndarray) -> Model:
    training.set_precision(settings.precision)
    strategy = replicas.strategy(settings.strategy)
    with replicas.scope(strategy):
        trained = build_networks(settings, seed)
        average = None if settings.ema_decay is None else build_networks(settings, seed)
    trainer = training.Trainer(
        trained,
        settings.table,
        x_train,
        seed=seed,
        average=average,
        ema_decay=settings.ema_decay or 0.0,
        jit=settings.jit,
        strategy=strategy,
    )
    scorer, scoring = scores.Scorer(trainer.scoring_networks), trainer.scoring_networks
    return Model(
        trainer,
        scores=lambda x, watch: scorer(x),
        arrays=lambda: networks.get_arrays(scoring),
        validation="features",
        networks=scoring,
    )


def _dsebm(settings: BaselineSettings, seed: int, x_train: np.ndarray) -> Model:
    model = dsebm.Energy(settings.table, seed)
    trainer = dsebm.Trainer(model, settings.table, x_train, seed=seed, jit=settings.jit)
    score = tf.function(model.scores, reduce_retracing=True)
    return Model(
        trainer,
        scores=lambda x, watch: in_chunks(score, x, watch),
        arrays=lambda: _arrays(model),
        validation="reconstruction",
    )


def _dagmm(settings: BaselineSettings, seed: int, x_train: np.ndarray) -> Model:
    model = dagmm.Networks(settings.table, seed)
    trainer = dagmm.Trainer(model, settings.table, x_train, seed=seed, jit=settings.jit)
    score = tf.function(model.scores, reduce_retracing=True)

    def scores_of(x: np.ndarray, watch: Watch) -> dict[str, np.ndarray]:
        model.take_mixture_of(x_train)
        return in_chunks(score, x, watch)

    return Model(trainer, scores_of, lambda: _arrays(model))


def _anogan(settings: BaselineSettings, seed: int, x_train: np.ndarray) -> Model:
    model = anogan.Networks(settings.table, seed)
    trainer = anogan.Trainer(model, settings.table, x_train, seed=seed, jit=settings.jit)
    return Model(trainer, anogan.Search(model, seed=seed).scores, lambda: _arrays(model), costly=True)


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


def in_chunks(score: Callable[[Any], Mapping[str, Any]], x: np.ndarray, watch: Watch) -> dict[str, np.ndarray]:
    """Scores of any number of rows or images of bytes, a chunk at a time."""
    size, parts = CHUNK_ROWS if x.ndim == 2 else CHUNK_IMAGES, []
    for first in range(0, max(len(x), 1), size):
        parts.append(score(networks.as_input(x[first : first + size])))
        watch(min(first + size, len(x)), len(x))
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}


def _as_rows(x: Any) -> np.ndarray:
    x = np.asarray(networks.as_input(x))
    return x.reshape(len(x), -1)


def _arrays(module: tf.Module) -> dict[str, np.ndarray]:
    return {str(position): variable.numpy() for position, variable in enumerate(module.variables)}
