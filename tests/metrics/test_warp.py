import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from metrics.warp import in_frame, occluded, warp


def constant_flow(x: float, y: float, height: int, width: int, count: int = 1) -> Tensor:
    return torch.tensor([float(x), float(y)])[None, :, None, None].expand(count, 2, height, width)


def test_whole_pixels_are_taken_exactly() -> None:
    image = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    warped = warp(image, constant_flow(2, -3, 9, 11, 2))
    assert torch.equal(warped[:, :, 3:, :-2], image[:, :, :-3, 2:])
    # beyond the frame the nearest border
    assert torch.equal(warped[:, :, 0, :-2], image[:, :, 0, 2:])
    assert torch.equal(warped[:, :, 5, -1], image[:, :, 2, -1])


def test_equals_scipy_between_pixels() -> None:
    rng = np.random.default_rng(0)
    image, flow = rng.random((2, 12, 10)), rng.normal(0, 3, (2, 12, 10))
    rows, columns = np.mgrid[:12, :10]
    expected = [
        ndimage.map_coordinates(channel, [rows + flow[1], columns + flow[0]], order=1, mode="nearest")
        for channel in image
    ]
    found = warp(torch.from_numpy(image)[None], torch.from_numpy(flow)[None])[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_what_leaves_the_frame() -> None:
    inside = in_frame(constant_flow(1, 0, 4, 5)[0])
    assert inside.tolist() == [[True] * 4 + [False]] * 4
    assert in_frame(constant_flow(0.5, -0.5, 4, 5)[0]).sum() == 3 * 4
    assert in_frame(torch.zeros(2, 3, 3)).all()


def test_a_disocclusion_by_hand() -> None:
    """A block over columns 2..4 moves right by 3 to 5..7 before a still wall: it comes to hide wall columns 5..7."""
    there, back = torch.zeros(1, 2, 6, 12), torch.zeros(1, 2, 6, 12)
    there[:, 0, :, 2:5], back[:, 0, :, 5:8] = 3, -3
    hidden = occluded(there, back)[0, 2]
    expected = np.zeros(12, dtype=bool)
    expected[5:8] = True  # the wall goes nowhere, and what is there in the next frame came from elsewhere
    expected[[1, 4]] = True  # motion boundaries: by forward differences the pixel left of the jump
    assert hidden.tolist() == expected.tolist()


def test_consistent_smooth_flow_is_visible() -> None:
    assert not occluded(constant_flow(2.5, 1, 8, 8), constant_flow(-2.5, -1, 8, 8)).any()
    # 0.5 pixels off: |gap|^2 = 0.25 < 0.5; one pixel off: 1 > 0.01 * (4 + 9) + 0.5
    assert not occluded(constant_flow(2, 0, 8, 8), constant_flow(-2.5, 0, 8, 8)).any()
    assert occluded(constant_flow(2, 0, 8, 8), constant_flow(-3, 0, 8, 8)).all()
    # gaps of 0.7 and 0.73 pixels: 0.49 and 0.533 against 0.01 * (0.25 + back^2) + 0.5, 0.517 and 0.518
    assert not occluded(constant_flow(0.5, 0, 8, 8), constant_flow(-1.2, 0, 8, 8)).any()
    assert occluded(constant_flow(0.5, 0, 8, 8), constant_flow(-1.23, 0, 8, 8)).all()


@pytest.mark.parametrize(("slope", "boundary"), [(0.04, False), (0.05, True)])
def test_motion_boundary_threshold(slope: float, boundary: bool) -> None:
    there = torch.zeros(1, 2, 5, 5)
    there[0, 0] = slope * torch.arange(5)  # |grad|^2 = slope^2 against 0.01 |there|^2 + 0.002 (0.0016, 0.0025)
    assert bool(occluded(there, -there)[0, 0, 0]) is boundary
    assert not occluded(there, -there)[0, :, 4].any()  # no forward difference at the far edge
