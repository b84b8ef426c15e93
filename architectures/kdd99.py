"""KDD99 (10 % subset), 121 features: Table XI (ALAD) and Table X (the GAN of AnoGAN)."""

from architectures.rows import Adam, Alad, Dense, Gan, Joint, Xavier

# fmt: off
ALAD = Alad(
    name="KDD99", source="Table XI", data_dim=121,
    #     units  non-linearity  batch norm  dropout
    E=(
        Dense(64,   "LReLU",    False,      0.0),
        Dense(32,   "None",     False,      0.0),  # D1
    ),
    G=(
        Dense(64,   "ReLU",     False,      0.0),
        Dense(128,  "ReLU",     False,      0.0),
        Dense(121,  "None",     False,      0.0),
    ),
    Dxz=Joint(
        only_x=(
            Dense(128,  "LReLU",    True,   0.0),
        ),
        only_z=(
            Dense(128,  "LReLU",    False,  0.5),
        ),
        joint=(
            Dense(128,  "LReLU",    False,  0.5),
            Dense(1,    "Sigmoid",  False,  0.0),
        ),
    ),
    Dxx=Joint(
        joint=(
            Dense(128,  "LReLU",    False,  0.2),
            Dense(1,    "Sigmoid",  False,  0.0),
        ),
    ),
    Dzz=Joint(
        joint=(
            Dense(32,   "LReLU",    False,  0.2),
            Dense(1,    "Sigmoid",  False,  0.0),
        ),
    ),
    optimizer=Adam(1e-5, beta1=0.5),
    batch_size=50,
    latent_dim=32,
    epochs=100,
    lrelu_slope=0.2,
    initializer=Xavier(bias=0.0),
)

GAN = Gan(
    name="KDD99", source="Table X", data_dim=121,
    #     units  non-linearity  dropout
    G=(
        Dense(64,   "ReLU",     dropout=0.0),
        Dense(128,  "ReLU",     dropout=0.0),
        Dense(121,  "None",     dropout=0.0),
    ),
    D=(
        Dense(256,  "LReLU",    dropout=0.2),
        Dense(128,  "LReLU",    dropout=0.2),
        Dense(128,  "LReLU",    dropout=0.2),
        Dense(1,    "Sigmoid",  dropout=0.0),
    ),
    optimizer=Adam(1e-5, beta1=0.5),
    batch_size=50,
    latent_dim=32,
    epochs=100,
    lrelu_slope=0.2,
    initializer=Xavier(bias=0.0),
)
# fmt: on
