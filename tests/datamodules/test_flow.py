"""Against exact warps of a photograph, and a scene whose hidden pixels are known."""

import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates
from skimage.data import astronaut

from datamodules.errors import BenchError
from datamodules.flow import consistent, estimate
from datamodules.flow_track import WithFlow
from datamodules.strip_reader import StripReader

MEAN = {32: 1.0, 64: 1.9, 128: 2.9, 256: 4.9}  # pixels of flow on average


def picture(size: int) -> np.ndarray:
    """float64 H W 3, public domain."""
    return np.asarray(Image.fromarray(astronaut()).resize((size, size), Image.Resampling.BOX)).astype(float)


def sampled(frame: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The frame at p + flow (2 H W), cubic."""
    y, x = np.indices(frame.shape[:2]).astype(float)
    places = [y + flow[1], x + flow[0]]
    return np.stack([map_coordinates(frame[..., c], places, order=3, mode="nearest") for c in range(3)], axis=-1)


def to_uint8(frame: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def field(kind: str, size: int) -> np.ndarray:
    """2 H W (x, y) with the mean length of the size."""
    y, x = (np.indices((size, size)) + 0.5) / size
    kinds = {
        "translation": [np.full_like(x, 0.8), np.full_like(x, -0.6)],
        "rotation": [0.5 - y, x - 0.5],
        "zoom": [x - 0.5, y - 0.5],
        "smooth": [np.sin(2 * np.pi * y) + 0.3, np.cos(2 * np.pi * x) - 0.2],
    }
    flow = np.array(kinds[kind])
    return flow * MEAN[size] / np.hypot(*flow).mean()


def pair(kind: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames T H W 3, the second of which the photograph, and the exact flow from the first to the second."""
    flow, second = field(kind, size), picture(size)
    return np.stack([to_uint8(sampled(second, flow)), to_uint8(second)]), flow


def error(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """End-point error H W."""
    return np.hypot(*(found - exact))


@pytest.mark.parametrize(
    ("kind", "size", "bound"),
    [  # the field's mean error as measured, and a fifth more; not moving would cost 1.0, 1.9, 2.9 and 4.9
        ("translation", 32, 0.035),
        ("translation", 64, 0.035),
        ("translation", 128, 0.06),
        ("translation", 256, 0.085),
        ("rotation", 32, 0.11),
        ("rotation", 64, 0.17),
        ("rotation", 128, 0.32),
        ("rotation", 256, 0.29),
        ("zoom", 64, 0.145),
        ("zoom", 128, 0.26),
        ("zoom", 256, 0.23),
        ("smooth", 32, 0.17),
        ("smooth", 64, 0.27),
        ("smooth", 128, 0.44),
        ("smooth", 256, 0.38),
    ],
)
def test_exact_warps_are_found(kind: str, size: int, bound: float) -> None:
    frames, exact = pair(kind, size)
    flow = estimate(frames)
    assert flow.forward.shape == (2, 1, size, size) and flow.forward.dtype == np.float32
    assert error(flow.forward[:, 0], exact).mean() < bound
    assert flow.valid.shape == (1, size, size) and flow.valid.dtype == bool and flow.valid.mean() > 0.85
    valid = flow.valid[0]
    assert error(flow.forward[:, 0], exact)[valid].mean() <= error(flow.forward[:, 0], exact).mean()


def test_both_directions_have_the_signs_they_are_said_to_have() -> None:
    frames, _ = pair("translation", 64)
    flow = estimate(frames)
    assert np.abs(np.median(flow.forward[:, 0], axis=(1, 2)) - 1.9 * np.array([0.8, -0.6])).max() < 0.1
    assert np.abs(np.median(flow.backward[:, 0], axis=(1, 2)) + 1.9 * np.array([0.8, -0.6])).max() < 0.1
    for source, target, way, valid in (
        (frames[1], frames[0], flow.forward, flow.valid),
        (frames[0], frames[1], flow.backward, flow.back_valid),
    ):
        warped, still = sampled(source.astype(float), way[:, 0]), source.astype(float)
        kept = valid[0]
        assert np.abs(warped - target)[kept].mean() < 0.25 * np.abs(still - target)[kept].mean()


def test_each_pair_of_a_clip_stands_for_itself() -> None:
    clip = np.concatenate([pair("rotation", 64)[0], pair("zoom", 64)[0]])
    flow = estimate(clip)
    assert flow.backward.shape == (2, 3, 64, 64) and flow.back_valid.shape == (3, 64, 64)
    for at in range(3):
        for whole, alone in zip(flow, estimate(clip[at : at + 2]), strict=True):
            np.testing.assert_array_equal(np.take(whole, at, axis=-3), np.take(alone, 0, axis=-3))
    turned = estimate(clip[1::-1])
    np.testing.assert_array_equal(turned.forward, flow.backward[:, :1])
    np.testing.assert_array_equal(turned.valid, flow.back_valid[:1])


def test_small_frames_are_estimated_enlarged() -> None:
    frames, exact = pair("smooth", 64)
    assert (
        error(estimate(frames).forward[:, 0], exact).mean()
        < 0.6 * error(estimate(frames, 16).forward[:, 0], exact).mean()
    )
    wide = frames[:, :, :48]  # both axes keep their own scale
    found = estimate(wide).forward
    assert found.shape == (2, 1, 64, 48) and error(found[:, 0], exact[:, :, :48]).mean() < 0.35
    big, _ = pair("smooth", 128)
    np.testing.assert_array_equal(estimate(big).forward, estimate(big, 16).forward)  # large enough as it is


def test_grey_clips_have_flow_and_the_number_of_threads_does_not_matter() -> None:
    frames, exact = pair("rotation", 64)
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])[..., None]
    threads = cv2.getNumThreads()
    try:
        for count in (1, 3):
            cv2.setNumThreads(count)
            for one, other in zip(estimate(grey), estimate(frames), strict=True):
                np.testing.assert_array_equal(one, other)
        cv2.setNumThreads(1)
        alone = estimate(frames)
    finally:
        cv2.setNumThreads(threads)
    for one, other in zip(alone, estimate(frames), strict=True):
        np.testing.assert_array_equal(one, other)
    assert error(alone.forward[:, 0], exact).mean() < 0.2


