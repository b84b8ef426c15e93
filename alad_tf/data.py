"""The data sets of Table I, split as the released code splits them, and the toy data of Figure 2.

Images are in `alad_tf.images`; what follows is about the tabular ones.

Raw files are found in the data directory or the user's cache folder, or else downloaded; only files with the known
checksum are ever used. What is parsed from them is cached as memory-mapped arrays that processes share.

x is float32, one row per sample; y is uint8, 1 = anomaly. Arrays may be read-only. Only images have a validation part.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np

from alad_tf import images
from alad_tf.errors import DataError, SettingsError, one_line
from alad_tf.files import replacing

DATA_SETS = ("kdd99", "arrhythmia", *images.SOURCES, "toy")
SCALINGS = (None, "minmax")
TRAINING_HALVES = ("clean", "released")

CHECKOUT = Path(__file__).resolve().parents[1]
CACHE_VERSION = 1  # raise it when parsing or splitting changes
TIMEOUT = 30.0  # seconds without a byte before a download is given up


class Split(NamedTuple):
    """What a method trains and is scored on."""

    x_train: np.ndarray  # [n_train, d] float32, or images [n_train, 32, 32, 3] uint8
    x_valid: np.ndarray | None
    x_test: np.ndarray  # [n_test, d] float32
    y_test: np.ndarray  # [n_test] uint8, 1 = anomaly
    stand_in: str | None = None  # how the data differ from those of Table I; None: they do not


class Halves(NamedTuple):
    """The two halves as released; the training half may still hold anomalies."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


# KDD99 ------------------------------------------------------------------------------------------------------------

KDD99_COLUMNS = (
    "duration protocol_type service flag src_bytes dst_bytes land wrong_fragment urgent hot num_failed_logins "
    "logged_in num_compromised root_shell su_attempted num_root num_file_creations num_shells num_access_files "
    "num_outbound_cmds is_host_login is_guest_login count srv_count serror_rate srv_serror_rate rerror_rate "
    "srv_rerror_rate same_srv_rate diff_srv_rate srv_diff_host_rate dst_host_count dst_host_srv_count "
    "dst_host_same_srv_rate dst_host_diff_srv_rate dst_host_same_src_port_rate dst_host_srv_diff_host_rate "
    "dst_host_serror_rate dst_host_srv_serror_rate dst_host_rerror_rate dst_host_srv_rerror_rate"
).split()

KDD99_CATEGORIES = {
    "protocol_type": "icmp tcp udp".split(),
    "service": (
        "IRC X11 Z39_50 auth bgp courier csnet_ns ctf daytime discard domain domain_u echo eco_i ecr_i efs exec finger "
        "ftp ftp_data gopher hostnames http http_443 imap4 iso_tsap klogin kshell ldap link login mtp name netbios_dgm "
        "netbios_ns netbios_ssn netstat nnsp nntp ntp_u other pm_dump pop_2 pop_3 printer private red_i remote_job rje "
        "shell smtp sql_net ssh sunrpc supdup systat telnet tftp_u tim_i time urh_i urp_i uucp uucp_path vmnet whois"
    ).split(),
    "flag": "OTH REJ RSTO RSTOS0 RSTR S0 S1 S2 S3 SF SH".split(),
    "land": ["0", "1"],
    "logged_in": ["0", "1"],
    "is_host_login": ["0"],
    "is_guest_login": ["0", "1"],
}
KDD99_NUMERIC = [column for column in KDD99_COLUMNS if column not in KDD99_CATEGORIES]


def _parse_kdd99(content: bytes) -> Halves:
    """Half of the rows drawn for training, of which the attacks are kept; `normal.` rows are the anomalies."""
    import pandas as pd

    types: dict[str, Any] = dict.fromkeys(KDD99_NUMERIC, np.float32)
    types.update({column: pd.CategoricalDtype(names) for column, names in KDD99_CATEGORIES.items()})
    blocks = pd.read_csv(
        io.BytesIO(content),
        compression="gzip",
        header=None,
        names=[*KDD99_COLUMNS, "label"],
        dtype=types,
        chunksize=1 << 16,  # a third of the peak memory
    )
    frame = pd.concat(blocks, ignore_index=True)
    anomaly = frame.pop("label") == "normal."
    train = frame.sample(frac=0.5, random_state=42)
    test = frame.drop(train.index)
    train = train[~anomaly[train.index]]
    y_train, y_test = (anomaly[half.index].to_numpy(np.uint8) for half in (train, test))
    return Halves(_kdd99_features(train), y_train, _kdd99_features(test), y_test)


