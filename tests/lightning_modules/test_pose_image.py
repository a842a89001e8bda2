from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules.batch import to_float
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise
from lightning_modules.pose_image import PoseImageMethod, Wanted, frames_of, wanted_of
from tests.helpers.posed_data import PosedData


class Marks(PoseImageMethod):
    """Pictures that say after whom and what they were drawn."""

    size = (8, 4)

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Module()
        self.calls: list[int] = []

    def images(self, wanted: Wanted) -> Tensor:
        self.calls.append(len(wanted.source))
        drawn = wanted.source.clone()
        drawn[:, 1] = wanted.pose[:, 0, :1, None] / 10  # the nose's x
        drawn[:, 2] = wanted.source_pose[:, 0, :1, None] / 10
        return drawn


def batch(frames: int = 3) -> Any:
    return to_float(PosedData(size=(8, 4), frames=frames).eval_batch("val", [0, 1], frames, 1, 0))


def test_every_frame_is_drawn_in_its_own_pose_after_its_clip_s_source(monkeypatch: pytest.MonkeyPatch) -> None:
    method, given = Marks(), batch()
    clips = method.sample(given, ClipNoise(0, given["index"]))
    assert clips.shape == (2, 3, 3, 8, 4) and method.calls == [6]
    assert torch.equal(clips[:, 0], given["source"][:, :1].expand(-1, 3, -1, -1))
    for clip in range(2):
        for frame in range(3):
            assert (clips[clip, 1, frame] == given["pose"][clip, 0, frame, 0, 0] / 10).all()
            assert (clips[clip, 2, frame] == given["source_pose"][clip, 0, 0, 0] / 10).all()
    monkeypatch.setattr(Marks, "images_at_once", 4)
    assert torch.equal(method.sample(given, ClipNoise(0, given["index"])), clips) and method.calls == [6, 4, 2]


def test_frames_of_clips_have_the_same_order() -> None:
    given = batch()
    frames = frames_of(given["video"])
    assert torch.equal(frames[4], given["video"][1, :, 1])
    assert torch.equal(wanted_of(given).pose[4], given["pose"][1, 0, 1])


def test_truth_and_the_source_s_pose_may_be_unknown() -> None:
    given = batch()
    del given["video"], given["source_pose"]
    wanted = wanted_of(given)
    assert len(wanted.source) == 6 and not wanted.source_pose.any()


def test_training_reads_single_frames_and_sampling_any_length() -> None:
    method, data = Marks(), PosedData(size=(8, 4), frames=3)
    assert {name: spec.frames for name, spec in method.streams.items()} == {"clips": 1}
    assert method.length_shown(data) == 3
    with method.at_length(5):
        assert method.length_shown(data) == 5
        with method.at_length(None):
            assert method.length_shown(data) == 3
    assert method.length_shown(data) == 3


def several(given: Any) -> None:
    given["pose"] = given["pose"].repeat(1, 2, 1, 1, 1)


def other_skeleton(given: Any) -> None:
    given["pose"] = given["pose"].repeat(1, 1, 1, 2, 1)[..., :25, :]


def other_size(given: Any) -> None:
    given["source"] = given["source"][..., :2]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (several, "pose: 2 persons in a clip, expected 1"),
        (other_skeleton, "pose: 25 joints found, expected the 18 of coco_18"),
        (other_size, "source: pictures of 8 x 2 pixels, expected 8 x 4"),
    ],
)
def test_batches_that_do_not_do(spoil: Any, message: str) -> None:
    given = batch()
    spoil(given)
    with pytest.raises(BenchError, match=message):
        wanted_of(given)


def test_data_of_another_skeleton(monkeypatch: pytest.MonkeyPatch) -> None:
    data = PosedData(size=(8, 4))
    Marks().check_data(data)
    monkeypatch.setattr(data, "skeleton", "body_25")
    with pytest.raises(
        BenchError, match="Marks reads the 18 joints of coco_18, but the poses of persons are of body_25"
    ):
        Marks().check_data(data)
    monkeypatch.setattr(data, "skeleton", None)
    with pytest.raises(BenchError, match="are of no known skeleton"):
        Marks().check_data(data)
