"""`alad export`: write and check a version of a model for TensorFlow Serving."""

from __future__ import annotations

import errno
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from alad_tf._version import __version__
from alad_tf.errors import AladError, SettingsError, one_line, quoted
from alad_tf.io import atomic, manifest, model_folder
from alad_tf.serving import versions
from alad_tf.serving.checks import check
from alad_tf.serving.preprocessing_graph import argument, column_types
from alad_tf.serving.signatures import LARGEST, Detector, Served
from alad_tf.serving.sources import Source
from alad_tf.serving.warm_up import write_warm_up
from alad_tf.typing import Document

PATTERN_SIGNS = "*?[\\"


def export(source: Source, base: Path | str, *, version: int | None = None) -> Path:
    """Write the next version of BASE/NAME: a SavedModel with a description, warm-up requests and a manifest.

    The version is written under a name that servers ignore, loaded by TensorFlow's C++ loader with XLA off, compared
    with this package, and finally renamed: it appears complete and checked, or not at all.

    Args:
        source: the model to export.
        base: BASE/NAME; NAME is the name of the model on the server.
        version: version number; None: the next one.

    Returns:
        The folder of the version.

    Raises:
        SettingsError: the version exists already, BASE/NAME is in a model folder or has signs that servers cannot read,
            or columns and categories are too long for a description or not in UTF-8.
        AladError: the export does not load, or its outputs differ from the package's.
        OSError: the disk is full, or the folder is not writable.
    """
    base = Path(base)
    model_folder.require_outside(base)
    name = _name(base)
    number = versions.vacant(base, version)
    base.mkdir(parents=True, exist_ok=True)
    atomic.remove_leftovers(base, ["export"])
    with atomic.temporary_folder(base / "export") as staging:
        with _reported(staging):
            signatures = _save(source.detector, staging)
            write_warm_up(staging / versions.WARM_UP, name, source.detector)
        check(staging, source.detector)
        while True:
            description = _description(source, signatures, name, number)
            _write_description(staging / versions.DESCRIPTION, description)
            versions.write_manifest(staging)
            if _put_in_place(staging, base / str(number)):
                break
            number = versions.vacant(base, version)  # another export has just used the number
    atomic.sync(base)
    return base / str(number)


# Parts of a version -----------------------------------------------------------------------------------------------


@contextmanager
def _reported(folder: Path) -> Iterator[None]:
    """Convert errors of TensorFlow's writers to an AladError of one line."""
    try:
        yield
    except tf.errors.OpError as error:
        raise AladError(f"Expected room to write in {folder}. Received: {one_line(error)}.") from error


def _save(detector: Detector, folder: Path) -> Document:
    """Write the SavedModel and return its signatures for the description."""
    served = Served(detector)
    functions = served.signatures()
    tf.saved_model.save(served, str(folder), signatures=functions)
    shutil.rmtree(folder / "variables" / "variables_temp", ignore_errors=True)  # there if TensorFlow cannot remove it
    names: dict[str, str] = {}
    if detector.preprocessing:
        names = {argument(place): name for place, name in enumerate(detector.preprocessing["columns"])}
        _name_columns(folder / "saved_model.pb", names)
    return {name: _interface(function, names) for name, function in functions.items()}


def _name_columns(path: Path, names: dict[str, str]) -> None:
    """Name the inputs of the signature `raw` after the columns, whose names may not be valid argument names."""
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    inputs = model.meta_graphs[0].signature_def["raw"].inputs
    infos = {names[argument_]: info.SerializeToString() for argument_, info in inputs.items()}
    inputs.clear()
    for name, info in infos.items():
        inputs[name].ParseFromString(info)
    path.write_bytes(model.SerializeToString())


def _interface(function: tf.types.experimental.ConcreteFunction, names: dict[str, str]) -> Document:
    def tensors(specs: Iterable[tuple[str, tf.TensorSpec]]) -> Document:
        return {names.get(name, name): {"type": spec.dtype.name, "shape": spec.shape.as_list()} for name, spec in specs}

    inputs = sorted(((spec.name, spec) for spec in function.structured_input_signature[0]), key=lambda pair: pair[0])
    return {"inputs": tensors(inputs), "outputs": tensors(function.structured_outputs.items())}


def _description(source: Source, signatures: Document, name: str, version: int) -> Document:
    """Description of a version for clients."""
    detector = source.detector
    return {
        "kind": versions.KIND,
        "format": versions.FORMAT,
        "name": name,
        "version": version,
        "score": detector.score,
        "threshold": {"value": detector.threshold, "rule": source.rule},
        "not_valid": {"score": LARGEST, "is_anomaly": True, "is_valid": False},
        "row": {"shape": list(detector.shape), "features": source.features},
        "columns": _columns(detector.preprocessing),
        "signatures": signatures,
        "origin": source.origin,
        "versions": {"alad_tf": __version__, "python": platform.python_version(), "tensorflow": tf.__version__},
    }


def _write_description(path: Path, description: Document) -> None:
    """Write a description that clients can read."""
    atomic.write_json(path, description)
    try:
        manifest.load_json(path)
    except ValueError as error:
        raise SettingsError(
            f"Expected columns and categories whose description clients can read. Received: {error}."
        ) from error


def _columns(prepared: Document | None) -> list[Document] | None:
    """Inputs of the signature `raw`; `argument` is an input's name in `tf.saved_model.load`.

    A column of true and false has the categories True and False, whatever the spelling in files.
    """
    if prepared is None:
        return None
    categorical = prepared["categorical"]
    known = dict(zip(categorical["columns"], categorical.get("categories", ())))
    return [
        {
            "name": name,
            "type": kind.name,
            "argument": argument(place),
            "missing_allowed": prepared["impute"],
            **({"categories": known[name]["values"]} if name in known else {}),
            **({"boolean": True} if name in prepared.get("booleans", ()) else {}),
        }
        for place, (name, kind) in enumerate(column_types(prepared).items())
    ]


def _put_in_place(staging: Path, version: Path) -> bool:
    """Rename a complete version to its number; return False if another export has used the number."""
    if version.exists():
        return False
    try:
        os.rename(staging, version)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _name(base: Path) -> str:
    """The name of a model on the server.

    Raises:
        SettingsError: there is none, or the path is one that TensorFlow cannot write to and servers cannot read.
    """
    path = os.path.realpath(base)
    name = Path(path).name if base.name in ("", "..") else base.name
    try:
        path.encode()
        name.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(f"Expected BASE/NAME in UTF-8. Received: {quoted(str(base))}.") from error
    if not name or any(sign in path for sign in PATTERN_SIGNS):
        raise SettingsError(
            f"Expected BASE/NAME without the signs {' '.join(PATTERN_SIGNS)}, which TensorFlow reads as a pattern, and "
            f"with a name. Received: {quoted(path)}."
        )
    return name