def _kdd99_features(frame: Any) -> np.ndarray:
    """[n, 121]: the 34 numeric columns in file order, then one block per categorical column, categories sorted.

    The order of the released code, which appends `pandas.get_dummies` of one column after the other.
    """
    x = np.zeros((len(frame), len(feature_names("kdd99"))), np.float32)
    x[:, : len(KDD99_NUMERIC)] = frame[KDD99_NUMERIC]
    first = len(KDD99_NUMERIC)
    for column, categories in KDD99_CATEGORIES.items():
        x[np.arange(len(frame)), first + frame[column].cat.codes.to_numpy()] = 1.0
        first += len(categories)
    return x


# Arrhythmia -------------------------------------------------------------------------------------------------------

ARRHYTHMIA_OUTLIERS = (3, 4, 5, 7, 8, 9, 14, 15)  # the smallest of the UCI file's classes
ARRHYTHMIA_PATIENT = (  # without the five columns that have missing cells: T, P, QRST and J angle, heart rate
    "age sex height weight qrs_duration pr_interval qt_interval t_interval p_interval qrs_angle"
).split()
ARRHYTHMIA_CHANNELS = "DI DII DIII AVR AVL AVF V1 V2 V3 V4 V5 V6".split()
ARRHYTHMIA_WIDTHS = (
    "q_width r_width s_width r2_width s2_width deflections ragged_r diphasic_r ragged_p diphasic_p ragged_t diphasic_t"
).split()
ARRHYTHMIA_AMPLITUDES = (
    "jj_amplitude q_amplitude r_amplitude s_amplitude r2_amplitude s2_amplitude p_amplitude t_amplitude qrsa qrsta"
).split()


def _parse_arrhythmia_mat(content: bytes) -> Halves:
    from scipy.io import loadmat

    arrays = loadmat(io.BytesIO(content))
    return _arrhythmia_halves(arrays["X"].astype(np.float32), arrays["y"].ravel().astype(np.uint8))


def _parse_arrhythmia_data(content: bytes) -> Halves:
    import pandas as pd

    frame = pd.read_csv(io.BytesIO(content), header=None, na_values="?").dropna(axis="columns")
    outlier = frame.iloc[:, -1].isin(ARRHYTHMIA_OUTLIERS)
    return _arrhythmia_halves(frame.iloc[:, :-1].to_numpy(np.float32), outlier.to_numpy(np.uint8))


def _arrhythmia_halves(x: np.ndarray, y: np.ndarray) -> Halves:
    from sklearn.model_selection import train_test_split

    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.5, random_state=42)
    return Halves(x_train, y_train, x_test, y_test)


# Toy --------------------------------------------------------------------------------------------------------------


def _toy() -> Halves:
    """Figure 2: four Gaussians at (+-2, +-2), variance 0.02; test outliers uniform over [-4, 4]^2, which covers them.

    An outlier that falls inside a Gaussian is still labelled 1.
    """
    rng = np.random.default_rng(42)

    def mixture() -> np.ndarray:
        centres = rng.choice((-2.0, 2.0), size=(2048, 2))
        return rng.normal(centres, np.sqrt(0.02)).astype(np.float32)

    x_train, x_normal = mixture(), mixture()
    outliers = rng.uniform(-4.0, 4.0, size=(100, 2)).astype(np.float32)
    y_test = np.repeat(np.array([0, 1], np.uint8), [len(x_normal), len(outliers)])
    return Halves(x_train, np.zeros(len(x_train), np.uint8), np.concatenate([x_normal, outliers]), y_test)


# What is known of the files ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RawFile:
    """A file as its publisher made it, and how it becomes arrays."""

    name: str
    size: int  # bytes
    sha256: str
    urls: tuple[str, ...]  # mirrors, tried in this order
    parse: Callable[[bytes], Halves]


