"""Several devices share each batch and train like one. In processes, because devices are created at start-up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import steady_toy
import tensorflow as tf
from reference import draw
from tolerances import of_training

from alad_tf.errors import SettingsError
from alad_tf.experiments.settings import Settings
from alad_tf.model import alad_trainer, distribution, networks

pytestmark = pytest.mark.minutes(1)

TESTS = Path(__file__).resolve().parents[1]
TRAIN = """
import json, sys
import numpy as np
import tensorflow as tf

kind, *names = sys.argv[1:]
if kind == "mirrored":
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import steady_toy
from alad_tf.model import alad_trainer, distribution, networks
from alad_tf.model.weights import get_arrays
from reference import TINY, narrow_images

if kind == "mirrored":
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
else:
    strategy = distribution.strategy(None)


def train(name, dynamics):
    table = {"toy": steady_toy.TABLE, "tiny": TINY, "images": narrow_images()}[name]
    norm = dynamics or "paper"
    random = np.random.default_rng(0)
    x_train = random.standard_normal((4 * table.batch_size, *table.data_shape)).astype(np.float32)
    if name == "images":
        x_train = random.integers(0, 256, x_train.shape, np.uint8)
    with distribution.scope(strategy):
        trained, average = (networks.build(table, spectral_norm=norm, seed=1) for _ in range(2))
    trainer = alad_trainer.Trainer(
        trained, table, x_train, seed=0, average=average, jit=False, strategy=strategy, dynamics=dynamics
    )
    losses = [trainer.train(2) for _ in range(3)]
    few = {"trained": trained, "average": average} if name == "toy" else {}
    weights = {kind: [array.tolist() for array in get_arrays(of).values()] for kind, of in few.items()}
    return {"losses": losses, **weights}


for name in names:
    if name == "images in bfloat16":
        alad_trainer.set_precision("bfloat16")
    print(json.dumps(train(name.split()[0], "released" if "released" in name else None)), flush=True)
"""
RELEASED = "images with released dynamics"
Answers = dict[str, dict[str, Any]]  # name of a table -> losses and state of the training


def start(kind: str, *names: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    everything = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", TRAIN, kind, *names]
    return subprocess.Popen(command, env=everything, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answers(process: subprocess.Popen[str], *names: str) -> Answers:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    lines = [line for line in out.splitlines() if line.startswith("{")]
    assert len(lines) == len(names), out
    return {name: json.loads(line) for name, line in zip(names, lines)}


@pytest.fixture(scope="module")
def one() -> Answers:
    """Results of one device, in one process for all tables; bfloat16 is last because it stays on in the process."""
    names = ("toy", "tiny", "images", RELEASED, "images in bfloat16")
    return answers(start("one", *names), *names)


@pytest.fixture(scope="module")
def mirrored() -> Answers:
    """Results of two devices of a process."""
    names = ("toy", "tiny", "images", RELEASED)
    return answers(start("mirrored", *names), *names)


def test_two_devices_train_as_one(one: Answers, mirrored: Answers) -> None:
    """Only the order of sums differs. Two processes are compared with one in tests/experiments/test_workers.py."""
    table = steady_toy.TABLE
    built = networks.build(table, seed=1)
    x, z = draw(0, table.batch_size, 2), draw(1, table.batch_size, 2)
    for steps, ours, theirs in zip((2, 4, 6), mirrored["toy"]["losses"], one["toy"]["losses"]):
        weight, loss = of_training(built, table, x, z, steps)
        assert ours == pytest.approx(theirs, rel=0.0, abs=loss)
        assert loss < 0.02 * theirs["loss_d"]
    for kind in ("trained", "average"):
        for ours, theirs in zip(mirrored["toy"][kind], one["toy"][kind]):
            np.testing.assert_allclose(ours, theirs, rtol=0.0, atol=weight)


@pytest.mark.parametrize(("name", "deviation"), [("tiny", 0.05), ("images", 0.0025), (RELEASED, 0.0025)])
def test_two_devices_train_every_kind_of_layer(one: Answers, mirrored: Answers, name: str, deviation: float) -> None:
    """Each device has half a batch for batch norm, and separate dropout masks: losses are close, not equal.

    `deviation` is the standard deviation of the relative difference of a mean loss, over six seeds. A loss left out, or
    counted by each of the two, would be off by half at least.
    """
    assert mirrored[name]["losses"] != one[name]["losses"]
    ours, theirs = (pd.DataFrame(answers[name]["losses"]).mean() for answers in (mirrored, one))
    np.testing.assert_allclose(ours, theirs, rtol=6.0 * deviation)


def test_alone_everything_is_ones_own() -> None:
    assert (distribution.strategy(None), distribution.count(), distribution.number()) == (None, 1, 0)
    batch = object()
    assert distribution.share(batch) is batch


def test_unknown_kind() -> None:
    with pytest.raises(SettingsError, match="Received: 'tpu'. Allowed: mirrored, multi-worker, None"):
        distribution.strategy("tpu")


def test_settings_of_a_strategy() -> None:
    settings = Settings.of_protocol("kdd99", strategy="mirrored")
    assert (settings.jit, settings.method) == (False, "ALAD-mirrored")
    with pytest.raises(SettingsError, match="Expected no XLA with strategy 'mirrored'"):
        Settings.of_protocol("kdd99", strategy="mirrored", jit=True)
    with pytest.raises(SettingsError, match="Expected a known strategy. Received: 'tpu'"):
        Settings.of_protocol("toy", strategy="tpu")


def test_settings_of_a_precision() -> None:
    settings = Settings.of_protocol("cifar10", normal_class=0, precision="bfloat16")
    assert (settings.jit, settings.method) == (False, "ALAD-bfloat16-releasedDynamics")
    with pytest.raises(SettingsError, match="Expected no XLA with precision 'bfloat16'"):
        Settings.of_protocol("kdd99", precision="bfloat16", jit=True)
    with pytest.raises(SettingsError, match="Expected a known precision. Received: 'int8'"):
        Settings.of_protocol("toy", precision="int8")


def test_bfloat16_trains_close_to_float32_and_not_equal(one: Answers) -> None:
    """A loss is rounded at least four times: each of its two terms, their mean and their sum. Logits are small here."""
    exact, rounded = one["images"], one["images in bfloat16"]
    for ours, theirs in zip(rounded["losses"], exact["losses"]):
        assert ours == pytest.approx(theirs, rel=4 * 2.0**-8)
    assert rounded["losses"] != exact["losses"]


def test_bfloat16_is_refused_where_there_are_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    with pytest.raises(SettingsError, match="Expected CPUs alone with precision 'bfloat16'. Received: a GPU"):
        alad_trainer.set_precision("bfloat16")
    alad_trainer.set_precision(None)
