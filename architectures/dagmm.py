"""DAGMM, deep autoencoding Gaussian mixture models (Zong et al., ICLR 2018), for tabular data only."""

from architectures.rows import Adam, Dagmm, Dense, Xavier

# fmt: off
KDD99 = Dagmm(
    name="KDD99", source="Zong et al. 2018", data_dim=121,
    #     units  non-linearity  dropout
    encoder=(
        Dense(60,   "Tanh",     dropout=0.0),
        Dense(30,   "Tanh",     dropout=0.0),
        Dense(10,   "Tanh",     dropout=0.0),
        Dense(1,    "None",     dropout=0.0),
    ),
    decoder=(
        Dense(10,   "Tanh",     dropout=0.0),
        Dense(30,   "Tanh",     dropout=0.0),
        Dense(60,   "Tanh",     dropout=0.0),
        Dense(121,  "None",     dropout=0.0),
    ),
    estimation=(
        Dense(10,   "Tanh",     dropout=0.5),
        Dense(4,    "Softmax",  dropout=0.0),
    ),
    energy_weight=0.1,
    singularity_weight=0.005,
    optimizer=Adam(1e-4, beta1=0.9),
    batch_size=1024,
    epochs=200,
    initializer=Xavier(bias=0.0),
)

ARRHYTHMIA = Dagmm(
    name="Arrhythmia", source="Zong et al. 2018", data_dim=274,
    #     units  non-linearity  dropout
    encoder=(
        Dense(10,   "Tanh",     dropout=0.0),
        Dense(2,    "None",     dropout=0.0),
    ),
    decoder=(
        Dense(10,   "Tanh",     dropout=0.0),
        Dense(274,  "None",     dropout=0.0),
    ),
    estimation=(
        Dense(10,   "Tanh",     dropout=0.5),
        Dense(2,    "Softmax",  dropout=0.0),
    ),
    energy_weight=0.1,
    singularity_weight=0.005,
    optimizer=Adam(1e-4, beta1=0.9),
    batch_size=128,
    epochs=10_000,
    initializer=Xavier(bias=0.0),
)
# fmt: on
