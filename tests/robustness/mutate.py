"""Mutate losses.py, joint_calls.py or scores.py so that the method changes, and check that a test fails.

    python tests/robustness/mutate.py

Each mutation is applied to the module in memory, from a changed copy of its source, and the tests of that module are run
until one fails. The exit code is 0 where every mutation was caught, 1 otherwise.
"""

from __future__ import annotations

import argparse
import importlib
import io
import linecache
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


class Mutation(NamedTuple):
    """One change of a source file of alad_tf: `old`, which stands there once, becomes `new`."""

    module: str  # inside alad_tf
    tests: str  # inside tests
    what: str
    old: str
    new: str


def losses(what: str, old: str, new: str) -> Mutation:
    return Mutation("model.losses", "model/test_losses.py", what, old, new)


def joint_calls(what: str, old: str, new: str) -> Mutation:
    return Mutation("model.joint_calls", "model/test_losses.py", what, old, new)


def scores(what: str, old: str, new: str) -> Mutation:
    return Mutation("model.scores", "model/test_scores.py", what, old, new)


# One a line, in the order of the source.
# ruff: noqa: E501
# fmt: off
MUTATIONS = [
    losses("sign of the real logits", "softplus(-real[name])", "softplus(real[name])"),
    losses("sign of the fake logits", "softplus(fake[name])", "softplus(-fake[name])"),
    losses("labels swapped for the discriminators", "softplus(-real[name])) + tf.reduce_mean(tf.nn.softplus(fake[name]))", "softplus(real[name])) + tf.reduce_mean(tf.nn.softplus(-fake[name]))"),
    losses("labels not swapped for G and E", "return discriminator_loss(fake, real)", "return discriminator_loss(real, fake)"),
    losses("saturating loss of G and E", "return discriminator_loss(fake, real)", "return {n: -v for n, v in discriminator_loss(real, fake).items()}"),
    losses("term of the real pairs missing", "tf.reduce_mean(tf.nn.softplus(-real[name])) + tf", "tf"),
    losses("term of the fake pairs missing", " + tf.reduce_mean(tf.nn.softplus(fake[name]))", ""),
    losses("difference of the terms", "softplus(-real[name])) + tf", "softplus(-real[name])) - tf"),
    losses("sum in place of the mean", "tf.reduce_mean(tf.nn.softplus(-real[name]))", "tf.reduce_sum(tf.nn.softplus(-real[name]))"),
    losses("sigmoid in place of softplus", "tf.nn.softplus(fake[name])", "tf.nn.sigmoid(fake[name])"),
    losses("Dxz: real and fake pairs swapped", 'real = {"Dxz": (x, z_hat)', 'real = {"Dxz": (x_tilde, z)'),
    losses("Dxz: prior in the real pair", '"Dxz": (x, z_hat)', '"Dxz": (x, z)'),
    losses("Dxz: encoding in the fake pair", '"Dxz": (x_tilde, z)', '"Dxz": (x_tilde, z_tilde)'),
    losses("Dxx: reconstruction in the real pair", '"Dxx": (x, x)', '"Dxx": (x, x_hat)'),
    losses("Dxx: members of the fake pair swapped", '"Dxx": (x, x_hat)', '"Dxx": (x_hat, x)'),
    losses("Dxx: generated rows in place of reconstructions", '"Dxx": (x, x_hat)', '"Dxx": (x, x_tilde)'),
    losses("Dzz: real pair of encodings", '"Dzz": (z, z)', '"Dzz": (z_hat, z_hat)'),
    losses("Dzz: members of the fake pair swapped", '"Dzz": (z, z_tilde)', '"Dzz": (z_tilde, z)'),
    losses("Dzz: encoding of data in the fake pair", '"Dzz": (z, z_tilde)', '"Dzz": (z, z_hat)'),
    losses("Dzz left out", "for name in real if name in networks.models]", 'for name in real if name in networks.models and name != "Dzz"]'),
    losses("encoder in inference mode", "z_hat = networks.E(x, training=True)", "z_hat = networks.E(x, training=False)"),
    joint_calls("discriminators in inference mode", "for members in zip(*batches)]), training=True)", "for members in zip(*batches)]), training=False)"),
    joint_calls("answers of two batches swapped", "return tf.split(outputs, len(batches))", "return tf.split(outputs, len(batches))[::-1]"),
    joint_calls("batches joined across batch norm", "return False\n", "return True\n"),
    scores("features: L2 in place of L1", "tf.norm(f_real - f_fake, ord=1", "tf.norm(f_real - f_fake, ord=2"),
    scores("features: sum in place of difference", "f_real - f_fake", "f_real + f_fake"),
    scores("l1: L2", '"l1": tf.norm(difference, ord=1', '"l1": tf.norm(difference, ord=2'),
    scores("l2: L1", '"l2": tf.norm(difference, ord=2', '"l2": tf.norm(difference, ord=1'),
    scores("l2: squared", 'tf.norm(difference, ord=2, axis=1)', 'tf.norm(difference, ord=2, axis=1) ** 2'),
    scores("logits: sign of the argument", "softplus(-logits[:, 0])", "softplus(logits[:, 0])"),
    scores("logits: sign of the score", "tf.nn.softplus(-logits", "-tf.nn.softplus(-logits"),
    scores("logits themselves", "tf.nn.softplus(-logits[:, 0])", "-logits[:, 0]"),
    scores("encoder and dropout in training mode", "f_fake = Dxx([x, x_hat], training=False)", "f_fake = Dxx([x, x_hat], training=True)"),
    scores("Dxx: members of the fake pair swapped", "Dxx([x, x_hat]", "Dxx([x_hat, x]"),
    scores("Dxx: real pair of reconstructions", "Dxx([x, x], training", "Dxx([x_hat, x_hat], training"),
    scores("logits of the real pair", "logits, f_fake = Dxx([x, x_hat]", "f_fake, logits = Dxx([x, x_hat]"),
    scores("chunks: sign of the difference", "fake = real - difference @ W_2", "fake = real + difference @ W_2"),
    scores("chunks: kernels of the members swapped", "W_1, W_2 = tf.split", "W_2, W_1 = tf.split"),
    scores("chunks: kernel of one member", "x @ (W_1 + W_2)", "x @ W_1"),
    scores("chunks: spectral norm left out", "dense.kernel / linear.sigma()", "dense.kernel"),
    scores("chunks: logits of the real pair", "return real, fake, last(fake)", "return real, fake, last(real)"),
    scores("chunks: dropout", "layer(fake, training=False)", "layer(fake, training=True)"),
    scores("scores under each other's names", "tf.stack([scores[name] for name in SCORES])", "tf.stack([scores[name] for name in SCORES[::-1]])"),
    scores("last block left out", "range(0, max(len(x), 1), BLOCK_ROWS)", "range(0, max(len(x) - BLOCK_ROWS, 1), BLOCK_ROWS)"),
]
# fmt: on


