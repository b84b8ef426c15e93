"""DSEBM, DAGMM and AnoGAN train as defined, with equal results compiled or eager, in one call or many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import small_baselines
import tensorflow as tf
from reference import AdamReference, Stack, draw, eagerly
from reference_baselines import DagmmReference, DsebmReference, GanReference, differences, weights_of
from small_baselines import TABLES, randomise
from tolerances import Work, bound, of_adam, terms_of

from alad_tf.experiments import models
from alad_tf.model import shared_graphs
from alad_tf.model.weights import get_arrays
from architectures.rows import Adam

pytestmark = pytest.mark.minutes(0.7)

ROWS = 29  # three batches of 8, five rows left over
every_method = pytest.mark.parametrize("method", models.DEEP)


def make(method: str, *, table: Any = None, seed: int = 1, network_seed: int = 1, jit: bool = False) -> Any:
    table, module = table or TABLES[method], models.DEEP[method]
    x = draw(0, ROWS, table.data_dim)
    return module.Trainer(module.Networks(table, network_seed), table, x, seed=seed, jit=jit)


def weights(trainer: Any) -> list[np.ndarray]:
    return list(get_arrays(trainer.model).values())


def terms(trainer: Any) -> int:
    """Terms of an update: forward and backward through all networks, and over the batch."""
    models = (model for model in vars(trainer.model).values() if isinstance(model, tf.keras.Model))
    return 2 * terms_of(*models) + trainer.table.batch_size


def differ(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return not all(np.array_equal(x, y) for x, y in zip(a, b))


@every_method
def test_compiled_graph_and_eager_agree(method: str) -> None:
    compiled, graph, eager = make(method, jit=True), make(method), make(method)
    losses = [compiled.train(5), graph.train(5)]
    with eagerly():
        losses.append(eager.train(5))
    close = of_adam(small_baselines.STEADY, 5, Work(terms(eager), 1.0))  # no gradient and no slope is above 1
    for other, loss in ((graph, losses[1]), (eager, losses[2])):
        assert loss == pytest.approx(losses[0], rel=close)
        for one, two in zip(weights(compiled), weights(other)):
            np.testing.assert_allclose(one, two, rtol=0.0, atol=close)
    assert differ(weights(compiled), weights(make(method)))
    compiled.train(1)
    assert compiled._compiled.experimental_get_tracing_count() == 1
    assert (
        set(losses[0])
        == {
            "DSEBM": {"loss"},
            "DAGMM": {"loss", "reconstruction", "energy", "singularity"},
            "AnoGAN": {"loss_d", "loss_g"},
        }[method]
    )


@every_method
def test_seeds_and_calls(method: str) -> None:
    """The two seeds determine the bits, however the steps are divided into calls; the graph is traced once."""
    shared_graphs.forget()
    one, two = make(method), make(method)
    losses = [one.train(5)]
    losses += [two.train(2), two.train(3)]
    assert not differ(weights(one), weights(two))
    means = {name: (2 * losses[1][name] + 3 * losses[2][name]) / 5 for name in losses[0]}
    assert means == pytest.approx(losses[0], rel=bound(2 * 5, 1.0))
    assert (one._train.tracings(), two._train.tracings()) == (1, 0) and int(two.step) == 5
    for other in (make(method, seed=2), make(method, network_seed=2)):
        other.train(5)
        assert differ(weights(one), weights(other))


@pytest.mark.parametrize(("rows", "width"), [(7, 5), (20, 4)])
@every_method
def test_rows_that_do_not_fit(method: str, rows: int, width: int) -> None:
    module, table = models.DEEP[method], TABLES[method]
    with pytest.raises(ValueError, match=rf"Expected training rows \[at least 8, 5\]. Received: \[{rows}, {width}\]"):
        module.Trainer(module.Networks(table, 0), table, draw(0, rows, width), seed=0)


@every_method
def test_a_loss_that_is_not_finite_ends_the_steps(method: str) -> None:
    table = replace(TABLES[method], optimizer=Adam(1e30, beta1=0.5))
    trainer = make(method, table=table)
    with eagerly():
        losses = trainer.train(6)
    assert trainer.not_finite(losses) and int(trainer.step) < 6
    assert make(method).not_finite(dict.fromkeys(losses, 1.0)) == []


# One update, by the slow references and central differences


class By:
    """Losses of a method by its reference, whose weights are updated by hand as the trainer updates its own."""

    def __init__(self, method: str, trainer: Any) -> None:
        self.trainer, model, table = trainer, trainer.model, trainer.table
        self.reference: Any = {"DSEBM": DsebmReference, "DAGMM": DagmmReference, "AnoGAN": GanReference}[method](
            model, table
        )
        self.adams: dict[str, AdamReference] = {}
        self.largest = 0.0  # of the gradients

    def move(self, name: str, weights: list[np.ndarray], loss: Any) -> float:
        """Take one step of Adam down the central differences of a loss; return the loss before it."""
        before = loss()
        gradients = [differences(loss, weight) for weight in weights]
        self.largest = max(self.largest, *(float(np.abs(gradient).max()) for gradient in gradients))
        adam = self.adams.setdefault(name, AdamReference(small_baselines.STEADY))
        for weight, moved in zip(weights, adam.step([w.copy() for w in weights], gradients)):
            weight[...] = moved
        return float(before)

    def dsebm(self, x: np.ndarray, step: int) -> list[float]:
        noise = self.trainer.table.noise * self.trainer._normal([8, 5], "noise", tf.constant(step)).numpy()
        own = [*weights_of(self.reference.h), self.reference.b]
        return [self.move("adam", own, lambda: self.reference.loss(x, noise))]

    def dagmm(self, x: np.ndarray, step: int) -> list[float]:
        reference = self.reference
        parts = reference.parts(x)
        own = weights_of(reference.encoder, reference.decoder, reference.estimation)
        loss = self.move("adam", own, lambda: reference.parts(x)["loss"])
        return [loss, parts["reconstruction"], parts["energy"], parts["singularity"]]

    def anogan(self, x: np.ndarray, step: int) -> list[float]:
        """Update D, then G against the new D with another z."""
        reference = self.reference
        z_d, z_g = (self.trainer._prior(tf.constant(step), draw=i).numpy().astype(np.float64) for i in (0, 1))
        assert not np.array_equal(z_d, z_g)
        d = self.move("D", weights_of(reference.f, reference.logits), lambda: reference.losses(x, z_d)[0])
        return [d, self.move("G", weights_of(reference.G), lambda: reference.losses(x, z_g)[1])]


def stacks(reference: object) -> list[np.ndarray]:
    own = [value for value in vars(reference).values() if isinstance(value, Stack)]
    return [*weights_of(*own), *([reference.b] if hasattr(reference, "b") else [])]


@every_method
def test_updates_are_adam_on_the_losses(method: str) -> None:
    table = TABLES[method] if method == "DSEBM" else small_baselines.without_dropout(TABLES[method])
    with eagerly():
        trainer = make(method, table=table)
        randomise(trainer.model, seed=5)
        by = By(method, trainer)
        for step in range(2):
            x = draw(10 + step, 8, 5)
            losses = trainer.update(tf.constant(x[None]), tf.constant(step)).numpy()
            before = [weight.copy() for weight in stacks(by.reference)]
            expected = getattr(by, method.lower())(x.astype(np.float64), step)
            close = of_adam(small_baselines.STEADY, step + 1, Work(terms(trainer), by.largest))
            np.testing.assert_allclose(losses, expected, rtol=bound(terms(trainer), 1.0), atol=close)
            moved = stacks(type(by.reference)(trainer.model, trainer.table))
            for own, wanted, old in zip(moved, stacks(by.reference), before):
                np.testing.assert_allclose(own, wanted, rtol=0, atol=close)
                assert np.abs(wanted - old).max() > 1e-4
