import numpy as np
import pytest
import torch

from datamodules.batch import VideoBatch
from datamodules.show import GAP, HEAD, MARGIN, flow_colours, palette, sheet


def batch(frames: int = 5, side: int = 96) -> VideoBatch:
    return {
        "video": torch.zeros(2, 3, frames, side, side, dtype=torch.uint8),
        "index": torch.tensor([3, 4]),
        "name": ["a", "b"],
    }


def cell(picture: np.ndarray, row: int, column: int, side: int = 96) -> np.ndarray:
    top, left = GAP + row * (side + GAP), MARGIN + GAP + column * (side + GAP)
    return picture[top : top + side, left : left + side]


def test_flow_is_coloured_by_direction_and_length() -> None:
    right, down, none = (np.full((2, 1, 1), 0.0), np.full((2, 1, 1), 0.0), np.zeros((2, 1, 1)))
    right[0], down[1] = 4, 4
    assert flow_colours(none, 4)[0, 0].tolist() == [255, 255, 255]
    assert flow_colours(right, 4)[0, 0].tolist() == [255, 0, 0]
    assert flow_colours(-right, 4)[0, 0].tolist() == [0, 255, 255]
    assert flow_colours(right, 8)[0, 0].tolist() == [255, 128, 128]
    assert flow_colours(down, 4)[0, 0].tolist() == [128, 255, 0]


def test_palette_has_black_and_different_neighbours() -> None:
    colours = palette(256).astype(int)
    assert colours[0].tolist() == [0, 0, 0] and colours.shape == (256, 3)
    assert np.abs(np.diff(colours, axis=0)).sum(1).min() > 60


def test_every_track_has_a_row_and_frames_are_spread_evenly() -> None:
    given = batch()
    given["video"][0, :, :] = (torch.arange(5, dtype=torch.uint8) * 50)[:, None, None]
    given["labels"] = torch.zeros(2, 5, 96, 96, dtype=torch.uint8)
    given["labels"][:, :, 10:20, 10:20] = 7
    given["mask"] = torch.full((2, 1, 5, 96, 96), 255, dtype=torch.uint8)
    picture = sheet(given, columns=3)
    assert picture.shape == (6 * (96 + GAP) + GAP, MARGIN + 3 * (96 + GAP) + GAP, 3)
    assert [cell(picture, 0, c)[0, 0, 0] for c in range(3)] == [0, 100, 200]  # frames 0, 2 and 4
    assert np.array_equal(cell(picture, 1, 2)[15, 15], palette(8)[7]) and not cell(picture, 1, 2)[5, 5].any()
    assert (cell(picture, 2, 1) == 255).all()


def test_pairs_of_pictures_have_a_row_each() -> None:
    given = batch(1)
    given["source"] = torch.full((2, 3, 96, 96), 60, dtype=torch.uint8)
    given["source_pose"] = torch.zeros(2, 1, 3, 3)
    given["source_labels"] = torch.full((2, 96, 96), 7, dtype=torch.uint8)
    given["source_mask"] = torch.full((2, 1, 96, 96), 255, dtype=torch.uint8)
    given["mask"] = torch.full((2, 1, 1, 96, 96), 128, dtype=torch.uint8)
    picture = sheet(given)
    assert picture.shape == (GAP + HEAD + 2 * (96 + GAP), MARGIN + 6 * (96 + GAP) + GAP, 3)
    shown = [cell(picture[HEAD:], 1, column)[50, 50].tolist() for column in range(6)]
    assert shown == [[0] * 3, [60] * 3, [20] * 3, palette(8)[7].tolist(), [255] * 3, [128] * 3]
    assert (picture[:HEAD, MARGIN:] < 100).any() and (picture[HEAD:, :MARGIN] < 100).any()  # names of both


def test_joints_and_limbs_are_where_they_are_said_to_be() -> None:
    given = batch(2)
    given["video"] += 90
    pose = torch.zeros(2, 1, 2, 3, 3)  # B P T J 3
    pose[0, 0, 0, 0], pose[0, 0, 0, 1] = torch.tensor([20.0, 40, 1]), torch.tensor([60.0, 40, 1])
    given["pose"] = pose
    shown = cell(sheet(given, limbs=[(0, 1), (1, 2)]), 1, 0)
    changed = np.argwhere((shown != 30).any(-1))  # frames are darkened to a third
    assert np.array_equal(shown[40, 20], palette(4)[1]) and np.array_equal(shown[40, 40], palette(4)[2])
    assert changed.min(0).tolist() == [39, 19] and changed.max(0).tolist() == [41, 61]  # joint 2 is missing


@pytest.mark.parametrize(("channels", "rows"), [(1, 1), (3, 1), (5, 2), (6, 2)])
def test_conditions_of_many_channels_take_a_row_for_every_three(channels: int, rows: int) -> None:
    given = batch(2)
    given["condition"] = torch.full((2, channels, 2, 96, 96), 255, dtype=torch.uint8)
    picture = sheet(given)
    assert len(picture) == 2 * (1 + rows) * (96 + GAP) + GAP
    assert cell(picture, rows, 0)[0, 0].tolist() == ([255, 255, 0] if channels == 5 else [255] * 3)


def test_faces_are_what_is_not_darkened() -> None:
    given = batch(2)
    given["video"] += 90
    given["face_box"] = torch.tensor([10.0, 30, 40, 70]).expand(2, 2, 4)  # y0, y1, x0, x1
    bright = np.argwhere((cell(sheet(given), 1, 1) == 90).all(-1))
    assert bright.min(0).tolist() == [10, 40] and bright.max(0).tolist() == [29, 69]


def test_flow_that_is_not_valid_is_darkened() -> None:
    given = batch(3)
    given["flow"] = torch.zeros(2, 2, 2, 96, 96, dtype=torch.int16)
    given["flow"][:, 0] = 32
    given["flow_valid"] = torch.ones(2, 1, 2, 96, 96, dtype=torch.uint8)
    given["flow_valid"][..., :48] = 0
    for column in range(3):  # the last frame has no flow: the one before stands there
        shown = cell(sheet(given), 1, column)
        assert shown[0, 0].tolist() == [85, 0, 0] and shown[0, 95].tolist() == [255, 0, 0]


@pytest.mark.parametrize("largest", [10, 300, 70_000])
def test_instances_of_any_number_have_colours(largest: int) -> None:
    given = batch(2)
    given["instances"] = torch.zeros(2, 2, 96, 96, dtype=torch.int32)
    given["instances"][:, :, :48] = largest
    shown = cell(sheet(given), 1, 0)
    assert not np.array_equal(shown[0, 0], shown[95, 0])


def test_small_and_grey_frames_are_enlarged_and_shown() -> None:
    given: VideoBatch = {
        "video": torch.full((1, 1, 2, 32, 16), 200, dtype=torch.uint8),
        "source": torch.zeros(1, 1, 32, 16, dtype=torch.uint8),
        "index": torch.tensor([0]),
        "name": ["a"],
    }
    picture = sheet(given)
    assert picture.shape == (2 * (192 + GAP) + GAP, MARGIN + 2 * (96 + GAP) + GAP, 3)
    assert (picture[GAP, MARGIN + GAP] == 200).all()
