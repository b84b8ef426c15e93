"""Deprecated: use `alad_tf.serving.client`."""

from alad_tf._moved import moved

__getattr__ = moved(__name__, "alad_tf.serving.client")
