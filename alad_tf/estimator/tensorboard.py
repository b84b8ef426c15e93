"""TensorBoard callback: scalars, histograms and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import numpy as np
import tensorflow as tf

from alad_tf.errors import SettingsError
from alad_tf.model.networks import Networks

BOARD_RECORDS = 100  # at most, of one training
PICTURES = 8  # of rows that are images


class TensorBoardWriter(tf.keras.callbacks.Callback):
    """Losses, mean scores, the distribution of every weight and pictures, under the paper's names, for TensorBoard."""

    def __init__(
        self, networks: Networks, log_dir: Path | str, every: int, pictures: Callable[[], np.ndarray] | None
    ) -> None:
        super().__init__()
        self.networks, self.every, self.pictures = networks, every, pictures
        try:
            Path(log_dir).mkdir(parents=True, exist_ok=True)
            self.writer = tf.summary.create_file_writer(str(log_dir))
        except (OSError, tf.errors.OpError) as error:
            raise SettingsError(
                f"Expected a folder for TensorBoard that can be written. Received: {log_dir}: "
                f"{getattr(error, 'strerror', None) or 'not writable'}."
            ) from None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write one record of the epoch."""
        if epoch % self.every:
            return
        with self.writer.as_default(step=epoch):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, value)
            for name, network in self.networks.models.items():
                for weight in network.trainable_variables:
                    tf.summary.histogram(f"{name}/{weight.name.split(':')[0]}", weight)
            if self.pictures is not None:
                tf.summary.image("x over G(E(x))", self.pictures(), max_outputs=PICTURES)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the file."""
        self.writer.close()
