"""Sample requests for an export, generated from its description."""

from __future__ import annotations

import numpy as np
import pandas as pd
import tensorflow as tf

from alad_tf.model.networks import as_input
from alad_tf.serving.preprocessing_graph import transformer
from alad_tf.serving.signatures import LARGEST, Detector
from alad_tf.typing import Document

Arrays = dict[str, np.ndarray]


def requests(detector: Detector, count: int, seed: int = 0) -> dict[str, Arrays]:
    """Plausible inputs of each signature for the same rows; except in images, the fourth row lacks a number."""
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


def _cells(prepared: Document, count: int, random: np.random.Generator) -> Arrays:
    """Random cells for the columns of the training file, [count] each."""
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


def _transformed(cells: Arrays, prepared: Document) -> np.ndarray:
    """Transform cells to x with scikit-learn."""
    decoded = {name: [c.decode() for c in cell] if cell.dtype == object else cell for name, cell in cells.items()}
    x: np.ndarray = transformer(prepared).transform(pd.DataFrame(decoded)).astype(np.float32)
    return x


def _examples(features: Arrays, count: int) -> np.ndarray:
    """Serialise rows as tf.Example messages, [count]."""

    def feature(value: str | float) -> tf.train.Feature:
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        return tf.train.Feature(float_list=tf.train.FloatList(value=np.atleast_1d(value)))

    rows = [{name: feature(values[row]) for name, values in features.items()} for row in range(count)]
    examples = [tf.train.Example(features=tf.train.Features(feature=row)).SerializeToString() for row in rows]
    return np.array(examples, object)
