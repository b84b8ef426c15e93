"""Numbers of any size in `alad fit` and `alad score`: no score is NaN; columns that lose precision are named."""

from __future__ import annotations

import io
import os
import re
import signal
import traceback
import warnings
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import run

from alad_tf.estimator.thresholds import LARGEST
from alad_tf.options import ROW_SCORES
from alad_tf.tabular.model import Model

pytestmark = pytest.mark.minutes(1)

SECONDS = 60  # that a forked child may take, which needs none


def numbers(rows: int) -> pd.DataFrame:
    """Rows with numbers of every size; some columns are constant."""
    random = np.random.default_rng(rows)
    return pd.DataFrame(
        {
            "plain": random.normal(size=rows),
            "huge": random.normal(size=rows) * 1e30,
            "denormal": random.normal(size=rows) * 1e-310,
            "near 1e9": 1e9 + np.round(random.normal(size=rows) * 3),
            "near 1e16": 1e16 + 2 * random.integers(0, 5, rows),
            "constant": 5.0,
            "zero": 0.0,
        }
    )


EXTREME = [  # (column, value, whether the row can be scored)
    ("plain", 1e30, True),
    ("plain", -1e300, False),
    ("plain", 1e10, True),
    ("plain", 1e3, True),
    ("plain", 5e-324, True),
    ("huge", 1e308, False),
    ("huge", -1e38, True),
    ("denormal", 1.0, True),
    ("near 1e9", 0.0, True),
    ("constant", 6.0, True),
    ("constant", 1e300, False),
    ("zero", 1e-300, True),
]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with rows.csv and the model, and the standard error of the fit."""
    folder = tmp_path_factory.mktemp("numbers")
    numbers(100).to_csv(folder / "rows.csv", index=False)
    handler = signal.getsignal(signal.SIGTERM)
    with redirect_stderr(io.StringIO()) as said:
        assert run("fit", folder / "rows.csv", "--model", folder / "model", "--epochs", 2, "--seed", 0) == 0
    signal.signal(signal.SIGTERM, handler)
    return folder, said.getvalue()


def extreme_rows() -> pd.DataFrame:
    frame = numbers(len(EXTREME))
    for row, (column, value, _) in enumerate(EXTREME):
        frame.loc[row, column] = value
    return frame


def test_columns_that_lose_numbers_are_named(fitted: tuple[Path, str]) -> None:
    lines = [line for line in fitted[1].splitlines() if "warning" in line]
    for column, says in (
        ("near 1e16", "are lost to rounding: near 1e\\+16, float64 values are 2 apart"),
        ("denormal", "differs by less than 1e-06 once it is scaled"),
        ("constant", "is constant: 5.0"),
        ("zero", "is constant: 0.0"),
    ):
        assert [line for line in lines if re.search(f"column '{column}' {says}", line)], lines
    assert not [line for line in lines if "'plain'" in line or "'near 1e9'" in line]


def test_no_score_is_nan(fitted: tuple[Path, str], capfd: pytest.CaptureFixture[str]) -> None:
    folder, _ = fitted
    extreme_rows().to_csv(folder / "new.csv", index=False)
    output = folder / "scored.csv"
    assert run("score", folder / "new.csv", "--model", folder / "model", "--output", output, "--explain", 2) == 0
    scored = pd.read_csv(output)
    valid = [valid for _, _, valid in EXTREME]
    assert scored["is_valid"].tolist() == valid and "3 rows" in capfd.readouterr().out
    assert scored["score"].notna().tolist() == valid and np.isfinite(scored.loc[valid, "score"]).all()
    assert (scored.loc[~scored["is_valid"], "reason"] == "a number beyond the range of float32").all()
    assert scored.loc[valid, "feature_1"].notna().all() and scored.loc[valid, "share_1"].between(0, 1).all()
    assert scored.loc[:3, "feature_1"].dropna().eq("plain").all()


def test_all_scores(fitted: tuple[Path, str]) -> None:
    """`logits` alone fails: far away, D_xx takes (x, x') for real, and these rows look most normal."""
    folder, _ = fitted
    model, rows = Model.load(folder / "model"), extreme_rows()
    far = [0, 2, 3]  # 1e30, 1e10 and 1e3 where the training rows have a deviation of 1
    for name in ROW_SCORES:
        model.estimator.score_name = name
        usual, scored = (model.scored(frame)[0]["score"].to_numpy() for frame in (numbers(100), rows))
        assert np.isfinite(usual).all() and np.isfinite(scored).all() and (scored <= LARGEST).all()
        if name == "logits":
            assert (scored[far] < usual.min()).all()
        else:
            assert (scored[far] > usual.max()).all()


def in_fork(read: int, write: int, model: Model) -> None:
    """Score in a forked process, report the outcome, and exit."""
    signal.alarm(SECONDS)
    try:
        model.scored(numbers(3))
        said = "scored"
    except BaseException as error:
        said = "".join(traceback.format_exception_only(type(error), error))
    os.close(read)
    os.write(write, said.encode())
    os._exit(0)


def test_a_forked_process_does_not_hang(fitted: tuple[Path, str]) -> None:
    model = Model.load(fitted[0] / "model")
    model.scored(numbers(3))
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        in_fork(read, write, model)
    os.close(write)
    with open(read) as pipe:
        said = pipe.read()
    assert os.waitpid(process, 0)[1] == 0, "the process was still at work"
    assert said.count("\n") == 1 and "one forked after TensorFlow was used" in said and "'spawn'" in said
    assert len(model.scored(numbers(3))[0]) == 3  # this process goes on


@pytest.fixture
def rows_of_1e200(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=60) * 1e200, "b": random.normal(size=60)})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path


def test_rows_of_1e200_are_not_explained_as_nan(rows_of_1e200: Path) -> None:
    folder = rows_of_1e200
    rows, model = folder / "rows.csv", folder / "model"
    assert run("fit", rows, "--model", model, "--epochs", 1, "--seed", 0, "--scaling", "minmax") == 0
    new = pd.DataFrame({"a": [1e200, -1e201, 0.0, 1e308], "b": [0.0, 3e38, -1.0, 0.0]})
    new.to_csv(folder / "new.csv", index=False)
    assert run("score", folder / "new.csv", "--model", model, "--output", folder / "s.csv", "--explain", 2) == 0
    scored = pd.read_csv(folder / "s.csv")
    assert scored["is_valid"].tolist() == [True, True, True, False]
    explained = scored.filter(regex="^(feature|value|expected|contribution|share)_").loc[:2]
    assert explained.shape == (3, 10) and explained.notna().all(axis=None)
    numbers_ = explained.select_dtypes("number")
    assert (
        np.isfinite(numbers_).all(axis=None) and explained[["share_1", "share_2"]].sum(axis=1).between(0.99, 1.01).all()
    )


def test_rows_of_1e200_that_cannot_be_scaled_are_refused_in_one_line(
    rows_of_1e200: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # of overflows
        assert run("fit", rows_of_1e200 / "rows.csv", "--model", rows_of_1e200 / "model", "--scaling", "standard") == 1
    lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("alad: warning: ")]
    assert len(lines) == 1 and "Expected numbers that float32 holds in column 'a', row 1" in lines[0]
