"""The interpreter of TensorFlow Lite files: that of LiteRT where it is installed, else TensorFlow's own."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:  # the paper stack
    Interpreter = tf.lite.Interpreter


def run(content: bytes, x: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of a TensorFlow Lite model for x [n, ...], by name, on one thread."""
    signature = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    outputs: dict[str, np.ndarray] = signature(x=x)
    return outputs
