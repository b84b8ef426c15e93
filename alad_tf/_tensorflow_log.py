"""The C++ log of TensorFlow, which is quiet in alad_tf unless the user has set TF_CPP_MIN_LOG_LEVEL."""

from __future__ import annotations

import os
import sys

VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
CHOSEN = os.environ.get(VARIABLE)  # by the user, or by the process that started this one
EVERYTHING, FATAL = "0", "3"


def quiet() -> None:
    """Have TensorFlow log fatal errors only; without effect where the variable is set or TensorFlow is imported.

    At import it logs at the level of errors what is none: that plugins for CUDA are registered twice.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(VARIABLE, FATAL)
