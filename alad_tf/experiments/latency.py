"""Table IV: inference time of ALAD and AnoGAN for one batch, measured alternately in one process on the same rows.

Both have their initial weights, because the time does not depend on them; ALAD's spectral norm is folded into the
weights, as after training. AnoGAN is timed twice: with one call of the graph for each step of its search, as was usual
when the paper was written, and with the whole search in one call.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Callable, cast

import numpy as np
import tensorflow as tf
from tqdm import tqdm

import architectures
from alad_tf.baselines.anogan import Networks, Search
from alad_tf.data import loading
from alad_tf.errors import SettingsError
from alad_tf.experiments.process import cores
from alad_tf.experiments.protocol import PROTOCOLS, of_images
from alad_tf.experiments.settings import Settings
from alad_tf.experiments.timing import alternate
from alad_tf.io import atomic
from alad_tf.model import inference, networks, scores
from alad_tf.model.networks import as_input
from alad_tf.options import SEARCH_STEPS
from alad_tf.report.paper import TABLE_IV
from alad_tf.typing import Document
from architectures import Gan

DATASETS = tuple(TABLE_IV)
ALAD_CALLS = 100  # calls per measurement; times are per call


def measure(
    dataset: str,
    out: Path,
    *,
    data_dir: Path | None = None,
    rounds: int = 5,
    search_steps: int = SEARCH_STEPS,
) -> Document:
    """Time one batch of test rows of the architecture table's size and write `<out>/latency/<dataset>.json`.

    Args:
        dataset: a data set of Table IV.
        out: results folder.
        data_dir: folder with the raw data.
        rounds: number of rounds; each measures all methods.
        search_steps: steps of AnoGAN's search.

    Returns:
        The content of the file: batch, medians in milliseconds, and the median over the rounds of AnoGAN / ALAD.

    Raises:
        AladError: the data are missing or damaged, or AnoGAN has no table for the data set.
    """
    if dataset not in DATASETS:
        raise SettingsError(f"Expected a data set of Table IV. Received: {dataset!r}. Allowed: {', '.join(DATASETS)}.")
    (out / "latency").mkdir(parents=True, exist_ok=True)  # fails before the measurement
    table = Settings.of_protocol(dataset).table
    split = loading.load(dataset, data_dir=data_dir, normal_class=0 if of_images(dataset) else None)
    x = split.x_test[: table.batch_size]
    alad = networks.build(table, spectral_norm=PROTOCOLS[dataset].spectral_norm)
    scorer = scores.Scorer(inference.fold(alad, pairs=True))
    gan = cast("Gan", architectures.load(dataset, "AnoGAN"))
    model = Networks(gan, seed=0)
    search = Search(model, seed=0, steps=search_steps)
    z = np.random.default_rng(0).standard_normal((len(x), table.latent_dim)).astype(np.float32)
    calls: dict[str, Callable[[], object]] = {
        "alad_ms": lambda: [scorer(x) for _ in range(ALAD_CALLS)],
        "anogan_ms": in_calls(search, model, tf.constant(x), tf.constant(z), search_steps),
        "anogan_one_call_ms": lambda: search.search(as_input(x), tf.constant(z)).numpy(),
    }
    with tqdm(total=(rounds + 1) * len(calls), desc="latency", unit="call") as bar:
        times = alternate(calls, rounds, parts={"alad_ms": ALAD_CALLS}, called=bar.update)
    measured = {
        "dataset": dataset,
        "batch": len(x),
        **{name: 1e3 * times.median(name) for name in calls},
        "ratio": times.ratio("anogan_ms", "alad_ms"),
        "ratio_one_call": times.ratio("anogan_one_call_ms", "alad_ms"),
        "rounds": rounds,
        "search_steps": search_steps,
        "threads": int(os.environ.get("TF_NUM_INTRAOP_THREADS") or cores()),
        "machine": platform.machine(),
        **({} if split.stand_in is None else {"stand_in": split.stand_in}),
    }
    atomic.write_json(out / "latency" / f"{dataset}.json", measured)
    return measured


def in_calls(search: Search, model: Networks, x: tf.Tensor, z: tf.Tensor, steps: int) -> Callable[[], np.ndarray]:
    """AnoGAN's search for x [n, ...] from z [n, latent] with one graph call per step; same result as `search`."""
    step_of = tf.function(search.adam_step, autograph=False)
    features = tf.function(lambda images: model.D(as_input(images), training=False)[1], autograph=False)

    def call() -> np.ndarray:
        inputs, f = as_input(x), features(x)
        state = z, tf.zeros_like(z), tf.zeros_like(z)
        for step in range(1, steps + 1):
            state = step_of(inputs, f, *state, tf.constant(step, tf.float32))
        return np.stack([distance.numpy() for distance in search.distances(inputs, f, state[0])])

    return call
