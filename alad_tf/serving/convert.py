"""A trained scorer for other engines: rows x -> score, is_anomaly and is_valid, as ONNX or TensorFlow Lite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from alad_tf.errors import AladError, SettingsError
from alad_tf.io import atomic
from alad_tf.serving.signatures import Detector, Served

OPSET = 17  # of ONNX
FORMATS = (".onnx", ".tflite")


def convert(detector: Detector, path: Path | str) -> None:
    """Write the scorer to a file, in .onnx or .tflite; what stands there is replaced.

    Its input x is [n, d] float32 and its outputs are [n] each, as those of the signature serving_default.

    Raises:
        SettingsError: another ending.
        AladError: the extra for ONNX is not installed, or the format lacks an operation.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise SettingsError(f"Expected a file in {' or '.join(FORMATS)}. Received: {path}.")
    content = _onnx(detector) if path.suffix == ".onnx" else _tflite(detector)
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(content)


def _onnx(detector: Detector) -> bytes:
    try:
        import tf2onnx
    except ImportError as error:
        raise AladError("Expected tf2onnx for .onnx. Received: none. Install the extra: pip install .[onnx]") from error
    handlers: dict[str, Any] = {"SelectV2": (_where, [])}
    model, _ = tf2onnx.convert.from_function(*_scorer(Served(detector)), opset=OPSET, custom_op_handlers=handlers)
    content: bytes = model.SerializeToString()
    return content


def _where(graph: Any, node: Any, name: str, arguments: list[Any]) -> Any:
    """tf.where as ONNX's Where: tf2onnx multiplies by 0 instead, and 0 times NaN is NaN."""
    node.type = "Where"
    return node


def _tflite(detector: Detector) -> bytes:
    served = Served(detector, double=False)
    function, specs = _scorer(served)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function(*specs)], served)
    try:
        content: bytes = converter.convert()
    except Exception as error:  # the converter has no type of its own
        raise AladError(
            f"Expected operations that TensorFlow Lite has. Received: {str(error).splitlines()[0]}"
        ) from error
    return content


def _scorer(served: Served) -> tuple[Any, list[tf.TensorSpec]]:
    return tf.function(served.decide), [served.rows]
