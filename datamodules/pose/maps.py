"""Poses as images for networks: Gaussian heat-maps, discs, and a mask around the body. Any leading axes, any device."""

import torch
import torch.nn.functional as F
from torch import Tensor

# PG2's limbs, from COCO_18's joints numbered from 1, as published.
_PG2_LIMBS = (
    (2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13), (13, 14), (2, 1),
    (1, 15), (15, 17), (1, 16), (16, 18), (2, 17), (2, 18), (9, 12), (12, 6), (9, 3), (17, 18),
)  # fmt: skip
_CLOSING = 5  # pixels


def gaussian_maps(pose: Tensor, height: int, width: int, sigma: float = 6.0) -> Tensor:
    """Deformable GAN's heat-maps: exp(-d^2 / (2 sigma^2)) in float32, all zero for a missing joint.

    Args:
        pose: ... J 3.
        sigma: in pixels; 6 in the official code for both of its sets (its paper prints another formula).

    Returns:
        ... J H W.
    """
    x = torch.arange(width, device=pose.device, dtype=torch.float32) - pose[..., 0, None]  # ... J W
    y = torch.arange(height, device=pose.device, dtype=torch.float32) - pose[..., 1, None]
    across, down = (torch.exp(-(d**2) / (2 * sigma**2)) for d in (x, y))
    return down[..., :, None] * (across * (pose[..., 2, None] > 0))[..., None, :]


def disc_maps(pose: Tensor, height: int, width: int, radius: int = 4) -> Tensor:
    """PG2's pose maps: 1 up to `radius` pixels from the joint, else 0. PG2 feeds them as 2 m - 1.

    Joints lie on whole pixels: fractions are cut off.

    Args:
        pose: ... J 3.

    Returns:
        uint8 ... J H W.
    """
    joint = pose[..., :2].int()
    x = torch.arange(width, device=pose.device, dtype=torch.int32) - joint[..., 0, None]  # ... J W
    y = torch.arange(height, device=pose.device, dtype=torch.int32) - joint[..., 1, None]
    left = torch.where(pose[..., 2, None] > 0, radius**2 - y**2, -1)  # what a pixel may be away across, squared
    return (x**2)[..., None, :].le(left[..., :, None]).byte()


def pg2_mask(pose: Tensor, height: int, width: int, radius: int = 4) -> Tensor:
    """PG2's mask of a person: discs along 23 limbs, closed with a square of 5 pixels.

    A limb of which both ends are there gets a disc at each and, at length L with n = int(L / radius) > 1, at the
    n - 1 places in between. A joint without such a limb leaves no trace.

    Args:
        pose: ... 18 3 of COCO_18.
        radius: 4 in the mask that is trained with. The files' second mask has 7 (Market-1501) or 8 (DeepFashion).

    Returns:
        uint8 ... H W.
    """
    shape = pose.shape[:-2]
    pose = pose.reshape(-1, *pose.shape[-2:]).double()
    ends = pose[:, torch.tensor(_PG2_LIMBS, device=pose.device) - 1]  # N 23 2 3
    start, way = ends[..., 0, :2], ends[..., 1, :2] - ends[..., 0, :2]
    pieces = torch.clamp((torch.linalg.vector_norm(way, dim=-1) / radius).long(), min=1)  # N 23
    i = torch.arange(int(pieces.max()) + 1 if pieces.numel() else 1, device=pose.device)
    at = start[..., None, :] + way[..., None, :] * (i / pieces[..., None].double())[..., None]  # N 23 I 2
    wanted = (i <= pieces[..., None]) & (ends[..., 2] > 0).all(-1)[..., None]
    person, limb, place = wanted.nonzero(as_tuple=True)
    centre = at[person, limb, place].long()  # M 2
    reach = torch.arange(-radius, radius + 1, device=pose.device)
    dy, dx = (reach[:, None] ** 2 + reach**2 <= radius**2).nonzero(as_tuple=True)
    x, y = centre[:, :1] + dx - radius, centre[:, 1:] + dy - radius  # M 49
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    mask = torch.zeros(len(pose), height, width, device=pose.device)
    mask[person[:, None].expand_as(x)[inside], y[inside], x[inside]] = 1
    half = _CLOSING // 2
    grown = F.max_pool2d(mask[:, None], _CLOSING, 1, half)  # what lies outside the image counts neither way
    return (-F.max_pool2d(-grown, _CLOSING, 1, half)).byte().reshape(*shape, height, width)
