"""Several devices share each batch and train like one. In processes, because devices are created at start-up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from alad_tf.errors import SettingsError
from alad_tf.experiments.settings import Settings
from alad_tf.model import alad_trainer, distribution

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
from alad_tf.model import alad_trainer, distribution, networks
from architectures import toy
from reference import TINY, narrow_images

if kind == "mirrored":
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
else:
    strategy = distribution.strategy(None)


def train(name):
    table = {"toy": toy.ALAD, "tiny": TINY, "images": narrow_images()}[name]
    random = np.random.default_rng(0)
    x_train = random.standard_normal((4 * table.batch_size, *table.data_shape)).astype(np.float32)
    if name == "images":
        x_train = random.integers(0, 256, x_train.shape, np.uint8)
    with distribution.scope(strategy):
        trained, average = networks.build(table, seed=1), networks.build(table, seed=1)
    trainer = alad_trainer.Trainer(trained, table, x_train, seed=0, average=average, jit=False, strategy=strategy)
    losses = [trainer.train(2) for _ in range(3)]
    state = [float(np.abs(weight.numpy()).sum()) for weight in average.trained_weights + average.state]
    return {"losses": losses, "state": state}


for name in names:
    if name == "images in bfloat16":
        alad_trainer.set_precision("bfloat16")
    print(json.dumps(train(name.split()[0])), flush=True)
"""
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
    names = ("toy", "tiny", "images", "images in bfloat16")
    return answers(start("one", *names), *names)


@pytest.fixture(scope="module")
def mirrored() -> Answers:
    """Results of two devices of a process."""
    names = ("toy", "tiny", "images")
    return answers(start("mirrored", *names), *names)


def test_two_devices_have_the_losses_of_one(one: Answers, mirrored: Answers) -> None:
    """The table of the toy data has neither batch norm nor dropout: only the order of sums differs.

    Adam's first steps are as large for tiny gradients as for others, which amplifies differences in last digits. Two
    processes are compared with one in tests/experiments/test_workers.py.
    """
    for ours, theirs, digits in zip(
        mirrored["toy"]["losses"], one["toy"]["losses"], (1e-6, 1e-4, 1e-3)
    ):  # two steps each
        assert ours == pytest.approx(theirs, rel=digits)
    assert mirrored["toy"]["state"] == pytest.approx(one["toy"]["state"], rel=1e-3)


@pytest.mark.parametrize("name", ["tiny", "images"])
def test_two_devices_train_every_kind_of_layer(one: Answers, mirrored: Answers, name: str) -> None:
    """Each device has half a batch for batch norm, and separate dropout masks: losses are close, not equal."""
    for ours, theirs in zip(mirrored[name]["losses"], one[name]["losses"]):
        assert ours == pytest.approx(theirs, rel=0.2)
        assert ours != theirs


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
    assert (settings.jit, settings.method) == (False, "ALAD-bfloat16")
    with pytest.raises(SettingsError, match="Expected no XLA with precision 'bfloat16'"):
        Settings.of_protocol("kdd99", precision="bfloat16", jit=True)
    with pytest.raises(SettingsError, match="Expected a known precision. Received: 'int8'"):
        Settings.of_protocol("toy", precision="int8")


def test_bfloat16_trains_close_to_float32_and_not_equal(one: Answers) -> None:
    exact, rounded = one["images"], one["images in bfloat16"]
    for ours, theirs in zip(rounded["losses"], exact["losses"]):
        assert ours == pytest.approx(theirs, rel=0.05)
    assert rounded["losses"] != exact["losses"]


def test_bfloat16_is_refused_where_there_are_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    with pytest.raises(SettingsError, match="Expected CPUs alone with precision 'bfloat16'. Received: a GPU"):
        alad_trainer.set_precision("bfloat16")
    alad_trainer.set_precision(None)
