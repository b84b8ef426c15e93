"""Planted faults: how often an explanation names the faulted column, and how many faulted rows are flagged.

    python benchmarks/planted_faults.py --output found.jsonl

For each seed, `ALAD` with its defaults trains on 270 synthetic rows of four numbers and two categories that depend on
one another, and holds out 30. Then one cell is faulted in each of 500 new rows: a number is multiplied by 40, or a
category replaced by another one or by one that training did not have. Results in the output file are kept, and a new
call adds the missing ones.

No method can find an exchanged category that is at least as likely as any other, given the other columns. Since the
probabilities of the rows are known here, the column "as likely" has the exact share of such rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Callable

import numpy as np
import pandas as pd
from adbench import append, resume

from alad_tf.columns.encoder import Encoder, TrainingCells
from alad_tf.estimator.alad import ALAD
from alad_tf.tabular.model import Model
from alad_tf.typing import Document

NUMBERS = ["a", "b", "c", "d"]
CATEGORIES = {"service": ["web", "mail", "dns"], "udp": ["n", "y"]}
TRAINED, FAULTED = 300, 500
SHARES = ("first", "among three", "flagged", "as likely")
Faulted = tuple[pd.DataFrame, np.ndarray]  # rows with one faulted cell each, and the names of their columns


def rows(count: int, seed: int) -> pd.DataFrame:
    """Four numbers and two categories that depend on one another."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, count)
    numbers = {name: random.normal(5.0 + 2.0 * kind, 1.0) for name in NUMBERS}
    services = np.array(CATEGORIES["service"])
    return pd.DataFrame({**numbers, "service": services[kind], "udp": np.where(kind > 1, "y", "n")})


def as_likely(faulted: pd.DataFrame, names: np.ndarray) -> np.ndarray:
    """Rows [n] whose exchanged category is at least as likely as any other, by the probabilities of `rows`."""
    kinds, numbers = np.arange(3), faulted[NUMBERS].to_numpy(float)
    log_density = -0.5 * ((numbers[:, :, None] - (5.0 + 2.0 * kinds)) ** 2).sum(axis=1)
    fits = (faulted["udp"] == "y").to_numpy()[:, None] == (kinds > 1)
    likely = np.where(fits, log_density, -np.inf)
    own = (np.arange(len(faulted)), pd.Index(CATEGORIES["service"]).get_indexer(faulted["service"]))
    return np.where(names == "service", likely[own] >= likely.max(axis=1), fits[own])


def train(seed: int, score: str = "neighbours", epochs: int | None = None) -> Model:
    """Train on 300 rows, of which a tenth is held out."""
    cells = TrainingCells(*Encoder.fit(rows(TRAINED, seed)))
    estimator = ALAD(scaling=None, score_name=score, epochs=epochs, random_state=seed, verbose=0)
    return Model(estimator.fit(cells, validation=0.1))


def numbers_far_out(seed: int, count: int = FAULTED) -> Faulted:
    """Multiply a number by 40; kept are the rows where it is then at least 10 standard deviations from the mean."""
    faulted, places = rows(count, seed), np.random.default_rng(seed).integers(0, len(NUMBERS), count)
    for row, place in enumerate(places):
        faulted.loc[row, NUMBERS[place]] *= 40.0
    trained = rows(TRAINED, seed=0)[NUMBERS]
    distance = np.abs(faulted[NUMBERS] - trained.mean()) / trained.std()
    far = distance.to_numpy()[range(count), places] >= 10.0
    return faulted[far], np.array(NUMBERS)[places][far]


def categories_exchanged(seed: int, count: int = FAULTED) -> Faulted:
    """Exchange a category for another of its column."""
    random, faulted = np.random.default_rng(seed), rows(count, seed)
    names = random.choice(list(CATEGORIES), count)
    for row, name in enumerate(names):
        others = [category for category in CATEGORIES[name] if category != faulted.loc[row, name]]
        faulted.loc[row, name] = random.choice(others)
    return faulted, names


def categories_unseen(seed: int, count: int = FAULTED) -> Faulted:
    """Replace a category by one that training did not have."""
    faulted, names = rows(count, seed), np.random.default_rng(seed).choice(list(CATEGORIES), count)
    for row, name in enumerate(names):
        faulted.loc[row, name] = "gopher"
    return faulted, names


FAULTS: dict[str, Callable[[int, int], Faulted]] = {
    "number times 40": numbers_far_out,
    "category exchanged": categories_exchanged,
    "category unseen": categories_unseen,
}


def judged(model: Model, faulted: pd.DataFrame, names: np.ndarray) -> Document:
    """Shares of rows that are flagged, and whose explanation has the faulted column first and among the first three."""
    scored, _ = model.scored(faulted, top=3)
    found = scored[["feature_1", "feature_2", "feature_3"]].to_numpy() == names[:, None]
    return {
        "rows": len(faulted),
        "first": float(found[:, 0].mean()),
        "among three": float(found.any(axis=1).mean()),
        "flagged": float(scored["is_anomaly"].mean()),
    }


def of_seed(seed: int) -> list[Document]:
    """Train with a seed and judge all faults, in rows of another seed."""
    model = train(seed)
    new = 1000 + seed
    clean, _ = model.scored(rows(FAULTED, new))
    lines = [{"fault": "none", "rows": FAULTED, "flagged": float(clean["is_anomaly"].mean())}]
    lines += [{"fault": name, **judged(model, *make(new, FAULTED))} for name, make in FAULTS.items()]
    exchanged = next(line for line in lines if line["fault"] == "category exchanged")
    exchanged["as likely"] = float(as_likely(*categories_exchanged(new)).mean())
    return [{"seed": seed, **line} for line in lines]


def table(lines: list[Document]) -> str:
    """Markdown table: the smallest to the largest share over the seeds, for each fault."""
    found = []
    for fault in ("none", *FAULTS):
        of_fault = [line for line in lines if line["fault"] == fault]
        cells = [_span([line[share] for line in of_fault if share in line]) for share in SHARES]
        found.append(f"| {fault} | {_span([line['rows'] for line in of_fault], '{:.0f}')} | {' | '.join(cells)} |")
    return "\n".join([f"| fault | rows | {' | '.join(SHARES)} |", "|---" * (2 + len(SHARES)) + "|", *found])


def _span(values: list[float], form: str = "{:.1%}") -> str:
    low, high = (form.format(value) for value in (min(values, default=0.0), max(values, default=0.0)))
    return "" if not values else low if low == high else f"{low} to {high}"


def main() -> None:
    """Run missing seeds and print lowest and highest shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="JSON lines, kept between calls")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(10), metavar="S", help="default: 0 to 9")
    options = parser.parse_args()
    lines = resume(options.output)
    done = {line["seed"] for line in lines}
    for seed in options.seeds:
        if seed not in done:
            found = of_seed(seed)
            append(options.output, found)
            lines += found
            print(f"seed {seed}: {found}", flush=True)
    print(table([line for line in lines if line["seed"] in options.seeds]))


if __name__ == "__main__":
    main()
