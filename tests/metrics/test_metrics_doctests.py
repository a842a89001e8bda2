import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name", ["metrics.bank", "metrics.frechet", "metrics.estimates", "metrics.class_probabilities"]
)
def test_examples_in_docstrings(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed
