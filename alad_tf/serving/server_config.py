"""`alad serve-config`: configuration files of tensorflow_model_server for all models in a folder of exports."""

from __future__ import annotations

import shlex
from pathlib import Path

from google.protobuf.text_encoding import CEscape  # type: ignore[import-untyped]

from alad_tf.errors import DataError, SettingsError
from alad_tf.io import atomic, model_folder
from alad_tf.serving import versions

MODELS, BATCHING, MONITORING = "models.config", "batching.config", "monitoring.config"
METRICS_PATH = "/monitoring/prometheus/metrics"


def write(base: Path, folder: Path, *, served_from: str | None = None, max_batch: int = 1024, threads: int = 4) -> str:
    """Write models.config, batching.config and monitoring.config.

    Args:
        base: BASE, with a folder of versions for each model.
        folder: folder for the files.
        served_from: path of BASE on the server, such as /models in a container; None: the same absolute path.
        max_batch: maximum number of rows in a batch of merged requests.
        threads: batches processed at a time.

    Returns:
        The command that starts the server, quoted for a shell.

    Raises:
        DataError: there is no model with a version.
        SettingsError: a number below 1, or a model folder for the files.
    """
    for what, number in {"max_batch": max_batch, "threads": threads}.items():
        if number < 1:
            raise SettingsError(f"Expected {what} of at least 1. Received: {number}.")
    model_folder.require_outside(folder)
    names = sorted(path.name for path in base.iterdir() if versions.versions(path)) if base.is_dir() else []
    if not names:
        raise DataError(f"Expected BASE with models, BASE/NAME/VERSION. Received: {base}, without any.")
    root = served_from or str(base.resolve())
    models = "".join(_model(name, f"{root.rstrip('/')}/{name}") for name in names)
    atomic.write_text(folder / MODELS, f"model_config_list {{\n{models}}}\n")
    batching = {
        "max_batch_size": max_batch,
        "batch_timeout_micros": 1000,
        "num_batch_threads": threads,
        "max_enqueued_batches": 100,
    }
    atomic.write_text(folder / BATCHING, "".join(f"{name} {{ value: {value} }}\n" for name, value in batching.items()))
    atomic.write_text(folder / MONITORING, f'prometheus_config {{\n  enable: true\n  path: "{METRICS_PATH}"\n}}\n')
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


def _model(name: str, path: str) -> str:
    quoted = (CEscape(text, as_utf8=True) for text in (name, path))
    return '  config {{\n    name: "{}"\n    base_path: "{}"\n    model_platform: "tensorflow"\n  }}\n'.format(*quoted)
