"""The same seed gives the same weights in every process, also without XLA, where the order of a sum is not fixed."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tensorflow as tf
from reference import narrow_images
from small_images import images

from alad_tf.model import alad_trainer, networks

pytestmark = pytest.mark.minutes(1.2)

PROGRAM = """
import hashlib
import numpy as np
from alad_tf.experiments import models
from alad_tf.experiments.settings import Settings

settings = Settings.of_protocol("cifar10", normal_class=0)
x_train = np.random.default_rng(0).integers(0, 256, (64, *settings.table.data_shape), np.uint8)
trainer = models.build(settings, 0, x_train).trainer
losses = trainer.train(3)
arrays = trainer.get_arrays()
bits = b"".join(arrays[name].tobytes() for name in sorted(arrays))
print(len(bits), losses, hashlib.sha256(bits).hexdigest())
"""


def test_steps_on_images_have_the_same_bits_in_two_processes() -> None:
    """With the networks of the paper: those of a few feature maps repeated when these did not."""
    command = [sys.executable, "-c", PROGRAM]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert said[0] == said[1]
    assert int(said[0].split()[0]) > 4 * 30_000_000, "weights, their averages and Adam's moments"


@pytest.mark.parametrize("dynamics", [None, "released"])
def test_no_sum_of_more_than_two_gradients(dynamics: str | None) -> None:
    """The sum of two does not depend on their order."""
    table = narrow_images()
    built = networks.build(table, spectral_norm="paper" if dynamics is None else "released")
    trainer = alad_trainer.Trainer(built, table, images(16), seed=0, jit=False, dynamics=dynamics)
    batches = tf.TensorSpec([1 + table.ge_steps, table.batch_size, *table.data_shape], tf.float32)
    graph = tf.function(trainer.update).get_concrete_function(batches, tf.TensorSpec([], tf.int32)).graph
    sums = [len(operation.inputs) for operation in graph.get_operations() if operation.type == "AddN"]
    assert sums and max(sums) == 2
