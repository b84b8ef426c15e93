"""The files that tensorflow_model_server reads."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from command import refused, run

from alad_tf.errors import SettingsError
from alad_tf.serving import server_config


def test_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for version in ("fraud/1", "fraud/12", "other/3", "unfinished/.export.x", "no-model"):
        (tmp_path / "served" / version).mkdir(parents=True)
    out = tmp_path / "config"
    arguments = ["--served-from", "/models/", "--max-batch", "64", "--threads", "2"]
    assert run("serve-config", tmp_path / "served", out, *arguments) == 0
    assert (out / "models.config").read_text() == (
        "model_config_list {\n"
        '  config {\n    name: "fraud"\n    base_path: "/models/fraud"\n    model_platform: "tensorflow"\n  }\n'
        '  config {\n    name: "other"\n    base_path: "/models/other"\n    model_platform: "tensorflow"\n  }\n'
        "}\n"
    )
    assert (out / "batching.config").read_text().splitlines() == [
        "max_batch_size { value: 64 }",
        "batch_timeout_micros { value: 1000 }",
        "num_batch_threads { value: 2 }",
        "max_enqueued_batches { value: 100 }",
    ]
    assert 'path: "/monitoring/prometheus/metrics"' in (out / "monitoring.config").read_text()
    command = capfd.readouterr().out
    for option in ("model_config_file", "batching_parameters_file", "monitoring_config_file"):
        (path,) = [word.split("=")[1] for word in command.split() if word.startswith(f"--{option}=")]
        assert Path(path).is_file()


def test_paths_are_absolute_and_quoted(tmp_path: Path) -> None:
    for name in ('a "b"', "a\nb"):
        (tmp_path / name / "1").mkdir(parents=True)
    command = server_config.write(tmp_path, tmp_path / "my config")
    text = (tmp_path / "my config" / "models.config").read_text()
    assert f'base_path: "{tmp_path}/a \\"b\\""' in text and f'base_path: "{tmp_path}/a\\nb"' in text
    assert f"--model_config_file={tmp_path}/my config/models.config" in shlex.split(command)


def test_edited_files_are_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "served" / "fraud" / "1").mkdir(parents=True)
    call = ("serve-config", tmp_path / "served", tmp_path / "config")
    assert run(*call) == run(*call) == 0
    models = tmp_path / "config" / "models.config"
    pinned = models.read_text().replace("  }\n", "    model_version_policy { specific { versions: 1 } }\n  }\n")
    models.write_text(pinned)
    capfd.readouterr()
    assert "Received: models.config, with other content. Pass --overwrite" in refused(capfd, *call)
    assert "models.config, batching.config" in refused(capfd, *call, "--threads", "2")
    assert models.read_text() == pinned
    assert run(*call, "--overwrite") == 0
    assert "model_version_policy" not in models.read_text()


def test_names_that_servers_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "m\udcff" / "1").mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"Expected BASE and names of models in UTF-8. Received: 'm.udcff'"):
        server_config.write(tmp_path, tmp_path / "config")
    assert not (tmp_path / "config").exists()


def test_faults(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for base in (tmp_path, tmp_path / "nothing"):
        assert "Expected BASE with models" in refused(capfd, "serve-config", base, tmp_path / "config")
    with pytest.raises(SettingsError, match="Expected threads of at least 1. Received: 0"):
        server_config.write(tmp_path, tmp_path, threads=0)
    assert not list(tmp_path.iterdir())
