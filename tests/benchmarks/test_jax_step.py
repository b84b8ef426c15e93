"""The step in JAX is ours: from equal weights, rows and z, it arrives at equal weights, state and average.

JAX needs another NumPy than TensorFlow 2.15, so it runs in a process of its own, with the Python that ALAD_JAX names.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import tensorflow as tf
from reference import TINY, draw, randomise, without_dropout
from tolerances import Work, of_adam, steady, terms_of

from alad_tf.model import alad_trainer, networks
from architectures import Alad
from architectures.rows import Stack

CHECKOUT = Path(__file__).parents[2]
PYTHON = os.environ.get("ALAD_JAX", sys.executable)
STEPS = 2
NAMES = {"kernel": "W", "bias": "b", "gamma": "gamma", "beta": "beta"}  # ours -> theirs
STATE = {name: name for name in ("u", "mean", "variance")}
THEIRS = """
import json, pickle, sys
import jax, jax.numpy as jnp
import jax_step

table, networks, x = pickle.load(sys.stdin.buffer)
state = jax_step._fresh(jax.tree.map(jnp.float32, networks))
z = []
for number, rows in enumerate(x):
    key = jax.random.key(number)
    drawn = [jax.random.split(each)[0] for each in jax.random.split(key)]
    z.append([jax.random.normal(each, (table.batch_size, table.latent_dim)) for each in drawn])
    order = jnp.arange(2 * table.batch_size).reshape(2, -1)
    state, loss = jax_step.step(table, jnp.asarray(rows).reshape(-1, table.n_features), state, order, key)
found = {"z": z, "loss": loss, **{kind: state[kind] for kind in ("w", "s", "average")}}
print(json.dumps(jax.tree.map(lambda array: array.tolist(), found)))
"""


def nested(built: networks.Networks, table: Alad, names: dict[str, str]) -> dict[str, Any]:
    """Arrays of our networks, nested and named as in jax_step.py, where u is [units]."""

    def named(*stacks: reference.Stack) -> list[dict[str, np.ndarray]]:
        layers = [layer for stack in stacks for layer in stack.weights]
        return [
            {names[name]: layer[name][0] if name == "u" else layer[name] for name in layer if name in names}
            for layer in layers
        ]

    def network(model: tf.keras.Model, rows: Stack, width: int, normalised: bool) -> list[dict[str, np.ndarray]]:
        layers = list(model.layers)
        hidden = reference.Stack(layers, rows[:-1], (width,), normalised, table.lrelu_slope)
        return named(hidden, reference.Stack(layers, rows[-1:], hidden.shape, False, table.lrelu_slope))

    arrays: dict[str, Any] = {
        "G": network(built.G, table.G, table.latent_dim, False),
        "E": network(built.E, table.E, table.n_features, True),
    }
    for name, D in reference.Reference(built, table, True).discriminators.items():
        arrays[name] = {"only_x": named(D.only_x), "only_z": named(D.only_z), "joint": named(D.hidden, D.logits)}
    return arrays


def steps_in_jax(table: Alad, built: networks.Networks, x: np.ndarray) -> dict[str, Any]:
    start = {"w": nested(built, table, NAMES), "s": nested(built, table, STATE)}
    path = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "benchmarks")])
    environment = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}
    given = pickle.dumps((table, start, x), protocol=4)
    done = subprocess.run([PYTHON, "-c", THEIRS], input=given, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def assert_equal(ours: Any, theirs: Any, close: float) -> int:
    """Compare nested arrays; returns their number."""
    if isinstance(ours, (dict, list)):
        assert len(ours) == len(theirs)
        return sum(
            assert_equal(ours[key], theirs[key], close)
            for key in (ours if isinstance(ours, dict) else range(len(ours)))
        )
    np.testing.assert_allclose(np.asarray(theirs), ours, rtol=0.0, atol=close)
    return 1


def test_steps_in_jax_are_ours() -> None:
    if subprocess.run([PYTHON, "-c", "import jax"], capture_output=True).returncode:
        pytest.skip("JAX is not installed: set ALAD_JAX to the Python of an environment with it")
    table = steady(without_dropout(TINY))
    built, average = networks.build(table), networks.build(table)
    randomise(built, seed=1)
    x = draw(2, STEPS, 2, table.batch_size, table.n_features)
    trainer = alad_trainer.Trainer(built, table, x.reshape(-1, table.n_features), seed=0, average=average, jit=False)
    theirs = steps_in_jax(table, built, x)
    z = np.asarray(theirs["z"], np.float32)
    start = nested(built, table, NAMES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "_prior", lambda step, draw: tf.constant(z[step, draw]))
        losses = [trainer.update(tf.constant(x[step]), step) for step in range(STEPS)]
    close = of_adam(table.optimizer, 2 * STEPS, Work(2 * terms_of(*built.models.values()) + 8, 4.0))
    assert theirs["loss"] == pytest.approx(float(losses[-1][0]), abs=close * 100)
    assert assert_equal(nested(built, table, NAMES), theirs["w"], close) == 28
    assert assert_equal(nested(built, table, STATE), theirs["s"], close) == 9
    with pytest.raises(AssertionError):
        assert_equal(start, theirs["w"], close)
    assert_equal(nested(average, table, NAMES), theirs["average"], close)
