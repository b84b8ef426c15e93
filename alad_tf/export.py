"""`alad export`: a version for TensorFlow Serving, which appears complete and checked or not at all."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from alad_tf import __version__, c_loader, exported, files, preprocessing, wire
from alad_tf.errors import AladError, SettingsError
from alad_tf.networks import as_input
from alad_tf.scores import anomaly_scores
from alad_tf.signatures import LARGEST, Detector, Served, argument, column_types
from alad_tf.sources import Source

WARM_UP_ROWS = (1, 16)  # of the requests that each signature is warmed up with
TOLERANCE = 1e-3  # of a score between the export and alad_tf, relative: what is wrong is off by far more
Arrays = dict[str, np.ndarray]


def export(source: Source, base: Path | str, *, version: int | None = None) -> Path:
    """Write the next version of BASE/NAME: a SavedModel with its description, warm-up requests and manifest.

    It is made under a name that no server takes for a version, loaded by TensorFlow's C++ loader with XLA off, compared
    with this package, and renamed last.

    Args:
        source: what to export.
        base: BASE/NAME; NAME is the model's name to the server.
        version: a number of one's own.

    Returns:
        The folder of the version.

    Raises:
        SettingsError: the version is there already.
        AladError: the export does not load, or does not answer as alad_tf does.
        OSError: the disk is full, the place is not writable.
    """
    base = Path(base)
    number = exported.vacant(base, version)
    base.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".export.", dir=base))
    try:
        signatures = _save(source.detector, staging)
        files.write_json(staging / exported.DESCRIPTION, _description(source, signatures, base.name, number))
        _write_warm_up(staging / exported.WARM_UP, base.name, source.detector)
        check(staging, source.detector)
        exported.write_manifest(staging)
        _put_in_place(staging, base, number)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    files.sync(base)
    return base / str(number)


def check(version: Path, detector: Detector) -> None:
    """Load a version as TensorFlow Serving does, in a process of its own, and compare its answers with alad_tf's.

    Raises:
        AladError: it does not load, or its answers are others.
    """
    asked = requests(detector, 8)
    x = asked["serving_default"]["x"]
    expected = decisions(detector, x)
    scale = np.median(expected["score"][expected["is_valid"]])
    compared = [(name, asked[name]) for name in ("serving_default", "regress", "raw") if name in asked]
    for (name, _), answer in zip(compared, c_loader.answers(version, compared)):
        score = answer["outputs" if name == "regress" else "score"]
        close = np.abs(score - expected["score"]) <= TOLERANCE * (np.abs(expected["score"]) + scale)
        valid = answer.get("is_valid", expected["is_valid"])
        if not close.all() or (valid != expected["is_valid"]).any():
            raise AladError(
                f"Expected the export to answer as alad_tf does, {expected['score'].tolist()}. Received from {name}: "
                f"{score.tolist()}. Nothing was exported."
            )


def decisions(detector: Detector, x: np.ndarray) -> Arrays:
    """What the export must answer to x, by this package: score, is_anomaly and is_valid, [n] each."""
    valid = np.isfinite(x).all(axis=tuple(range(1, x.ndim)))
    scaled = ((x[valid] - detector.center) / detector.scale).astype(np.float32)
    score = np.full(len(x), LARGEST, np.float32)
    found = anomaly_scores(detector.networks, tf.constant(scaled))[detector.score].numpy()
    score[valid] = np.nan_to_num(found, nan=LARGEST, posinf=LARGEST, neginf=-LARGEST)
    return {"score": score, "is_anomaly": (score.astype(np.float64) > detector.threshold) | ~valid, "is_valid": valid}


# Requests, made up ------------------------------------------------------------------------------------------------


def requests(detector: Detector, count: int, seed: int = 0) -> dict[str, Arrays]:
    """Inputs of each signature for the same rows, such as the model could meet; of four, one is not valid."""
    random = np.random.default_rng(seed)
    z = random.standard_normal((count, *detector.networks.G.input_shape[1:])).astype(np.float32)
    found: dict[str, Arrays] = {"generate": {"z": z}}
    if detector.preprocessing:
        cells = _cells(detector.preprocessing, count, random)
        x = _transformed(cells, detector.preprocessing)
        found["raw"] = cells
        found["regress"] = {"inputs": _examples(cells, count)}
    else:
        x_tilde = detector.networks.G(z, training=False).numpy().astype(np.float64)
        x = np.clip(x_tilde * detector.scale + detector.center, -LARGEST, LARGEST).astype(np.float32)
        if len(detector.shape) > 1:
            found["raw"] = {"x": np.clip(np.round((x + 1.0) * 127.5), 0.0, 255.0).astype(np.uint8)}
            x = as_input(found["raw"]["x"]).numpy()
        else:
            x[3:4, 0] = np.nan
        found["regress"] = {"inputs": _examples({"x": x.reshape(count, -1)}, count)}
    return {**found, **{name: {"x": x} for name in ("serving_default", "scores", "explain", "encode")}}


def _cells(prepared: dict[str, Any], count: int, random: np.random.Generator) -> Arrays:
    """Cells of the training file's columns, [count] each."""
    numeric, categorical = prepared["numeric"], prepared["categorical"]
    middle, spread = np.zeros(len(numeric["columns"])), np.ones(len(numeric["columns"]))
    if prepared["scaling"] != "none":
        names = ("mean_", "scale_") if prepared["scaling"] == "standard" else ("data_min_", "data_range_")
        middle, spread = (np.array(numeric["statistics"][name]["values"])[: len(middle)] for name in names)
    cells: Arrays = {}
    for name, center, scale in zip(numeric["columns"], middle, spread):
        cells[name] = (center + scale * random.random(count)).astype(np.float32).astype(np.float64)
        cells[name][3:4] = np.nan
    for name, known in zip(categorical["columns"], categorical.get("categories", ())):
        texts = [*known["values"], "a category that training did not have"]
        cells[name] = np.array([text.encode() for text in random.choice(texts, count)], object)
    return {name: cells[name] for name in prepared["columns"]}


