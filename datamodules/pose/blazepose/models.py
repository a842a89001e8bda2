"""The BlazePose and face mesh networks: where they lie, and how they are run."""

import hashlib
import os
from functools import cached_property
from pathlib import Path

import numpy as np

from datamodules.errors import BenchError

VARIABLE = "REELBENCH_POSE_MODELS"
POSE_DETECTION, POSE_LANDMARK = "pose_detection.tflite", "pose_landmark_full.tflite"
FACE_DETECTION, FACE_LANDMARK = "face_detection_short_range.tflite", "face_landmark.tflite"
_ORIGIN = (
    "They are in the mediapipe wheels 0.10.14 to 0.10.21 (Apache-2.0) below mediapipe/modules: "
    "`pip download --no-deps mediapipe==0.10.21`, unzip the wheel, copy the files into one folder. "
    "Nothing is downloaded by itself"
)


def model_path(name: str, folder: str | Path | None) -> Path:
    """The file of a model.

    Args:
        folder: where models lie; None takes `REELBENCH_POSE_MODELS`.

    Raises:
        BenchError: it is not there; the message says where it comes from.
    """
    where = folder or os.environ.get(VARIABLE)
    if not where:
        raise BenchError(f"{VARIABLE} is not set: it names the folder that holds {name} and the like. {_ORIGIN}")
    path = Path(where) / name
    if not path.is_file():
        there = sorted(p.name for p in Path(where).glob("*.tflite")) if Path(where).is_dir() else []
        found = f"only {', '.join(there)}" if there else "no *.tflite" if Path(where).is_dir() else "no such folder"
        raise BenchError(f"{path} is missing, found {found} ({VARIABLE}={where}). {_ORIGIN}")
    return path


class Network:
    """One model, run one image at a time.

    Attributes:
        side: pixels of the square input.

    Args:
        path: a .tflite file.
        threads: of the interpreter.

    Raises:
        BenchError: the extra `pose` is not installed, or the file is no model.
    """

    def __init__(self, path: Path, threads: int) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter  # the extra's; slow to import
        except ImportError as error:
            raise BenchError(f"BlazePose needs the extra `pose`: pip install 'reelbench[pose]' ({error})") from error
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BenchError(f"{path} is not a model that LiteRT can run: {error}") from error
        self._path = path
        (given,) = self._interpreter.get_input_details()
        self._input = given["index"]
        self.side = int(given["shape"][1])
        self._outputs = {tuple(o["shape"][1:]): o["index"] for o in self._interpreter.get_output_details()}

    @cached_property
    def digest(self) -> str:
        """Of the file, 12 digits of its SHA-256."""
        return hashlib.sha256(self._path.read_bytes()).hexdigest()[:12]

    def __call__(self, image: np.ndarray) -> dict[tuple[int, ...], np.ndarray]:
        """Outputs by their shape, without the batch axis, for an image S S 3 in the model's range."""
        self._interpreter.set_tensor(self._input, image[None].astype(np.float32))
        self._interpreter.invoke()
        return {shape: self._interpreter.get_tensor(index)[0] for shape, index in self._outputs.items()}
