"""Warm-up requests for TensorFlow Serving."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from alad_tf.serving import c_api
from alad_tf.serving.sample_requests import requests
from alad_tf.serving.signatures import Detector

WARM_UP_ROWS = (1, 16)  # of the requests that each signature is warmed up with


def write_warm_up(path: Path, model: str, detector: Detector) -> None:
    """TFRecord of PredictionLog: predict_log 6, its request 1, of that model_spec 1 (name 1, signature 3), inputs 2."""
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
