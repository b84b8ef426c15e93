"""Properties of generated tables, rows, scores and calls, the same in every run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import TINY, Reference, randomise
from tolerances import assert_close, assert_scores, of_scores

import architectures
from alad_tf import metrics
from alad_tf.cli import main as command_line
from alad_tf.data import kdd99, loading
from alad_tf.experiments import scheduler, summary
from alad_tf.experiments.protocol import ABLATIONS, PROTOCOLS
from alad_tf.experiments.settings import Settings
from alad_tf.model import keras_versions, losses, networks, scores
from alad_tf.tabular import fit
from architectures import rows
from architectures.rows import Adam, Alad, Dense, Joint, Xavier
from architectures.tabular import tabular

always_alike = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Tables -----------------------------------------------------------------------------------------------------------

widths = st.integers(1, 64)
rates = st.floats(0.0, 0.9)
dense = st.builds(
    Dense, widths, st.sampled_from(["LReLU", "ReLU", "Sigmoid", "Tanh", "None"]), st.booleans(), st.just(0.0) | rates
)
stacks = st.lists(dense, min_size=1, max_size=4).map(tuple)
joints = st.builds(
    Joint,
    st.lists(dense, min_size=2, max_size=4).map(tuple),
    st.just(()) | stacks,
    st.just(()) | stacks,
)
names = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20)
tables = st.builds(
    Alad,
    names,
    names,
    widths,
    stacks,
    stacks,
    joints,
    joints,
    joints,
    st.builds(Adam, st.floats(1e-6, 1.0), st.floats(0.0, 0.99)),
    widths,
    widths,
    widths,
    rates,
    st.builds(Xavier, st.floats(-1.0, 1.0)),
    st.integers(1, 5),
)


def every_stack(table: Alad) -> Iterator[tuple[Dense, ...]]:
    yield from (table.E, table.G)
    for pair in (table.Dxz, table.Dxx, table.Dzz):
        yield from (pair.only_x, pair.only_z, pair.joint)


@always_alike
@given(tables)
def test_table_comes_back_from_its_document(table: Alad) -> None:
    assert rows.alad(json.loads(json.dumps(asdict(table)))) == table


@always_alike
@given(tables)
def test_rendered_table_has_a_line_for_each_row_in_order(table: Alad) -> None:
    lines = architectures.render(table).splitlines()
    printed = [line.split() for line in lines if line.startswith("  Dense")]
    expected = [row for stack in every_stack(table) for row in stack]
    assert [words[1:] for words in printed] == [
        [str(row.units), row.activation, "yes" if row.batch_norm else "no", str(row.dropout)] for row in expected
    ]
    assert all(line == line.rstrip() for line in lines[1:])


@settings(always_alike, max_examples=10)
@given(st.integers(1, 40), st.integers(2, 1000))
def test_weights_are_counted_as_they_are_made(features: int, n_rows: int) -> None:
    table = tabular(features, n_rows=n_rows)
    built = networks.build(table, spectral_norm=None)
    made = [w for model in built.models.values() for w in keras_versions.trained(model)]
    batch_norm = sum(2 * row.units for stack in every_stack(table) for row in stack if row.batch_norm)
    assert rows.n_weights(table) == sum(int(np.prod(w.shape)) for w in made) - batch_norm


@always_alike
@given(st.sampled_from([*PROTOCOLS]), st.sampled_from([*ABLATIONS]), st.integers(1, 10**6), st.integers(0, 2**31))
def test_settings_come_back_from_their_folder(
    tmp_path_factory: pytest.TempPathFactory, dataset: str, method: str, epochs: int, seed: int
) -> None:
    chosen = Settings.of_protocol(dataset, method, epochs=epochs)
    folder = tmp_path_factory.mktemp("run")
    chosen.claim(folder, seed)
    chosen.claim(folder, seed)
    assert Settings.of_run(folder) == (chosen, seed)


# Encoding of data -------------------------------------------------------------------------------------------------

connections = st.fixed_dictionaries(
    {column: st.sampled_from(values) for column, values in kdd99.KDD99_CATEGORIES.items()}
    | {column: st.floats(0.0, 1e9, width=32) for column in kdd99.KDD99_NUMERIC}
)


@settings(always_alike, max_examples=25)
@given(st.lists(connections, min_size=1, max_size=5))
def test_kdd99_encoding_can_be_read_back(cells: list[dict[str, Any]]) -> None:
    """A slow encoder by feature names gives the same features; every category is one-hot."""
    frame = pd.DataFrame(cells, columns=kdd99.KDD99_COLUMNS)
    for column, values in kdd99.KDD99_CATEGORIES.items():
        frame[column] = pd.Categorical(frame[column], values)
    x = kdd99._kdd99_features(frame)
    expected = [
        [
            float(row[name]) if "=" not in name else float(row[name.split("=")[0]] == name.split("=")[1])
            for name in loading.feature_names("kdd99")
        ]
        for row in cells
    ]
    assert x.dtype == np.float32 and x.tolist() == np.array(expected, np.float32).tolist()
    assert (x[:, len(kdd99.KDD99_NUMERIC) :].sum(axis=1) == len(kdd99.KDD99_CATEGORIES)).all()


# Losses, scores and metrics, beside the slow references -------------------------------------------------------------

logits = st.lists(st.floats(-30.0, 30.0, width=32), min_size=1, max_size=8)


@always_alike
@given(logits, logits)
def test_losses_equal_cross_entropy(real: list[float], fake: list[float]) -> None:
    """All terms are positive. Each goes through exp, 1 + and log, and then into a mean, a sum of two."""
    of_real, of_fake = ({"Dxx": np.array(part, np.float32)[:, None]} for part in (real, fake))
    for name in ("discriminator_loss", "generator_encoder_loss"):
        got = float(getattr(losses, name)(of_real, of_fake)["Dxx"])
        assert_close(got, getattr(reference, name)(of_real, of_fake)["Dxx"], 3 + max(len(real), len(fake)) + 2)
        assert got >= 0.0


@pytest.fixture(scope="module")
def built() -> networks.Networks:
    built = networks.build(TINY)
    randomise(built, seed=1)
    return built


@pytest.fixture(scope="module")
def scorer(built: networks.Networks) -> tuple[scores.Scorer, Reference]:
    return scores.Scorer(built), Reference(built, TINY, normalised=True)


@settings(always_alike, max_examples=20)
@given(st.lists(st.lists(st.floats(-100.0, 100.0, width=32), min_size=5, max_size=5), min_size=1, max_size=6))
def test_scores_equal_the_reference(
    built: networks.Networks, scorer: tuple[scores.Scorer, Reference], x: list[list[float]]
) -> None:
    batch = np.array(x, np.float32)
    found = scorer[0](batch)
    assert_scores(found, reference.anomaly_scores(scorer[1], batch.astype(np.float64)), of_scores(built, batch))
    assert all((score >= 0.0).all() for score in found.values())


judged = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=7).filter(
    lambda cells: len({label for label, _ in cells}) == 2
)


@always_alike
@given(judged, st.floats(0.05, 0.95))
def test_metrics_equal_the_mean_over_all_orders(cells: list[tuple[bool, int]], fraction: float) -> None:
    y, score = [int(label) for label, _ in cells], [float(value) for _, value in cells]
    got = metrics.top_fraction_metrics(np.array(y), np.array(score), fraction)
    assert got == pytest.approx(reference.expected_metrics(y, score, metrics.n_flagged(len(y), fraction)))


@always_alike
@given(judged)
def test_auroc_is_the_share_of_pairs_in_order(cells: list[tuple[bool, int]]) -> None:
    y, score = (np.array(part) for part in zip(*cells))
    pairs = [(a > b) + (a == b) / 2 for a in score[y] for b in score[~y]]
    got = metrics.evaluate(y.astype(int), score.astype(float), 0.5)
    assert got["auroc"] == pytest.approx(np.mean(pairs))
    shifted = metrics.evaluate(y.astype(int), 3.0 * score + 1.0, 0.5)
    assert shifted == pytest.approx(got), "only the order of scores counts"


# The command line -------------------------------------------------------------------------------------------------

CALLS = [
    "",
    "show",
    "reproduce toy",
    "reproduce kdd99",
    "table",
    "fit rows.csv --model new",
    "fit rows.csv --model new --label b --normal 2",
    "score rows.npy --model model --output scored.csv",
    "inspect",
]
WORDS = (
    "show reproduce kdd99 arrhythmia toy tabular mnist ALAD AnoGAN ALAD-noSN --method --epochs --seed --runs --jobs "
    "--jit --no-jit --no-dzz --spectral-norm paper tfa --scaling minmax --features --rows --model --output --label "
    "--normal --drop --validation --patience --contamination --false-positive-rate --explain --id --overwrite "
    "--training-half released rows.csv rows.npy none.csv . model a 0 1 2 5 7 -1 0.5 nan 1e400 ² -- --out results"
).split()
words = st.sampled_from(WORDS) | st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8
)
calls = st.builds(lambda call, more: [*call.split(), *more], st.sampled_from(CALLS), st.lists(words, max_size=5))


@pytest.fixture
def nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with two files; training is replaced, because only the calls are tested."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    np.save(tmp_path / "rows.npy", np.eye(3))
    monkeypatch.setattr(scheduler, "run_all", lambda *_, **__: None)
    monkeypatch.setattr(summary, "sum_up", lambda *_: "summed up")
    monkeypatch.setattr(fit, "fit_file", lambda *_, **__: "a report")


@settings(always_alike, max_examples=300)
@given(calls)
def test_no_call_ends_in_a_traceback(nothing_is_trained: None, arguments: list[str]) -> None:
    """Exit code 0 with output, or 1 or 2 with one line that states the reason."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = command_line.main(arguments)
    assert code in (0, 1, 2)
    if code:
        assert out.getvalue() == "" and err.getvalue().count("\n") == 1 and ": error: " in err.getvalue()
    else:
        assert out.getvalue().strip()
