"""The regions one at a time, with scikit-image as the official code has them: slow, and independent.

Also the skips with a copy of the features for each region, and the loss with a copy for each offset.
"""

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from skimage.measure import grid_points_in_poly
from skimage.transform import estimate_transform
from torch import Tensor

from lightning_modules.deformable_gan.joints import HEAD, LIMBS, OUTER, SHOULDERS, TORSO, TWIN
from lightning_modules.deformable_gan.regions import NOWHERE, Regions


def naive_regions(given: Tensor, wanted: Tensor, height: int, width: int) -> Regions:
    """As `regions.regions` in the geometry of the code."""
    pairs = zip(given.double().numpy(), wanted.double().numpy(), strict=True)
    made = [_of_pair(a, b, height, width) for a, b in pairs]
    return Regions(*(torch.from_numpy(np.stack(part)) for part in zip(*made, strict=True)))


def _side(pose: np.ndarray) -> float:
    right_hip, left_hip, left_shoulder, right_shoulder = pose[list(TORSO), :2]
    return float(np.sqrt((((right_hip - right_shoulder) ** 2).sum() + ((left_hip - left_shoulder) ** 2).sum()) / 2))


def _quad(start: np.ndarray, end: np.ndarray, side: float, ahead: float) -> np.ndarray:
    start = start + 0.1 * (start - end)
    end = end + ahead * (end - start)
    along = start - end
    length = np.linalg.norm(along)
    if length == 0:
        return np.array([start + 1, start - 1, end - 1, end + 1])
    aside = 0.2 * side * np.array([-along[1], along[0]]) / length
    return np.array([start + aside, start - aside, end - aside, end + aside])


def _map(wanted: np.ndarray, given: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = estimate_transform("affine", wanted, given)
        if not fitted:
            return np.array(NOWHERE)
        matrix = np.asarray(fitted.params)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        return np.array(NOWHERE)
    return matrix[:2].ravel()


def _of_pair(a: np.ndarray, b: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    side_a, side_b = _side(a), _side(b)
    masks, maps = [np.ones((height, width), bool)], [_map(b[list(TORSO), :2], a[list(TORSO), :2])]
    seen = [joint for joint in HEAD if b[joint, 2]]
    face = np.zeros((height, width), bool)
    if seen:
        x, y = (int(v) for v in b[seen, :2].mean(0))
        half = int(0.4 * side_b)
        face[max(y - half, 0) : max(y + half, 0), max(x - half, 0) : max(x + half, 0)] = True
    masks.append(face)
    common = [joint for joint in HEAD if a[joint, 2] and b[joint, 2]]
    joints = common + list(SHOULDERS)
    maps.append(_map(b[joints, :2], a[joints, :2]) if common else np.array(NOWHERE))
    for limb, (start, end) in enumerate(LIMBS):
        if not (b[start, 2] and b[end, 2]):
            masks.append(np.zeros((height, width), bool))
            maps.append(np.array(NOWHERE))
            continue
        quad = _quad(b[start, :2], b[end, :2], side_b, 0.5 if OUTER[limb] else 0.1)
        masks.append(grid_points_in_poly((height, width), quad[:, ::-1]))
        from_, to = next(((f, t) for f, t in (LIMBS[limb], LIMBS[TWIN[limb]]) if a[f, 2] and a[t, 2]), (None, None))
        ahead = 0.3 if OUTER[limb] else 0.1
        if from_ is None:
            maps.append(np.array(NOWHERE))
        else:
            maps.append(
                _map(_quad(b[start, :2], b[end, :2], side_b, ahead), _quad(a[from_, :2], a[to, :2], side_a, ahead))
            )
    return np.stack(maps).astype(np.float32), np.stack(masks)


def ten_warps(features: Tensor, regions: Regions) -> Tensor:
    """The maximum over a warped and masked copy of the features for each region, by `grid_sample`."""
    h, w = features.shape[-2:]
    step = regions.masks.shape[-2] // h
    masks = regions.masks[..., ::step, ::step].to(features)
    ys, xs = torch.meshgrid(torch.arange(h).float(), torch.arange(w).float(), indexing="ij")
    copies = []
    for region in range(regions.maps.shape[1]):
        a0, a1, a2, b0, b1, b2 = regions.maps[:, region, :, None, None].unbind(1)
        x, y = a0 * xs + a1 * ys + a2 / step, b0 * xs + b1 * ys + b2 / step
        grid = torch.stack([(2 * x + 1) / w - 1, (2 * y + 1) / h - 1], -1)
        copies.append(F.grid_sample(features, grid, "nearest", align_corners=False) * masks[:, region, None])
    return torch.stack(copies).amax(0)


def all_offsets(generated: Tensor, real: Tensor, area: int) -> Tensor:
    """N H W: the nearest-neighbour distances from a copy of the real features for each offset, far values around."""
    h, w = real.shape[-2:]
    reach = area // 2
    padded = F.pad(real, (reach,) * 4, value=-10000.0)
    shifted = [padded[..., y : y + h, x : x + w] for y in range(area) for x in range(area)]
    return torch.stack([(generated - s).abs().sum(1) for s in shifted]).amin(0)
