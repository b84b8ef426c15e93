"""Yardsticks of a training step: matrix products counted by hand, and the same step in PyTorch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import reference
import tensorflow as tf
import training_step
from reference import TINY, draw, randomise, without_dropout
from tolerances import assert_within, of_logits

from alad_tf.experiments.settings import Settings
from alad_tf.model import keras_versions, losses, networks
from architectures import Alad
from architectures.rows import Stack

KDD99 = Settings.of_protocol("kdd99").table
KERNEL = {"weight": "kernel", "bias": "bias", "u": "u"}  # PyTorch's name -> the reference's
BATCH_NORM = {"weight": "gamma", "bias": "beta"}


def test_products_of_kdd99_counted_by_hand() -> None:
    """Count the calls of each layer by network; a first layer on data or on z needs no gradient of its input."""
    forward = {  # both updates take E of x and of G(z), G of z and of E(x), and two pairs to each discriminator
        (50, 121, 64): 4, (50, 64, 32): 4 + 4, (50, 32, 64): 4, (50, 64, 128): 4, (50, 128, 121): 4,  # E, G; Dzz
        (50, 121, 128): 4, (50, 32, 128): 4, (50, 256, 128): 4, (50, 128, 1): 4 + 4,  # Dxz and the logits of Dxx
        (50, 242, 128): 4, (50, 32, 1): 4,  # Dxx, Dzz
    }  # fmt: skip
    of_kernels = {
        (121, 50, 128): 2, (32, 50, 128): 2, (256, 50, 128): 2, (128, 50, 1): 2 + 2,  # Dxz and Dxx in the D update
        (242, 50, 128): 2, (64, 50, 32): 2 + 2, (32, 50, 1): 2,  # Dxx; Dzz, and E in the G/E update
        (121, 50, 64): 2, (32, 50, 64): 2, (64, 50, 128): 2, (128, 50, 121): 2,  # E and G
    }  # fmt: skip
    of_inputs_in_d_update = {(50, 128, 256): 2, (50, 1, 128): 2 + 2, (50, 1, 32): 2}
    of_inputs_in_ge_update = {
        (50, 1, 128): 2 + 1, (50, 128, 256): 2, (50, 128, 32): 1, (50, 128, 121): 1,  # Dxz to E(x), to G(z)
        (50, 128, 242): 1, (50, 1, 32): 1, (50, 32, 64): 1 + 2,  # Dxx to G(E(x)), Dzz to E(G(z)); E's second layer
        (50, 64, 121): 1,  # E to G(z)
        (50, 121, 128): 2, (50, 128, 64): 2, (50, 64, 32): 1,  # G; to E(x)
    }  # fmt: skip
    by_hand: Counter[tuple[int, int, int]] = Counter()
    for products in (forward, of_kernels, of_inputs_in_d_update, of_inputs_in_ge_update):
        by_hand.update(products)
    assert Counter(training_step.products(KDD99)) == by_hand
    assert sum(by_hand.values()) == 104


@pytest.fixture
def pytorch_step() -> Any:
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[benchmark]")
    import pytorch_step

    return pytorch_step


def copy_weights(built: networks.Networks, table: Alad, normalised: bool, theirs: Any) -> None:
    """Copy the weights of our networks into PyTorch's."""

    def copy(layers: list[Any], rows: Stack, module: Any, normalised: bool = normalised) -> None:
        width = next((layer.in_features for layer in module.modules() if hasattr(layer, "in_features")), 0)
        ours = reference.Stack(layers, rows, (width,), normalised, table.lrelu_slope).weights
        _set([layer for layer in module.modules() if hasattr(layer, "in_features")], ours, KERNEL)
        _set([layer for layer in module.modules() if hasattr(layer, "running_mean")], ours, BATCH_NORM)

    for name, rows in (("G", table.G), ("E", table.E)):
        layers, (hidden, output) = list(built.models[name].layers), getattr(theirs, name)
        copy(layers, rows[:-1], hidden, normalised and name == "E")
        copy(layers, rows[-1:], output, False)
    for name in networks.DISCRIMINATORS:
        layers, D, joint = list(built.models[name].layers), getattr(theirs, name), getattr(table, name)
        copy(layers, joint.only_x, D.only_x)
        copy(layers, joint.only_z, D.only_z)
        copy(layers, joint.joint[:-1], D.hidden)
        copy(layers, joint.joint[-1:], D.logits, False)


