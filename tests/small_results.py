"""Small result.json files of complete runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alad_tf.report import paper, results


def metrics(f1: float, /, **others: float) -> dict[str, float]:
    return {"precision": f1 - 0.01, "recall": f1 + 0.01, "f1": f1, "auroc": 0.5, "average_precision": 0.25, **others}


def write_run(
    out: Path, dataset: str, method: str, seed: int, /, f1: float = 0.9, place: str = "", **changes: Any
) -> Path:
    """Write a complete result.json with the table's epochs; `changes` replace entries, None removes one."""
    content = {
        "dataset": dataset,
        "method": method,
        "seed": seed,
        "epochs": results.table_epochs(dataset, method) or paper.EPOCHS[dataset],
        "n_train": 30,
        "n_test": 20,
        "seconds": 10.0 + seed,
        "settings": {},
        "scores": {score: metrics(f1) for score in ("features", "l1", "l2", "logits")},
    }
    content = {key: value for key, value in {**content, **changes}.items() if value is not None}
    path = out / dataset / method / place / f"seed{seed}" / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_image_run(out: Path, dataset: str, label: int, seed: int, auroc: float, /, **changes: Any) -> Path:
    """Write a complete run of the protocol on an image task, with the same AUROC for all scores."""
    scores = {score: metrics(0.9, auroc=auroc) for score in ("features", "l1", "l2", "logits")}
    changes = {"settings": {"normal_class": label}, "scores": scores, **changes}
    method = paper.run_name(dataset, changes.pop("method", "ALAD"))
    return write_run(out, dataset, method, seed, place=f"class{label}", **changes)


LATENCY = {
    "dataset": "kdd99", "batch": 50, "alad_ms": 0.25, "anogan_ms": 500.0, "ratio": 2000.0, "threads": 1,
    "machine": "a machine", "search_steps": 500,
}  # fmt: skip


def write_latency(folder: Path, **changes: Any) -> Path:
    path = folder / "latency" / f"{changes.get('dataset', 'kdd99')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**LATENCY, **changes}), encoding="utf-8")
    return path


def unshared(auroc: float, ap: float, *scores: str) -> dict[str, Any]:
    return {
        "n_test": 81_000,
        "n_anomalies": 40_000,
        "scores": {score: {"auroc": auroc, "average_precision": ap} for score in scores},
    }
