"""Table IV: inference time of ALAD and AnoGAN for one batch of 50 rows of KDD99, measured alternately in one process.

    python benchmarks/anogan_latency.py
    python benchmarks/anogan_latency.py --rounds 50 --json latency.json

"A call a step" calls the graph for each of the 500 steps of AnoGAN's search, as was usual when the paper was written;
otherwise the whole search is one call of a graph that includes the loop and Adam, either run by TensorFlow or compiled
by XLA. ALAD is compared with the first and with the fastest. ALAD is timed in many consecutive calls, and also in a
single call after a search, with cold caches. The weights of both are untrained, because the time does not depend on
them.
"""

from __future__ import annotations

import yardstick  # before NumPy: it sets the number of threads

# isort: split

import tensorflow as tf

from alad_tf.baselines.anogan import Networks, Search
from alad_tf.experiments.latency import in_calls
from alad_tf.experiments.settings import Settings
from alad_tf.model import networks, scores
from alad_tf.options import SEARCH_STEPS
from alad_tf.report import multiplications
from architectures.kdd99 import GAN

KDD99 = Settings.of_protocol("kdd99").table
ROWS = 50
CALLS = 100  # consecutive calls of ALAD


def main() -> None:
    """Measure and print."""
    options = yardstick.parser(__doc__, rounds=25).parse_args()
    split, source = yardstick.kdd99()
    x, z = split.x_test[:ROWS], tf.random.stateless_normal([ROWS, GAN.latent_dim], seed=[0, 0])
    scorer, model = scores.Scorer(networks.build(KDD99)), Networks(GAN, seed=0)
    graph, compiled = (Search(model, seed=0, jit=jit) for jit in (False, True))
    searches = {
        "AnoGAN, a call a step": in_calls(graph, model, tf.constant(x), z, SEARCH_STEPS),
        "AnoGAN, TensorFlow": lambda: graph.search(tf.constant(x), z).numpy(),
        "AnoGAN, XLA": lambda: compiled.search(tf.constant(x), z).numpy(),
    }
    ours = {
        "ALAD, a single call": lambda: scorer(x),
        "ALAD": lambda: [scorer(x) for _ in range(CALLS)],
    }
    times = yardstick.alternate({**searches, **ours}, options.rounds, parts={"ALAD": CALLS})
    a_call_a_step, fastest = next(iter(searches)), times.fastest(list(searches))
    yardstick.publish(
        f"Scoring one batch of {ROWS} rows (Table IV)",
        times.rows("ALAD"),
        options.json,
        search_in_calls_over_alad=times.ratio(a_call_a_step, "ALAD"),
        fastest_search=fastest,
        fastest_search_over_alad=times.ratio(fastest, "ALAD"),
        multiplications_of_search_over_alad=multiplications.search_over_alad("kdd99"),
        data=source,
    )


if __name__ == "__main__":
    main()
