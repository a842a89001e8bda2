from typing import cast

import numpy as np
import pytest
import torch

from datamodules.batch import VideoBatch
from datamodules.show import GAP, LINE, MARGIN, sheet
from datamodules.show_colours import flow_colours, hues, palette
from datamodules.show_tracks import NOTHING


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


def test_no_two_of_a_label_maps_classes_look_alike() -> None:
    colours = palette(36).astype(int)  # Cityscapes has 35
    apart = np.abs(colours[:, None] - colours).sum(-1) + 1000 * np.eye(36, dtype=int)
    assert apart.min() > 60


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


def test_joints_and_limbs_are_where_they_are_said_to_be() -> None:
    given = batch(2)
    given["video"] += 90
    pose = torch.zeros(2, 1, 2, 3, 3)  # B P T J 3
    pose[0, 0, 0, 0], pose[0, 0, 0, 1] = torch.tensor([20.0, 40, 1]), torch.tensor([60.0, 40, 1])
    given["pose"] = pose
    shown = cell(sheet(given, limbs=[(0, 1), (1, 2)]), 1, 0)
    changed = np.argwhere((shown != 30).any(-1))  # frames are darkened to a third
    assert np.array_equal(shown[40, 20], hues(3)[0]) and np.array_equal(shown[40, 40], hues(3)[1])
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


@pytest.mark.parametrize(("key", "without"), [("flow", 2), ("flow_back", 0)])
def test_flow_lies_on_the_frame_it_starts_from_and_is_darkened_where_not_valid(key: str, without: int) -> None:
    given = batch(3)
    flow = torch.zeros(2, 2, 2, 96, 96, dtype=torch.int16)  # B 2 T-1 H W
    flow[:, 0, 0], flow[:, 1, 1] = 32, 32  # to the right, then down
    valid = torch.ones(2, 1, 2, 96, 96, dtype=torch.uint8)
    valid[..., :48] = 0
    cast(dict[str, torch.Tensor], given).update({key: flow, f"{key}_valid": valid})
    picture = sheet(given)
    right, down = (cell(picture, 1, column) for column in range(3) if column != without)
    assert right[0, 0].tolist() == [85, 0, 0] and right[0, 95].tolist() == [255, 0, 0]
    assert down[0, 95].tolist() == [128, 255, 0]
    assert (cell(picture, 1, without) == NOTHING).all()


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


def test_all_that_is_known_of_single_frames_stands_in_one_row() -> None:
    given = batch(1)
    given["video"] += 10
    given["source"] = torch.full((2, 3, 96, 96), 200, dtype=torch.uint8)
    given["mask"] = torch.full((2, 1, 1, 96, 96), 255, dtype=torch.uint8)
    picture = sheet(given)
    assert picture.shape == (2 * (96 + GAP + LINE) + GAP, MARGIN + 3 * (96 + GAP) + GAP, 3)
    for row in range(2):
        top = GAP + LINE + row * (96 + GAP + LINE)
        levels = [picture[top, MARGIN + GAP + c * (96 + GAP), 0] for c in range(3)]
        assert levels == [10, 200, 255]
        assert (picture[top - LINE : top, MARGIN:] != NOTHING).any()  # their names


def test_large_frames_are_reduced_labels_to_single_pixels() -> None:
    given = batch(2, side=512)
    given["video"][..., 1::2] = 200
    given["labels"] = torch.zeros(2, 2, 512, 512, dtype=torch.uint8)
    given["labels"][..., 1::2] = 7
    given["pose"] = torch.zeros(2, 1, 2, 1, 3)  # B P T J 3
    given["pose"][0, 0, 0, 0] = torch.tensor([200.5, 100.5, 1])
    picture = sheet(given, largest=256)
    assert picture.shape[1] == MARGIN + 2 * (256 + GAP) + GAP
    assert (cell(picture, 0, 0, 256) == 100).all()
    drawn = np.argwhere((cell(picture, 1, 0, 256) != 100 // 3).any(-1))  # pixel 100.5 of 512 is 50 of 256
    assert drawn.mean(0).tolist() == [50, 100]
    assert not cell(picture, 2, 0, 256).any()  # no mixture of two labels' colours
    assert sheet(given, largest=512).shape[1] == MARGIN + 2 * (512 + GAP) + GAP


def test_attributes_stand_beside_the_clip() -> None:
    given = batch(2)
    plain = sheet(given)
    given["attributes"] = {"category": torch.tensor([3, 4])}
    told = sheet(given)
    changed = np.argwhere((told != plain).any(-1))
    assert len(changed) and changed[:, 1].max() < MARGIN
    given["attributes"] = {f"number {i}": torch.tensor([i, i]) for i in range(40)}
    assert sheet(given).shape == plain.shape
