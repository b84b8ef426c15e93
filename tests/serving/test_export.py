"""Exports: the answers of TensorFlow's C++ loader beside alad_tf's, what is on disk, and that faults leave nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import conftest
import numpy as np
import pytest
import tensorflow as tf
from command import refused, run
from exported_models import (
    NAMES,
    ROWS,
    TABLES,
    array_model,
    array_version,
    cells,
    loaded,
    table,
    table_folder,
    table_model,
    table_version,
)
from reference import narrow_images
from small_images import images
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tolerances import Work, assert_scores, assert_within, largest, of_estimator, of_network, of_scores, of_table

from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.model import networks
from alad_tf.model.scores import Scorer
from alad_tf.serving import c_api, checks, export, sample_requests, sources, versions, warm_up
from alad_tf.serving.signatures import LARGEST, Detector

ALL_BUT_RAW = ["encode", "explain", "generate", "regress", "scores", "serving_default"]


def ask(version: Path, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
    return loaded(version).run(signature, inputs)


# Answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 7, 50, 10_000])
def test_scores_are_those_of_the_package(rows: int) -> None:
    """Each row's score does not depend on the others."""
    x, model = ROWS[:rows], array_model()
    answer = ask(array_version(), "serving_default", x=x)
    assert {name: (found.shape, found.dtype.name) for name, found in answer.items()} == {
        "score": ((rows,), "float32"),
        "is_anomaly": ((rows,), "bool"),
        "is_valid": ((rows,), "bool"),
    }
    if rows:
        close = of_estimator(model, x)[model.score_name]
        np.testing.assert_allclose(answer["score"], model.anomaly_score(x), rtol=0.0, atol=close)
        clear = np.abs(answer["score"] - model.threshold_) > close
        np.testing.assert_array_equal(answer["is_anomaly"][clear], model.predict(x)[clear] == -1)
    assert answer["is_valid"].all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("signature", ["serving_default", "scores", "explain", "encode"])
def test_a_row_that_is_not_valid_among_good_ones(signature: str, bad: float) -> None:
    x = ROWS[:7].copy()
    expected = ask(array_version(), signature, x=x)
    x[3, 2] = bad
    answer = ask(array_version(), signature, x=x)
    others = np.arange(7) != 3
    assert answer["is_valid"].tolist() == others.tolist()
    for name, found in answer.items():
        np.testing.assert_array_equal(found[others], expected[name][others], err_msg=name)
        fixed = {"is_anomaly": True, "is_valid": False, "latent": 0.0, "reconstruction": 0.0, "share": 0.0}
        fixed.update(expected=0.0, contribution=0.0)
        np.testing.assert_array_equal(found[3], np.full_like(found[3], fixed.get(name, LARGEST)))


def test_a_score_that_overflows_is_the_largest() -> None:
    x = np.full((1, 5), 3e38, np.float32)
    expected, valid = array_model().score_rows(x)
    answer = ask(array_version(), "serving_default", x=x)
    assert valid.all() and answer["is_valid"].all() and answer["is_anomaly"].all()
    assert answer["score"] == expected == np.float32(LARGEST)


def test_explanations() -> None:
    x, model = ROWS[:9], array_model()
    answer = ask(array_version(), "explain", x=x)
    expected = model.explain(x, top=5).set_index(["row", "feature"])
    scaled, bounds = ((x - model.center_) / model.scale_).astype(np.float32), of_estimator(model, x)
    latent = of_network(model.encoder, scaled)
    cells = latent + of_network(model.generator, model.encoder(scaled)) + Work(1, largest(x / model.scale_))
    told = expected.groupby("row")["contribution"].sum().min()  # of all cells of a row
    unusual = 2.0 * 5 * largest(1.0 / model.usual.error) * bounds["l1"]  # of a cell, and of all
    for row in range(9):
        for k in range(5):
            of_package = expected.loc[(row, f"x{k}")]
            np.testing.assert_allclose(answer["share"][row, k], of_package["share"], rtol=0.0, atol=unusual / told)
            assert_within(answer["expected"][row, k], of_package["expected"], cells * model.scale_[k])
    np.testing.assert_allclose(
        answer["reconstruction"], model.reconstruct(x), rtol=0.0, atol=largest(cells.bound * model.scale_)
    )
    assert_within(answer["latent"], model.encoder(scaled), latent)
    for name, score in model._scorer(scaled).items():
        assert_scores({name: answer[name]}, {name: score}, bounds)
        np.testing.assert_array_equal(answer[name], ask(array_version(), "scores", x=x)[name])
    np.testing.assert_array_equal(answer["score"], answer["features"])
    np.testing.assert_array_equal(answer["latent"], ask(array_version(), "encode", x=x)["latent"])


