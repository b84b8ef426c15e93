"""Exchanged categories in KDD99's normal rows: how often an explanation names the column.

    python benchmarks/exchanged_categories.py [--seeds 0 1 2]

For each seed, `ALAD` with its defaults trains on 1,000 normal rows of KDD99, of which a tenth is held out. In each of
500 other normal rows, the protocol, service or flag is exchanged for another one that the training rows have.

No method can be expected to find an exchanged category that is at least as frequent as any other one in all normal rows
with the same other two categories. The column "as likely" has the share of such rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from planted_faults import Faulted, judged

from alad_tf.data.kdd99 import KDD99_COLUMNS
from alad_tf.estimator.alad import ALAD
from alad_tf.paths import find_data
from alad_tf.tabular.model import Model

CATEGORIES = ["protocol_type", "service", "flag"]
TRAINED, FAULTED = 1_000, 500


def normal_rows(path: Path) -> pd.DataFrame:
    """The normal rows of KDD99's 10 % file, with its 41 columns."""
    rows = pd.read_csv(path, header=None, names=[*KDD99_COLUMNS, "kind"])
    return rows[rows["kind"] == "normal."].drop(columns="kind").reset_index(drop=True)


def exchange(rows: pd.DataFrame, seen: pd.DataFrame, seed: int) -> Faulted:
    """Exchange one category in each row for another one of the rows `seen`."""
    random, faulted = np.random.default_rng(seed), rows.copy()
    names = random.choice(CATEGORIES, len(rows))
    for row, name in zip(rows.index, names):
        others = [category for category in seen[name].unique() if category != rows.loc[row, name]]
        faulted.loc[row, name] = random.choice(others)
    return faulted, names


def as_likely(faulted: pd.DataFrame, names: np.ndarray, every: pd.DataFrame) -> np.ndarray:
    """Rows [n] whose exchanged category is at least as frequent as any other in `every` row with the same other two."""
    counts = every.value_counts(CATEGORIES).reset_index(name="count")
    found = []
    for cells, name in zip(faulted[CATEGORIES].to_dict("records"), names):
        rest = [other for other in CATEGORIES if other != name]
        alike = counts[np.all([counts[other] == cells[other] for other in rest], axis=0)]
        own = alike.loc[alike[name] == cells[name], "count"].sum()
        found.append(own > 0 and own >= alike["count"].max())
    return np.array(found)


def main() -> None:
    """Print a row of shares for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3), metavar="S", help="default: 0 1 2")
    options = parser.parse_args()
    path = find_data("kddcup.data_10_percent.gz")
    if path is None:
        parser.error("Expected kddcup.data_10_percent.gz in a data folder. Received: none.")
    rows = normal_rows(path)
    print("seed   first   among three   flagged   as likely")
    for seed in options.seeds:
        drawn = rows.sample(TRAINED + FAULTED, random_state=seed)
        train, new = drawn[:TRAINED], drawn[TRAINED:]
        model = Model(ALAD(random_state=seed, verbose=0).fit(train, validation=0.1))
        faulted, names = exchange(new, train, seed)
        shares = {**judged(model, faulted, names), "as likely": as_likely(faulted, names, rows).mean()}
        cells = [f"{shares[name]:.1%}" for name in ("first", "among three", "flagged", "as likely")]
        print(f"{seed:<6} {'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