def test_hidden_pixels_are_not_valid() -> None:
    """A square of 40 pixels moves by (9, 4) over a background that stands still."""
    back, front = picture(128), np.rot90(picture(128))[40:80, 50:90]
    clip = np.stack([back, back])
    clip[0, 30:70, 40:80] = front
    clip[1, 34:74, 49:89] = front
    flow = estimate(to_uint8(clip))
    square = [np.zeros((128, 128), dtype=bool) for _ in range(2)]
    square[0][30:70, 40:80] = True
    square[1][34:74, 49:89] = True
    hidden, shown = square[1] & ~square[0], square[0] & ~square[1]  # of frame 0 in frame 1; of frame 1 in frame 0
    # 0.92 and 0.84 as measured: the rest lies at the square's edge, which DIS draws a pixel or two off.
    assert (~flow.valid[0])[hidden].mean() > 0.8 and (~flow.back_valid[0])[shown].mean() > 0.8
    near = np.zeros((128, 128), dtype=bool)
    near[20:84, 30:99] = True
    assert flow.valid[0][~near].mean() > 0.99 and flow.back_valid[0][~near].mean() > 0.99
    inner = np.zeros((128, 128), dtype=bool)
    inner[38:62, 48:72] = True
    assert flow.valid[0][inner].mean() > 0.95
    assert error(flow.forward[:, 0], np.array([9, 4])[:, None, None])[inner].mean() < 0.3


def test_points_that_leave_the_frame_are_not_valid() -> None:
    there = np.zeros((20, 30, 2), dtype=np.float32)
    there[..., 0] = 7
    np.testing.assert_array_equal(consistent(there, -there), np.tile(np.arange(30) <= 22, (20, 1)))
    there[..., 0] = -0.6
    assert consistent(there, -there)[:, 1:].all() and not consistent(there, -there)[:, 0].any()
    assert consistent(there * 0.8, there * -0.8).all()  # half a pixel belongs to the frame
    there[..., 0] = 7
    assert not consistent(there, there).any() and consistent(there * 0, there * 0).all()


def test_the_rule_of_consistency_in_numbers() -> None:
    for length, gap, agrees in ((0, 0.7, True), (0, 0.72, False), (10, 1.5, True), (10, 1.7, False)):
        there = np.zeros((9, 40, 2), dtype=np.float32)
        back = there.copy()
        there[..., 1], there[..., 0] = 0, length
        back[..., 0], back[..., 1] = -length, gap
        limit = 0.01 * (2 * length**2 + gap**2) + 0.5
        assert (gap**2 <= limit) == agrees
        assert consistent(there, back)[:, : 40 - length].all() == agrees


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(BenchError, match=r"needs OpenCV.*pip install 'reelbench\[flow\]'"):
        estimate(np.zeros((2, 32, 32, 3), dtype=np.uint8))
    with pytest.raises(BenchError, match=r"reelbench\[flow\]"):
        WithFlow(StripReader(32, 32))


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 32, 32, 3)), np.zeros((2, 32, 32, 2), np.uint8), np.zeros((2, 15, 32, 3), np.uint8)]
)
def test_other_arrays_are_refused(frames: np.ndarray) -> None:
    with pytest.raises(BenchError, match="flow takes uint8 frames T H W C"):
        estimate(frames)


def test_a_single_frame_has_no_flow() -> None:
    assert estimate(np.zeros((1, 32, 32, 3), dtype=np.uint8)).forward.shape == (2, 0, 32, 32)