def test_generated_rows_are_in_the_units_of_the_data() -> None:
    z, model = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32), array_model()
    work = of_network(model.generator, z) + Work(1, largest(model.center_ / model.scale_))
    z[2, 0] = np.nan
    answer = ask(array_version(), "generate", z=z)
    expected = model.generator(z).numpy()
    expected[2] = -model.center_ / model.scale_
    assert_within((answer["x"] - model.center_) / model.scale_, expected, work)
    assert not answer["x"][2].any()
    assert answer["is_valid"].tolist() == [True, True, False, True, True, True]


def example(**features: Any) -> bytes:
    message = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, bytes):
            message.features.feature[name].bytes_list.value.append(value)
        else:
            message.features.feature[name].float_list.value.extend(np.atleast_1d(value))
    return bytes(message.SerializeToString())


def test_regress_takes_examples() -> None:
    """A list of another length, or none, is a row that is not valid: it does not make the batch fail."""
    given = [example(x=ROWS[0]), example(x=ROWS[1][:4]), example(x=[*ROWS[2], 1.0]), example(), example(x=ROWS[4])]
    outputs = ask(array_version(), "regress", inputs=np.array(given, object))["outputs"]
    expected = ask(array_version(), "serving_default", x=ROWS[:5])["score"]
    np.testing.assert_array_equal(outputs, [expected[0], LARGEST, LARGEST, LARGEST, expected[4]])
    assert ask(array_version(), "regress", inputs=np.empty(0, object))["outputs"].shape == (0,)


@pytest.mark.parametrize("name", TABLES)
def test_raw_columns(name: str) -> None:
    """Missing cells, in columns with and without them in training, infinity, categories new and known."""
    frame = table(300, seed=9)
    frame.loc[3, "a-b"] = np.nan
    frame.loc[5, "größe"] = np.inf
    frame.loc[7, "color"] = "purple"
    frame.loc[9, "size"] = None
    expected, unknown = table_model(name).scored(frame)
    assert unknown["color"] and expected["is_valid"].nunique() == 2
    answer = ask(table_version(name), "raw", **cells(frame))
    np.testing.assert_array_equal(answer["is_valid"], expected["is_valid"])
    close = of_table(table_model(name), frame)
    np.testing.assert_allclose(answer["score"], expected["score"], rtol=0.0, atol=close)
    assert np.mean(answer["is_anomaly"] == expected["is_anomaly"]) > 0.99
    assert not answer["is_valid"][5] and answer["is_valid"][7] and answer["is_valid"][9] == TABLES[name][0]
    given = [
        example(
            **{
                name: column[row].encode() if column.dtype == object else column[row]
                for name, column in cells(frame).items()
            }
        )
        for row in range(9)
    ]
    outputs = ask(table_version(name), "regress", inputs=np.array(given, object))["outputs"]
    np.testing.assert_allclose(outputs, answer["score"][:9], rtol=0.0, atol=close)
    assert ask(table_version(name), "raw", **cells(frame[:0]))["score"].shape == (0,)


def test_images_of_bytes(tmp_path: Path) -> None:
    built = networks.build(narrow_images())
    shape = built.E.input_shape[1:]
    detector = Detector(built, "features", 0.5, np.zeros(shape), np.ones(shape))
    version = export.export(sources.Source(detector, {}, None, {}), tmp_path)
    x = images(5, size=shape[0])
    answer, expected = ask(version, "raw", x=x), Scorer(built)(x)
    bounds = of_scores(built, x.astype(np.float32) / 127.5 - 1.0)
    assert_scores({"features": answer["score"]}, expected, bounds)
    assert answer["is_valid"].all() and versions.describe(version)["row"]["shape"] == list(shape)
    pixels = x.astype(np.float32) / 127.5 - 1.0
    pixels[1, 2, 3, 0] = np.nan
    explained = ask(version, "explain", x=pixels)
    assert explained["is_valid"].tolist() == [True, False, True, True, True]
    assert explained["reconstruction"].shape == x.shape
    assert_scores({"l1": explained["l1"][2:]}, {"l1": expected["l1"][2:]}, bounds)
    for signature, inputs in sample_requests.requests(detector, 2).items():
        none = ask(version, signature, **{name: values[:0] for name, values in inputs.items()})
        some = ask(version, signature, **inputs)
        assert {name: values.shape for name, values in none.items()} == {
            name: (0, *values.shape[1:]) for name, values in some.items()
        }, signature


