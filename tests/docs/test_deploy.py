"""Commands and Python of docs/deploy.md that need no server, in the order of the page."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from conftest import CHECKOUT
from reference import eagerly
from sklearn.datasets import load_breast_cancer
from tolerances import of_table

from alad_tf import BatchScorer
from alad_tf.serving import versions
from alad_tf.tabular import fit, model

PAGE = (CHECKOUT / "docs" / "deploy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|bash|text)( \w+)?\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model of the page, its rows in `folder`, and the export."""
    place: Path = tmp_path_factory.mktemp("deploy")
    rows = load_breast_cancer(as_frame=True).data
    (place / "folder").mkdir()
    rows.to_parquet(place / "folder" / "rows.parquet")
    with eagerly():
        fit.fit_file(
            place / "folder" / "rows.parquet",
            place / "model",
            options={"epochs": 1, "batch_size": 200, "random_state": 0},
        )
    assert run("export", place / "model", place / "served" / "fraud") == 0
    return place


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(folder)
    yield


def python(word: str, **given: Any) -> dict[str, Any]:
    """Names defined by the block of the page that contains a word."""
    (source,) = [block for kind, _, block in BLOCKS if kind == "python" and word in block]
    exec(compile(source, "deploy.md", "exec"), given)
    return given


def test_commands(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = [line for kind, _, block in BLOCKS if kind == "bash" for line in block.splitlines()]
    assert len(lines) == 3
    for line in lines:
        name, *arguments = shlex.split(line)
        assert name == "alad" and run(*arguments) == 0
    assert "--rest_api_port=8501" in capfd.readouterr().out
    assert "/models/fraud" in (folder / "serving" / "models.config").read_text()
    assert versions.versions(folder / "served" / "fraud") == [1, 2]


def test_what_the_server_is_told_exists(folder: Path) -> None:
    docker = next(block for kind, _, block in BLOCKS if kind == "text" and "docker" in block)
    assert run("serve-config", folder / "served", folder / "serving", "--overwrite") == 0
    for name in re.findall(r"/serving/(\S+\.config)", docker):
        assert (folder / "serving" / name).is_file()


def test_table_of_signatures(folder: Path) -> None:
    description = json.loads((folder / "served" / "fraud" / "1" / versions.DESCRIPTION).read_text())
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    assert {name for name, _, _ in rows} == set(description["signatures"])
    for name, inputs, outputs in rows:
        signature = description["signatures"][name]
        named = re.findall(r"`(\w+)`", outputs)
        assert set(named) <= set(signature["outputs"])
        assert name in ("raw", "explain") or set(named) == set(signature["outputs"])
        assert name == "raw" or set(re.findall(r"`(\w+)`", inputs)) == set(signature["inputs"])


def test_client(monkeypatch: pytest.MonkeyPatch) -> None:
    from alad_tf.serving import client

    monkeypatch.setattr(client.RestClient, "__call__", lambda self, inputs, signature: client.checked(
        inputs, self._description, signature
    ))  # fmt: skip
    columns = load_breast_cancer(as_frame=True).data.iloc[:5]
    answer = python("RestClient(", columns={name: cells.tolist() for name, cells in columns.items()})["answer"]
    assert set(answer) == set(columns)


def test_keras() -> None:
    """Open the networks, fine-tune the classifier, and train with the D_xx loss."""
    python("save_keras")
    names = python("classifier.fit")
    moved = [w.numpy() for w in names["E"].weights]
    assert names["classifier"].layers[0] is names["E"] and names["E"].trainable_weights
    assert np.isfinite(moved[0]).all()
    history = python("feature_loss", **{name: names[name] for name in ("tf", "x")})["history"]
    assert history[-1] < history[0]


def assert_expected(scores: Any, folder: Path) -> None:
    """The scores of all rows, in any order."""
    saved, frame = model.Model.load(folder / "model"), load_breast_cancer(as_frame=True).data
    expected = np.sort(saved.scored(frame)[0]["score"].to_numpy())
    np.testing.assert_allclose(np.sort(scores), expected, rtol=0.0, atol=of_table(saved, frame))


def test_batch_scorer(folder: Path) -> None:
    scores = python('BatchScorer("served/fraud")  #')["scorer"](load_breast_cancer(as_frame=True).data)
    assert_expected(scores["score"], folder)


def test_spark(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="needs pyspark")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    spark = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        scored = python("mapInPandas", spark=spark, BatchScorer=BatchScorer)["scored"].toPandas()
    finally:
        spark.stop()
    assert_expected(scored["score"], folder)


def test_beam(folder: Path) -> None:
    pytest.importorskip("apache_beam", reason="needs apache-beam")
    python("beam.DoFn", BatchScorer=BatchScorer)
    lines = [line for path in folder.glob("beam-scores*") for line in path.read_text().splitlines()]
    scores = [float(re.search(r"'score': ([\d.e+]+)", line)[1]) for line in lines]  # type: ignore[index]
    assert_expected(scores, folder)
