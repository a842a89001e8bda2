from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from datamodules.pose.opencv_yaml import read_yaml
from datamodules.pose.people import People
from datamodules.pose.raster import discs
from datamodules.pose.skeletons import BODIES, BODY_23, HAND_21, Skeleton
from datamodules.pose.stick_edn import EdnStyle, draw, fit_to, labels
from tests.datamodules.pose.random_people import random_people


def opencv(people: People, height: int, width: int) -> np.ndarray:
    """One frame of one person, drawn by OpenCV, RGB."""

    def limb(image: np.ndarray, a: np.ndarray, b: np.ndarray, half_width: int, colour: tuple[int, ...]) -> np.ndarray:
        a, b = a[:2].astype(float), b[:2].astype(float)
        middle, way = (a + b) / 2, a - b
        angle = int(np.degrees(np.arctan2(way[1], way[0])))
        axes = (int(np.hypot(*way) / 2), half_width)
        outline = np.array(cv2.ellipse2Poly((int(middle[0]), int(middle[1])), axes, angle, 0, 360, 1))
        return cv2.addWeighted(image, 0.4, cv2.fillConvexPoly(image.copy(), outline, colour), 0.6, 0)

    def dot(image: np.ndarray, joint: np.ndarray, radius: int, colour: tuple[int, ...]) -> None:
        cv2.circle(image, (int(joint[0]), int(joint[1])), radius, colour, -1)

    image = np.full((height, width, 3), 255, np.uint8)
    body, skeleton = people.body[0, 0], people.skeleton
    for joint, colour in zip(body, skeleton.colours, strict=True):
        if joint[2] > 0:
            dot(image, joint, 8, colour)
    for a, b in skeleton.limbs:
        if body[a, 2] > 0 and body[b, 2] > 0:
            image = limb(image, body[a], body[b], 4, skeleton.colours[a])
    face = people.face[0, 0]
    if face[:, 2].mean() >= 0.2:
        for i in (27, 30, 8, 0, 16, 33, 68, 69):
            if face[i, 2] > 0:
                dot(image, face[i], 4, (0, 0, 0))
    for hand in (people.hand_right[0, 0], people.hand_left[0, 0]):
        for joint, colour in zip(hand, HAND_21.colours, strict=True):
            if joint[2] > 0.05:
                dot(image, joint, 3, colour)
        for a, b in HAND_21.limbs:
            if hand[a, 2] > 0.05 and hand[b, 2] > 0.05:
                image = limb(image, hand[a], hand[b], 2, HAND_21.colours[b])
    return image


