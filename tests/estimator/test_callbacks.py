"""What a training of one's own prints, and does not."""

from __future__ import annotations

import os
import subprocess
import sys

from conftest import CHECKOUT


def test_compiling_is_not_told() -> None:
    """XLA writes one line to standard error, past Python; whatever else is written there is heard."""
    code = (
        "import os, sys; import numpy as np; from alad_tf import ALAD; sys.path.insert(0, 'tests')\n"
        "from reference import TINY, draw\n"
        "ALAD(TINY, jit=True, epochs=1, verbose=0, scaling=None).fit(draw(0, 40, 5)); os.write(2, b'heard\\n')"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}  # as the command line sets it
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "heard\n"
