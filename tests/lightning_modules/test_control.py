"""Attributes that a person sets, on a method whose pictures say what it was asked for."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.jsonfile import read_json
from datamodules.media import read_video
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.control import Wanted, gridded, write_grid
from metrics.base import to_uint8

Data = Callable[..., ClipData]
LEVELS = 16  # of brightness, by which the clips show their attributes


class Painted(Method):
    """Red is the value of `hue`, green that of `shade`, blue the clip's noise; -1 is black."""

    frames, size, channels = 5, 8, 3
    controls: Mapping[str, int] = {"hue": 3, "shade": 2}

    def control(self, batch: VideoBatch, noise: ClipNoise, wanted: Mapping[str, Tensor]) -> Tensor:
        nothing = torch.full((len(noise), self.frames), -1)
        parts = [(wanted.get(name, nothing) + 1) / LEVELS for name in self.controls]
        parts.append(noise.uniform()[:, None].expand(-1, self.frames))
        levels = torch.stack(parts, 1)  # B C T
        return 2 * levels[..., None, None].expand(-1, -1, -1, self.size, self.size) - 1


def level(value: int) -> int:
    return int(to_uint8(torch.full((1, 1, 1, 1, 1), 2 * (value + 1) / LEVELS - 1)).item())


def test_words_of_the_command_line() -> None:
    wanted = Wanted.parse("hue=0, hue=2@3,shade=1@1")
    assert wanted.changes == {"hue": [(0, 0), (3, 2)], "shade": [(1, 1)]} and wanted
    frames = wanted.of_frames(2, 5)
    assert frames["hue"].tolist() == [[0, 0, 0, 2, 2]] * 2 and frames["shade"].tolist() == [[-1, 1, 1, 1, 1]] * 2
    assert not Wanted.parse("") and Wanted.parse("").of_frames(2, 5) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hue", "'hue' is not NAME=VALUE or NAME=VALUE@FRAME"),
        ("hue=-1", "'hue=-1' is not"),
        ("hue=red", "'hue=red' is not"),
        ("hue=1,", "'' is not"),
        ("hue=1@2,hue=2@2", "hue is set twice from frame 2 on"),
        ("colour=1", "Painted has no such attribute; it has hue, shade"),
        ("hue=3", "hue=3: Painted knows hue 0 to 2"),
        ("hue=2@5", "hue=2@5: a clip has the frames 0 to 4; --frames"),
    ],
)
def test_words_that_mean_nothing(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        Wanted.parse(text).check(Painted())


def test_a_method_without_attributes_says_so() -> None:
    with pytest.raises(BenchError, match="--attribute hue: Method has no attributes that could be set"):
        Wanted.parse("hue=1").check(Method())
    with pytest.raises(BenchError, match="Method has no attributes"):
        Method().control({}, ClipNoise(0, torch.arange(1)), {})
    Wanted.parse("").check(Method())


def test_a_grid_shows_every_value_with_every_other(squares: Data) -> None:
    data = squares(frames=5)
    clips = gridded(Painted(), data, ["hue", "shade"], [3, 2], Wanted(), seed=4)
    assert clips.shape == (3, 2, 3, 5, 8, 8) and clips.dtype == torch.uint8
    for row in range(3):
        for column in range(2):
            assert (clips[row, column, 0] == level(row)).all() and (clips[row, column, 1] == level(column)).all()
    assert len(clips[:, :, 2].unique()) == 1  # one noise
    other = gridded(Painted(), data, ["hue", "shade"], [3, 2], Wanted(), seed=5)
    assert other[0, 0, 2, 0, 0, 0] != clips[0, 0, 2, 0, 0, 0]
    line = gridded(Painted(), data, ["shade"], [2], Wanted.parse("hue=0,hue=2@3"), seed=4)
    assert line.shape[:2] == (1, 2) and line[0, :, 1, 0, 0, 0].tolist() == [level(0), level(1)]
    assert line[0, 0, 0, :, 0, 0].tolist() == [level(0)] * 3 + [level(2)] * 2


def test_what_a_grid_leaves(squares: Data, tmp_path: Path) -> None:
    write_grid(Painted(), squares(frames=5), tmp_path, over=["hue", "shade"], n=2, wanted=Wanted(), seed=4)
    told = read_json(tmp_path / "grid.json")
    assert told["rows"] == {"attribute": "hue", "values": 2} and told["columns"] == {"attribute": "shade", "values": 2}
    sheet = np.asarray(Image.open(tmp_path / "grid.png"))
    assert sheet.shape[:2] == (2 * 9 + 1, 2 * 4 * 9 + 1)  # four frames of each clip, a pixel between them
    assert sheet[1, 1, 0] == level(0) and sheet[10, 1, 0] == level(1)  # rows
    assert sheet[1, 1, 1] == level(0) and sheet[1, 1 + 4 * 9, 1] == level(1)  # columns
    assert read_video(tmp_path / "grid.mp4").shape[0] == 5


@pytest.mark.parametrize(
    ("over", "wanted", "message"),
    [
        (["hue", "hue"], "", "expected one attribute, or two others"),
        (["hue", "shade", "hue"], "", "expected one attribute, or two others"),
        (["colour"], "", "--grid colour: Painted has no such attribute"),
        (["hue"], "hue=1", "--grid hue shows every hue, and --attribute sets it"),
    ],
)
def test_grids_that_cannot_be(squares: Data, tmp_path: Path, over: list[str], wanted: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        write_grid(Painted(), squares(frames=5), tmp_path, over=over, n=2, wanted=Wanted.parse(wanted))
    with pytest.raises(BenchError, match="n must be at least 1"):
        write_grid(Painted(), squares(frames=5), tmp_path, over=["hue"], n=0, wanted=Wanted())
