"""Toy data, options of `load`, data directories and the cache of parsed files."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import raw_data
from conftest import CHECKOUT
from raw_data import (
    KDD99,
    MAT,
    ROUNDED,
    UCI,
    Tiny,
    cache_names,
    message,
    names_in,
    serve,
)

from alad_tf import paths
from alad_tf.data import base, loading, raw_files
from alad_tf.errors import DataError, SettingsError
from alad_tf.typing import Options

user_cache, folder, tiny = raw_data.user_cache, raw_data.folder, raw_data.tiny  # fixtures


# Toy --------------------------------------------------------------------------------------------------------------


def test_toy_is_four_gaussians_and_uniform_outliers() -> None:
    toy = loading.load("toy", data_dir="not/there")
    assert toy.x_train.shape == (2048, 2) and toy.x_test.shape == (2148, 2) and toy.x_valid is None
    assert (toy.x_train.dtype, toy.x_test.dtype, toy.y_test.dtype) == (np.float32, np.float32, np.uint8)
    assert toy.y_test.sum() == 100 and toy.y_test[-100:].all()
    for normal in (toy.x_train, toy.x_test[toy.y_test == 0]):
        centres = 2.0 * np.sign(normal)
        assert (normal - centres).var(axis=0) == pytest.approx([0.02, 0.02], rel=0.1)
        _, counts = np.unique(centres, axis=0, return_counts=True)
        assert len(counts) == 4 and counts.min() > 2048 / 4 - 80
    outliers = toy.x_test[toy.y_test == 1]
    assert np.abs(outliers).max() <= 4.0 < np.abs(outliers).max() + 0.3
    assert outliers.var(axis=0) == pytest.approx([16 / 3, 16 / 3], rel=0.3)
    assert not np.array_equal(toy.x_train, toy.x_test[:2048])


def test_toy_is_the_same_every_time() -> None:
    first, second = loading.load("toy"), loading.load("toy")
    for a, b in ((first.x_train, second.x_train), (first.x_test, second.x_test), (first.y_test, second.y_test)):
        assert a.tobytes() == b.tobytes()


# Options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "features"), [("kdd99", 121), ("arrhythmia", 274), ("toy", 2)])
def test_feature_names(name: str, features: int) -> None:
    names = loading.feature_names(name)
    assert len(names) == len(set(names)) == features


def test_feature_names_in_the_order_of_the_columns() -> None:
    kdd99 = loading.feature_names("kdd99")
    assert kdd99[:3] == ["duration", "src_bytes", "dst_bytes"] and kdd99[33] == "dst_host_srv_rerror_rate"
    assert kdd99[34:38] == ["protocol_type=icmp", "protocol_type=tcp", "protocol_type=udp", "service=IRC"]
    assert kdd99[-2:] == ["is_guest_login=0", "is_guest_login=1"]
    arrhythmia = loading.feature_names("arrhythmia")
    assert arrhythmia[9:12] == ["qrs_angle", "DI_q_width", "DI_r_width"] and arrhythmia[-1] == "V6_qrsta"


def test_minmax_scales_by_the_training_half() -> None:
    raw, scaled = loading.load("toy"), loading.load("toy", scaling="minmax")
    low, high = raw.x_train.min(axis=0), raw.x_train.max(axis=0)
    assert scaled.x_train.min(axis=0) == pytest.approx([0.0, 0.0], abs=ROUNDED)
    assert scaled.x_train.max(axis=0) == pytest.approx([1.0, 1.0], abs=ROUNDED)
    assert np.allclose(scaled.x_test, (raw.x_test - low) / (high - low), rtol=0.0, atol=ROUNDED)
    assert scaled.x_test.max() > 1.1  # outliers lie outside
    assert scaled.x_train.dtype == scaled.x_test.dtype == np.float32


def test_minmax_is_fitted_on_the_half_that_is_used(folder: Path, tiny: Tiny) -> None:
    tiny.halves.x_train[0] = 50.0  # an anomaly
    tiny.put(folder)
    largest = {}
    for training_half in loading.TRAINING_HALVES:
        split = loading.load("arrhythmia", data_dir=folder, scaling="minmax", training_half=training_half)
        assert split.x_train.min() >= -ROUNDED and split.x_train.max() <= 1.0 + ROUNDED
        assert split.x_train.flags.c_contiguous and split.x_test.flags.c_contiguous
        largest[training_half] = split.x_test.max()
    assert largest["clean"] > 1.0 > largest["released"]


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"name": "mnist"}, "'kdd99', 'arrhythmia', 'svhn', 'cifar10', 'toy'"),
        ({"name": "toy", "scaling": "standard"}, "None, 'minmax'"),
        ({"name": "toy", "training_half": "all"}, "'clean', 'released'"),
    ],
)
def test_unknown_options(options: Options, allowed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loading.load(**options)
    unknown = list(options.values())[-1]
    assert f"Received: {unknown!r}" in message(caught) and f"Allowed: {allowed}." in message(caught)


def test_unknown_name_has_no_features() -> None:
    with pytest.raises(SettingsError, match="Received: 'mnist'"):
        loading.feature_names("mnist")


@pytest.mark.parametrize("name", ["kdd99", "toy"])
def test_released_half_without_anomalies_is_refused(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loading.load(name, training_half="released")
    assert "attacks only" in message(caught)


# The data directory -----------------------------------------------------------------------------------------------


def test_data_folders_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_cache: Path) -> None:
    monkeypatch.undo()
    checkout, here = tmp_path / "checkout", Path.cwd()
    for name in ("HOME", "XDG_CACHE_HOME", "ALAD_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path) if name == "HOME" else "")
    cache = tmp_path / ".cache" / "alad_tf"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "CHECKOUT", None)
    assert paths.data_folders() == paths.download_folders() == [cache]
    monkeypatch.setattr(paths, "CHECKOUT", checkout)
    assert paths.data_folders() == [checkout / "data", cache]
    assert paths.download_folders() == [cache]
    shared = tmp_path / "shared" / "data"
    shared.mkdir(parents=True)
    assert paths.data_folders() == [checkout / "data", shared, cache]
    assert paths.download_folders() == [shared, cache]
    monkeypatch.setenv("ALAD_DATA_DIR", "~/named")
    assert paths.data_folders() == [tmp_path / "named", checkout / "data", shared, cache]
    for given in (tmp_path / "given", str(tmp_path / "given")):
        assert paths.data_folders(given) == [tmp_path / "given", checkout / "data", shared, cache]
        assert paths.download_folders(given) == [tmp_path / "given", shared, cache]
    assert paths.download_folders("checkout/data") == [shared, cache]
    monkeypatch.setattr(paths, "CHECKOUT", None)
    monkeypatch.delenv("ALAD_DATA_DIR")
    monkeypatch.chdir(here)  # a checkout
    assert paths.data_folders()[0] == here / "data"


def test_users_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_cache: Path) -> None:
    """Ids of users that are in no list of users, as in some containers, were a traceback."""
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert paths.data_folders() == [] and paths.data_folders(tmp_path) == [tmp_path]
    with pytest.raises(DataError, match=r"Expected kddcup.* in a data directory\. Received: no such file"):
        loading.load("kdd99")
    for name in ("~/data", "~nobody-of-that-name/data"):
        with pytest.raises(SettingsError, match=f"Expected a data directory. Received: {name}, of an unknown user"):
            paths.data_folders(name)


def test_folders_beside_an_installed_package_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(paths, "CHECKOUT", None)
    monkeypatch.chdir(tmp_path)
    assert paths.checkout_data() == []


def test_each_file_is_searched_in_all_folders(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout, shared = tmp_path / "checkout" / "data", tmp_path / "shared"
    monkeypatch.setattr(paths, "checkout_data", lambda: [checkout, shared])
    checkout.mkdir(parents=True)
    tiny.put(shared)
    assert paths.find_data("tiny.raw") == shared / "tiny.raw" and paths.find_data("none") is None
    assert tiny.is_in(loading.load("arrhythmia"))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=tmp_path / "empty"))
    assert names_in(shared) == {"tiny.raw"} | cache_names(tiny)


@pytest.mark.parametrize("named", [False, True])
def test_nothing_is_written_to_the_checkouts_data(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_cache: Path, named: bool
) -> None:
    checkout = tmp_path / "checkout" / "data"
    monkeypatch.setattr(paths, "checkout_data", lambda: [checkout])
    path = tiny.put(checkout)
    data_dir = checkout if named else None
    assert tiny.is_in(loading.load("arrhythmia", data_dir=data_dir))
    assert names_in(checkout) == {"tiny.raw"} and names_in(user_cache) == cache_names(tiny)
    path.write_bytes(b"another")
    with pytest.raises(DataError, match=r"Restore it with git checkout -- .*tiny\.raw, or remove it"):
        loading.load("arrhythmia", data_dir=data_dir)
    assert path.read_bytes() == b"another" and names_in(checkout) == {"tiny.raw"}
    path.unlink()
    serve(monkeypatch, {tiny.raw.urls[0]: tiny.content})
    assert tiny.is_in(loading.load("arrhythmia", data_dir=data_dir))
    assert names_in(checkout) == set() and (user_cache / "tiny.raw").read_bytes() == tiny.content


def test_raw_files_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """They exist, are unchanged and documented, and git tracks no other files."""
    folder = CHECKOUT / "data"
    page = (folder / "README.md").read_text(encoding="utf-8")
    for name in (KDD99, UCI):
        (raw,) = (raw for raws in raw_files.RAW_FILES.values() for raw in raws if raw.name == name)
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == raw.sha256
        assert all(part in page for part in (name, raw.sha256, f"{raw.size:,}", "CC BY 4.0"))
    if (CHECKOUT / ".git").exists() and shutil.which("git"):
        for name, ignored in (
            (KDD99, 1),
            (UCI, 1),
            (MAT, 0),
            (f"{KDD99}.x.v1.x_test.npy", 0),
            ("tensorflow_datasets", 0),
        ):
            command = ["git", "check-ignore", "-q", "--no-index", f"data/{name}"]
            assert subprocess.run(command, cwd=CHECKOUT).returncode == ignored, name


def test_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError) as caught:
        loading.load("kdd99", data_dir=tmp_path / "file")
    assert str(tmp_path / "file") in message(caught)


def test_file_in_the_environment_variables_directory(tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.put(folder)
    monkeypatch.setenv("ALAD_DATA_DIR", str(folder))
    assert tiny.is_in(loading.load("arrhythmia"))


def test_import_is_light() -> None:
    heavy = "{'tensorflow', 'pandas', 'sklearn', 'scipy'} & set(sys.modules)"
    code = f"import sys, alad_tf.data.loading; assert not {heavy}"
    subprocess.run([sys.executable, "-c", code], cwd=paths.CHECKOUT, check=True)


# Cache ------------------------------------------------------------------------------------------------------------


def test_cache_lies_beside_the_file_and_is_reused(tiny: Tiny, folder: Path, user_cache: Path) -> None:
    tiny.put(folder)
    splits = [loading.load("arrhythmia", data_dir=folder) for _ in range(3)]
    assert tiny.parsed == 1
    assert all(map(tiny.is_in, splits))
    assert names_in(folder) == {"tiny.raw"} | cache_names(tiny)
    assert not user_cache.exists()
    assert isinstance(splits[0].x_test, np.memmap) and not splits[0].x_test.flags.writeable


@pytest.mark.parametrize("field", base.Halves._fields)
@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "removed"])
def test_damaged_cache_is_remade(tiny: Tiny, folder: Path, field: str, damage: str) -> None:
    tiny.put(folder)
    loading.load("arrhythmia", data_dir=folder)
    cached = folder / f"tiny.raw.{tiny.sha256[:12]}.v1.{field}.npy"
    content = cached.read_bytes()
    if damage == "removed":
        cached.unlink()
    else:
        cached.write_bytes({"truncated": content[:-10], "empty": b"", "text": b"not an array"}[damage])
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 2
    assert cached.read_bytes() == content
    loading.load("arrhythmia", data_dir=folder)
    assert tiny.parsed == 2


@pytest.mark.parametrize("field", base.Halves._fields)
def test_cache_with_rows_in_another_order_is_remade(tiny: Tiny, folder: Path, field: str) -> None:
    """Reversed labels have the expected shape and count of anomalies, and gave another F1."""
    tiny.put(folder)
    loading.load("arrhythmia", data_dir=folder)
    cached = folder / f"tiny.raw.{tiny.sha256[:12]}.v1.{field}.npy"
    before = cached.read_bytes()
    np.save(cached, np.load(cached)[::-1])
    assert cached.stat().st_size == len(before) and cached.read_bytes() != before
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 2 and cached.read_bytes() == before


@pytest.mark.parametrize("sums", ["", "[]", "{}", None])
def test_cache_without_its_sums_is_remade(tiny: Tiny, folder: Path, sums: str | None) -> None:
    tiny.put(folder)
    loading.load("arrhythmia", data_dir=folder)
    kept = folder / f"tiny.raw.{tiny.sha256[:12]}.v1.json"
    kept.unlink() if sums is None else kept.write_text(sums)
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 2 and names_in(folder) == {"tiny.raw"} | cache_names(tiny)


def test_cache_of_other_rows_is_remade(tiny: Tiny, folder: Path) -> None:
    tiny.put(folder)
    loading.load("arrhythmia", data_dir=folder)
    np.save(folder / f"tiny.raw.{tiny.sha256[:12]}.v1.x_train.npy", np.zeros((3, 274), np.float32))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 2


def test_read_only_data_directory_is_left_alone(tiny: Tiny, folder: Path, user_cache: Path) -> None:
    tiny.put(folder)
    folder.chmod(0o555)
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 1
    assert names_in(folder) == {"tiny.raw"}
    assert names_in(user_cache) == cache_names(tiny)


def test_nowhere_to_cache(tiny: Tiny, folder: Path, user_cache: Path) -> None:
    tiny.put(folder)
    folder.chmod(0o555)
    user_cache.parent.touch()  # a file where the cache folder should be
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert tiny.parsed == 2


def test_full_disk_while_caching(tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*_: object) -> None:
        raise OSError(28, "No space left on device")

    tiny.put(folder)
    monkeypatch.setattr(np, "save", save)
    assert tiny.is_in(loading.load("arrhythmia", data_dir=folder))
    assert names_in(folder) == {"tiny.raw"}


def test_counts_of_table_1_are_checked(tiny: Tiny, folder: Path) -> None:
    tiny.put(folder)
    tiny.halves.y_train[0] = 0
    with pytest.raises(DataError) as caught:
        loading.load("arrhythmia", data_dir=folder)
    expected, received = message(caught).split("Received: ")
    assert "train_anomalies=34" in expected and "train_anomalies=33" in received
    assert names_in(folder) == {"tiny.raw"}


def test_no_class_of_rows() -> None:
    with pytest.raises(SettingsError, match="Expected no normal class for toy"):
        loading.load("toy", normal_class=3)
