"""KDD99 (Table I): columns of the 10 % file, and its preprocessing to 121 features."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from alad_tf.data.base import Halves

if TYPE_CHECKING:
    import pandas as pd

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
KDD99_FEATURES = KDD99_NUMERIC + [  # of x
    f"{column}={value}" for column, values in KDD99_CATEGORIES.items() for value in values
]


def parse_kdd99(content: bytes) -> Halves:
    """Draw half of the rows for training and keep the attacks among them; `normal.` rows are the anomalies."""
    import pandas as pd

    types: dict[str, type[np.float32] | pd.CategoricalDtype] = dict.fromkeys(KDD99_NUMERIC, np.float32)
    types.update({column: pd.CategoricalDtype(names) for column, names in KDD99_CATEGORIES.items()})
    blocks = pd.read_csv(
        io.BytesIO(content),
        compression="gzip",
        header=None,
        names=[*KDD99_COLUMNS, "label"],
        dtype=types,
        chunksize=1 << 16,  # cuts the peak memory to a third
    )
    frame = pd.concat(blocks, ignore_index=True)
    anomaly = frame.pop("label") == "normal."
    train = frame.sample(frac=0.5, random_state=42)
    test = frame.drop(train.index)
    train = train[~anomaly[train.index]]
    y_train, y_test = (anomaly[half.index].to_numpy(np.uint8) for half in (train, test))
    return Halves(_kdd99_features(train), y_train, _kdd99_features(test), y_test)


def _kdd99_features(frame: pd.DataFrame) -> np.ndarray:
    """[n, 121]: the 34 numeric columns in file order, then one block per categorical column, categories sorted.

    This is the order of the released code, which appends `pandas.get_dummies` of one column after the other.
    """
    x = np.zeros((len(frame), len(KDD99_FEATURES)), np.float32)
    x[:, : len(KDD99_NUMERIC)] = frame[KDD99_NUMERIC]
    first = len(KDD99_NUMERIC)
    for column, categories in KDD99_CATEGORIES.items():
        x[np.arange(len(frame)), first + frame[column].cat.codes.to_numpy()] = 1.0
        first += len(categories)
    return x
