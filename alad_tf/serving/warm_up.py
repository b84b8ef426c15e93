"""Warm-up requests for TensorFlow Serving."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from alad_tf.serving import c_api
from alad_tf.serving.sample_requests import requests
from alad_tf.serving.signatures import Detector

WARM_UP_ROWS = (1, 16)  # rows of the warm-up requests of each signature


def write_warm_up(path: Path, model: str, detector: Detector) -> None:
    """Write warm-up requests for every signature of a model.

    A TFRecord file of PredictionLog messages: field 6 predict_log, in it field 1 request, in it fields 1 model_spec
    (fields 1 name, 3 signature) and 2 inputs.
    """
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for count in WARM_UP_ROWS:
            for signature, inputs in requests(detector, count).items():
                spec = c_api.field(1, model) + c_api.field(3, signature)
                tensors = {name: tf.make_tensor_proto(array).SerializeToString() for name, array in inputs.items()}
                entries = [
                    c_api.field(2, c_api.field(1, name) + c_api.field(2, found)) for name, found in tensors.items()
                ]
                request = c_api.field(1, spec) + b"".join(entries)
                writer.write(c_api.field(6, c_api.field(1, request)))