RAW_FILES = {
    "kdd99": (
        RawFile(
            "kddcup.data_10_percent.gz",
            2_144_903,
            "8045aca0d84e70e622d1148d7df782496f6333bf6eb979a1b0837c42a9fd9561",
            (
                "https://ndownloader.figshare.com/files/5976042",
                "https://archive.ics.uci.edu/ml/machine-learning-databases/kddcup99-mld/kddcup.data_10_percent.gz",
                "http://kdd.ics.uci.edu/databases/kddcup99/kddcup.data_10_percent.gz",
            ),
            _parse_kdd99,
        ),
    ),
    "arrhythmia": (  # the same 452 x 274 either way
        RawFile(
            "arrhythmia.mat",
            105_540,
            "e4d47e499591ae31e5d7f0cd983367092353eac240f48e14c9b36457edb3460d",
            ("https://www.dropbox.com/s/lmlwuspn1sey48r/arrhythmia.mat?dl=1",),  # where odds.cs.stonybrook.edu links to
            _parse_arrhythmia_mat,
        ),
        RawFile(
            "arrhythmia.data",
            402_355,
            "a7f0f4ca289a4c58b5ed85a9adb793189acd38425828ce3dfbb70adb45f30169",
            ("https://archive.ics.uci.edu/ml/machine-learning-databases/arrhythmia/arrhythmia.data",),
            _parse_arrhythmia_data,
        ),
    ),
}


class Counts(NamedTuple):
    """Shapes and anomalies of the halves."""

    train: tuple[int, ...]
    train_anomalies: int
    test: tuple[int, ...]
    test_anomalies: int


COUNTS = {
    # Table I: 494,021 x 121; 48,649 of the 97,278 anomalies are drawn for training and dropped.
    "kdd99": Counts((198_361, 121), 0, (247_011, 121), 48_629),
    # Table I: 452 x 274.
    "arrhythmia": Counts((226, 274), 34, (226, 274), 32),
}


# Loading ----------------------------------------------------------------------------------------------------------


def load(
    name: str,
    *,
    data_dir: Path | str | None = None,
    scaling: str | None = None,
    training_half: str = "clean",
    normal_class: int | None = None,
) -> Split:
    """A data set with the paper's protocol (Section V-A) on the released split.

    kdd99: 198,361 training rows, 247,011 test rows, 121 features; the attacks are the normal class.
    arrhythmia: 192 training rows (226 with training_half="released", which leaves its 34 anomalies in), 226 test
    rows, 274 features. toy: 2,048 training rows, 2,148 test rows, 2 features. svhn, cifar10: see `images.load`.

    Values are raw; scaling="minmax" maps the training half that is used to [0, 1] per feature, and the test half alike.

    Raises SettingsError for an unknown name or option; DataError for a file that is missing and cannot be downloaded,
    has the wrong checksum (it is then set aside as `<name>.bad`), or does not hold the rows of Table I.
    """
    _require("data set", name, DATA_SETS)
    _require("scaling", scaling, SCALINGS)
    _require("training half", training_half, TRAINING_HALVES)
    if scaling is not None and name in images.SOURCES:
        raise SettingsError(f"Expected no scaling for {name}: its pixels are mapped to [-1, 1]. Received: {scaling!r}.")
    if training_half == "released" and name != "arrhythmia":
        raise SettingsError(
            f"Expected training half 'clean' for {name}: its training half is already normals only (the released KDD99 "
            "half is attacks only). Received: 'released'. Only arrhythmia has both."
        )
    if name in images.SOURCES:
        return Split(*images.load(name, normal_class, _folders(data_dir)))
    halves = _toy() if name == "toy" else _tabular(name, data_dir)
    x_train, x_test = halves.x_train, halves.x_test
    if training_half == "clean" and halves.y_train.any():
        x_train = x_train[halves.y_train == 0]
    if scaling == "minmax":
        from sklearn.preprocessing import MinMaxScaler

        scaler = MinMaxScaler().fit(x_train)
        x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)
    return Split(x_train, None, x_test, halves.y_test)


