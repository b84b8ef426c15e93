"""Forked processes: networks are built and called in them only if TensorFlow was not used before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.minutes(0.5)

PROGRAM = """
import copy, os, pickle, sys
import numpy as np
from alad_tf import ALAD
from alad_tf.baselines import DSEBM
from alad_tf.errors import ForkError

X = np.random.default_rng(0).normal(size=(40, 3))

def fit():
    return ALAD(epochs=1, verbose=0, jit=False).fit(X)

def in_fork(name, job):
    process = os.fork()
    if process == 0:
        try:
            job()
            print(name, "done", flush=True)
        except ForkError:
            print(name, "refused", flush=True)
        finally:
            os._exit(0)
    os.waitpid(process, 0)

in_fork("before", fit)
model = fit()
model.save("model")
pickled = pickle.dumps(model)
in_fork("fit", fit)
in_fork("baseline", lambda: DSEBM(epochs=1, verbose=0).fit(X))
in_fork("load", lambda: ALAD.load("model"))
in_fork("unpickle", lambda: pickle.loads(pickled))
in_fork("copy", lambda: copy.deepcopy(model))
in_fork("sample", lambda: model.sample(1000))
in_fork("save", lambda: model.save_keras("networks"))
in_fork("custom", lambda: ALAD(networks=model.networks_.models, epochs=1, verbose=0).fit(X))
"""


def test_every_use_of_the_networks_is_refused(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = dict(line.split() for line in said.stdout.splitlines())
    assert lines.pop("before") == "done"
    assert set(lines) == {"fit", "baseline", "load", "unpickle", "copy", "sample", "save", "custom"}
    assert set(lines.values()) == {"refused"}
