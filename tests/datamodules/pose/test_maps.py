from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor

from datamodules.pose.maps import disc_maps, gaussian_maps, pg2_mask


def poses(*shape: int, seed: int = 0, height: int = 40, width: int = 30) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(*shape, 18, 3, generator=generator)
    place = drawn[..., :2] * torch.tensor([width - 1.0, height - 1.0])
    return torch.cat([place, (drawn[..., 2:] > 0.3).float()], -1)


def with_confidence(places: Tensor) -> Tensor:
    """From x, y with -1 where missing."""
    there = (places >= 0).all(-1, keepdim=True)
    return torch.cat([places.float() * there, there.float()], -1)


def test_gaussians_are_the_formula() -> None:
    pose = poses(2, 3)
    maps = gaussian_maps(pose, 40, 30, sigma=4.0)
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(30.0), indexing="ij")
    d2 = (x - pose[..., 0, None, None]) ** 2 + (y - pose[..., 1, None, None]) ** 2
    torch.testing.assert_close(maps, torch.exp(-d2 / 32) * (pose[..., 2, None, None] > 0))
    assert maps.shape == (2, 3, 18, 40, 30) and maps.dtype == torch.float32


def test_discs_are_the_pixels_near_enough() -> None:
    pose = poses(4)
    maps = disc_maps(pose, 40, 30)
    y, x = torch.meshgrid(torch.arange(40), torch.arange(30), indexing="ij")
    d2 = (x - pose[..., 0, None, None].long()) ** 2 + (y - pose[..., 1, None, None].long()) ** 2
    assert torch.equal(maps, ((d2 <= 16) & (pose[..., 2, None, None] > 0)).byte())
    middle = torch.tensor([[15.9, 20.2, 1.0]])
    assert disc_maps(middle, 40, 30).sum() == 49 and disc_maps(middle, 40, 30)[0, 20, 15] == 1


def test_a_mask_is_the_closing_of_its_discs() -> None:
    """One horizontal limb, shoulder to elbow, 25 long: discs at both ends and at five places between."""
    pose = torch.zeros(18, 3)
    pose[2], pose[3], pose[10] = (torch.tensor(j) for j in ((12.0, 20, 1), (37.0, 20, 1), (50.0, 50, 1)))
    drawn = np.zeros((60, 60), bool)
    y, x = np.indices(drawn.shape)
    for i in range(7):
        drawn |= (x - int(12 + 25 * i / 6)) ** 2 + (y - 20) ** 2 <= 16
    padded = ndimage.binary_closing(np.pad(drawn, 9), np.ones((5, 5)))[9:-9, 9:-9]
    np.testing.assert_array_equal(pg2_mask(pose, 60, 60).numpy(), padded)
    assert pg2_mask(pose, 60, 60)[50, 50] == 0  # the ankle has no knee


def test_masks_do_not_depend_on_the_batch() -> None:
    pose = poses(3, 2)
    masks = pg2_mask(pose, 40, 30)
    assert masks.shape == (3, 2, 40, 30) and masks.dtype == torch.uint8 and masks.any()
    assert torch.equal(pg2_mask(pose[2, 1], 40, 30), masks[2, 1])
    assert not pg2_mask(torch.zeros(2, 18, 3), 40, 30).any()
    assert pg2_mask(pose[:0], 40, 30).shape == (0, 2, 40, 30)


def test_official_pose_maps_and_masks(parity: Path) -> None:
    file = load_file(parity / "pg2_pose_maps_masks.safetensors")
    market, fashion = (with_confidence(file[f"input/{name}"]) for name in ("keypoints", "keypoints2"))
    assert torch.equal(disc_maps(market, 128, 64), file["output/pose_map"])
    for radius in (4, 7):
        assert torch.equal(pg2_mask(market, 128, 64, radius), file[f"output/mask_r{radius}"])
    for radius in (4, 8):
        assert torch.equal(pg2_mask(fashion, 256, 256, radius), file[f"output/mask2_r{radius}"])


def test_official_heat_maps(parity: Path) -> None:
    file = load_file(parity / "dgan_pose_masks_transforms.safetensors")
    pose = with_confidence(file["input/target"].flip(-1))  # given as y, x
    maps = gaussian_maps(pose[1], 128, 64)[:, ::4, ::4].permute(1, 2, 0)
    torch.testing.assert_close(maps, file["output/heatmap_pair1_stride4"], rtol=0, atol=9.9e-6)


@pytest.mark.parametrize("function", [gaussian_maps, disc_maps, pg2_mask])
def test_joints_outside_the_image_are_cut_off(function: object) -> None:
    pose = torch.zeros(18, 3)
    pose[1], pose[2] = torch.tensor([-3.0, 10, 1]), torch.tensor([12.0, 90, 1])
    drawn = function(pose, 20, 20)  # type: ignore[operator]
    assert torch.isfinite(drawn.float()).all() and drawn.any()
