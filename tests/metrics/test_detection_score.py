import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.detection_score import DetectionScore
from tests.metrics.array_data import numbered


class Brightness:
    """As sure of a person as a frame is bright."""

    name, fingerprint = "bright", "brightness"

    def confidence(self, frames: Tensor) -> Tensor:
        assert frames.dtype == torch.uint8 and frames.shape[1] == 3
        return frames.float().mean(dim=(1, 2, 3)) / 255


class Wrong(Brightness):
    def confidence(self, frames: Tensor) -> Tensor:
        return 2 * super().confidence(frames)


def grey(levels: list[list[int]]) -> Tensor:
    return torch.tensor(levels, dtype=torch.uint8)[:, None, :, None, None].expand(-1, 1, -1, 4, 4)


def test_mean_over_frames_then_clips() -> None:
    metric = DetectionScore(Brightness())
    metric.update(grey([[255, 0], [51, 204]]), None, numbered(0, 1))
    metric.update(None, grey([[255, 255], [255, 255]]), numbered(0, 1))
    result = metric.result()
    assert result.value == pytest.approx(0.5)
    assert result.note == "nobody is found in 1 frames, which count as 0; real clips: 1 +- 0"
    assert metric.name == "ds[bright]" and result.fingerprint.endswith("brightness")


def test_confidences_that_are_none() -> None:
    with pytest.raises(BenchError, match="must give 2 confidences from 0 to 1, one a frame"):
        DetectionScore(Wrong()).update(grey([[255, 0]]), None, numbered(0))
