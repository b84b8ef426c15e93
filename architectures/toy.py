"""Toy data of Figure 2: four Gaussians in the plane, two latent dimensions. The paper prints no table for it."""

from architectures.rows import Adam, Alad, Dense, Joint, Xavier

# fmt: off
ALAD = Alad(
    name="Toy", source="Figure 2", data_dim=2,
    #     units  non-linearity  batch norm  dropout
    E=(
        Dense(256,  "ReLU",     False,      0.0),
        Dense(256,  "ReLU",     False,      0.0),
        Dense(2,    "None",     False,      0.0),
    ),
    G=(
        Dense(256,  "ReLU",     False,      0.0),
        Dense(256,  "ReLU",     False,      0.0),
        Dense(256,  "ReLU",     False,      0.0),
        Dense(2,    "None",     False,      0.0),
    ),
    Dxz=Joint(
        joint=(
            Dense(256,  "ReLU",     False,  0.0),
            Dense(256,  "ReLU",     False,  0.0),
            Dense(1,    "Sigmoid",  False,  0.0),
        ),
    ),
    Dxx=Joint(
        joint=(
            Dense(128,  "ReLU",     False,  0.0),
            Dense(1,    "Sigmoid",  False,  0.0),
        ),
    ),
    Dzz=Joint(
        joint=(
            Dense(128,  "ReLU",     False,  0.0),
            Dense(1,    "Sigmoid",  False,  0.0),
        ),
    ),
    optimizer=Adam(1e-3, beta1=0.5),
    batch_size=1024,
    latent_dim=2,
    epochs=300,
    lrelu_slope=0.2,
    initializer=Xavier(bias=0.0),
    ge_steps=5,
)
# fmt: on
