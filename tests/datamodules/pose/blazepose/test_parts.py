"""The parts around the networks, which need no model."""

import numpy as np
import pytest
from PIL import Image

from datamodules.pose.blazepose.crop import Square, around
from datamodules.pose.blazepose.detections import anchors, decode
from datamodules.pose.blazepose.frames import check_frames, working_copy
from datamodules.pose.blazepose.mapping import body_25, face_70
from datamodules.pose.blazepose.person import refined
from datamodules.pose.skeletons import BODY_25

NOISE = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)


def test_the_whole_picture_is_its_own_cut() -> None:
    whole = Square(np.array([30.0, 30.0]), 60)
    np.testing.assert_array_equal(whole.cut(Image.fromarray(NOISE), 60), NOISE)


def test_a_quarter_turn_is_numpys() -> None:
    """Turned clockwise, the square's top is the picture's right side."""
    turned = Square(np.array([30.0, 30.0]), 60, np.pi / 2).cut(Image.fromarray(NOISE), 60)
    assert np.abs(turned.astype(int) - np.rot90(NOISE)).max() <= 1  # Pillow cuts fractions off


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0])
def test_places_lead_back_to_what_was_cut(angle: float) -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[80:84, 150:154] = 255  # its middle is (152, 82)
    square = Square(np.array([140.0, 95.0]), 90, angle)
    cut = square.cut(Image.fromarray(image), 180)[..., 0].astype(float)
    y, x = np.indices(cut.shape) + 0.5
    place = np.array([(cut * x).sum(), (cut * y).sum()]) / cut.sum() / 180
    np.testing.assert_allclose(square.to_image(place), (152, 82), atol=0.2)


def test_outside_is_black() -> None:
    cut = Square(np.array([0.0, 30.0]), 60).cut(Image.fromarray(NOISE), 60)
    assert not cut[:, :30].any() and cut[:, 30:].any()


def test_squares_stand_upright_on_the_hips() -> None:
    hips = np.array([50.0, 80.0])
    square = around(hips, np.array([50.0, 60.0]), np.array([0.0, -20.0]), 1.25)
    assert (square.size, square.angle) == (50.0, 0.0)
    lying = around(hips, np.array([70.0, 80.0]), np.array([20.0, 0.0]), 1.25)  # the head to the right
    np.testing.assert_allclose(lying.to_image(np.array([0.5, 0.0])), (75, 80), atol=1e-9)


def test_anchors_are_cell_middles_in_the_published_numbers() -> None:
    pose, face = anchors(224, [(8, 2), (16, 2), (32, 6)]), anchors(128, [(8, 2), (16, 6)])
    assert (len(pose), len(face)) == (2254, 896)
    np.testing.assert_allclose(pose[[0, 1, 2, 2 * 28]], np.array([[4, 4], [4, 4], [12, 4], [4, 12]]) / 224)
    np.testing.assert_allclose(pose[-1], (208 / 224, 208 / 224))


def test_boxes_are_relative_to_their_anchors_and_merge() -> None:
    places = np.array([[0.25, 0.25], [0.25, 0.25], [0.75, 0.75], [0.5, 0.5]])
    boxes = np.array([[0, 0, 20, 20, 5, 0], [2, 0, 20, 20, 5, 4], [1, 0, 10, 10, 0, 0], [0, 0, 9, 9, 0, 0]], float)
    logits = np.log([0.9 / 0.1, 0.6 / 0.4, 0.7 / 0.3, 0.4 / 0.6])
    found = decode(boxes, logits, places, 100, 0.5)
    np.testing.assert_allclose(found.score, [0.9, 0.7])
    # The first two overlap: their mean by score is 0.6 / 1.5 of the way from the first to the second.
    np.testing.assert_allclose(found.box, [[0.25 + 0.02 * 0.4, 0.25, 0.2, 0.2], [0.76, 0.75, 0.1, 0.1]])
    np.testing.assert_allclose(found.points[:, 0], [[0.30, 0.25 + 0.04 * 0.4], [0.75, 0.75]])
    nothing = decode(boxes, logits - 9, places, 100, 0.5)
    assert (nothing.score.shape, nothing.box.shape, nothing.points.shape) == ((0,), (0, 4), (0, 1, 2))


def test_points_move_to_sure_peaks_only() -> None:
    heat = np.full((64, 64, 4), -20.0)
    heat[20:23, 30:33, 0] = 3.0  # sure, its middle is (31, 21)
    heat[20:23, 30:33, 1] = -1.0  # a peak of 0.27
    heat[40, 40, 2] = 9.0  # too far away
    places = np.array([[29.5, 20.5], [29.5, 20.5], [29.5, 20.5], [70, 20]]) / 64
    np.testing.assert_allclose(refined(places, heat)[0], (31 / 64, 21 / 64), rtol=1e-6)
    np.testing.assert_array_equal(refined(places, heat)[1:], places[1:])


def test_the_33_points_become_openposes_joints() -> None:
    row = np.arange(33.0)
    points = np.stack([row, -row, 1 - row / 100], -1)
    pose = body_25(points)
    expected = [
        0, 11.5, 12, 14, 16, 11, 13, 15, 23.5, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7, 31, None, 29, 32, None, 30,
    ]  # fmt: skip
    for joint, point in enumerate(expected):
        assert pose[joint].any() == (point is not None), BODY_25.joints[joint]
        if point is not None:
            np.testing.assert_allclose(pose[joint, :2], (point, -point))
    np.testing.assert_allclose(pose[[1, 8], 2], (0.88, 0.76))  # the lower visibility of the two


def test_the_mesh_becomes_68_points_and_two_pupils() -> None:
    mesh = np.stack([np.arange(468.0), np.zeros(468)], -1)[None]
    face = face_70(mesh)
    assert face.shape == (1, 70, 2) and len(np.unique(face[0, :68, 0])) == 68
    # The chin, the tip of the nose's bridge, outer eye corners, mouth corners, inner lips' middles.
    assert face[0, [8, 30, 36, 45, 48, 54, 62, 66], 0].tolist() == [152, 4, 33, 263, 61, 291, 13, 14]
    assert face[0, 68, 0] == np.mean([33, 160, 158, 133, 153, 144])


def test_large_frames_are_averaged_down() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (1080, 1920, 3)).astype(np.uint8)
    image, factor = working_copy(frame)
    assert (factor, image.size) == (4, (480, 270))
    mean = frame.reshape(270, 4, 480, 4, 3).mean((1, 3))
    assert np.abs(np.asarray(image) - mean).max() <= 0.5
    same, one = working_copy(frame[:288, :512])
    assert one == 1
    np.testing.assert_array_equal(np.asarray(same), frame[:288, :512])
    for wrong in (frame, frame[None].astype(float), frame[None, ..., :1]):
        with pytest.raises(ValueError, match="uint8 T H W 3"):
            check_frames(wrong)
