"""Enlarged clips against pixels, joints and flow that are known."""

from pathlib import Path
from typing import cast

import pytest
import torch

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.vid2vid_pose import Vid2VidPose
from datamodules.zoom import drawn_zoom, zoomed

TWICE, MIDDLE = torch.tensor([2.0]), torch.tensor([0.5])


def clip(side: int = 8) -> VideoBatch:
    numbers = torch.arange(side * side, dtype=torch.uint8).reshape(side, side)
    return {
        "video": numbers.expand(1, 3, 2, side, side).contiguous(),
        "condition": numbers.expand(1, 6, 2, side, side).contiguous(),
        "mask": numbers.expand(1, 1, 2, side, side).contiguous(),
        "pose": torch.tensor([[3.0, 4.0, 0.7], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]).expand(1, 1, 2, 3, 3).contiguous(),
        "flow": torch.full((1, 2, 1, side, side), 40, dtype=torch.int16),
        "index": torch.tensor([5]),
        "name": ["a"],
        "step": 3,
    }


def test_once_is_the_identity() -> None:
    given = clip()
    same = zoomed(given, torch.tensor([1.0]), torch.tensor([0.3]))
    for key in ("video", "condition", "mask", "pose", "flow"):
        found, expected = (cast(dict[str, torch.Tensor], batch)[key] for batch in (same, given))
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 if key == "pose" else 0)


@pytest.mark.parametrize(("place", "top"), [(0.0, 0), (0.5, 2), (1.0, 4)])
def test_twice_is_each_pixel_of_the_cut_four_times(place: float, top: int) -> None:
    given, where = clip(), torch.tensor([place])
    numbers = given["condition"][0, 0, 0]
    expected = numbers[top : top + 4, 2:6].repeat_interleave(2, 0).repeat_interleave(2, 1)
    larger = zoomed(given, TWICE, where)
    for key in ("condition", "mask"):
        assert (cast(dict[str, torch.Tensor], larger)[key][0] == expected).all()
    # Interpolated: pixel 3 of the new row lies a quarter of a pixel from the old one's centre.
    row = larger["video"][0, 0, 0, 4].float()
    assert row.diff()[1:-1].abs().max() <= 1 and abs(row.mean() - expected[4].float().mean()) <= 2
    assert (larger["flow"] == 80).all()  # what moves by a pixel moves by two


def test_joints_stay_on_their_pixels_or_are_missing() -> None:
    given = clip()
    given["condition"].zero_()
    given["condition"][..., 4, 3] = 255  # where joint 0 stands
    larger = zoomed(given, TWICE, MIDDLE)
    lit = (larger["condition"][0, 0, 0] == 255).nonzero().float()
    pose = larger["pose"][0, 0, 0]
    torch.testing.assert_close(pose[0], torch.tensor([*lit.mean(0).flip(0).tolist(), 0.7]))
    assert not pose[1:].any()  # one lies outside, the other was missing


def test_clips_of_a_batch_are_enlarged_by_themselves() -> None:
    one = clip()
    both = cast(VideoBatch, {k: torch.cat([v, v]) if isinstance(v, torch.Tensor) else v for k, v in one.items()})
    times, place = torch.tensor([1.0, 2.0]), torch.tensor([0.2, 0.5])
    together, alone = zoomed(both, times, place), zoomed(one, TWICE, MIDDLE)
    torch.testing.assert_close(together["video"][:1], one["video"])
    torch.testing.assert_close(together["video"][1:], alone["video"])


def test_draws_depend_on_step_and_clip_alone() -> None:
    given = clip()
    given["index"] = torch.arange(400)
    times, place = drawn_zoom(given, 1.5)
    assert 1 <= times.min() < 1.01 and 1.49 < times.max() <= 1.5 and abs(place.mean() - 0.5) < 0.06
    part = cast(VideoBatch, {**given, "index": torch.tensor([7, 399])})
    torch.testing.assert_close(drawn_zoom(part, 1.5)[0], times[[7, 399]])
    assert not torch.equal(drawn_zoom(cast(VideoBatch, {**given, "step": 4}), 1.5)[0], times)


def test_training_clips_of_dancers_are_enlarged_and_others_are_not(tmp_path: Path) -> None:
    data = Vid2VidPose(root=str(tmp_path), size=8, frames=2, zoom=1.5)
    given = clip()
    times, place = drawn_zoom(given, 1.5)
    expected = zoomed(given, times, place)["video"].float() / 127.5 - 1
    torch.testing.assert_close(data.on_after_batch_transfer(given, 0)["video"], expected)
    torch.testing.assert_close(data.on_after_batch_transfer({"clips": given}, 0)["clips"]["video"], expected)
    watched = {key: value for key, value in given.items() if key != "step"}
    torch.testing.assert_close(data.on_after_batch_transfer(watched, 0)["video"], given["video"].float() / 127.5 - 1)
    with pytest.raises(BenchError, match=r"data.init_args.zoom must lie in 1\.\.4, found 0.5"):
        Vid2VidPose(zoom=0.5)
    with pytest.raises(BenchError, match="zoom: face_box cannot be enlarged"):
        zoomed(cast(VideoBatch, {**given, "face_box": torch.zeros(1, 2, 4)}), TWICE, MIDDLE)