def opencv_bone(image: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A black bone of a hand on `image`."""
    a, b = a[:2].astype(float), b[:2].astype(float)
    middle, way = (a + b) / 2, a - b
    size = (int(np.hypot(*way) / 2), 2)
    angle = int(np.degrees(np.arctan2(way[1], way[0])))
    outline = np.array(cv2.ellipse2Poly((int(middle[0]), int(middle[1])), size, angle, 0, 360, 1))
    return cv2.fillConvexPoly(image, outline, (0, 0, 0))


@pytest.mark.parametrize("skeleton", BODIES, ids=lambda s: s.name)
def test_every_pixel_is_opencvs(skeleton: Skeleton) -> None:
    people = random_people(1, 3, 1, skeleton).transformed(1, (50, 40))
    ours = draw(people, 340, 420)
    for frame in range(3):
        part = slice(frame, frame + 1)
        one = People(skeleton, people.body[part], people.face[part], people.hand_left[part], people.hand_right[part])
        np.testing.assert_array_equal(ours[frame], opencv(one, 340, 420))


def test_the_border_cuts_figures_off() -> None:
    people = random_people(2, 2, 1).transformed(1, (-100, -100))
    ours = draw(people, 120, 150)
    for frame in range(2):
        part = slice(frame, frame + 1)
        one = People(
            people.skeleton, people.body[part], people.face[part], people.hand_left[part], people.hand_right[part]
        )
        same = (ours[frame] == opencv(one, 120, 150)).all(-1)
        assert same.mean() > 0.995  # OpenCV's lines change by a pixel where they are cut


def test_persons_are_drawn_one_over_the_other() -> None:
    both = random_people(3, 1, 2).transformed(1, (20, 20))
    first = People(both.skeleton, *(a[:, :1] for a in (both.body, both.face, both.hand_left, both.hand_right)))
    last = People(both.skeleton, *(a[:, 1:] for a in (both.body, both.face, both.hand_left, both.hand_right)))
    ours, below, above = (draw(people, 300, 380) for people in (both, first, last))
    untouched = (above == 255).all(-1)
    np.testing.assert_array_equal(ours[untouched], below[untouched])
    assert (ours != below).any() and (draw(random_people(3, 2, 0), 4, 5) == 255).all()


def test_an_uncertain_face_is_left_out() -> None:
    face = np.full((2, 1, 70, 3), 0.19, np.float32)
    face[1, ..., 2] = 0.21
    face[..., :2] = 20
    people = People.of(BODY_23, np.zeros((2, 1, 23, 3), np.float32), face)
    drawn = draw(people, 40, 40)
    assert (drawn[0] == 255).all() and (drawn[1, 20, 20] == 0).all()
    small = draw(people, 40, 40, EdnStyle(face_point=0))
    assert (small[1] == 0).all(-1).sum() == 1


def test_smaller_videos_are_fitted_into_the_canvas() -> None:
    people = random_people(4, 1, 1)  # in 320 x 240
    fitted = fit_to(people, 240, 320)
    there = people.body[..., 2] > 0
    np.testing.assert_allclose(fitted.body[there][:, 0], people.body[there][:, 0] * 4.5 + 240, rtol=1e-5)
    np.testing.assert_allclose(fitted.body[there][:, 1], people.body[there][:, 1] * 4.5, rtol=1e-5)


def published(parity: Path) -> tuple[dict[str, np.ndarray], People]:
    file = load_file(parity / "edn_stick_figure.safetensors")
    parts = [
        file[f"input/{part}"].reshape(1, 1, -1, 3).astype(np.float64)
        for part in ("pose", "face", "hand_left", "hand_right")
    ]
    return file, People.of(BODY_23, *parts)


def official_canvas(file: dict[str, np.ndarray]) -> np.ndarray:
    top, bottom, left, right = file["output/crop"].tolist()
    canvas = np.full((1080, 1920, 3), 255, np.uint8)
    canvas[top:bottom, left:right] = file["output/canvas_crop"][..., ::-1]
    return canvas


def official_hands(file: dict[str, np.ndarray], people: People) -> EdnStyle:
    """The official colours of hands, read off where a joint's disc is covered by nothing else.

    They are the only thing taken from the picture: places and shapes are compared with it.
    """
    canvas, colours = official_canvas(file), []
    hands = [people.hand_right[0, 0], people.hand_left[0, 0]]
    joints = [
        (i, joint, set(zip(*(axis.tolist() for axis in discs(hand[joint, None, :2].astype(int), 3)[1:]), strict=True)))
        for i, hand in enumerate(hands)
        for joint in range(21)
        if hand[joint, 2] > 0.05
    ]
    bones: set[tuple[int, int]] = set()
    for hand in hands:
        for a, b in HAND_21.limbs:
            if min(hand[a, 2], hand[b, 2]) > 0.05:
                blank = np.full(canvas.shape, 255, np.uint8)
                drawn = opencv_bone(blank, hand[a], hand[b])
                bones |= set(zip(*(axis.tolist() for axis in np.nonzero(drawn[..., 0] != 255)), strict=True))
    for joint in range(21):
        seen = set()
        for i, number, pixels in joints:
            others = set().union(*(p for j, n, p in joints if (j, n) != (i, number)))
            if number == joint:
                seen |= {tuple(canvas[at].tolist()) for at in pixels - others - bones}
        (colour,) = seen
        colours.append(colour)
    return EdnStyle(hand_colours=tuple(colours))


def test_official_canvas_and_label(parity: Path) -> None:
    file, people = published(parity)
    style = official_hands(file, people)
    np.testing.assert_array_equal(draw(people, 1080, 1920, style)[0], official_canvas(file))
    official = np.asarray(Image.open(parity / "edn_stick_figure.png").convert("RGB"))
    np.testing.assert_array_equal(labels(people, 1080, 1920, style=style)[0], official)
    assert HAND_21.colours[0] == style.hand_colours[0] and HAND_21.colours[20] == style.hand_colours[20]


@pytest.mark.parametrize(("frame", "off"), [("020001", 1), ("020005", 0), ("020009", 0)])
def test_published_labels(real_data: Path, parity: Path, frame: str, off: int) -> None:
    """In one file one pixel is a grey level away, also from what OpenCV and Pillow draw today."""
    style = official_hands(*published(parity))
    folder = real_data / "dance_sample" / "train"
    people = read_yaml(folder / "keypoints" / f"frame{frame}", BODY_23, np.float64)
    official = np.asarray(Image.open(folder / "train_label" / f"frame{frame}.png").convert("RGB")).astype(int)
    difference = np.abs(labels(people, 1080, 1920, style=style)[0] - official)
    assert difference.max() <= off and (difference > 0).any(-1).sum() == off


def test_float32_poses_differ_by_a_few_pixels(real_data: Path) -> None:
    folder = real_data / "dance_sample" / "train" / "keypoints"
    exact, rounded = (
        draw(read_yaml(folder / "frame020001", BODY_23, dtype), 1080, 1920) for dtype in (np.float64, np.float32)
    )
    assert (exact != rounded).any(-1).mean() < 1e-5
