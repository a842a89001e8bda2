import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter

from datamodules.errors import BenchError
from datamodules.pose.blazepose.body import BlazePose
from datamodules.pose.blazepose.face import FaceMesh
from datamodules.pose.blazepose.models import POSE_DETECTION, VARIABLE, Network, model_path


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize("estimator", [BlazePose, FaceMesh])
def test_what_is_missing_is_said_with_where_it_comes_from(
    estimator: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BenchError, match=f"{VARIABLE} is not set.*pip download --no-deps mediapipe==0.10.21"):
        estimator()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(BenchError, match=r"detection.*\.tflite is missing, found no \*\.tflite.*pip download"):
        estimator()
    with pytest.raises(BenchError, match="found no such folder"):
        estimator(models=tmp_path / "gone")
    (tmp_path / "other.tflite").touch()
    with pytest.raises(BenchError, match=r"is missing, found only other\.tflite"):
        estimator()


def test_an_argument_comes_before_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / POSE_DETECTION).touch()
    monkeypatch.setenv(VARIABLE, "nowhere")
    assert model_path(POSE_DETECTION, tmp_path) == tmp_path / POSE_DETECTION
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert model_path(POSE_DETECTION, None) == tmp_path / POSE_DETECTION


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(b"not a model")
    with pytest.raises(BenchError, match=r"a\.tflite is not a model that LiteRT can run"):
        Network(tmp_path / "a.tflite", 1)


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(BenchError, match=r"needs the extra `pose`: pip install 'reelbench\[pose\]'"):
        Network(tmp_path / "a.tflite", 1)


class Doubling:
    """Stands in for an interpreter of a model that doubles its input."""

    def __init__(self, model_path: str, num_threads: int) -> None:
        self.value = np.zeros(0)

    def allocate_tensors(self) -> None: ...

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"index": 7, "shape": np.array([1, 4, 4, 3])}]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{"index": 8, "shape": np.array([1, 4, 4, 3])}]

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        assert index == 7 and value.dtype == np.float32
        self.value = value

    def invoke(self) -> None: ...

    def get_tensor(self, index: int) -> np.ndarray:
        assert index == 8
        return 2 * self.value


def test_outputs_are_found_by_their_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "Interpreter", Doubling)
    network = Network(Path("any"), 1)
    assert network.side == 4
    assert network(np.ones((4, 4, 3)))[4, 4, 3].sum() == 2 * 48


def test_arguments_are_checked_before_models_are_looked_for() -> None:
    with pytest.raises(BenchError, match="BlazePose: persons must be at least 1, found 0"):
        BlazePose(persons=0)
    with pytest.raises(BenchError, match="there is no skeleton 'coco'"):
        BlazePose("coco")
    with pytest.raises(BenchError, match="FaceMesh: every must be at least 1, found 0"):
        FaceMesh(every=0)
