"""Deprecated: use `alad_tf.model.inference`."""

from alad_tf._moved import moved

__getattr__ = moved(__name__, "alad_tf.model.inference")