class FirstFailure:
    """A pytest plugin that keeps the name of the first test that fails."""

    name: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.name is None:
            self.name = report.nodeid.split("/")[-1]


@contextmanager
def mutated(mutation: Mutation) -> Iterator[None]:
    """The module, executed from the changed source."""
    module = importlib.import_module(f"alad_tf.{mutation.module}")
    path = Path(str(module.__file__))
    source = path.read_text(encoding="utf-8")
    if source.count(mutation.old) != 1:
        raise ValueError(
            f"Expected once in {path.name}: {mutation.old!r}. Received: {source.count(mutation.old)} times"
        )
    from alad_tf.model import shared_graphs

    with tempfile.TemporaryDirectory() as folder:  # where TensorFlow reads the source again, to make graphs of it
        copy = Path(folder) / path.name
        copy.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
        try:
            exec(compile(copy.read_text(encoding="utf-8"), copy, "exec"), module.__dict__)
            linecache.checkcache()
            shared_graphs.forget()  # a graph of before has no mutation
            yield
        finally:
            exec(compile(source, path, "exec"), module.__dict__)
            shared_graphs.forget()


def failed_test(mutation: Mutation) -> str | None:
    """The first test of the module that fails with the mutation, or None."""
    tests, first = CHECKOUT / "tests" / mutation.tests, FirstFailure()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # plugins warn where they are imported already
    quiet = ["-x", "-q", "--no-header", "--no-summary", "--tb=no", "--noconftest", "-p", "no:cacheprovider"]
    with mutated(mutation), redirect_stdout(io.StringIO()):
        code = pytest.main([*quiet, f"--rootdir={CHECKOUT}", str(tests)], plugins=[first])
    if code not in (0, 1):
        raise RuntimeError(f"Expected the tests of {mutation.module} to run. Received: exit code {code}")
    return first.name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth mutation")
    chosen = MUTATIONS[:: parser.parse_args().every]
    survived = 0
    for mutant in chosen:
        caught = failed_test(mutant)
        survived += caught is None
        print(f"{mutant.module:<18} {mutant.what:<48} {caught or 'SURVIVED'}", flush=True)
    print(f"{len(chosen)} mutations, {len(chosen) - survived} caught")
    sys.exit(bool(survived))
