"""Save and load ALAD as a model folder: JSON documents, arrays and a manifest. Nothing is pickled."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sklearn
import tensorflow as tf

from alad_tf._version import __version__
from alad_tf.columns.encoder import Encoder
from alad_tf.errors import DataError, SettingsError, one_line
from alad_tf.estimator.usual import Usual
from alad_tf.io import model_folder
from alad_tf.model.categories import Blocks, Categories
from alad_tf.model.neighbours import MOST_REFERENCES
from alad_tf.model.weights import get_arrays
from alad_tf.typing import Document, Options
from architectures import rows

if TYPE_CHECKING:
    from alad_tf.estimator.alad import ALAD

OF_NETWORKS = ("networks", "spectral_norm", "latent_discriminator")  # parameters that networks are built from
NOT_STORED = ("architecture", "networks", "random_state", "log_dir")  # parameters that are not in a model folder
RESERVED = ("model", "manifest")  # names of documents that `write` makes itself
MOST_LAYERS = 1000  # in all networks together, because each takes milliseconds to build
Arrays = dict[str, dict[str, np.ndarray]]


def write(model: ALAD, folder: Path | str, documents: Document) -> None:
    """Write the model folder of a fitted estimator.

    Args:
        model: a fitted estimator whose networks come from a table.
        folder: new folder, or a model folder to replace.
        documents: additional JSON documents by name.

    Raises:
        SettingsError: the folder exists and is not a model folder, the networks are custom, or the name of a document
            is no file name.
    """
    if model._network_options["networks"] is not None:
        raise SettingsError(
            "Expected networks of a table to save. Received: custom networks, which this format cannot hold. "
            "Save each with Keras (estimator.generator.save(...)), or pickle the estimator."
        )
    _require_names(documents)
    arrays = {
        "weights": get_arrays(model.networks_),
        "scaling": {"center": model.center_, "scale": model.scale_},
        "scores": {"training": model.training_scores_, "reference": model.reference_scores_},
        "usual": _numbers_of(model.usual),
        "history": {name: np.asarray(values, np.float64) for name, values in model.history_.items()},
    }
    if model.score_name == "neighbours":
        arrays["references"] = {"points": model.references_}
    if hasattr(model, "training_state_"):
        arrays["training"] = model.training_state_
    model_folder.write(Path(folder), {"model": _document(model), **documents}, arrays)


def _require_names(documents: Document) -> None:
    """Refuse documents that would lie outside the folder or replace its own files (SettingsError)."""
    for name in documents:
        if not name or Path(name).name != name or name in RESERVED:
            raise SettingsError(
                f"Expected names of documents that are file names, other than {' and '.join(RESERVED)}. "
                f"Received: {name!r}."
            )


@contextmanager
def reading(folder: Path | str) -> Iterator[tuple[Options, Options]]:
    """Read a model folder; inconsistencies found here or in the body of the with statement raise DataError.

    Yields:
        (parameters of the constructor, state as in a pickle)

    Raises:
        DataError: the folder is missing, damaged, in a newer format, or does not hold a model.
    """
    documents, arrays = model_folder.read(Path(folder))
    try:
        document = documents["model"]
        encoder = Encoder.from_documents(documents) if "preprocessing" in documents else None
        state = _state(document, arrays, () if encoder is None else encoder.blocks)
        if encoder is not None:
            state["encoder_"], state["data_"] = encoder, documents.get("data")
            if len(encoder.names) != state["n_features_in_"]:
                raise ValueError("columns that make another number of features than the networks have")
        yield _options(document), state
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(
            f"Expected a model of ALAD in {folder}. Received: one that does not fit together: {one_line(error)}."
        ) from error


def of_encoder(model: ALAD) -> Document:
    """Documents of an estimator fitted on mixed columns, as written by `alad fit`."""
    assert model.encoder_ is not None
    documents = model.encoder_.to_documents()
    if model.data_ is not None:
        return {**documents, "data": model.data_}
    categories = documents["preprocessing"]["categorical"]
    counts = [len(values["values"]) + len(values["missing"]) for values in categories.get("categories", [])]
    data = {
        "file": "a DataFrame",
        "rows": model.n_samples_fit_,
        "dropped": [],
        "label": None,
        "scaling": documents["preprocessing"]["scaling"],
        "categories": dict(zip(categories["columns"], counts)),
        "seconds": round(model.seconds_, 1),
    }
    return {**documents, "data": data}


def _document(model: ALAD) -> Document:
    settings = {**model.get_params(deep=False), **model._network_options}
    settings = {name: value for name, value in settings.items() if name not in NOT_STORED}
    settings["score"] = settings.pop("score_name")  # the name in earlier releases
    names = getattr(model, "feature_names_in_", None)
    return {
        "table": asdict(model.table_),
        "settings": {name: plain(value) for name, value in settings.items()},
        "seed": model.seed_,
        "data": {
            "rows": model.n_samples_fit_,
            "features": model.n_features_in_,
            "names": None if names is None else names.tolist(),
        },
        "threshold": {"value": model.threshold_, "rule": model.threshold_rule_},
        "reference": {"of": model.reference_, "rows": len(model.reference_scores_)},
        "last_epoch": {name: values[-1] for name, values in model.history_.items() if np.isfinite(values[-1])},
        "epochs_trained": len(model.history_["loss_d"]),
        "versions": {
            "alad_tf": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }


def _options(document: Document) -> Options:
    """Parameters of the constructor; those that a model folder must not set are refused."""
    settings = document["settings"]
    foreign = set(settings) & set(NOT_STORED)
    if foreign:
        raise ValueError(f"settings with {', '.join(sorted(foreign))}")
    settings = {name: value for name, value in settings.items() if name != "score"}
    return {
        **settings,
        "score_name": document["settings"]["score"],
        "architecture": rows.alad(document["table"]),
        "random_state": int(document["seed"]),
    }


def _state(document: Document, arrays: Arrays, blocks: Blocks) -> Options:
    """Attributes of the fitted estimator, with arrays instead of networks."""
    table, threshold = rows.alad(document["table"]), document["threshold"]
    _require_sound(table, arrays)
    if not np.isfinite(float(threshold["value"])):
        raise ValueError("the threshold is not finite")
    state = {
        "table_": table,
        "seed_": int(document["seed"]),
        "n_features_in_": table.data_dim,
        "n_samples_fit_": int(document["data"]["rows"]),
        "center_": arrays["scaling"]["center"],
        "scale_": arrays["scaling"]["scale"],
        "training_scores_": arrays["scores"]["training"],
        "reference_scores_": arrays["scores"]["reference"],
        "reference_": document["reference"]["of"],
        "threshold_": float(threshold["value"]),
        "threshold_rule_": dict(threshold["rule"]),
        "offset_": -float(threshold["value"]),
        "history_": _history(document, arrays),
        "networks_": arrays["weights"],
    }
    if document["data"]["names"] is not None:
        state["feature_names_in_"] = np.asarray(document["data"]["names"], object)
        if state["feature_names_in_"].shape != (table.data_dim,):
            raise ValueError(f"names of {len(document['data']['names'])} features, of which there are {table.data_dim}")
    if document["settings"]["score"] == "neighbours":
        state["references_"] = _sound_references(arrays["references"]["points"], table.n_features)
    if "usual" in arrays:
        state["usual_"] = _sound_usual(arrays["usual"], table.n_features, blocks)
    if "training" in arrays:
        state["training_state_"] = arrays["training"]
    return state


def _history(document: Document, arrays: Arrays) -> dict[str, list[float]]:
    """Losses and validation scores by epoch; earlier folders hold only those of the last epoch."""
    if "history" not in arrays:
        return {name: [value] for name, value in document["last_epoch"].items()}
    return {name: values.astype(np.float64).ravel().tolist() for name, values in arrays["history"].items()}


def _require_sound(table: rows.Alad, arrays: Arrays) -> None:
    """Refuse a model that would take unlimited memory or score with NaN.

    Raises:
        ValueError: networks larger than the stored weights; arrays that are not finite numbers, have another shape, or
            are outside the range of float32; a feature scaled by a number that is not positive.
    """
    weights, scaling, scores = (arrays[name] for name in ("weights", "scaling", "scores"))
    stored = sum(weight.size for weight in weights.values())
    if not 0 < rows.n_weights(table) <= stored:
        raise ValueError(f"a table of {rows.n_weights(table)} weights, of which {stored} are there")
    if len(weights) > 2 * MOST_LAYERS or rows.n_layers(table) > MOST_LAYERS:
        raise ValueError(f"networks of more than {MOST_LAYERS} layers")
    shapes = {"center": (table.data_dim,), "scale": (table.data_dim,)}
    shapes.update({name: (array.size,) for name, array in scores.items()})
    for name, numbers in {**weights, **scaling, **scores}.items():
        if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
            raise ValueError(f"{name:.80} holds {numbers.dtype}, or numbers that are not finite")
        if numbers.shape != shapes.get(name, numbers.shape) or not numbers.size:
            raise ValueError(f"{name:.80} has the shape {list(numbers.shape)}")
    for name, numbers in weights.items():
        if numbers.dtype.itemsize != 4:
            raise ValueError(f"{name:.80} holds {numbers.dtype}, not numbers of 32 bits")
    if not (scaling["scale"] > 0.0).all():
        raise ValueError("a feature scaled by a number that is not positive")


def _sound_references(points: np.ndarray, width: int) -> np.ndarray:
    """Check that references are finite float32 numbers [m, 2 d], at most as many as a model stores (ValueError)."""
    finite = points.dtype == np.float32 and np.isfinite(points).all()
    if points.ndim != 2 or points.shape[1] != 2 * width or not 0 < len(points) <= MOST_REFERENCES or not finite:
        raise ValueError(f"references of {points.dtype} {list(points.shape)}, or that are not finite")
    return points


def _numbers_of(usual: Usual) -> dict[str, np.ndarray]:
    """Arrays of the usual values; the features of categorical columns are known from the preprocessing."""
    arrays = {"low": usual.low, "high": usual.high, "error": usual.error}
    if usual.categories is not None:
        known = usual.categories
        arrays.update(rows=known.rows, surprise=known.usual, rarity=known.rarity)
    return arrays


def _sound_usual(arrays: dict[str, np.ndarray], width: int, blocks: Blocks) -> Usual:
    """Refuse arrays that are not finite float32 of the right shape, and divisors that are not positive (ValueError)."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("low", "high", "error"), (width,))
    if "surprise" in arrays:
        if not 0 < len(arrays["rows"]) <= MOST_REFERENCES:
            raise ValueError(f"{len(arrays['rows'])} rows of usual categories")
        arrays = {"rarity": np.zeros(len(blocks), np.float32), **arrays}  # earlier folders have none
        shapes.update(rows=(len(arrays["rows"]), width), surprise=(len(blocks),), rarity=(len(blocks),))
    for name, shape in shapes.items():
        numbers = arrays[name]
        if numbers.shape != shape or numbers.dtype != np.float32 or not np.isfinite(numbers).all():
            raise ValueError(f"usual values ({name}) that are not finite, or of the shape {list(numbers.shape)}")
    known = None
    if "surprise" in arrays:
        known = Categories(blocks, arrays["rows"], arrays["surprise"], arrays["rarity"])
        if not ((known.usual > 0.0).all() and (known.rarity >= 0.0).all()):
            raise ValueError("a usual surprise that is not positive, or a rarity that is negative")
    if not (arrays["error"] > 0.0).all():
        raise ValueError("a usual error that is not positive")
    return Usual(arrays["low"], arrays["high"], arrays["error"], known)


def plain(value: object) -> object:
    """A parameter as JSON holds it: NumPy scalars as Python numbers, also in tuples and lists."""
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value
