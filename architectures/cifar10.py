"""CIFAR-10, images 32 x 32 x 3 with values in [-1, 1]: Table IX (ALAD) and the GAN of AnoGAN."""

from architectures.rows import Adam, Alad, Concatenate, Conv2D, Dense, Flatten, Gan, Joint, Normal, TransConv2D

# fmt: off
ALAD = Alad(
    name="CIFAR-10", source="Table IX", data_dim=(32, 32, 3),
    #       kernel strides padding maps  batch norm  non-linearity  dropout
    E=(
        Conv2D(4,  2,  "same",  128,     True,       "LReLU",       0.0),
        Conv2D(4,  2,  "same",  256,     True,       "LReLU",       0.0),
        Conv2D(4,  2,  "same",  512,     True,       "LReLU",       0.0),
        Conv2D(4,  1,  "valid", 100,     False,      "None",        0.0),
    ),
    G=(
        TransConv2D(4, 2, "valid", 512,  True,       "ReLU",        0.0),
        TransConv2D(4, 2, "same",  256,  True,       "ReLU",        0.0),
        TransConv2D(4, 2, "same",  128,  True,       "ReLU",        0.0),
        TransConv2D(4, 2, "same",  3,    False,      "Tanh",        0.0),
    ),
    Dxz=Joint(
        only_x=(
            Conv2D(4,  2,  "same",  128,     False,  "LReLU",       0.0),
            Conv2D(4,  2,  "same",  256,     True,   "LReLU",       0.0),
            Conv2D(4,  2,  "same",  512,     True,   "LReLU",       0.0),
            Flatten(),
        ),
        only_z=(
            Conv2D(1,  1,  "same",  512,     False,  "LReLU",       0.2),
            Conv2D(1,  1,  "same",  512,     False,  "LReLU",       0.2),
        ),
        joint=(
            Conv2D(1,  1,  "same",  1024,    False,  "LReLU",       0.2),
            Conv2D(1,  1,  "same",  1,       False,  "None",        0.0),
        ),
    ),
    Dxx=Joint(
        joint=(
            Concatenate("height"),  # D10
            Conv2D(5,  2,  "same",  64,      False,  "LReLU",       0.2),
            Conv2D(5,  2,  "same",  128,     False,  "LReLU",       0.2),
            Flatten(),
            Dense(1,   "None",  batch_norm=False,    dropout=0.0),
        ),
    ),
    Dzz=Joint(
        joint=(
            Dense(64,  "LReLU", batch_norm=False,    dropout=0.2),
            Dense(32,  "LReLU", batch_norm=False,    dropout=0.2),
            Dense(1,   "None",  batch_norm=False,    dropout=0.0),
        ),
    ),
    optimizer=Adam(2e-4, beta1=0.5),
    batch_size=32,
    latent_dim=100,
    epochs=100,
    lrelu_slope=0.2,
    initializer=Normal(stddev=0.01, bias=0.0),  # D11
)

GAN = Gan(
    name="CIFAR-10", source="Table IX", data_dim=(32, 32, 3),
    #       kernel strides padding maps  batch norm  non-linearity  dropout
    G=(
        TransConv2D(4, 2, "valid", 512,  True,       "ReLU",        0.0),
        TransConv2D(4, 2, "same",  256,  True,       "ReLU",        0.0),
        TransConv2D(4, 2, "same",  128,  True,       "ReLU",        0.0),
        TransConv2D(4, 2, "same",  3,    False,      "Tanh",        0.0),
    ),
    D=(
        Conv2D(4,  2,  "same",  128,     False,      "LReLU",       0.0),
        Conv2D(4,  2,  "same",  256,     True,       "LReLU",       0.0),
        Conv2D(4,  2,  "same",  512,     True,       "LReLU",       0.0),
        Flatten(),
        Dense(1,   "None",  batch_norm=False,        dropout=0.0),
    ),
    optimizer=Adam(2e-4, beta1=0.5),
    batch_size=32,
    latent_dim=100,
    epochs=100,
    lrelu_slope=0.2,
    initializer=Normal(stddev=0.01, bias=0.0),
)
# fmt: on
