"""`alad serve-config`: configuration files of tensorflow_model_server for all models in a folder of exports."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from google.protobuf.text_encoding import CEscape  # type: ignore[import-untyped]

from alad_tf.errors import DataError, SettingsError, quoted
from alad_tf.io import atomic, model_folder
from alad_tf.serving import versions

MODELS, BATCHING, MONITORING = "models.config", "batching.config", "monitoring.config"
METRICS_PATH = "/monitoring/prometheus/metrics"


def write(
    base: Path,
    folder: Path,
    *,
    served_from: str | None = None,
    max_batch: int = 1024,
    threads: int = 4,
    overwrite: bool = False,
) -> str:
    """Write models.config, batching.config and monitoring.config.

    Args:
        base: BASE, with a folder of versions for each model.
        folder: folder for the files.
        served_from: path of BASE on the server, such as /models in a container; None: the same absolute path.
        max_batch: maximum number of rows in a batch of merged requests.
        threads: batches processed at a time.
        overwrite: whether files with other content may be replaced.

    Returns:
        The command that starts the server, quoted for a shell.

    Raises:
        DataError: there is no model with a version.
        SettingsError: a number below 1, a name that is not in UTF-8, a model folder for them, or other files there.
    """
    for what, number in {"max_batch": max_batch, "threads": threads}.items():
        if number < 1:
            raise SettingsError(f"Expected {what} of at least 1. Received: {number}.")
    model_folder.require_outside(folder)
    names = sorted(path.name for path in base.iterdir() if versions.versions(path)) if base.is_dir() else []
    if not names:
        raise DataError(f"Expected BASE with models, BASE/NAME/VERSION. Received: {base}, without any.")
    batching = {
        "max_batch_size": max_batch,
        "batch_timeout_micros": 1000,
        "num_batch_threads": threads,
        "max_enqueued_batches": 100,
    }
    content = {
        MODELS: _models(names, served_from or os.path.realpath(base)),
        BATCHING: "".join(f"{name} {{ value: {value} }}\n" for name, value in batching.items()),
        MONITORING: f'prometheus_config {{\n  enable: true\n  path: "{METRICS_PATH}"\n}}\n',
    }
    if not overwrite:
        _require_same(folder, content)
    for name, text in content.items():
        atomic.write_text(folder / name, text)
    return _command(folder)


def _command(folder: Path) -> str:
    options = {
        "rest_api_port": "8501",
        "port": "8500",
        "model_config_file": folder / MODELS,
        "model_config_file_poll_wait_seconds": "60",
        "enable_batching": "true",
        "batching_parameters_file": folder / BATCHING,
        "monitoring_config_file": folder / MONITORING,
    }
    return shlex.join(["tensorflow_model_server", *(f"--{name}={value}" for name, value in options.items())])


def _require_same(folder: Path, content: dict[str, str]) -> None:
    """Refuse to replace files with other content, which were edited or are of other models (SettingsError)."""
    there = {name: folder / name for name in content if os.path.lexists(folder / name)}
    differing = [
        name for name, path in there.items() if not path.is_file() or path.read_bytes() != content[name].encode()
    ]
    if differing:
        raise SettingsError(
            f"Expected new configuration files in {folder}. Received: {', '.join(differing)}, with other content. Pass "
            "--overwrite to replace them."
        )


def _models(names: list[str], root: str) -> str:
    for name in (root, *names):
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise SettingsError(f"Expected BASE and names of models in UTF-8. Received: {quoted(name)}.") from error
    return "model_config_list {\n" + "".join(_model(name, f"{root.rstrip('/')}/{name}") for name in names) + "}\n"


def _model(name: str, path: str) -> str:
    quoted = (CEscape(text, as_utf8=True) for text in (name, path))
    return '  config {{\n    name: "{}"\n    base_path: "{}"\n    model_platform: "tensorflow"\n  }}\n'.format(*quoted)
