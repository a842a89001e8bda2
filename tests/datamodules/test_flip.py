from typing import Any

import numpy as np
import pytest
import torch

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.flip import Flipped, mirrored
from datamodules.pose.skeletons import COCO_18

B, T, H, W = 3, 2, 4, 6


def batch() -> VideoBatch:
    rng = np.random.default_rng(0)
    pose = torch.from_numpy(rng.uniform(0, W, (B, 1, T, 18, 3)).astype(np.float32))
    pose[:, :, :, 3] = 0  # the right elbow is missing
    return {
        "video": torch.from_numpy(rng.integers(0, 256, (B, 3, T, H, W), dtype=np.uint8)),
        "source": torch.from_numpy(rng.integers(0, 256, (B, 3, H, W), dtype=np.uint8)),
        "labels": torch.from_numpy(rng.integers(0, 35, (B, T, H, W), dtype=np.uint8)),
        "mask": torch.from_numpy(rng.integers(0, 2, (B, 1, T, H, W), dtype=np.uint8)),
        "pose": pose,
        "face_box": torch.tensor([[[0.0, 2, 1, 3]] * T, [[0.0] * 4] * T, [[1.0, 4, 0, 6]] * T]),
        "index": torch.arange(B),
        "name": ["a", "b", "c"],
        "attributes": {"category": torch.arange(B)},
    }


def test_only_the_chosen_clips_are_mirrored() -> None:
    plain = batch()
    turned = mirrored(plain, torch.tensor([True, False, True]), COCO_18)
    for key in ("video", "source", "labels", "mask"):
        assert torch.equal(turned[key][0], plain[key][0].flip(-1)) and torch.equal(turned[key][1], plain[key][1])
    assert turned["face_box"][0, 0].tolist() == [0, 2, 3, 5] and not turned["face_box"][1].any()
    assert turned["face_box"][2, 0].tolist() == [1, 4, 0, 6]
    assert turned["name"] is plain["name"] and turned["index"] is plain["index"]


def test_right_and_left_joints_change_places() -> None:
    plain = batch()
    turned = mirrored(plain, torch.tensor([True] * B), COCO_18)["pose"]
    right, left = COCO_18.index("right_wrist"), COCO_18.index("left_wrist")
    assert torch.equal(turned[..., right, 0], W - 1 - plain["pose"][..., left, 0])
    assert torch.equal(turned[..., right, 1:], plain["pose"][..., left, 1:])
    assert not turned[..., COCO_18.index("left_elbow"), :].any() and turned[..., 3, 2].all()
    eye, other = COCO_18.index("right_eye"), COCO_18.index("left_eye")
    assert (eye, other) == (14, 15) and torch.equal(turned[..., eye, 1], plain["pose"][..., other, 1])
    twice = mirrored(mirrored(plain, torch.tensor([True] * B), COCO_18), torch.tensor([True] * B), COCO_18)
    assert torch.allclose(twice["pose"], plain["pose"], atol=1e-5) and torch.equal(twice["video"], plain["video"])


def test_a_pose_without_its_skeleton_cannot_be_mirrored() -> None:
    with pytest.raises(BenchError, match=r"data\.init_args\.flip: pose cannot be mirrored"):
        mirrored(batch(), torch.tensor([True] * B))


class Data(Flipped):
    flip = True
    skeleton = "coco_18"


def transferred(batch: Any, data: Flipped | None = None) -> Any:
    return (data or Data()).on_after_batch_transfer(batch, 0)


def test_training_clips_are_mirrored_by_seed_step_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def choices(seed: int, index: list[int]) -> list[tuple[bool, ...]]:
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        out = []
        for step in range(100):
            video = torch.zeros(len(index), 3, 1, 2, 2)
            video[..., 0] = 1
            clips: dict[str, Any] = {"video": video, "index": torch.tensor(index), "step": step}
            turned = transferred({"clips": clips})["clips"]["video"]
            out.append(tuple((turned[:, 0, 0, 0, 1] == 1).tolist()))
        return out

    whole = choices(0, [0, 1, 2, 3])
    assert 140 < sum(map(sum, whole)) < 260  # half of 400
    assert whole == choices(0, [0, 1, 2, 3]) != choices(1, [0, 1, 2, 3])
    halves = zip(choices(0, [0, 2]), choices(0, [1, 3]), strict=True)
    assert [(a[0], b[0], a[1], b[1]) for a, b in halves] == whole  # two processes


def test_evaluation_clips_are_never_mirrored() -> None:
    for clips in (batch(), {"real": batch()}):
        turned = transferred(clips)
        video = turned["video"] if "video" in turned else turned["real"]["video"]
        assert torch.equal(video, batch()["video"].float() / 127.5 - 1)


def test_nothing_is_mirrored_without_being_asked() -> None:
    data = Data()
    data.flip = False
    clips: Any = {**batch(), "step": 0}
    assert torch.equal(transferred(clips, data)["video"], batch()["video"].float() / 127.5 - 1)
