"""Multiplications counted from the architecture tables: by hand, and in TensorFlow's graphs of the networks."""

from __future__ import annotations

import image_step
import pytest
import tensorflow as tf

import architectures
from alad_tf.baselines import anogan
from alad_tf.model import networks
from alad_tf.report import multiplications
from architectures import Alad, cifar10, kdd99, svhn


def in_graph(network: tf.keras.Model, *shapes: tuple[int, ...]) -> int:
    """Multiplications of matrix products and convolutions in the graph of a network, for one sample."""
    specs = [tf.TensorSpec([1, *shape]) for shape in shapes]
    call = tf.function(lambda *x: network(x[0] if len(x) == 1 else list(x), training=False), autograph=False)
    operations = call.get_concrete_function(*specs).graph.get_operations()
    return sum(image_step.multiplications(operation) for operation in operations if operation.type in image_step.LINEAR)


def test_rows_by_hand() -> None:
    of_G = 32 * 64 + 64 * 128 + 128 * 121
    of_f = 121 * 256 + 256 * 128 + 128 * 128
    assert multiplications.of_search(kdd99.GAN) == 500 * 2 * (of_G + of_f)
    assert multiplications.of_alad(kdd99.ALAD) == 121 * 64 + 64 * 32 + of_G + 2 * (242 * 128 + 128)


@pytest.mark.parametrize("table", [kdd99.ALAD, svhn.ALAD, cifar10.ALAD], ids=lambda table: table.name)
def test_alad_in_its_graphs(table: Alad) -> None:
    model, x, z = networks.build(table, spectral_norm=None), table.data_shape, (table.latent_dim,)
    counted = in_graph(model.E, x) + in_graph(model.G, z) + 2 * in_graph(model.Dxx, x, x)
    assert multiplications.of_alad(table) == counted


def test_search_in_its_graphs() -> None:
    """The logits, which the graph of D has too, are no part of f."""
    gan = cifar10.GAN
    model = anogan.Networks(gan, seed=0)
    counted = in_graph(model.G, (gan.latent_dim,)) + in_graph(model.D, gan.data_shape) - 4 * 4 * 512
    assert multiplications.of_search(gan, steps=3) == 3 * 2 * counted


def test_ratio_of_every_row_of_table_iv() -> None:
    assert [name for name in architectures.DATASETS if name != "toy"] == ["kdd99", "arrhythmia", "svhn", "cifar10"]
    assert round(multiplications.search_over_alad("cifar10")) == 704
    assert multiplications.search_over_alad("kdd99", steps=250) == multiplications.search_over_alad("kdd99") / 2
