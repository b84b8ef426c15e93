"""Documented module paths of the last release still work, with a warning; its pickles load."""

from __future__ import annotations

import importlib

import pytest

MOVED = {
    "alad_tf.client": ("RestClient", "alad_tf.serving.client"),
    "alad_tf.folding": ("fold", "alad_tf.model.inference"),
    "alad_tf.experiment": ("load_networks", "alad_tf.experiments.run"),
}


@pytest.mark.parametrize("old", MOVED)
def test_old_paths_warn_and_work(old: str) -> None:
    name, new = MOVED[old]
    with pytest.warns(DeprecationWarning, match=f"{old} has moved: import {name} from {new}"):
        found = getattr(importlib.import_module(old), name)
    assert found is getattr(importlib.import_module(new), name)
    with pytest.warns(DeprecationWarning), pytest.raises(AttributeError, match="no attribute 'nothing'"):
        importlib.import_module(old).nothing  # noqa: B018


def test_old_pickles_name_a_class_that_is_there() -> None:
    from alad_tf import estimator
    from alad_tf.estimator.alad import ALAD

    assert estimator.ALAD is ALAD
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        estimator.nothing  # noqa: B018
