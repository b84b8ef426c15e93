"""Updates change the right weights by Adam on the right rows; compiled or eager, in one call or many, all is equal."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import reference
import tensorflow as tf
from reference import TINY, AdamReference, Reference, converge, draw, eagerly, randomise, without_dropout
from tolerances import Work, assert_close, bound, of_adam, terms_of

import architectures
from alad_tf.model import keras_versions, networks, shared_graphs
from alad_tf.model.alad_trainer import Trainer
from alad_tf.model.networks import Networks
from alad_tf.model.weights import get_arrays, set_arrays
from architectures import Alad
from architectures.rows import Adam

pytestmark = pytest.mark.minutes(1.5)

ROWS = 29  # three batches of 8, five rows left over
EPSILON = Adam(1e-2, beta1=0.5, epsilon=1e-3)  # keeps the signs of vanishing gradients from mattering


def make(
    table: Alad = TINY,
    *,
    seed: int = 1,
    network_seed: int = 1,
    average: bool = True,
    ema_decay: float = 0.9,
    jit: bool = False,
    **options: Any,
) -> Trainer:
    """A trainer of a small table; `options` are those of `networks.build`."""
    built = networks.build(table, seed=network_seed, **options)
    shadow = networks.build(table, seed=network_seed, **options) if average else None
    x_train = draw(0, ROWS, table.n_features)
    return Trainer(built, table, x_train, seed=seed, average=shadow, ema_decay=ema_decay, jit=jit)


def values(weights: list[tf.Variable]) -> list[np.ndarray]:
    return [weight.numpy() for weight in weights]


def all_equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    assert len(a) == len(b) > 0
    return all(np.array_equal(x, y) for x, y in zip(a, b))


def none_equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    assert len(a) == len(b) > 0
    return not any(np.array_equal(x, y) for x, y in zip(a, b))


def kernels(weights: list[tf.Variable]) -> list[np.ndarray]:
    return [weight.numpy() for weight in weights if weight.shape.rank == 2]


@cache
def trained(steps: tuple[int, ...] = (2,), **options: Any) -> tuple[Trainer, list[dict[str, float]]]:
    """A trainer after some eager calls of `train`, and their return values."""
    with eagerly():
        trainer = make(**options)
        return trainer, [trainer.train(count) for count in steps]


def everything(trainer: Trainer) -> list[np.ndarray]:
    averages = [] if trainer.average is None else get_arrays(trainer.average).values()
    return [*get_arrays(trainer.networks).values(), *averages]


# One update


@pytest.mark.parametrize("kind", ["paper", None])
def test_each_update_leaves_the_other_side_untouched(kind: str | None) -> None:
    trainer = make(spectral_norm=kind)
    x, z = tf.constant(draw(2, 8, 5)), tf.constant(draw(3, 8, 3))
    d, ge = trainer.networks.discriminator_weights, trainer.networks.generator_encoder_weights
    d_before, ge_before, d_kernels, ge_kernels = values(d), values(ge), kernels(d), kernels(ge)
    trainer.discriminator_update(x, z)
    assert all_equal(values(ge), ge_before)
    assert none_equal(kernels(d), d_kernels)
    d_before = values(d)
    trainer.generator_encoder_update(x, z)
    assert all_equal(values(d), d_before)
    assert none_equal(kernels(ge), ge_kernels)


def losses_by_hand(built: Networks, x: tf.Tensor, z: tf.Tensor, label: float) -> dict[str, tf.Tensor]:
    """Cross-entropies with `label` for the "real" pairs and 1 - label for the "fake" ones."""
    G, E = (lambda inputs, model=model: model(inputs, training=True) for model in (built.G, built.E))
    pairs = {"Dxz": ((x, E(x)), (G(z), z)), "Dxx": ((x, x), (x, G(E(x)))), "Dzz": ((z, z), (z, E(G(z))))}
    answer = {}
    for name, (real, fake) in pairs.items():
        entropies = [
            tf.nn.sigmoid_cross_entropy_with_logits(
                logits=built.models[name](list(pair), training=True)[0], labels=tf.fill([len(x), 1], target)
            )
            for pair, target in ((real, label), (fake, 1.0 - label))
        ]
        answer[name] = tf.reduce_mean(entropies[0]) + tf.reduce_mean(entropies[1])
    return answer


@pytest.mark.parametrize(
    "optimizer, kind", [(EPSILON, None), (Adam(2e-3, beta1=0.8, beta2=0.9, epsilon=1e-2), "paper")]
)
def test_updates_are_adam_on_the_losses(optimizer: Adam, kind: str | None) -> None:
    table = replace(without_dropout(TINY), optimizer=optimizer)
    trainer, twin = make(table, spectral_norm=kind), networks.build(table, spectral_norm=kind)
    randomise(trainer.networks, seed=5)
    adams = {"D": AdamReference(optimizer), "GE": AdamReference(optimizer)}
    terms = 2 * terms_of(*twin.models.values()) + 8  # forwards, backwards, over the batch
    for step in range(3):
        x, z = tf.constant(draw(10 + step, 8, 5)), tf.constant(draw(20 + step, 8, 3))
        for side, update, label in (
            ("D", trainer.discriminator_update, 1.0),
            ("GE", trainer.generator_encoder_update, 0.0),
        ):
            converge(trainer.networks)
            set_arrays(twin, get_arrays(trainer.networks))
            weights = twin.discriminator_weights if side == "D" else twin.generator_encoder_weights
            with tf.GradientTape() as tape:
                loss = losses_by_hand(twin, x, z, label)
                total = sum(loss.values())
            gradients = [gradient.numpy().astype(np.float64) for gradient in tape.gradient(total, weights)]
            expected = adams[side].step([value.astype(np.float64) for value in values(weights)], gradients)
            got = update(x, z)
            gradient = Work(terms, max(np.abs(part).max() for part in gradients))
            for name, part in got.items():
                assert_close(part, loss[name], terms)
            own = trainer.networks
            moved = values(own.discriminator_weights if side == "D" else own.generator_encoder_weights)
            for after, wanted in zip(moved, expected):
                np.testing.assert_allclose(after, wanted, rtol=0.0, atol=of_adam(optimizer, step + 1, gradient))
            assert np.mean([np.abs(a - b).max() > 1e-4 for a, b in zip(expected, values(weights))]) > 0.7


@pytest.mark.parametrize("name", architectures.DATASETS)
def test_tables_have_beta2_and_epsilon_of_tensorflow_1(name: str) -> None:
    optimizer = architectures.load(name).optimizer
    assert (optimizer.beta2, optimizer.epsilon) == (0.999, 1e-8)


# The loop


class Recorder:
    """Records rows and z of every update in the order of the loop, and optionally performs the update."""

    def __init__(self, trainer: Trainer, update: bool = False) -> None:
        self.calls: list[tuple[str, np.ndarray, np.ndarray]] = []
        self.losses: list[dict[str, float]] = []
        self.before: Any = lambda: None
        for side in ("discriminator_update", "generator_encoder_update"):
            setattr(trainer, side, self._recording(trainer, side, getattr(trainer, side) if update else None))

    def _recording(self, trainer: Trainer, side: str, original: Any) -> Any:
        def record(x: tf.Tensor, z: tf.Tensor) -> Any:
            self.calls.append((side[0], x.numpy(), z.numpy()))
            self.before()
            if original is not None:
                return original(x, z)
            return {name: tf.constant(0.0) for name in trainer.networks.models if name.startswith("D")}

        return record

    def rows(self, side: str) -> np.ndarray:
        """First features of the batches of D ("d") or G/E ("g") updates: [updates, batch]."""
        return np.array([x[:, 0] for name, x, _ in self.calls if name == side])

    def z(self, side: str) -> np.ndarray:
        return np.array([z for name, _, z in self.calls if name == side])


def numbered(n: int, table: Alad = TINY, seed: int = 1) -> Trainer:
    """A trainer on rows whose first feature is the row number."""
    x = draw(0, n, table.n_features)
    x[:, 0] = np.arange(n)
    built = networks.build(table, spectral_norm=None)
    return Trainer(built, table, x, seed=seed, jit=False)


@cache
def recorded(n: int, epochs: int, seed: int = 1, ge_steps: int = 1) -> tuple[Trainer, Recorder]:
    with eagerly():
        trainer = numbered(n, replace(TINY, ge_steps=ge_steps), seed)
        recorder = Recorder(trainer)
        trainer.train(epochs * (n // 8))
    return trainer, recorder


def test_loop_alternates_and_drops_the_last_incomplete_batch() -> None:
    trainer, recorder = recorded(ROWS, epochs=4)
    assert trainer.steps_per_epoch == 3
    assert int(trainer.step) == 12
    assert "".join(name for name, _, _ in recorder.calls) == 12 * "dg"
    assert {(x.shape, z.shape) for _, x, z in recorder.calls} == {((8, 5), (8, 3))}


@pytest.mark.parametrize("n", [ROWS, 8 * 43 + 5])
def test_an_epoch_uses_each_row_at_most_once_in_each_order(n: int) -> None:
    """43 steps are more than the loop runs at once."""
    _, recorder = recorded(n, epochs=2)
    orders = [recorder.rows(side)[: n // 8] for side in "dg"] + [recorder.rows(side)[n // 8 :] for side in "dg"]
    for order in orders:
        assert len(set(order.ravel())) == order.size == n // 8 * 8
    for i, a in enumerate(orders):
        for b in orders[:i]:
            assert (a == b).mean() < 0.3
    assert not any(np.array_equal(order.ravel(), np.sort(order.ravel())) for order in orders)


def test_every_row_is_used_sooner_or_later_with_its_own_features() -> None:
    trainer, recorder = recorded(ROWS, epochs=12)
    x_train = trainer.x_train.numpy()
    for side in "dg":
        assert set(recorder.rows(side).ravel()) == set(range(ROWS))
    for _, x, _ in recorder.calls:
        np.testing.assert_array_equal(x, x_train[x[:, 0].astype(int)])


def test_z_is_standard_normal_and_fresh_for_every_update() -> None:
    _, recorder = recorded(8 * 43 + 5, epochs=2)
    z = np.concatenate([recorder.z("d"), recorder.z("g")]).reshape(2 * 86, -1)
    assert len(np.unique(z)) > 0.999 * z.size
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert z.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * z.size))
    assert np.abs(np.corrcoef(recorder.z("d").ravel(), recorder.z("g").ravel())[0, 1]) < 0.1


def test_seed_governs_rows_and_z() -> None:
    first, again, other = recorded(ROWS, 1)[1], recorded.__wrapped__(ROWS, 1)[1], recorded(ROWS, 1, seed=2)[1]
    for side in "dg":
        np.testing.assert_array_equal(first.rows(side), again.rows(side))
        np.testing.assert_array_equal(first.z(side), again.z(side))
        assert (first.rows(side) == other.rows(side)).mean() < 0.3
        assert not (first.z(side) == other.z(side)).any()


def test_five_generator_encoder_steps_have_batches_and_z_of_their_own() -> None:
    _, recorder = recorded(ROWS, epochs=1, ge_steps=5)
    assert "".join(name for name, _, _ in recorder.calls) == 3 * "dggggg"
    rows, z = recorder.rows("g").reshape(3, 5, 8), recorder.z("g")
    for k in range(5):
        assert len(set(rows[:, k].ravel())) == 24
        for other in range(k):
            assert (rows[:, k] == rows[:, other]).mean() < 0.3
    assert len(np.unique(z)) == z.size


def test_losses_of_a_call_are_means_over_its_steps() -> None:
    """loss_ge is computed after the update of the discriminators, in the last update of G and E."""
    table = without_dropout(replace(TINY, ge_steps=2))
    with eagerly():
        trainer = make(table, spectral_norm=None)
        recorder, references = Recorder(trainer, update=True), []
        recorder.before = lambda: references.append(Reference(trainer.networks, table, normalised=False))
        got = trainer.train(2)
    parts: dict[str, list[dict[str, float]]] = {"d": [], "g": []}
    for (side, x, z), networks_then in zip(recorder.calls, references):
        logits = reference.pair_logits(networks_then, x, z)
        loss = reference.discriminator_loss if side == "d" else reference.generator_encoder_loss
        parts[side].append(loss(*logits))
    expected = {name: float(np.mean([loss[name] for loss in parts["d"]])) for name in ("Dxz", "Dxx", "Dzz")}
    expected["loss_d"] = sum(expected.values())
    expected["loss_ge"] = float(np.mean([sum(loss.values()) for loss in parts["g"][1::2]]))
    terms = 2 * terms_of(*trainer.networks.models.values()) + 8
    assert got == pytest.approx(expected, rel=bound(terms, 1.0))


# The average


@pytest.mark.parametrize("decay", [0.9, 0.5])
def test_average_is_exponential_and_starts_at_the_initial_weights(eager: None, decay: float) -> None:
    trainer = make(ema_decay=decay)
    assert trainer.average is not None
    shadows = [value.astype(np.float64) for value in values(trainer.networks.trained_weights)]
    assert all_equal(values(trainer.average.trained_weights), values(trainer.networks.trained_weights))
    for _ in range(3):
        trainer.train(1)
        weights = values(trainer.networks.trained_weights)
        shadows = [decay * shadow + (1 - decay) * weight for shadow, weight in zip(shadows, weights)]
    for got, expected in zip(values(trainer.average.trained_weights), shadows):
        assert_close(got, expected, 3 * 3)
    assert all_equal(values(trainer.average.state), values(trainer.networks.state))
    assert trainer.scoring_networks is trainer.average


def test_average_starts_as_a_copy_whatever_it_held() -> None:
    built, average = networks.build(TINY, seed=1), networks.build(TINY, seed=2)
    randomise(built, seed=3)
    Trainer(built, TINY, draw(0, ROWS, 5), seed=1, average=average, jit=False)
    assert all_equal(list(get_arrays(average).values()), list(get_arrays(built).values()))


# Compiled, in pieces, again


@pytest.mark.parametrize(("jit", "in_a_call"), [(True, 20), (True, 2), (False, 20)])
def test_compiled_steps_are_traced_once_and_equal_eager_ones(
    jit: bool, in_a_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After all variables are restored, the same steps in other portions give the same bits.

    An epoch has three steps: fewer than a call of compiled code takes, or not a multiple of them.
    """
    shared_graphs.forget()
    monkeypatch.setattr("alad_tf.model.trainer.COMPILED_STEPS", in_a_call)
    table = replace(TINY, optimizer=EPSILON)
    eager, eager_losses = trained((2, 4), table=table, spectral_norm="paper")
    trainer = make(table, spectral_norm="paper", jit=jit)
    assert trainer.average is not None
    optimizers = list(trainer.optimizers.values())
    assert len(optimizers) == 2
    variables = [trainer.step, *(weight for optimizer in optimizers for weight in optimizer.variables)]
    variables += [*trainer.networks.variables, *trainer.average.variables]
    start = values(variables)
    losses = [trainer.train(count) for count in (2, 4)]
    work = Work(2 * terms_of(*trainer.networks.models.values()) + 8, 1.0)  # no gradient and no slope is above 1
    close = of_adam(EPSILON, 6, work)
    for got_losses, expected_losses in zip(losses, eager_losses):
        assert got_losses == pytest.approx(expected_losses, rel=0.0, abs=close)
    for got, expected in zip(everything(trainer), everything(eager)):
        np.testing.assert_allclose(got, expected, rtol=0.0, atol=close)
    end = values(variables)
    assert sum(np.abs(after - before).max() > 1e-3 for after, before in zip(end, start)) > 40
    for variable, value in zip(variables, start):
        variable.assign(value)
    trainer.train(6)
    assert all_equal(values(variables), end)
    trainer.networks.trained_weights[0].assign(np.full(trainer.networks.trained_weights[0].shape, np.nan))
    trainer.train(6)
    assert int(trainer.step) == 6 + 1, "training stops at the first loss that is not finite"
    assert trainer._train.tracings() == 1


