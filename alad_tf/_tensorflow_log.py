"""Log level of TensorFlow's C++ code: fatal errors only, unless the user has set TF_CPP_MIN_LOG_LEVEL."""

from __future__ import annotations

import os
import sys

VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
CHOSEN = os.environ.get(VARIABLE)  # by the user, or by the process that started this one
EVERYTHING, FATAL = "0", "3"


def quiet() -> None:
    """Let TensorFlow log fatal errors only. Has no effect if the variable is set or TensorFlow is already imported.

    At import, TensorFlow reports harmless double registrations of CUDA plugins as errors.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(VARIABLE, FATAL)
