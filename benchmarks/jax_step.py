"""The training step of alad_tf in JAX: many steps in one compiled `lax.scan`, and many seeds side by side by `vmap`.

JAX needs another NumPy than TensorFlow 2.15, so this script runs with a Python of its own, in a process that
`training_step.py --jax PYTHON` starts: it reads a number of steps on each line and answers with the processor seconds
that it has used so far. What it computes is what alad_tf does: spectral norm by one power iteration for each training
call, D_zz, batch norm, dropout, Adam of TensorFlow 1 and the moving average; its random numbers are its own.

    uv venv /tmp/jax && uv pip install --python /tmp/jax/bin/python jax
    python benchmarks/training_step.py --jax /tmp/jax/bin/python
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable

if __name__ == "__main__":
    os.environ.update(XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

import architectures
from architectures import Alad
from architectures.rows import Joint, Stack

Tree = Any  # nested dicts and lists of arrays
Array = Any


def weights_of(rows: Stack, width: int, *, normalised: bool, random: np.random.Generator) -> list[Tree]:
    """Trained weights "w" and state "s" of a stack: kernels by Glorot, biases 0; the last layer is never normalised."""
    layers = []
    for position, row in enumerate(rows):
        limit = np.sqrt(6.0 / (width + row.units))
        w = {"W": random.uniform(-limit, limit, (width, row.units)), "b": np.zeros(row.units)}
        s = {"u": random.standard_normal(row.units)} if normalised and position < len(rows) - 1 else {}
        if row.batch_norm:
            w.update(gamma=np.ones(row.units), beta=np.zeros(row.units))
            s.update(mean=np.zeros(row.units), variance=np.ones(row.units))
        layers.append({"w": w, "s": s})
        width = row.units
    return layers


def networks_of(table: Alad, seed: int) -> Tree:
    """Weights and state of G, E, Dxz, Dxx and Dzz: {"w": ..., "s": ...}."""
    random, x, z = np.random.default_rng(seed), table.n_features, table.latent_dim
    make = partial(weights_of, random=random)

    def pair(a: int, b: int, rows: Joint) -> dict[str, list[Tree]]:
        ends = [stack[-1].units if stack else width for stack, width in ((rows.only_x, a), (rows.only_z, b))]
        only = {name: _hidden(make, getattr(rows, name), n) for name, n in (("only_x", a), ("only_z", b))}
        return {**only, "joint": make(rows.joint, sum(ends), normalised=True)}

    layers = {
        "G": make(table.G, z, normalised=False),
        "E": make(table.E, x, normalised=True),
        "Dxz": pair(x, z, table.Dxz),
        "Dxx": pair(x, x, table.Dxx),
        "Dzz": pair(z, z, table.Dzz),
    }
    is_layer = lambda part: isinstance(part, dict) and set(part) == {"w", "s"}  # noqa: E731
    return {
        kind: jax.tree.map(lambda layer: _float32(layer[kind]), layers, is_leaf=is_layer)  # noqa: B023
        for kind in ("w", "s")
    }


def _hidden(make: Callable[..., list[Tree]], rows: Stack, width: int) -> list[Tree]:
    """The layers of a branch, all of which are normalised."""
    return make((*rows, rows[-1]), width, normalised=True)[:-1] if rows else []


def _float32(arrays: dict[str, np.ndarray]) -> dict[str, Array]:
    return {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()}


class Call:
    """Training calls of the layers of a table: they collect the new state and take keys for the masks of dropout."""

    def __init__(self, table: Alad, w: Tree, s: Tree, key: Array) -> None:
        self.table, self.w, self.key = table, w, key
        self.s = jax.tree.map(lambda array: array, s)  # a copy of the nest: calls write to it

    def stack(self, rows: Stack, hidden: Array, *place: str) -> Array:
        """Outputs of a stack of layers, of a batch or, first, of a pair of batches."""
        for number, row in enumerate(rows):
            hidden = self.row(row, hidden, place, number)
        return hidden

    def row(self, row: Any, hidden: Array, place: tuple[str, ...], number: int) -> Array:
        """Linear layer, batch norm, non-linearity, dropout."""
        w, s = self._at(self.w, place)[number], self._at(self.s, place)[number]
        hidden = _linear(hidden, w["W"])
        if "u" in s:
            sigma, s["u"] = _sigma(w["W"], s["u"])
            hidden = hidden / sigma
        hidden = hidden + w["b"]
        if row.batch_norm:
            mean, variance = hidden.mean(0), hidden.var(0)
            hidden = (hidden - mean) * lax.rsqrt(variance + 1e-3) * w["gamma"] + w["beta"]
            s["mean"] = s["mean"] - 0.01 * (s["mean"] - lax.stop_gradient(mean))
            s["variance"] = s["variance"] - 0.01 * (s["variance"] - lax.stop_gradient(variance))
        if row.activation == "LReLU":
            hidden = jnp.where(hidden > 0, hidden, self.table.lrelu_slope * hidden)
        elif row.activation == "ReLU":
            hidden = nn.relu(hidden)
        if row.dropout:
            self.key, key = jax.random.split(self.key)
            keep = jax.random.bits(key, hidden.shape, jnp.uint16) >= round(row.dropout * 2**16)
            hidden = jnp.where(keep, hidden / (1.0 - row.dropout), 0.0)
        return hidden

    def pair(self, name: str, rows: Joint, a: Array, b: Array) -> Array:
        """Logits of pairs (a, b); where a has fewer rows it is the first member of two pairs."""
        a, b = self.stack(rows.only_x, a, name, "only_x"), self.stack(rows.only_z, b, name, "only_z")
        return self.stack(rows.joint, (a, b), name, "joint")

    @staticmethod
    def _at(tree: Tree, place: tuple[str, ...]) -> Tree:
        for name in place:
            tree = tree[name]
        return tree


def _linear(hidden: Array, W: Array) -> Array:
    if not isinstance(hidden, tuple):
        return hidden @ W
    a, b = hidden
    of_a = a @ W[: a.shape[1]]
    return (of_a if len(a) == len(b) else jnp.concatenate([of_a, of_a])) + b @ W[a.shape[1] :]


def _sigma(W: Array, u: Array) -> tuple[Array, Array]:
    """sigma(W) after one power iteration from u, and the new u."""
    v = W @ u
    v = lax.stop_gradient(v * lax.rsqrt(jnp.maximum(jnp.sum(v * v), 1e-12)))
    projection = v @ W
    u = lax.stop_gradient(projection / jnp.maximum(jnp.sqrt(jnp.sum(projection * projection)), 1e-12))
    return jnp.maximum(projection @ u, 1e-12), u


def losses(table: Alad, w: Tree, s: Tree, x: Array, z: Array, key: Array, generators: bool) -> tuple[Array, Tree]:
    """Sum of the losses of an update of the discriminators, or of G and E, and the state after its calls."""
    call = Call(table, w, s, key)
    z_hat = call.stack(table.E, x, "E")
    x_tilde, x_hat = jnp.split(call.stack(table.G, jnp.concatenate([z, z_hat]), "G"), 2)
    z_tilde = call.stack(table.E, x_tilde, "E")
    real, fake = [call.pair("Dxz", table.Dxz, x, z_hat)], [call.pair("Dxz", table.Dxz, x_tilde, z)]
    for name, a, b in (("Dxx", x, x_hat), ("Dzz", z, z_tilde)):
        pairs = jnp.split(call.pair(name, getattr(table, name), a, jnp.concatenate([a, b])), 2)
        real.append(pairs[0])
        fake.append(pairs[1])
    ones, zeros = (fake, real) if generators else (real, fake)
    return sum(nn.softplus(-a).mean() + nn.softplus(b).mean() for a, b in zip(ones, zeros)), call.s


def update(table: Alad, state: Tree, x: Array, key: Array, *, generators: bool) -> tuple[Tree, Array]:
    """One update of the discriminators, or of G and E, by Adam as TensorFlow 1 has it."""
    names = ("G", "E") if generators else ("Dxz", "Dxx", "Dzz")
    key_z, key = jax.random.split(key)
    z = jax.random.normal(key_z, (len(x), table.latent_dim))
    trained = {name: state["w"][name] for name in names}

    def loss(trained: Tree) -> tuple[Array, Tree]:
        return losses(table, {**state["w"], **trained}, state["s"], x, z, key, generators)

    (value, s), gradients = jax.value_and_grad(loss, has_aux=True)(trained)
    adam, t = table.optimizer, state["t"] + 1.0
    rate = adam.learning_rate * jnp.sqrt(1.0 - adam.beta2**t) / (1.0 - adam.beta1**t)
    m, v = ({name: state[kind][name] for name in names} for kind in ("m", "v"))
    m = jax.tree.map(lambda old, g: old + (1.0 - adam.beta1) * (g - old), m, gradients)
    v = jax.tree.map(lambda old, g: old + (1.0 - adam.beta2) * (g * g - old), v, gradients)
    new = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + adam.epsilon), trained, m, v)
    changed = {kind: {**state[kind], **part} for kind, part in (("w", new), ("m", m), ("v", v))}
    return {**state, **changed, "s": s}, value


def step(table: Alad, x_train: Array, state: Tree, rows: Array, key: Array) -> tuple[Tree, Array]:
    """One step on row numbers [2, batch]: both updates, then the average of the weights."""
    keys = jax.random.split(key)
    state, loss = update(table, state, x_train[rows[0]], keys[0], generators=False)
    state, _ = update(table, state, x_train[rows[1]], keys[1], generators=True)
    average = jax.tree.map(lambda old, new: old - 0.001 * (old - new), state["average"], state["w"])
    return {**state, "average": average, "t": state["t"] + 1.0}, loss


class Trainer:
    """Some seeds that train side by side on one array of rows.

    Args:
        table: an ALAD table of rows with one update of G and E a step.
        x_train: [n, d].
        seeds: how many.
    """

    def __init__(self, table: Alad, x_train: np.ndarray, seeds: int = 1) -> None:
        self.table, self.x_train, self.seeds = table, jnp.asarray(x_train), seeds
        states = [_fresh(networks_of(table, seed)) for seed in range(seeds)]
        self.state = states[0] if seeds == 1 else jax.tree.map(lambda *parts: jnp.stack(parts), *states)
        self.key = jax.random.key(0)
        self._many = jax.jit(self._steps, static_argnums=3, donate_argnums=0)

    def train(self, steps: int) -> float:
        """Take a number of steps; returns the last loss of the discriminators of the first seed."""
        self.key, key = jax.random.split(self.key)
        self.state, loss = self._many(self.state, self.x_train, key, steps)
        return float(jnp.ravel(loss)[0])

    def _steps(self, state: Tree, x_train: Array, key: Array, steps: int) -> tuple[Tree, Array]:
        if self.seeds == 1:
            return self._of_seed(state, x_train, key, steps)
        each = jax.vmap(partial(self._of_seed, steps=steps), in_axes=(0, None, 0))
        return each(state, x_train, jax.random.split(key, self.seeds))

    def _of_seed(self, state: Tree, x_train: Array, key: Array, steps: int) -> tuple[Tree, Array]:
        key, *orders = jax.random.split(key, 3)
        n, batch = len(x_train), self.table.batch_size
        assert steps * batch <= n, "a call stays within an epoch"
        orders = [jax.random.permutation(order, n)[: steps * batch].reshape(steps, batch) for order in orders]
        rows, keys = jnp.stack(orders, 1), jax.random.split(key, steps)
        state, taken = lax.scan(lambda carried, of: step(self.table, x_train, carried, *of), state, (rows, keys))
        return state, taken[-1]


def _fresh(networks: Tree) -> Tree:
    zeros = lambda: jax.tree.map(jnp.zeros_like, networks["w"])  # noqa: E731
    average = jax.tree.map(jnp.array, networks["w"])
    return {**networks, "m": zeros(), "v": zeros(), "average": average, "t": jnp.zeros(())}


def main() -> None:
    """Answer each number of steps on standard input with the processor seconds used so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=("kdd99", "arrhythmia"))
    parser.add_argument("--seeds", type=int, default=1, metavar="K", help="train so many side by side")
    parser.add_argument("--batches", type=int, default=400, help="rows, in batches; default: %(default)s")
    parser.add_argument("--random", default="rbg", help="JAX's generator of random numbers; default: %(default)s")
    options = parser.parse_args()
    jax.config.update("jax_default_prng_impl", options.random)
    table = architectures.load(options.dataset)
    assert isinstance(table, Alad)
    rows = np.random.default_rng(0).random((options.batches * table.batch_size, table.n_features), np.float32)
    trainer = Trainer(table, rows, options.seeds)
    print(f"jax {jax.__version__}, {jax.devices()[0].platform}, generator {options.random}", flush=True)
    for line in sys.stdin:
        trainer.train(int(line))
        print(time.process_time(), flush=True)


if __name__ == "__main__":
    main()
