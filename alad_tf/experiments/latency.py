"""Table IV: how long one batch takes to score, ALAD beside AnoGAN, alternately in one process on the same rows.

Both have the weights that they begin with, for time does not depend on them; ALAD's spectral norm is folded into them,
as it is once training is over. AnoGAN is timed twice: with a call of the graph for each step of its search, as one did
when the paper timed it, and with the whole search in one call.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Callable

import numpy as np
import tensorflow as tf
from tqdm import tqdm

import architectures
from alad_tf.baselines.anogan import SEARCH_STEPS, Networks, Search
from alad_tf.data import loading
from alad_tf.errors import SettingsError
from alad_tf.experiments.protocol import PROTOCOLS, of_images
from alad_tf.experiments.settings import Settings
from alad_tf.io import atomic
from alad_tf.model import inference, networks, scores
from alad_tf.model.networks import as_input
from alad_tf.report.paper import TABLE_IV

DATASETS = tuple(TABLE_IV)
ALAD_CALLS = 100  # in a row, as batch after batch of a test set; one of them is a part


def measure(
    dataset: str,
    out: Path,
    *,
    data_dir: Path | None = None,
    rounds: int = 5,
    search_steps: int = SEARCH_STEPS,
) -> dict[str, Any]:
    """Time one batch of the table's size of test rows, and write `<out>/latency/<dataset>.json`.

    Args:
        dataset: of Table IV.
        out: results folder.
        data_dir: where the raw data are.
        rounds: in each of which all are called.
        search_steps: of AnoGAN.

    Returns:
        What the file holds: batch, medians in milliseconds, and the median of AnoGAN / ALAD over the rounds.

    Raises:
        AladError: data missing or damaged, or a data set without a table of AnoGAN.
    """
    if dataset not in DATASETS:
        raise SettingsError(f"Expected a data set of Table IV. Received: {dataset!r}. Allowed: {', '.join(DATASETS)}.")
    x, table = _batch(dataset, data_dir), Settings.of_protocol(dataset).table
    alad = networks.build(table, spectral_norm=PROTOCOLS[dataset].spectral_norm)
    scorer = scores.Scorer(inference.fold(alad, pairs=True))
    gan: Any = architectures.load(dataset, "AnoGAN")
    model = Networks(gan, seed=0)
    search = Search(model, seed=0, steps=search_steps)
    z = np.random.default_rng(0).standard_normal((len(x), table.latent_dim)).astype(np.float32)
    calls: dict[str, Callable[[], object]] = {
        "alad_ms": lambda: [scorer(x) for _ in range(ALAD_CALLS)],
        "anogan_ms": in_calls(search, model, tf.constant(x), tf.constant(z), search_steps),
        "anogan_one_call_ms": lambda: search.search(tf.constant(x), tf.constant(z)).numpy(),
    }
    seconds = _alternately(calls, rounds)
    parts = {name: [second * 1e3 for second in of_one] for name, of_one in seconds.items()}
    parts["alad_ms"] = [ms / ALAD_CALLS for ms in parts["alad_ms"]]
    measured = {
        "dataset": dataset,
        "batch": len(x),
        **{name: statistics.median(ms) for name, ms in parts.items()},
        "ratio": _ratio(parts["anogan_ms"], parts["alad_ms"]),
        "ratio_one_call": _ratio(parts["anogan_one_call_ms"], parts["alad_ms"]),
        "rounds": rounds,
        "search_steps": search_steps,
        "threads": int(os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1),
        "machine": platform.machine(),
    }
    atomic.write_json(out / "latency" / f"{dataset}.json", measured)
    return measured


def in_calls(search: Search, model: Networks, x: tf.Tensor, z: tf.Tensor, steps: int) -> Callable[[], np.ndarray]:
    """A search of x [n, ...] from z [n, latent] with a call of a graph for each step; it gives what `search` gives."""
    step_of = tf.function(search.adam_step)
    features = tf.function(lambda images: model.D(as_input(images), training=False)[1])

    def call() -> np.ndarray:
        inputs, f = as_input(x), features(x)
        state = z, tf.zeros_like(z), tf.zeros_like(z)
        for step in range(1, steps + 1):
            state = step_of(inputs, f, *state, tf.constant(step, tf.float32))
        return np.stack([distance.numpy() for distance in search.distances(inputs, f, state[0])])

    return call


def _batch(dataset: str, data_dir: Path | None) -> np.ndarray:
    split = loading.load(dataset, data_dir=data_dir, normal_class=0 if of_images(dataset) else None)
    return split.x_test[: Settings.of_protocol(dataset).table.batch_size]


def _alternately(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call in each round, after one call of each to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    with tqdm(total=(rounds + 1) * len(calls), desc="latency", unit="call") as bar:
        for number in range(rounds + 1):
            for name, call in calls.items():
                started = perf_counter()
                call()
                if number:
                    seconds[name].append(perf_counter() - started)
                bar.update()
    return seconds


def _ratio(ours: Sequence[float], yardstick: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, yardstick))
