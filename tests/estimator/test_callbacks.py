"""Training does not change the host process: standard error, file descriptors, warnings."""

from __future__ import annotations

import os
import subprocess
import sys

from conftest import CHECKOUT


def test_training_writes_nothing_but_the_line_of_xla() -> None:
    """XLA writes one line directly to the descriptor of standard error, which is not redirected."""
    code = (
        "import os, sys; import numpy as np; from alad_tf import ALAD; sys.path.insert(0, 'tests')\n"
        "from reference import TINY, draw\n"
        "replaced = []; dup2 = os.dup2; os.dup2 = lambda *args: replaced.append(args) or dup2(*args)\n"
        "ALAD(TINY, jit=True, epochs=1, verbose=0, scaling=None).fit(draw(0, 40, 5))\n"
        "assert not replaced; os.write(2, b'heard\\n')"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}  # as the command line sets it
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *others, last = done.stderr.splitlines()
    assert last == "heard"
    assert [
        line for line in others if "Compiled cluster using XLA" not in line and "absl::InitializeLog" not in line
    ] == []