def prepare(
    name: str, *, data_dir: Path | str | None = None, scaling: str | None = None, training_half: str = "clean"
) -> None:
    """Have a data set in place for processes that load it: raises what `load` would, but for damaged images."""
    if name in images.SOURCES:
        images.prepared(name, _folders(data_dir))
    else:
        load(name, data_dir=data_dir, scaling=scaling, training_half=training_half)


def feature_names(name: str) -> list[str]:
    """One name per column of x: 121, 274 or 2. A one-hot column is named as in `service=http`."""
    _require("tabular data set", name, tuple(COUNTS) + ("toy",))
    if name == "toy":
        return ["x1", "x2"]
    if name == "kdd99":
        return KDD99_NUMERIC + [f"{column}={value}" for column, values in KDD99_CATEGORIES.items() for value in values]
    blocks = (ARRHYTHMIA_WIDTHS, ARRHYTHMIA_AMPLITUDES)
    return ARRHYTHMIA_PATIENT + [
        f"{channel}_{feature}" for block in blocks for channel in ARRHYTHMIA_CHANNELS for feature in block
    ]


def data_directory(data_dir: Path | str | None = None) -> Path:
    """Where raw files are looked for first.

    The first of: the argument, $ALAD_DATA_DIR, data/ in the checkout, ../shared/data beside the checkout (these two
    only if they exist), the user's cache folder. It need not exist yet. Raises SettingsError where it is a file.
    """
    named = data_dir or os.environ.get("ALAD_DATA_DIR")
    if named:
        folder = Path(named).expanduser()
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise SettingsError(f"Expected a data directory. Received: the file {folder}. Name the directory it is in.")
        return folder
    if (CHECKOUT / "setup.py").is_file():  # not when installed among other packages
        for folder in (CHECKOUT / "data", CHECKOUT.parent / "shared" / "data"):
            if folder.is_dir():
                return folder
    return _user_cache()


def _folders(data_dir: Path | str | None) -> list[Path]:
    return _unique(data_directory(data_dir), _user_cache())


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "alad_tf"


