"""Malformed result.json files are refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_results import write_run

from alad_tf.errors import DataError
from alad_tf.report import results
from alad_tf.typing import Options


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": []}, "settings \\[\\] where an object belongs"),
        ({"settings": None}, "settings None where an object belongs"),
        ({"n_train": 10**400}, "n_train 1000"),
        ({"n_test": True}, "n_test True"),
        ({"seconds": 1e308}, r"seconds 1e\+308 where a number from 0 belongs"),
        ({"seconds": 10**400}, "seconds 1000"),
        ({"epochs": 10**400}, "epochs 1000"),
        ({"top_fraction": 7}, "top_fraction 7"),
        ({"n_anomalies": "x"}, "n_anomalies 'x'"),
        ({"stand_in": 3}, "stand_in 3"),
    ],
)
def test_odd_values(tmp_path: Path, changes: Options, words: str) -> None:
    write_run(tmp_path, "kdd99", "IF", 0)
    assert len(results.load_results(tmp_path, "kdd99", "IF")) == 1
    (path,) = tmp_path.rglob("result.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(DataError, match=words) as caught:
        results.load_results(tmp_path, "kdd99", "IF")
    assert len(str(caught.value)) < 600 + len(str(tmp_path))


@pytest.mark.parametrize("key", ["dataset", "method", "seed"])
@pytest.mark.parametrize("value", [[], {}, None])
def test_names_of_another_type(tmp_path: Path, key: str, value: object) -> None:
    write_run(tmp_path, "kdd99", "IF", 0)
    (path,) = tmp_path.rglob("result.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(DataError, match=f"{key} .* where a name or a number belongs"):
        results.read_run(path.parent)