@pytest.mark.parametrize("option", [{}, {"spectral_norm": None}, {"spectral_norm": "tfa"}], ids=str)
def test_same_seeds_give_the_same_bits(option: dict[str, object]) -> None:
    first, _ = trained(**option)
    again, _ = trained.__wrapped__(**option)
    assert all_equal(everything(first), everything(again))
    assert np.isfinite(np.concatenate([value.ravel() for value in everything(first)])).all()


def test_one_call_equals_two_across_the_end_of_an_epoch() -> None:
    whole, _ = trained((5,))
    parts, _ = trained((2, 3))
    assert all_equal(everything(whole), everything(parts))
    assert int(whole.step) == int(parts.step) == 5


# Options


@pytest.mark.parametrize("option", [{"seed": 2}, {"spectral_norm": None}, {"spectral_norm": "tfa"}], ids=str)
def test_option_changes_the_trained_kernels(option: dict[str, object]) -> None:
    """Initial kernels do not depend on these options."""
    plain, other = trained()[0], trained(**option)[0]
    assert none_equal(kernels(plain.networks.trained_weights), kernels(other.networks.trained_weights))


def test_no_average_is_kept_when_there_is_none() -> None:
    plain, without = trained()[0], trained(average=False)[0]
    assert without.average is None
    assert without.scoring_networks is without.networks
    assert all_equal(values(without.networks.trained_weights), values(plain.networks.trained_weights))


