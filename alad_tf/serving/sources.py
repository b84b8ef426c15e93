"""Sources of an export: a fitted estimator, a model folder, or a run of the paper's protocol."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from alad_tf.columns import preprocessing
from alad_tf.columns.coarse import COARSE
from alad_tf.columns.schema import Columns
from alad_tf.data import loading
from alad_tf.errors import DataError, SettingsError, listed, one_line
from alad_tf.estimator import thresholds
from alad_tf.estimator.alad import ALAD
from alad_tf.experiments import run
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.experiments.settings import Settings, is_complete
from alad_tf.io import archives, model_folder
from alad_tf.model.networks import Networks
from alad_tf.options import SCORES
from alad_tf.serving.preprocessing_graph import transformer
from alad_tf.serving.signatures import Detector
from alad_tf.typing import Document, Rule

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A detector to export, and its origin.

    Args:
        detector: score, validity and threshold decision.
        rule: how the threshold was set.
        features: names of the features of x; None: unnamed.
        origin: JSON object with kind, table, seed and training rows.
    """

    detector: Detector
    rule: Rule
    features: list[str] | None
    origin: Document


def load(
    path: Path | str,
    *,
    threshold: float | None = None,
    contamination: float | None = None,
    score: str | None = None,
) -> Source:
    """Load a model folder (`alad fit`, `ALAD.save`) or the folder of a run (`alad reproduce`).

    Args:
        path: the folder.
        threshold: replaces the threshold of the model.
        contamination: fraction above the threshold of the training rows of a model, or of the test rows of a run. By
            default, a model keeps its threshold, and a run has the protocol's fraction (Section V-A). No labels are
            used.
        score: for a run, which of the four scores is A(x); "features" by default.

    Raises:
        DataError: neither kind of folder, or a damaged one.
        SettingsError: both threshold and contamination, an invalid value, or a run whose scaling is not in its folder.
    """
    path = Path(path)
    if threshold is not None and contamination is not None:
        raise SettingsError("Expected a threshold or a contamination. Received: both.")
    if contamination is not None and not 0.0 < contamination <= 0.5:
        raise SettingsError(f"Expected a contamination above 0 and at most 0.5. Received: {contamination}.")
    if is_complete(path):
        return _run(path, threshold, contamination, score or SCORES[0])
    if not model_folder.is_model_folder(path):
        raise DataError(
            "Expected a model folder of `alad fit` or the folder of a complete run of `alad reproduce`. Received: "
            f"{path}, " + ("which is neither." if path.exists() else "which does not exist.")
        )
    documents, _ = model_folder.read(path)
    estimator = ALAD.load(path)
    if score not in (None, estimator.score_name):
        raise SettingsError(
            f"Expected the model's score, {estimator.score_name}, to which its threshold belongs. Received: {score}."
        )
    if threshold is not None or contamination is not None:
        estimator.set_threshold(value=threshold, contamination=contamination)
    prepared = None
    if "preprocessing" in documents:
        schema = Columns.from_document(documents["columns"])
        prepared = {**documents["preprocessing"], "impute": schema.impute, "booleans": list(schema.booleans)}
    return of_estimator(estimator, prepared)


def load_networks(path: Path | str) -> Networks:
    """Load G, E, Dxz, Dxx and Dzz, the networks that score, from a model folder or a complete run.

    Raises:
        DataError: neither kind of folder, or a damaged one.
    """
    return load(path).detector.networks


def of_estimator(estimator: ALAD, prepared: Document | None = None) -> Source:
    """Source for a fitted estimator and the document of its preprocessing, if any."""
    encoder = estimator.encoder_
    if not prepared:
        _warn_of_float32(estimator)
    detector = Detector(
        estimator.networks_,
        estimator.score_name,
        estimator.threshold_,
        estimator.center_,
        estimator.scale_,
        estimator.references_ if estimator.score_name == "neighbours" else None,
        getattr(estimator, "usual_", None),
        prepared,
        encoder.blocks if encoder else (),
        float(estimator.training_scores_[-1]),
    )
    if prepared:
        features: list[str] | None = preprocessing.feature_names(transformer(prepared))
    else:
        features = getattr(estimator, "feature_names_in_", None)
    origin = {
        "kind": "own data",
        "table": estimator.table_.name,
        "seed": estimator.seed_,
        "training_rows": estimator.n_samples_fit_,
    }
    return Source(detector, estimator.threshold_rule_, None if features is None else list(map(str, features)), origin)


def _warn_of_float32(estimator: ALAD) -> None:
    """Warn about features whose differences are lost in an export, which scales rows that are float32 already."""
    if estimator.scaling is None:
        return
    largest = (np.abs(estimator.center_) + estimator.scale_).astype(np.float32)
    coarse = np.flatnonzero(np.spacing(largest) > COARSE * estimator.scale_)
    if len(coarse):
        names = getattr(estimator, "feature_names_in_", [f"x{k}" for k in range(estimator.n_features_in_)])
        logger.warning(
            "rows of an export are float32, in which differences are lost in the features %s: scores differ from those "
            "of the model; subtract the smallest value of each before fitting, or use alad fit, which exports float64",
            listed(names[place] for place in coarse),
        )


def _run(path: Path, threshold: float | None, contamination: float | None, score: str) -> Source:
    if score not in SCORES:
        raise SettingsError(f"Expected a known score. Received: {score!r}. Allowed: {', '.join(SCORES)}.")
    settings, seed = Settings.of_run(path)
    if settings.scaling is not None:
        raise SettingsError(
            f"Expected a run without scaling. Received: scaling={settings.scaling!r}, whose parameters are not in the "
            "folder of a run. Use `alad fit --scaling`, whose models hold them."
        )
    networks = run.load_networks(path)
    share = PROTOCOLS[settings.dataset].top_fraction if contamination is None else contamination
    name = "top_fraction" if contamination is None else "contamination"
    rule: Rule = {"rule": name, "value": share, "scores": "test rows"}
    if threshold is None:
        threshold = thresholds.quantile_threshold(_test_scores(path / "scores.npz", score), share)
    else:
        rule = {"rule": "value", "value": threshold, "scores": "none"}
    shape = networks.E.input_shape[1:]
    origin = {"kind": "run", "method": settings.method, "seed": seed, "settings": asdict(settings)}
    detector = Detector(networks, score, threshold, np.zeros(shape), np.ones(shape))
    features = loading.feature_names(settings.dataset) if len(shape) == 1 else None
    return Source(detector, rule, features, origin)


def _test_scores(path: Path, score: str) -> np.ndarray:
    try:
        return archives.arrays(path)[score]
    except (OSError, KeyError, *archives.DAMAGE) as error:
        raise DataError(f"Expected the scores of a run in {path}. Received: {one_line(error)}.") from error