def test_wrong_width_is_refused_in_words() -> None:
    with pytest.raises(
        DataError, match=r"Expected inputs that serving_default takes. Received: Incompatible shapes: \[2,4\]"
    ):
        ask(array_version(), "serving_default", x=ROWS[:2, :4])
    with pytest.raises(DataError, match="Expected a signature and its inputs"):
        ask(array_version(), "serving_default", y=ROWS[:2])


WITHOUT_THE_PACKAGE = """
import sys
sys.modules.update({"alad_tf": None, "tensorflow_addons": None, "architectures": None})
import numpy as np
import tensorflow as tf
signatures = tf.saved_model.load(sys.argv[1]).signatures
with np.load(sys.argv[2]) as rows:
    answers = {name: signatures["serving_default"](x=tf.constant(x))["score"].numpy() for name, x in rows.items()}
np.savez(sys.argv[3], **answers)
"""


def test_tensorflow_alone_loads_it(tmp_path: Path) -> None:
    rows = {str(count): ROWS[:count] for count in (0, 1, 7, 50, 10_000)}
    np.savez(tmp_path / "rows.npz", **rows)
    arguments = [str(array_version()), str(tmp_path / "rows.npz"), str(tmp_path / "answers.npz")]
    subprocess.run([sys.executable, "-c", WITHOUT_THE_PACKAGE, *arguments], cwd=tmp_path, check=True)
    with np.load(tmp_path / "answers.npz") as answers:
        for name, x in rows.items():
            if not len(x):
                assert answers[name].shape == (0,)
                continue
            bounds = of_estimator(array_model(), x)
            assert_scores({"features": answers[name]}, {"features": array_model().anomaly_score(x)}, bounds)


def test_openvino_reads_it() -> None:
    openvino = pytest.importorskip("openvino", reason="needs openvino, an independent reader of SavedModels")
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32"})  # else bfloat16, where the processor has it
    model = core.compile_model(core.read_model(str(array_version())), "CPU")
    close = of_estimator(array_model(), ROWS, single=True)["features"]
    rows = ROWS.copy()
    rows[3, 1], rows[5, 0] = np.nan, np.inf
    for x in (ROWS, rows, ROWS[:0]):
        answer = {next(iter(port.get_names())): found for port, found in model([x]).items()}
        expected = ask(array_version(), "serving_default", x=x)
        np.testing.assert_allclose(answer["score"], expected["score"], rtol=0.0, atol=close)
        np.testing.assert_array_equal(answer["is_valid"], expected["is_valid"])
        clear = np.abs(expected["score"] - array_model().threshold_) > close
        np.testing.assert_array_equal(answer["is_anomaly"][clear], expected["is_anomaly"][clear])


# What is on disk --------------------------------------------------------------------------------------------------


def test_no_operation_that_a_server_lacks() -> None:
    """No XLA, nothing of Python, and only restoring assigns; each function of the model once."""
    for version in (array_version(), table_version("imputed")):
        graph = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes()).meta_graphs[0]
        functions = {f.signature.name: f for f in graph.graph_def.library.function}
        assert not any("Xla" in key for f in functions.values() for key in f.attr)
        for name, function in functions.items():
            operations = {node.op for node in function.node_def}
            assert not any("PyFunc" in op or "Xla" in op or "Assert" in op for op in operations), name
            assert ("restore" in name) == any("Assign" in op for op in operations), name
        answering = [name for name in functions if "signature_wrapper" not in name and "traced" not in name]
        assert len(answering) == len(graph.signature_def) - 1  # without the initialisation, which is a signature too


def test_spectral_norm_is_folded_and_the_average_of_the_weights_scores() -> None:
    variables = tf.train.list_variables(str(array_version() / "variables" / "variables"))
    kept = sum(np.prod(shape) for name, shape in variables if name.startswith("weights"))
    E, G, Dxx = (5 * 7 + 7 + 7 * 3 + 3), (3 * 6 + 6 + 6 * 5 + 5), (10 * 10 + 10 + 10 * 4 + 4 + 4 + 1)
    assert kept == E + G + Dxx  # no u, and nothing of Dxz and Dzz


