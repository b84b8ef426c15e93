"""Small custom Keras models; tables by name."""

from __future__ import annotations

import tensorflow as tf
from reference import TINY

import architectures
from architectures import Alad


def own(latent: int = 2, features: int = 5) -> dict[str, tf.keras.Model]:
    def stack(name: str, width: int, units: int) -> tf.keras.Model:
        inputs = tf.keras.Input((width,))
        hidden = tf.keras.layers.Dense(4, "relu")(inputs)
        return tf.keras.Model(inputs, tf.keras.layers.Dense(units)(hidden), name=name)

    def pair(name: str, a: int, b: int) -> tf.keras.Model:
        inputs = [tf.keras.Input((a,)), tf.keras.Input((b,))]
        hidden = tf.keras.layers.Dense(6, "relu")(tf.keras.layers.Concatenate()(inputs))
        return tf.keras.Model(inputs, [tf.keras.layers.Dense(1)(hidden), hidden], name=name)

    d, z = features, latent
    return {"G": stack("G", z, d), "E": stack("E", d, z)} | {  # type: ignore[operator,unused-ignore]
        name: pair(name, a, b) for name, a, b in (("Dxz", d, z), ("Dxx", d, d), ("Dzz", z, z))
    }


def table_of(name: str) -> Alad:
    table = TINY if name == "tiny" else architectures.load(name)
    assert isinstance(table, Alad)
    return table


def pair_widths(table: Alad) -> dict[str, tuple[int, int]]:
    x, z = table.n_features, table.latent_dim
    return {"Dxz": (x, z), "Dxx": (x, x), "Dzz": (z, z)}
