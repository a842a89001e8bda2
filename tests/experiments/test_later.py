"""An option that came later does not orphan the runs made before it."""

import inspect
from typing import Any

import pytest

from experiments.classes import load_class
from experiments.later import LATER
from experiments.record import identity


@pytest.mark.parametrize("class_path", LATER)
def test_defaults_are_those_of_the_class(class_path: str) -> None:
    parameters = inspect.signature(load_class(class_path)).parameters
    assert {name: parameters[name].default for name in LATER[class_path]} == LATER[class_path]


def config(class_path: str, **arguments: Any) -> dict[str, Any]:
    return {
        "model": {"class_path": class_path, "init_args": {"size": 64, **arguments}},
        "data": {"class_path": "d.D", "init_args": {}},
        "ema": None,
        "trainer": {"max_steps": 1},
        "seed_everything": 0,
    }


@pytest.mark.parametrize("class_path", LATER)
def test_only_the_default_is_the_same_run(class_path: str) -> None:
    before = identity(config(class_path))
    assert identity(config(class_path, **LATER[class_path])) == before
    for option in LATER[class_path]:
        assert identity(config(class_path, **{option: "something else"})) != before
    assert identity(config("other.Class", **LATER[class_path])) != identity(config("other.Class"))