def test_description_holds_what_a_client_must_know() -> None:
    description = versions.describe(table_version("imputed"))
    model = table_model("imputed")
    assert description["name"] == "imputed" and description["version"] == 1
    assert description["score"] == "neighbours"
    assert description["threshold"] == {"value": model.estimator.threshold_, "rule": model.estimator.threshold_rule_}
    assert description["row"]["shape"] == [model.estimator.n_features_in_]
    assert description["row"]["features"] == model.transformer.get_feature_names_out().tolist()
    assert [column["name"] for column in description["columns"]] == model.columns.names
    color = description["columns"][model.columns.names.index("color")]
    assert color == {
        "name": "color",
        "type": "string",
        "argument": f"column_{model.columns.names.index('color')}",
        "missing_allowed": True,
        "categories": ["b", "g", "r"],
    }
    assert description["not_valid"] == {"score": LARGEST, "is_anomaly": True, "is_valid": False}
    assert sorted(description["signatures"]) == sorted([*ALL_BUT_RAW, "raw"])
    assert description["signatures"]["raw"]["inputs"] == {
        name: {"type": "string" if name in ("color", "size") else "float64", "shape": [None]} for name in NAMES
    }
    for name, signature in loaded(table_version("imputed")).signatures.items():
        assert set(signature.inputs) == set(description["signatures"][name]["inputs"])
        assert set(signature.outputs) == set(description["signatures"][name]["outputs"])
        assert all(len(found["shape"]) >= 1 for found in description["signatures"][name]["outputs"].values())
    assert list(versions.describe(array_version())["signatures"]["serving_default"]["outputs"]) == [
        "score", "is_anomaly", "is_valid",
    ]  # fmt: skip


def test_warm_up_requests_are_answered() -> None:
    """PredictionLog, field by field as TensorFlow Serving's .proto numbers them."""
    for version in (array_version(), table_version("imputed")):
        path, warmed = str(version / versions.WARM_UP), set()
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            ((kind, log),) = c_api.fields(record)
            assert kind == 6 and isinstance(log, bytes)
            ((part, request),) = c_api.fields(log)
            assert part == 1 and isinstance(request, bytes)
            model = dict(c_api.fields(dict(c_api.fields(request))[1]))  # type: ignore[arg-type]
            assert model[1] == version.parent.name.encode()
            inputs = {
                name: tf.make_ndarray(tensor_pb2.TensorProto.FromString(tensor))
                for name, tensor in c_api.entries(request, 2).items()
            }
            signature = bytes(model[3]).decode()
            answer = ask(version, signature, **inputs)
            warmed.add((signature, len(next(iter(answer.values())))))
        assert warmed == {(name, rows) for name in loaded(version).signatures for rows in warm_up.WARM_UP_ROWS}


def test_a_server_of_another_user_may_read_it() -> None:
    modes = [path.stat().st_mode for path in (array_version(), *array_version().rglob("*"))]
    assert all(mode & 0o444 == 0o444 for mode in modes)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", versions.WARM_UP])
@pytest.mark.parametrize("change", ["damage", "remove"])
def test_manifest_names_what_is_damaged(name: str, change: str, tmp_path: Path) -> None:
    version = Path(shutil.copytree(array_version(), tmp_path / "1"))
    content = bytearray((version / name).read_bytes())
    content[len(content) // 2] ^= 1
    (version / name).unlink()
    if change == "damage":
        (version / name).write_bytes(content)
    with pytest.raises(DataError, match=f"Received: {name} missing or damaged"):
        versions.describe(version)
    versions.describe(array_version())


@pytest.mark.parametrize("entries", [{}, {"saved_model.pb": {}, versions.DESCRIPTION: {}}])
def test_manifest_vouches_for_the_graph_and_the_description(entries: dict[str, Any], tmp_path: Path) -> None:
    version = Path(shutil.copytree(array_version(), tmp_path / "1"))
    (version / versions.MANIFEST).write_text(json.dumps(entries))
    with pytest.raises(DataError, match="Expected the list of the files in .*manifest.json, each with its size"):
        versions.describe(version)


# Versions and faults ----------------------------------------------------------------------------------------------


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
    with pytest.raises(SettingsError, match="Expected BASE/NAME outside of model folders"):
        export.export(array_source(), folder / inside)
    sources.load(folder)


@pytest.mark.parametrize("version", [0, -1, 2**63])
def test_versions_that_a_server_cannot_read(version: int, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"Expected a version from 1 to 2\*\*63 - 1. Received: {version}"):
        export.export(array_source(), tmp_path, version=version)


def test_missing_variables_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's loader takes such a folder, and fails at every request."""
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
    with pytest.raises(AladError, match="Expected the export to answer as alad_tf does"):
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


def test_full_target_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk without room."""
    done = export_in_a_process(table_folder("imputed"), tmp_path, "30000")
    assert done.returncode == 1
    assert "File too large" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())


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
