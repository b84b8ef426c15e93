"""A trained scorer for other engines: rows x -> score, is_anomaly and is_valid, as ONNX or TensorFlow Lite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable

import numpy as np
import tensorflow as tf

from alad_tf._tensorflow_log import without_lines
from alad_tf.errors import AladError, SettingsError, shown
from alad_tf.io import atomic
from alad_tf.serving import lite_interpreter
from alad_tf.serving.checks import compare, expected
from alad_tf.serving.sample_requests import Arrays, requests
from alad_tf.serving.signatures import Detector, Served

if TYPE_CHECKING:
    from tf2onnx.graph import Node

OPSET = 17  # of ONNX
FORMATS = (".onnx", ".tflite")
_ANY = rb""
_INSTALL = "Install the extra (Python 3.10 or later): pip install '.[onnx]'"


def convert(detector: Detector, path: Path | str) -> None:
    """Write the scorer to a file, in .onnx or .tflite; an existing file is replaced.

    Its input x is [n, d] float32 and its outputs are [n] each, as those of the signature serving_default.

    Raises:
        SettingsError: another ending.
        AladError: the extra for ONNX is not installed, the format lacks an operation, or the converted model's outputs
            differ from the package's.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise SettingsError(f"Expected a file in {' or '.join(FORMATS)}. Received: {path}.")
    content = _onnx(detector) if path.suffix == ".onnx" else _tflite(detector)
    x = requests(detector, 8)["serving_default"]["x"]
    run = _run_onnx if path.suffix == ".onnx" else lite_interpreter.run
    compare(path.suffix, run(content, x), expected(detector, x))
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(content)


def _onnx(detector: Detector) -> bytes:
    try:
        import tf2onnx
    except ImportError as error:
        raise AladError(f"Expected tf2onnx for .onnx. Received: none. {_INSTALL}") from error
    handlers: dict[str, tuple[Callable[..., object], list[object]]] = {"SelectV2": (_where, [])}
    model, _ = tf2onnx.convert.from_function(*_scorer(Served(detector)), opset=OPSET, custom_op_handlers=handlers)
    content: bytes = model.SerializeToString()
    return content


def _run_onnx(content: bytes, x: np.ndarray) -> Arrays:
    """Outputs of an ONNX model for x [n, ...], by name."""
    try:
        import onnxruntime
    except ImportError as error:
        raise AladError(f"Expected onnxruntime, which checks .onnx. Received: none. {_INSTALL}") from error
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: x})))


def _where(graph: object, node: Node, name: str, arguments: list[object]) -> Node:
    """tf.where as ONNX's Where: tf2onnx multiplies by 0 instead, and 0 times NaN is NaN."""
    node.type = "Where"
    return node


def _tflite(detector: Detector) -> bytes:
    served = Served(detector, double=False)
    function, specs = _scorer(served)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function(*specs)], served)
    try:
        with without_lines(_ANY):  # counts of the operations that were converted
            content: bytes = converter.convert()
    except Exception as error:  # the converter has no type of its own
        raise AladError(f"Expected operations that TensorFlow Lite has. Received: {shown(error)}") from error
    return content


def _scorer(served: Served) -> tuple[tf.types.experimental.PolymorphicFunction, list[tf.TensorSpec]]:
    return tf.function(served.decide, autograph=False), [served.rows]