def _set(modules: list[Any], ours: list[dict[str, np.ndarray]], names: dict[str, str]) -> None:
    ours = [weights for weights in ours if names["weight"] in weights]
    assert len(modules) == len(ours)
    for module, weights in zip(modules, ours):
        for theirs, name in names.items():
            if hasattr(module, theirs):
                target = getattr(module, theirs).data
                target.copy_(target.new_tensor(weights[name].T).reshape(target.shape))


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("table", [TINY, KDD99], ids=lambda table: table.name)
def test_losses_and_sizes_equal_those_in_pytorch(pytorch_step: Any, table: Alad, normalised: bool) -> None:
    import torch

    table = without_dropout(table)
    built = networks.build(table, spectral_norm="paper" if normalised else None)
    randomise(built, seed=1)
    theirs = pytorch_step.Networks(table, spectral_norm=normalised)
    copy_weights(built, table, normalised, theirs)
    for name, model in built.models.items():
        sizes = [weight.numel() for weight in getattr(theirs, name).parameters()]
        assert sum(sizes) == sum(int(tf.size(weight)) for weight in keras_versions.trained(model))

    for call in range(2):  # the second one with the u that the first one left
        x, z = draw(2 + call, 16, table.n_features), draw(4 + call, 16, table.latent_dim)
        for name in ("discriminator_loss", "generator_encoder_loss"):
            work = of_logits(built, x, z)
            ours = getattr(losses, name)(*losses.pair_logits(built, tf.constant(x), tf.constant(z)))
            loss = getattr(theirs, name)(torch.from_numpy(x), torch.from_numpy(z))
            assert list(loss) == list(ours)
            for D, part in loss.items():  # its slope is at most 1 for a logit
                assert_within(part.item(), float(ours[D]), work[D] * 2.0)


def test_an_update_in_pytorch_moves_its_own_weights_only(pytorch_step: Any) -> None:
    trainer = pytorch_step.Trainer(TINY, draw(0, 20, 5), ema_decay=0.5)
    networks = trainer.networks
    groups = networks.discriminator_weights, networks.generator_encoder_weights

    def values() -> list[list[np.ndarray]]:
        return [[weight.detach().numpy().copy() for weight in group] for group in groups]

    for update, moved in ((trainer.d_update, 0), (trainer.ge_update, 1)):
        before = values()
        update(trainer.x_train[:8])
        changed = [[not np.array_equal(a, b) for a, b in zip(*pair)] for pair in zip(before, values())]
        assert np.mean(changed[moved]) > 0.5 and not any(changed[1 - moved])

    average = [weight.clone() for weight in trainer.average]
    assert np.isfinite(trainer.train(3))  # two batches an epoch
    assert any((a != b).any() for a, b in zip(average, trainer.average))


@pytest.mark.parametrize(
    ("padding", "size", "kernel", "strides"),
    [("SAME", 8, 4, 2), ("SAME", 9, 5, 2), ("VALID", 9, 4, 2), ("VALID", 4, 4, 1)],
)
def test_convolutions_in_pytorch_have_the_sizes_of_the_graph(
    padding: str, size: int, kernel: int, strides: int
) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[benchmark]")
    import pytorch_convolutions
    import torch

    @tf.function
    def gradients(x: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
        return tf.gradients(tf.nn.conv2d(x, weights, strides, padding) ** 2, [x, weights])

    specs = tf.TensorSpec([2, size, size, 3]), tf.TensorSpec([kernel, kernel, 3, 5])
    graph = gradients.get_concrete_function(*specs).graph
    convolutions = [operation for operation in graph.get_operations() if operation.type.startswith("Conv2D")]
    assert len(convolutions) == 3
    for operation in convolutions:
        found = pytorch_convolutions.alone(operation, torch.float32)()
        parts = found if isinstance(found, tuple) else (found,)
        result = next(part for part in parts if isinstance(part, torch.Tensor))
        assert sorted(result.shape) == sorted(operation.outputs[0].shape)
