"""Exports: outputs of TensorFlow's C++ loader compared with alad_tf's, files on disk, no files after failures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from exported_models import (
    NAMES,
    ROWS,
    TABLES,
    array_model,
    array_version,
    cells,
    loaded,
    table,
    table_model,
    table_version,
)
from reference import narrow_images
from small_images import images
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tolerances import Work, assert_scores, assert_within, largest, of_estimator, of_network, of_scores, of_table

from alad_tf.errors import DataError
from alad_tf.model import networks
from alad_tf.model.scores import Scorer
from alad_tf.serving import c_api, export, sample_requests, sources, versions, warm_up
from alad_tf.serving.signatures import LARGEST, Detector
from alad_tf.typing import Document

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
    """A missing list, or one of another length, is an invalid row and does not make the batch fail."""
    given = [example(x=ROWS[0]), example(x=ROWS[1][:4]), example(x=[*ROWS[2], 1.0]), example(), example(x=ROWS[4])]
    outputs = ask(array_version(), "regress", inputs=np.array(given, object))["outputs"]
    expected = ask(array_version(), "serving_default", x=ROWS[:5])["score"]
    np.testing.assert_array_equal(outputs, [expected[0], LARGEST, LARGEST, LARGEST, expected[4]])
    assert ask(array_version(), "regress", inputs=np.empty(0, object))["outputs"].shape == (0,)


@pytest.mark.parametrize("name", TABLES)
def test_raw_columns(name: str) -> None:
    """Missing cells (also in columns without any in training), infinity, known and new categories."""
    frame = table(300, seed=9)
    frame.loc[3, "a-b"] = np.nan
    frame.loc[5, "größe"] = np.inf
    frame.loc[7, "color"] = "purple"
    frame.loc[9, "size"] = None
    expected, unknown = table_model(name).scored(frame)
    assert unknown["color"] and expected["is_valid"].nunique() == 2
    answer = ask(table_version(name), "raw", **cells(frame))
    np.testing.assert_array_equal(answer["is_valid"], expected["is_valid"])
    np.testing.assert_array_equal(answer["unseen"], expected["unseen"].fillna("").str.split("; ").str[0].ne(""))
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


def test_explanations_of_columns() -> None:
    """Contributions of features add up to those of columns; a category contributes at one feature."""
    model, frame = table_model("unscaled"), table(60, seed=9)
    frame.loc[7, "color"] = "purple"
    x, valid = model.features(frame)
    expected, contributions = model.estimator.contributions(x)
    answer = ask(table_version("unscaled"), "explain", x=x)
    assert valid.all()
    np.testing.assert_allclose(answer["contribution"], contributions, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(answer["expected"], expected, rtol=1e-3, atol=1e-3)
    for start, stop in model.encoder.blocks:
        assert ((answer["contribution"][:, start:stop] > 0.0).sum(axis=1) <= 1).all()
    assert answer["unseen"][7] == 1 and answer["score"][7] > model.estimator.training_scores_[-1]


def test_images_of_bytes(tmp_path: Path) -> None:
    built = networks.build(narrow_images())
    shape = built.E.input_shape[1:]
    detector = Detector(built, "features", 0.5, np.zeros(shape), np.ones(shape))
    version = export.export(
        sources.Source(detector, {"rule": "value", "value": 0.5, "scores": "none"}, None, {}), tmp_path
    )
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
    """No XLA, no Python functions, assignments only for restoring; each function of the model once."""
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
    """PredictionLog, by the field numbers of TensorFlow Serving's .proto."""
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
def test_manifest_vouches_for_the_graph_and_the_description(entries: Document, tmp_path: Path) -> None:
    version = Path(shutil.copytree(array_version(), tmp_path / "1"))
    (version / versions.MANIFEST).write_text(json.dumps(entries))
    with pytest.raises(DataError, match="Expected the list of the files in .*manifest.json, each with its size"):
        versions.describe(version)
