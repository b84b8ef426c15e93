"""Arrhythmia (ODDS), 274 features: Table XIII (ALAD) and Table XII (the GAN of AnoGAN)."""

from architectures.rows import Adam, Alad, Dense, Gan, Joint, Xavier

# fmt: off
ALAD = Alad(
    name="Arrhythmia", source="Table XIII", data_dim=274,
    #     units  non-linearity  batch norm  dropout
    E=(
        Dense(256,  "LReLU",    False,      0.0),
        Dense(128,  "LReLU",    False,      0.0),
        Dense(64,   "None",     False,      0.0),
    ),
    G=(
        Dense(128,  "ReLU",     False,      0.0),
        Dense(256,  "ReLU",     False,      0.0),
        Dense(274,  "None",     False,      0.0),
    ),
    Dxz=Joint(
        only_x=(
            Dense(128,  "LReLU",    True,   0.0),
        ),
        only_z=(
            Dense(128,  "LReLU",    False,  0.5),
        ),
        joint=(
            Dense(256,  "LReLU",    False,  0.5),
            Dense(1,    "Sigmoid",  False,  0.0),
        ),
    ),
    Dxx=Joint(
        joint=(
            Dense(256,  "LReLU",    False,  0.2),
            Dense(128,  "LReLU",    False,  0.2),
            Dense(1,    "Sigmoid",  False,  0.0),
        ),
    ),
    Dzz=Joint(
        joint=(
            Dense(64,   "LReLU",    False,  0.2),
            Dense(32,   "LReLU",    False,  0.2),
            Dense(1,    "Sigmoid",  False,  0.0),
        ),
    ),
    optimizer=Adam(1e-5, beta1=0.5),
    batch_size=32,
    latent_dim=64,
    epochs=1000,
    lrelu_slope=0.2,
    initializer=Xavier(bias=0.0),
)

GAN = Gan(
    name="Arrhythmia", source="Table XII", data_dim=274,
    #     units  non-linearity  dropout
    G=(
        Dense(128,  "ReLU",     dropout=0.0),
        Dense(256,  "ReLU",     dropout=0.0),
        Dense(274,  "None",     dropout=0.0),
    ),
    D=(
        Dense(256,  "LReLU",    dropout=0.2),
        Dense(128,  "LReLU",    dropout=0.5),
        Dense(1,    "Sigmoid",  dropout=0.0),
    ),
    optimizer=Adam(1e-5, beta1=0.5),
    batch_size=32,
    latent_dim=64,
    epochs=1000,
    lrelu_slope=0.2,
    initializer=Xavier(bias=0.0),
)
# fmt: on
