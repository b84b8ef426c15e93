"""Write the files of the stack that runs this into `tests/stacks/paper` or `current`, for the other to read.

    for venv in .venv .venv-current; do PYTHONPATH=tests $venv/bin/python tests/stacks/write.py; done

A model folder of `alad fit`, the scores of the rows in rows.csv, an export, .keras files, and a run of the toy data.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from reference import TINY
from small_run import settings, small

from alad_tf import stack
from alad_tf.experiments import run
from alad_tf.serving import sources
from alad_tf.serving.export import export
from alad_tf.tabular import fit
from alad_tf.tabular.model import Model

HERE = Path(__file__).parent
ROWS = HERE / "rows.csv"
TABLE = replace(TINY, name="Small", batch_size=20, epochs=5)


def payments(rows: int, seed: int) -> pd.DataFrame:
    """Two numeric columns and one of three countries: five features."""
    random = np.random.default_rng(seed)
    amount = random.gamma(2.0, 30.0, rows).round(2)
    minutes = (0.1 * amount + random.normal(0.0, 1.0, rows)).round(2)
    return pd.DataFrame({"amount": amount, "minutes": minutes, "country": random.choice(["de", "fr", "ch"], rows)})


def main() -> None:
    """Write all files; rows.csv only if it is missing."""
    folder = HERE / stack.name()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if not ROWS.exists():
        new = payments(20, seed=1)
        new.loc[3, "amount"], new.loc[7, "country"] = 1e4, "xx"
        new.to_csv(ROWS, index=False)
    payments(200, seed=0).to_csv(folder / "payments.csv", index=False)
    fit.fit_file(folder / "payments.csv", folder / "model", options={"architecture": TABLE, "random_state": 0})
    (folder / "payments.csv").unlink()
    model = Model.load(folder / "model")
    scored, _ = model.scored(pd.read_csv(ROWS), top=2)
    scored.to_csv(folder / "scored.csv", index=False)
    export(sources.load(folder / "model"), folder / "exported" / "payments", version=1)
    model.estimator.save_keras(folder / "keras")
    for name in ("G", "Dxz", "Dzz"):
        (folder / "keras" / f"{name}.keras").unlink()
    write_run(folder)


def write_run(folder: Path) -> None:
    """Two epochs of the toy data with small networks; without the figures and checksums, which nothing reads again."""
    chosen = settings(2)
    with small(epochs=2):
        run_dir = chosen.folder(folder / "results", 3)
        run.run(chosen, 3, run_dir)
    for path in run_dir.iterdir():
        if path.name not in chosen.files:
            path.unlink()


if __name__ == "__main__":
    main()
