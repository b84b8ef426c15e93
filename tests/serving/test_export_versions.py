"""Versions of an export, concurrent exports, and failed exports, which leave no partial files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import conftest
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from command import refused, run
from exported_models import (
    array_model,
    cells,
    loaded,
    table,
    table_folder,
)

from alad_tf.columns import preprocessing
from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.io import manifest
from alad_tf.serving import checks, export, sources, versions
from alad_tf.serving.signatures import Detector, Served


def array_source(**changes: Any) -> sources.Source:
    return sources.of_estimator(array_model(), **changes)


def test_versions_count_up_and_never_change(tmp_path: Path) -> None:
    base = tmp_path / "deep" / "name"
    assert export.export(array_source(), base) == base / "1"
    assert export.export(array_source(), base, version=7) == base / "7"
    assert export.export(array_source(), base) == base / "8"
    before = versions.describe(base / "7")
    with pytest.raises(SettingsError, match=f"Expected a new version. Received: 7, which is in {base}"):
        export.export(array_source(), base, version=7)
    assert versions.describe(base / "7") == before
    assert sorted(path.name for path in base.iterdir()) == ["1", "7", "8"]
    assert versions.resolve(base) == versions.resolve(base / "8") == base / "8"


def test_a_version_that_appears_meanwhile_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def appears(version: Path, detector: Detector) -> None:
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "theirs").touch()

    monkeypatch.setattr(export, "check", appears)
    with pytest.raises(SettingsError, match="Expected a new version. Received: 1"):
        export.export(array_source(), tmp_path, version=1)
    assert [path.name for path in tmp_path.rglob("*")] == ["1", "theirs"]


def test_two_exports_at_once_are_two_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(version: Path, detector: Detector) -> None:
        monkeypatch.undo()
        assert export.export(array_source(), tmp_path) == tmp_path / "1"

    monkeypatch.setattr(export, "check", other)
    assert export.export(array_source(), tmp_path) == tmp_path / "2"
    assert [versions.describe(tmp_path / name)["version"] for name in "12"] == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


@pytest.mark.parametrize("inside", [".", "name"])
def test_model_folders_are_left_alone(inside: str, tmp_path: Path) -> None:
    folder = shutil.copytree(table_folder("imputed"), tmp_path / "model")
    with pytest.raises(SettingsError, match="Expected an output outside the model folder"):
        export.export(array_source(), folder / inside)
    sources.load(folder)


def test_names_that_servers_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Expected BASE/NAME in UTF-8. Received: "):
        export.export(array_source(), tmp_path / "m\udcff")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["[a]", "a\\b", "a*", "a?", "deep/[a]/name"])
def test_paths_that_tensorflow_reads_as_patterns(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Expected BASE/NAME without the signs \* \? \[ .*Received: '/"):
        export.export(array_source(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("base", "name"), [(".", "here"), ("..", "name"), ("link", "link"), ("deep/..", "here")])
def test_name_on_the_server(base: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "name" / "here" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "name" / "here")
    Path("link").symlink_to("deep")
    with patch.object(export, "check"):
        version = export.export(array_source(), base)
    assert versions.describe(version)["name"] == name


def test_root_has_no_name() -> None:
    with pytest.raises(SettingsError, match="and with a name. Received: '/'"):
        export.export(array_source(), "/")


def test_only_names_of_versions_count(tmp_path: Path) -> None:
    for name in ("2", "007", "1_0", "+3", "¹", str(2**63), "9" * 200, ".4"):
        (tmp_path / name).mkdir()
    (tmp_path / "5").touch()
    assert versions.versions(tmp_path) == [2] and versions.vacant(tmp_path, None) == 6  # 5 is in the way
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(SettingsError, match=r"Expected a version below 2\*\*63 - 1 in .*, which has no next one"):
        versions.vacant(tmp_path, None)
    assert versions.vacant(tmp_path, 4) == 4


def test_a_description_that_clients_would_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was exported, with many long categories, and every client refused it."""
    monkeypatch.setattr(manifest, "MOST_JSON_BYTES", 1 << 10)
    message = "Expected columns and categories whose description clients can read. Received: more than 0 MiB"
    with patch.object(export, "check"), pytest.raises(SettingsError, match=message):
        export.export(array_source(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("column", "category"), [("a\ud800", "b"), ("a", "b\ud800")])
def test_text_that_a_graph_cannot_hold(column: str, category: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({column: [category, "c"] * 20, "number": range(40)})
    prepared = preprocessing.to_document(preprocessing.column_transformer(frame).fit(frame))
    detector = replace(array_source().detector, preprocessing={**prepared, "impute": False})
    with pytest.raises(SettingsError, match="Expected columns and categories in UTF-8. Received: '.*ud800'") as raised:
        Served(detector)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("version", [0, -1, 2**63])
def test_versions_that_a_server_cannot_read(version: int, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"Expected a version from 1 to 2\*\*63 - 1. Received: {version}"):
        export.export(array_source(), tmp_path, version=version)


def test_missing_variables_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's loader accepts such a folder, and fails at every request."""
    whole = export._save

    def without_variables(detector: Detector, folder: Path) -> dict[str, Any]:
        signatures = whole(detector, folder)
        shutil.rmtree(folder / "variables")
        return signatures

    monkeypatch.setattr(export, "_save", without_variables)
    with pytest.raises(AladError, match="Received: .*"):
        export.export(array_source(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_answer_than_the_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = checks.decisions

    def others(detector: Detector, x: np.ndarray) -> dict[str, np.ndarray]:
        answer = whole(detector, x)
        return {**answer, "score": answer["score"] * np.float32(0.9)}

    monkeypatch.setattr(checks, "decisions", others)
    with pytest.raises(AladError, match="Expected the scores of alad_tf"):
        export.export(array_source(), tmp_path)
    assert not list(tmp_path.iterdir())


SCRIPT = """
import os, resource, signal, sys
from pathlib import Path
from alad_tf.serving import export, sources
source = sources.load(sys.argv[1])
if sys.argv[3] == "kill":
    export.check = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
export.export(source, sys.argv[2])
"""


def export_in_a_process(model: Path, base: Path, what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, str(model), str(base), what]
    return subprocess.run(command, cwd=conftest.CHECKOUT, capture_output=True, text=True)


def test_killed_half_way_leaves_no_version(tmp_path: Path) -> None:
    done = export_in_a_process(table_folder("imputed"), tmp_path, "kill")
    assert done.returncode == -9
    assert versions.versions(tmp_path) == []
    assert [path.name[:8] for path in tmp_path.iterdir()] == [".export."]
    with pytest.raises(DataError, match="Expected an exported model"):
        versions.resolve(tmp_path)
    assert export.export(array_source(), tmp_path) == tmp_path / "1"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_full_target_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file sizes simulates a full disk."""
    done = export_in_a_process(table_folder("imputed"), tmp_path, "30000")
    assert done.returncode == 1
    assert "File too large" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_warm_up_requests_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The error of TensorFlow's writer was a traceback."""
    error = tf.errors.UnknownError(None, None, "tf_serving_warmup_requests; Input/output error")
    with patch.object(export, "write_warm_up", side_effect=error):
        line = refused(capfd, "export", table_folder("imputed"), tmp_path / "name")
    assert "Expected room to write in" in line and "Input/output error" in line
    assert list((tmp_path / "name").iterdir()) == []


def test_temporary_folder_that_tensorflow_cannot_remove(tmp_path: Path) -> None:
    """It became part of the version."""
    save = tf.saved_model.save

    def with_remains(served: tf.Module, folder: str, **options: object) -> None:
        save(served, folder, **options)
        (Path(folder) / "variables" / "variables_temp").mkdir()
        (Path(folder) / "variables" / "variables_temp" / "part-00000-of-00001.index").touch()

    with patch.object(tf.saved_model, "save", with_remains), patch.object(export, "check"):
        version = export.export(array_source(), tmp_path)
    assert {path.name for path in (version / "variables").iterdir()} == {
        "variables.index",
        "variables.data-00000-of-00001",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MODEL", "BASE", "--threshold", "nan"], "Expected a number for --threshold. Received: 'nan'"),
        (["MODEL", "BASE", "--threshold", "inf"], "Expected a finite value. Received: inf"),
        (["MODEL", "BASE", "--contamination", "0.7"], "at most 0.5 for --contamination. Received: '0.7'"),
        (["MODEL", "BASE", "--score", "l1"], "Expected the model's score, neighbours"),
        (["MODEL", "BASE", "--version", "0"], "Expected a whole number from 1 to 9223372036854775807 for --version"),
        (["MODEL", "FILE"], "File exists"),
        (["MODEL", "FILE/name"], "Not a directory"),
        (["NOTHING", "BASE"], "Expected a model folder of `alad fit` or the folder of a complete run"),
    ],
)
def test_one_line_for_each_fault(
    arguments: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "FILE").touch()
    places = {name: tmp_path / name for name in ("BASE", "FILE", "FILE/name", "NOTHING")}
    places["MODEL"] = table_folder("imputed")
    assert message in refused(capfd, "export", *(places.get(argument, argument) for argument in arguments))
    assert not (tmp_path / "BASE").exists()


def test_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--contamination", "0.25", "--version", "3"]
    assert run("export", table_folder("imputed"), tmp_path / "name", *arguments) == 0
    version = tmp_path / "name" / "3"
    rule = {"rule": "contamination", "value": 0.25, "scores": "training rows"}
    threshold = versions.describe(version)["threshold"]
    assert threshold["rule"] == rule
    scores = np.load(table_folder("imputed") / "scores.npz")["training"]
    assert np.mean(scores > threshold["value"]) == pytest.approx(0.25, abs=0.01)
    assert capfd.readouterr().out.splitlines()[-1] == f"exported: {version}"
    frame = table(50, seed=4)
    score = loaded(version).run("raw", cells(frame))
    np.testing.assert_array_equal(score["is_anomaly"], score["score"] > threshold["value"])


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_names_that_are_in_the_way(tmp_path: Path, kind: str) -> None:
    (tmp_path / "1").write_text("note") if kind == "file" else (tmp_path / "1").symlink_to(tmp_path / "nothing")
    with pytest.raises(SettingsError, match="Expected a new version. Received: 1"):
        export.export(array_source(), tmp_path, version=1)
    assert versions.vacant(tmp_path, None) == 2
