"""DSEBM, deep structured energy-based models (Zhai et al., ICML 2016), as configured in the code of ALAD's authors.

Neither paper prints the number of epochs for tabular data, so the tables have ALAD's.
"""

from dataclasses import replace

from architectures.rows import Adam, Conv2D, Dense, Dsebm, Flatten, MaxPool, Xavier

# fmt: off
KDD99 = Dsebm(
    name="KDD99", source="Zhai et al. 2016", data_dim=121,
    #     units  non-linearity
    h=(
        Dense(128,  "Softplus"),
        Dense(512,  "Softplus"),
    ),
    noise=1.0,
    optimizer=Adam(1e-4, beta1=0.9),
    batch_size=100,
    epochs=100,
    initializer=Xavier(bias=0.0),
)

ARRHYTHMIA = Dsebm(
    name="Arrhythmia", source="Zhai et al. 2016", data_dim=274,
    #     units  non-linearity
    h=(
        Dense(10,   "Softplus"),
        Dense(2,    "Softplus"),
    ),
    noise=1.0,
    optimizer=Adam(1e-4, beta1=0.9),
    batch_size=26,
    epochs=1000,
    initializer=Xavier(bias=0.0),
)

CIFAR10 = Dsebm(
    name="CIFAR-10", source="Zhai et al. 2016", data_dim=(32, 32, 3),
    #       kernel strides padding maps  batch norm  non-linearity
    h=(
        Conv2D(3,  2,  "same",  64,      False,      "Softplus"),
        MaxPool(2),
        Flatten(),
        Dense(128, "Softplus"),
    ),
    noise=1.0,
    optimizer=Adam(3e-3, beta1=0.9),
    batch_size=32,
    epochs=100,
    initializer=Xavier(bias=0.0),
)
# fmt: on

SVHN = replace(CIFAR10, name="SVHN")