def test_decay_changes_the_average_only() -> None:
    plain, slower = trained()[0], trained(ema_decay=0.99)[0]
    assert all_equal(values(plain.networks.trained_weights), values(slower.networks.trained_weights))
    assert plain.average is not None and slower.average is not None
    assert none_equal(kernels(plain.average.trained_weights), kernels(slower.average.trained_weights))


def test_without_the_latent_discriminator() -> None:
    (plain, with_losses), (without, without_losses) = trained(), trained(latent_discriminator=False)
    assert list(with_losses[0]) == ["loss_d", "loss_ge", "Dxz", "Dxx", "Dzz"]
    assert list(without_losses[0]) == ["loss_d", "loss_ge", "Dxz", "Dxx"]
    assert without_losses[0]["loss_d"] == pytest.approx(
        without_losses[0]["Dxz"] + without_losses[0]["Dxx"], rel=bound(2, 1.0)
    )
    a, b = (values(keras_versions.trained(trainer.networks.G)) for trainer in (plain, without))
    assert none_equal(a, b)


def test_number_of_generator_encoder_steps_changes_the_trained_kernels() -> None:
    plain, other = trained()[0], trained(table=replace(TINY, ge_steps=5))[0]
    for name in ("G", "E"):
        a, b = (kernels(keras_versions.trained(trainer.networks.models[name])) for trainer in (plain, other))
        assert none_equal(a, b)


@pytest.mark.parametrize("shape", [(ROWS, 4), (ROWS, 6), (7, 5), (0, 5), (40,)])
def test_rows_that_cannot_be_trained_on_are_refused(shape: tuple[int, ...]) -> None:
    built = networks.build(TINY)
    with pytest.raises(ValueError, match=r"Expected training rows \[at least 8, 5\]. Received: \["):
        Trainer(built, TINY, np.zeros(shape, np.float32), seed=1)


def test_one_batch_of_rows_is_enough() -> None:
    assert Trainer(networks.build(TINY), TINY, np.zeros((8, 5), np.float32), seed=1).steps_per_epoch == 1
