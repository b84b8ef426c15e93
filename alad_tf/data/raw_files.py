"""Raw files and row counts of the tabular data sets (Table I)."""

from __future__ import annotations

from alad_tf.data.arrhythmia import parse_arrhythmia_data, parse_arrhythmia_mat
from alad_tf.data.base import Counts, RawFile
from alad_tf.data.kdd99 import parse_kdd99

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
            parse_kdd99,
        ),
    ),
    "arrhythmia": (  # both files hold the same 452 x 274 values
        RawFile(
            "arrhythmia.mat",
            105_540,
            "e4d47e499591ae31e5d7f0cd983367092353eac240f48e14c9b36457edb3460d",
            ("https://www.dropbox.com/s/lmlwuspn1sey48r/arrhythmia.mat?dl=1",),  # where odds.cs.stonybrook.edu links to
            parse_arrhythmia_mat,
        ),
        RawFile(
            "arrhythmia.data",
            402_355,
            "a7f0f4ca289a4c58b5ed85a9adb793189acd38425828ce3dfbb70adb45f30169",
            ("https://archive.ics.uci.edu/ml/machine-learning-databases/arrhythmia/arrhythmia.data",),
            parse_arrhythmia_data,
        ),
    ),
}


COUNTS = {
    # Table I: 494,021 x 121; 48,649 of the 97,278 anomalies are drawn for training and dropped.
    "kdd99": Counts((198_361, 121), 0, (247_011, 121), 48_629),
    # Table I: 452 x 274.
    "arrhythmia": Counts((226, 274), 34, (226, 274), 32),
}