def _require(what: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise SettingsError(f"Expected a known {what}. Received: {value!r}. Allowed: {', '.join(map(repr, allowed))}.")


# Parsed arrays, cached --------------------------------------------------------------------------------------------


def _tabular(name: str, data_dir: Path | str | None) -> Halves:
    """The halves from the cache beside the raw file or in the user's cache folder, or else parsed and cached there.

    Where neither folder can be written, the arrays are simply not cached.
    """
    raw, path, content = _raw_file(name, data_dir)
    folders = _unique(path.parent, _user_cache())
    stem = f"{raw.name}.{raw.sha256[:12]}.v{CACHE_VERSION}"
    for folder in folders:
        try:
            return _read_cache(folder, stem, name)
        except (OSError, ValueError, EOFError):  # absent or damaged
            continue
    halves = raw.parse(content)
    _check_counts(name, halves)
    for folder in folders:
        try:
            _write_cache(folder, stem, halves)
            return _read_cache(folder, stem, name)
        except OSError:
            continue
    return halves


def _read_cache(folder: Path, stem: str, name: str) -> Halves:
    halves = Halves(*(np.load(folder / f"{stem}.{field}.npy", mmap_mode="r") for field in Halves._fields))
    _check_counts(name, halves)
    return halves


def _write_cache(folder: Path, stem: str, halves: Halves) -> None:
    _respect_read_only(folder)
    for field, array in zip(Halves._fields, halves):
        with replacing(folder / f"{stem}.{field}.npy") as temporary:
            np.save(temporary, array)


def _check_counts(name: str, halves: Halves) -> None:
    received = Counts(halves.x_train.shape, int(halves.y_train.sum()), halves.x_test.shape, int(halves.y_test.sum()))
    if received != COUNTS[name]:
        raise DataError(
            f"Expected {name} to hold {COUNTS[name]} (Table I). Received: {received}. Install the versions of pandas, "
            "scikit-learn and numpy that setup.cfg names."
        )


# Raw files --------------------------------------------------------------------------------------------------------


def _raw_file(name: str, data_dir: Path | str | None) -> tuple[RawFile, Path, bytes]:
    """The data set's first file that is in the data directory or the user's cache folder, or else a downloaded one."""
    folders = _folders(data_dir)
    for folder in folders:
        for raw in RAW_FILES[name]:
            path = folder / raw.name
            if os.path.isfile(path):
                return raw, path, _verified(raw, path)
    return _download(name, folders)


def _verified(raw: RawFile, path: Path) -> bytes:
    """The content of the file; one with the wrong checksum is renamed to `<name>.bad`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"Expected to read {path}. Received: {one_line(error)}. Make it readable or remove it."
        ) from error
    if _sha256(content) == raw.sha256:
        return content
    bad = path.with_name(f"{path.name}.bad")
    try:
        _respect_read_only(path.parent)
        path.replace(bad)
        remedy = f"It has been set aside as {bad}; the next call downloads the right file if it finds none"
    except OSError:
        remedy = f"It could not be set aside: put the right file in its place ({raw.urls[0]})"
    raise DataError(f"Expected {path} to have sha256 {raw.sha256}. Received: {_describe(raw, content)}. {remedy}.")


def _download(name: str, folders: list[Path]) -> tuple[RawFile, Path, bytes]:
    """The data set's first file that a mirror delivers with the right checksum, stored in the first writable folder."""
    failures = []
    for raw in RAW_FILES[name]:
        for url in raw.urls:
            try:
                content = _fetch(url, raw)
            except (OSError, HTTPException, ValueError) as error:
                failures.append(f"{url}: {one_line(error)}")
                continue
            if _sha256(content) == raw.sha256:
                return raw, _store(raw, content, folders), content
            failures.append(f"{url}: {_describe(raw, content)}")
    files = " or ".join(f"{raw.name} (sha256 {raw.sha256}, from {raw.urls[0]})" for raw in RAW_FILES[name])
    raise DataError(
        f"Expected {files} in {_either(folders)}. Received: no such file, and no download succeeded "
        f"({'; '.join(failures)}). Put the file there by hand, or name the directory that has it with --data-dir or "
        "ALAD_DATA_DIR; './reproduce.sh toy' needs no download."
    )


def _fetch(url: str, raw: RawFile) -> bytes:
    """What the URL delivers, up to a block more than the file's size, under a progress bar (on a terminal)."""
    from tqdm import tqdm

    content = bytearray()
    with (
        urllib.request.urlopen(url, timeout=TIMEOUT) as response,
        tqdm(total=raw.size, desc=raw.name, unit="B", unit_scale=True, disable=None) as progress,
    ):
        while len(content) <= raw.size:
            block = response.read(1 << 16)
            if not block:
                break
            content += block
            progress.update(len(block))
    return bytes(content)


def _store(raw: RawFile, content: bytes, folders: list[Path]) -> Path:
    failures = []
    for folder in folders:
        try:
            _respect_read_only(folder)
            with replacing(folder / raw.name) as temporary:
                temporary.write_bytes(content)
            return folder / raw.name
        except OSError as error:
            failures.append(one_line(error))
    raise DataError(
        f"Expected to write {raw.name} to {_either(folders)}. Received: {'; '.join(failures)}. Name a writable "
        "directory with --data-dir or ALAD_DATA_DIR."
    )


def _respect_read_only(folder: Path) -> None:
    """Raise PermissionError where the folder, or its nearest parent, is marked read-only (root could write)."""
    existing = next(place for place in (folder, *folder.parents) if os.path.isdir(place))
    if not existing.stat().st_mode & 0o222:
        raise PermissionError(errno.EACCES, "Marked as read-only", str(existing))


def _describe(raw: RawFile, content: bytes) -> str:
    page = ", a web page" if content[:256].lstrip().lower().startswith((b"<!doctype", b"<html")) else ""
    return f"sha256 {_sha256(content)} ({len(content)} bytes of {raw.size}{page})"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _either(folders: Iterable[Path]) -> str:
    return " or ".join(map(str, folders))


def _unique(*folders: Path) -> list[Path]:
    return list(dict.fromkeys(folders))
