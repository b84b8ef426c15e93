"""TensorBoard callback: scalars, histograms and pictures."""

from __future__ import annotations

import math
from numbers import Integral
from pathlib import Path
from typing import Callable

import numpy as np
import tensorflow as tf

from alad_tf.errors import SettingsError
from alad_tf.io import model_folder
from alad_tf.model import keras_versions
from alad_tf.model.networks import Networks

BOARD_RECORDS = 100  # at most per training run
PICTURES = 8  # number of images shown


def pictures(
    rows: np.ndarray, image_shape: tuple[int, ...], reconstruct: Callable[[np.ndarray], np.ndarray]
) -> Callable[[], np.ndarray]:
    """Return a function that draws rows above their reconstructions.

    Args:
        rows: [n, d]; the first `PICTURES` are drawn, with the range of all rows.
        image_shape: (height, width) or (height, width, 1 or 3) of d numbers.
        reconstruct: x -> x' = G(E(x)) [k, d], in the units of the rows.

    Returns:
        A function that returns [k, 2 height, width, channels] in [0, 1].

    Raises:
        SettingsError: image_shape does not have d entries, or sizes that are not positive whole numbers.
    """
    shape = tuple(image_shape)
    whole = all(isinstance(size, Integral) and size > 0 for size in shape)
    if not whole or len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,)) or math.prod(shape) != rows.shape[1]:
        raise SettingsError(
            f"Expected image_shape as (height, width) or (height, width, 1 or 3) of {rows.shape[1]} features. "
            f"Received: {shape}."
        )
    drawn, low, high = rows[:PICTURES], rows.min(), rows.max()

    def draw() -> np.ndarray:
        both = np.concatenate([drawn, reconstruct(drawn)], axis=1)
        images = both.reshape(len(drawn), 2 * shape[0], shape[1], *(shape[2:] or (1,)))
        return np.clip((images - low) / max(high - low, np.finfo(np.float64).tiny), 0.0, 1.0)

    return draw


class TensorBoardWriter(tf.keras.callbacks.Callback):
    """Writes losses, mean scores, histograms of all trained weights, and images, with the paper's names."""

    def __init__(
        self, networks: Networks, log_dir: Path | str, every: int, pictures: Callable[[], np.ndarray] | None
    ) -> None:
        super().__init__()
        self.networks, self.every, self.pictures = networks, every, pictures
        model_folder.require_outside(Path(log_dir))
        try:
            Path(log_dir).mkdir(parents=True, exist_ok=True)
            self.writer = tf.summary.create_file_writer(str(log_dir))
        except (OSError, tf.errors.OpError) as error:
            raise SettingsError(
                f"Expected a folder for TensorBoard that can be written. Received: {log_dir}: "
                f"{getattr(error, 'strerror', None) or 'not writable'}."
            ) from error

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write a record for the epoch."""
        if epoch % self.every:
            return
        with self.writer.as_default(step=epoch):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, value)
            for name, network in self.networks.models.items():
                for weight_name, weight in keras_versions.named_weights(network):
                    if weight.trainable:
                        tf.summary.histogram(f"{name}/{weight_name}", weight)
            if self.pictures is not None:
                tf.summary.image("x over G(E(x))", self.pictures(), max_outputs=PICTURES)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the file."""
        self.writer.close()