def _transformed(cells: Arrays, prepared: dict[str, Any]) -> np.ndarray:
    """x of cells, by scikit-learn."""
    transformer = preprocessing.from_document({name: value for name, value in prepared.items() if name != "impute"})
    decoded = {name: [c.decode() for c in cell] if cell.dtype == object else cell for name, cell in cells.items()}
    x: np.ndarray = transformer.transform(pd.DataFrame(decoded)).astype(np.float32)
    return x


def _examples(features: Arrays, count: int) -> np.ndarray:
    """Rows as serialised tf.Example, [count]."""

    def feature(value: Any) -> tf.train.Feature:
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        return tf.train.Feature(float_list=tf.train.FloatList(value=np.atleast_1d(value)))

    rows = [{name: feature(values[row]) for name, values in features.items()} for row in range(count)]
    examples = [tf.train.Example(features=tf.train.Features(feature=row)).SerializeToString() for row in rows]
    return np.array(examples, object)


# Parts of a version -----------------------------------------------------------------------------------------------


def _save(detector: Detector, folder: Path) -> dict[str, Any]:
    """Write the SavedModel; returns its signatures, as the description has them."""
    served = Served(detector)
    functions = served.signatures()
    try:
        tf.saved_model.save(served, str(folder), signatures=functions)
    except tf.errors.OpError as error:
        raise AladError(f"Expected room to write in {folder}. Received: {' '.join(error.message.split())}.") from None
    names: dict[str, str] = {}
    if detector.preprocessing:
        names = {argument(place): name for place, name in enumerate(detector.preprocessing["columns"])}
        _name_columns(folder / "saved_model.pb", names)
    return {name: _interface(function, names) for name, function in functions.items()}


def _name_columns(path: Path, names: dict[str, str]) -> None:
    """Give the inputs of the signature `raw` the names of the columns, which a function's arguments cannot have."""
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    inputs = model.meta_graphs[0].signature_def["raw"].inputs
    infos = {names[argument_]: info.SerializeToString() for argument_, info in inputs.items()}
    inputs.clear()
    for name, info in infos.items():
        inputs[name].ParseFromString(info)
    path.write_bytes(model.SerializeToString())


def _interface(function: Any, names: dict[str, str]) -> dict[str, Any]:
    def tensors(specs: Any) -> dict[str, Any]:
        return {names.get(name, name): {"type": spec.dtype.name, "shape": spec.shape.as_list()} for name, spec in specs}

    inputs = sorted(((spec.name, spec) for spec in function.structured_input_signature[0]), key=lambda pair: pair[0])
    return {"inputs": tensors(inputs), "outputs": tensors(function.structured_outputs.items())}


def _description(source: Source, signatures: dict[str, Any], name: str, version: int) -> dict[str, Any]:
    """Everything that a client must know."""
    detector = source.detector
    return {
        "kind": exported.KIND,
        "format": exported.FORMAT,
        "name": name,
        "version": version,
        "score": detector.score,
        "threshold": {"value": detector.threshold, "rule": source.rule},
        "not_valid": {"score": LARGEST, "is_anomaly": True, "is_valid": False},
        "row": {"shape": list(detector.shape), "features": source.features},
        "columns": _columns(detector.preprocessing),
        "signatures": signatures,
        "origin": source.origin,
        "versions": {"alad_tf": __version__, "python": platform.python_version(), "tensorflow": tf.__version__},
    }


def _columns(prepared: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    """The inputs of the signature `raw`; `argument` is their name where TensorFlow's Python loads it."""
    if prepared is None:
        return None
    categorical = prepared["categorical"]
    known = dict(zip(categorical["columns"], categorical.get("categories", ())))
    return [
        {
            "name": name,
            "type": kind.name,
            "argument": argument(place),
            "missing_allowed": prepared["impute"],
            **({"categories": known[name]["values"]} if name in known else {}),
        }
        for place, (name, kind) in enumerate(column_types(prepared).items())
    ]


def _write_warm_up(path: Path, model: str, detector: Detector) -> None:
    """TFRecord of PredictionLog: predict_log 6, its request 1, of that model_spec 1 (name 1, signature 3), inputs 2."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for count in WARM_UP_ROWS:
            for signature, inputs in requests(detector, count).items():
                spec = wire.field(1, model) + wire.field(3, signature)
                tensors = {name: tf.make_tensor_proto(array).SerializeToString() for name, array in inputs.items()}
                entries = [wire.field(2, wire.field(1, name) + wire.field(2, found)) for name, found in tensors.items()]
                request = wire.field(1, spec) + b"".join(entries)
                writer.write(wire.field(6, wire.field(1, request)))


def _put_in_place(staging: Path, base: Path, number: int) -> None:
    try:
        os.rename(staging, base / str(exported.vacant(base, number)))
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise SettingsError(
            f"Expected version {number} of {base} to be free. Received: one that just appeared."
        ) from None
