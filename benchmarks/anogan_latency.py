"""Table IV: the time to score one batch of 50 rows of KDD99, ALAD beside AnoGAN, alternately in one process.

    python benchmarks/anogan_latency.py
    python benchmarks/anogan_latency.py --rounds 50 --json latency.json

AnoGAN searches the z of each row: 500 steps of Adam on 0.9 ||x - G(z)||_1 + 0.1 ||f(x) - f(G(z))||_1, where f is the
layer before the logits of D (Table X). "A call a step" calls the graph anew for each of the 500 steps, as one did when
the paper timed it; otherwise the whole search is one call of a graph with the loop and Adam inside, once as TensorFlow
runs it and once compiled by XLA. ALAD is compared with the first and with the fastest. ALAD's time is that of one of
many calls in a row, and, beside it, of a single call after a search, when nothing of it is in the caches. The weights
of both are untrained: time does not depend on them.
"""

from __future__ import annotations

import yardstick  # before NumPy: it sets the number of threads

# isort: split

import tensorflow as tf

from alad_tf import networks, scores
from alad_tf.settings import Settings
from architectures import Alad, Gan
from architectures.kdd99 import GAN
from architectures.rows import Stack

KDD99 = Settings.of_protocol("kdd99").table
ROWS = 50
CALLS = 100  # of ALAD in a row
SEARCH_STEPS = 500
LEARNING_RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8  # of the search
FEATURE_WEIGHT = 0.1


def sequential(width: int, rows: Stack, slope: float) -> tf.keras.Model:
    """A stack of a GAN's table as it works after training: without dropout."""
    activations = {"LReLU": lambda x: tf.nn.leaky_relu(x, slope), "ReLU": tf.nn.relu, "None": None}
    layers = [tf.keras.layers.Dense(row.units, activations[row.activation]) for row in rows]
    return tf.keras.Sequential([tf.keras.Input((width,)), *layers])


class AnoGan:
    """Scores rows by the residual that is left after a search for their z.

    Args:
        table: of the GAN.
        jit: compile the search with XLA.
    """

    def __init__(self, table: Gan, *, jit: bool) -> None:
        self.G = sequential(table.latent_dim, table.G, table.lrelu_slope)
        self.f = sequential(table.data_dim, table.D[:-1], table.lrelu_slope)
        self.search = tf.function(self._search, jit_compile=jit)
        self._call_a_step = tf.function(self._step)

    def _search(self, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Scores [n] of x [n, d]: the loss of each row after the search that starts from z [n, latent]."""
        f_real, m, v = self.f(x), tf.zeros_like(z), tf.zeros_like(z)
        for step in tf.range(1, SEARCH_STEPS + 1):
            z, m, v = self._step(x, f_real, z, m, v, step)
        return self.loss(x, f_real, z)

    def search_in_calls(self, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """The same search with a call of a graph for each step."""
        f_real, m, v = self.f(x), tf.zeros_like(z), tf.zeros_like(z)
        for step in range(1, SEARCH_STEPS + 1):
            z, m, v = self._call_a_step(x, f_real, z, m, v, tf.constant(step))
        return self.loss(x, f_real, z)

    def _step(
        self, x: tf.Tensor, f_real: tf.Tensor, z: tf.Tensor, m: tf.Tensor, v: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One step of Adam: z and its moments, [n, latent] each."""
        with tf.GradientTape() as tape:
            tape.watch(z)
            loss = self.loss(x, f_real, z)
        gradient, t = tape.gradient(loss, z), tf.cast(step, tf.float32)
        m += (1.0 - BETA1) * (gradient - m)
        v += (1.0 - BETA2) * (gradient**2 - v)
        rate = LEARNING_RATE * tf.sqrt(1.0 - BETA2**t) / (1.0 - BETA1**t)
        return z - rate * m / (tf.sqrt(v) + EPSILON), m, v

    def loss(self, x: tf.Tensor, f_real: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Loss [n] of z [n, latent]: no row's z depends on another row."""
        x_hat = self.G(z)
        residual = tf.norm(x - x_hat, ord=1, axis=1)
        matching = tf.norm(f_real - self.f(x_hat), ord=1, axis=1)
        return (1.0 - FEATURE_WEIGHT) * residual + FEATURE_WEIGHT * matching


def multiplications(width: int, *stacks: Stack) -> int:
    """Multiplications of one row's way through stacks, one after the other."""
    widths = [width, *(row.units for stack in stacks for row in stack)]
    return sum(a * b for a, b in zip(widths, widths[1:]))


def work_of_alad(table: Alad) -> int:
    """Multiplications for one row: E, G, and two pairs through Dxx."""
    return multiplications(table.data_dim, table.E, table.G) + 2 * multiplications(2 * table.data_dim, table.Dxx.joint)


def work_of_search(table: Gan) -> int:
    """Multiplications for one row: forward and, for the gradient of z, backward through G and f in every step."""
    return SEARCH_STEPS * 2 * multiplications(table.latent_dim, table.G, table.D[:-1])


def main() -> None:
    """Measure and print."""
    options = yardstick.parser(__doc__, rounds=25).parse_args()
    split, source = yardstick.kdd99()
    x, z = split.x_test[:ROWS], tf.random.stateless_normal([ROWS, GAN.latent_dim], seed=[0, 0])
    scorer = scores.Scorer(networks.build(KDD99))
    graph, compiled = (AnoGan(GAN, jit=jit) for jit in (False, True))
    searches = {
        "AnoGAN, a call a step": lambda: graph.search_in_calls(tf.constant(x), z).numpy(),
        "AnoGAN, TensorFlow": lambda: graph.search(tf.constant(x), z).numpy(),
        "AnoGAN, XLA": lambda: compiled.search(tf.constant(x), z).numpy(),
    }
    ours = {
        "ALAD, a single call": lambda: scorer(x),
        "ALAD": lambda: [scorer(x) for _ in range(CALLS)],
    }
    times = yardstick.alternate({**searches, **ours}, options.rounds, parts={"ALAD": CALLS})
    in_calls, fastest = next(iter(searches)), times.fastest(list(searches))
    yardstick.publish(
        f"Scoring one batch of {ROWS} rows (Table IV)",
        times.rows("ALAD"),
        options.json,
        search_in_calls_over_alad=times.ratio(in_calls, "ALAD"),
        fastest_search=fastest,
        fastest_search_over_alad=times.ratio(fastest, "ALAD"),
        multiplications_of_search_over_alad=work_of_search(GAN) / work_of_alad(KDD99),
        data=source,
    )


if __name__ == "__main__":
    main()
