import numpy as np
import pytest

from datamodules.synthetic.puppet import raster
from datamodules.synthetic.puppet.body import LABELS, LIMB_LABEL, LIMBS, POINT
from datamodules.synthetic.puppet.geometry import Camera, limbs, project
from datamodules.synthetic.puppet.raster import firsts, fragments, order
from tests.datamodules.puppet.puppet_scenes import bodies, brute_force, cameras, mirrored, seen


@pytest.mark.parametrize(("height", "width"), [(48, 48), (64, 32)])
def test_every_pixel_of_every_limb_is_found(height: int, width: int) -> None:
    drawn = seen(12, height, width)
    found = fragments(drawn, height, width)
    cover, depth = brute_force(drawn, height, width)
    mine = np.zeros_like(cover)
    frame, limb, pixel = found.limb // 16, found.limb % 16, found.pixel % (height * width)
    assert (found.pixel // (height * width) == frame).all()
    mine.reshape(12, 16, -1)[frame, limb, pixel] = found.cover
    np.testing.assert_allclose(mine, cover, atol=2e-4)
    at = depth.reshape(12, 16, -1)[frame, limb, pixel]
    inside = found.cover > 0.501
    np.testing.assert_allclose(found.depth[inside], at[inside], atol=2e-4)


def test_the_nearest_limb_is_shown() -> None:
    height = width = 64
    drawn = seen(12, height, width)
    found = fragments(drawn, height, width)
    near, _ = order(found)
    near = near[found.cover[near] > 0.5]
    near = near[firsts(found.pixel[near])]
    shown = np.zeros((12, height, width), dtype=int)
    shown.reshape(-1)[found.pixel[near]] = found.limb[near] % 16 + 1
    _, depth = brute_force(drawn, height, width)
    covered = np.isfinite(depth.max(1))
    assert covered.mean() > 0.05 and ((shown > 0) != covered).sum() <= 2  # outlines, to float32 rounding
    mine = np.take_along_axis(depth, np.maximum(shown - 1, 0)[:, None], axis=1)[:, 0]
    nearest = depth.max(1)[covered & (shown > 0)]
    assert (nearest - mine[covered & (shown > 0)]).max() < 3e-4  # limbs that share a joint are equally near there


def test_layers_are_ordered_from_the_front() -> None:
    found = fragments(seen(6, 64, 64), 64, 64)
    near, first = order(found)
    assert sorted(near.tolist()) == list(range(len(found.pixel)))
    pixel, depth = found.pixel[near], found.depth[near]
    same = pixel[1:] == pixel[:-1]
    assert (np.diff(pixel) >= 0).all() and (depth[1:] - depth[:-1])[same].max() < 4e-5
    np.testing.assert_array_equal(first, np.concatenate([[True], ~same]))


def test_too_much_at_a_time_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 4194304 pixels at a time, found 6 x 1024 x 1024"):
        fragments(seen(6, 8, 8), 1024, 1024)


@pytest.mark.parametrize("yaw", [0.0, 0.4, 1.2, np.pi / 2, 2.5, np.pi])
def test_a_mirrored_body_under_mirrored_yaw_is_the_mirrored_picture(yaw: float) -> None:
    height, width, count = 96, 80, 10
    points, fronts = bodies(count)
    camera = cameras(count, height, width, yaw=np.full(count, yaw))
    turned = Camera(-camera.yaw, camera.tilt, camera.scale, width - camera.x, camera.y, camera.depth)
    pictures = []
    for (p, f), c in (((points, fronts), camera), (mirrored(points, fronts), turned)):
        found = fragments(limbs(p, f, np.ones(count), c), height, width)
        near, _ = order(found)
        near = near[found.cover[near] > 0.5]
        near = near[firsts(found.pixel[near])]
        labels = np.zeros((count, height, width), dtype=np.uint8)
        labels.reshape(-1)[found.pixel[near]] = LIMB_LABEL[found.limb[near] % 16]
        pictures.append(labels)
    swap = [LABELS.index(_swapped(name)) for name in LABELS]
    expected = np.array(swap)[pictures[0][:, :, ::-1]]
    assert (pictures[1] != expected).sum() <= 1e-3 * (expected > 0).sum()
    here, there = project(points, camera)[0], project(mirrored(points, fronts)[0], turned)[0]
    names = list(POINT)
    right, left = names.index("right_wrist"), names.index("left_wrist")
    np.testing.assert_allclose(there[:, left, 0], width - here[:, right, 0], atol=1e-3)


def _swapped(name: str) -> str:
    if name.startswith("right_"):
        return name.replace("right_", "left_")
    return name.replace("left_", "right_")


def test_flat_limbs_are_as_wide_as_the_ellipse_that_they_are() -> None:
    """Standing upright, seen level, under every yaw: the outline of an elliptic cylinder by sampling its surface."""
    points, fronts = np.zeros((36, len(POINT), 3), np.float32), np.zeros((36, 16, 3), np.float32)
    points[:, POINT["waist"]], points[:, POINT["breast"]] = [0, 1, 0], [0, 1.3, 0]
    fronts[..., 0] = 1
    yaw = np.deg2rad(np.arange(36) * 10.0)
    flat = Camera(yaw, 0 * yaw, np.full(36, 100.0), np.full(36, 50.0), np.full(36, 200.0), 0 * yaw)
    chest = list(LIMBS).index("chest")
    drawn = limbs(points, fronts, np.ones(36), flat)
    angle = np.linspace(0, 2 * np.pi, 3601)
    x, z = 0.68 * np.cos(angle), np.sin(angle)  # less deep than wide
    across = np.abs(x * np.sin(yaw)[:, None] - z * np.cos(yaw)[:, None]).max(1)
    np.testing.assert_allclose(drawn.r0[:, chest], 100 * 0.128 * across, rtol=1e-4)
    assert raster.EDGE == 0.5
