"""Affine maps between sets of points, many at once, without a decomposition that would wait for the device."""

import math

import torch
from torch import Tensor

FLAT = 1e-9  # share of its largest possible value below which a determinant counts as none


def fit_affine(start: Tensor, end: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
    """The affine map from one set of points to another that fits best, as scikit-image's `estimate_transform` finds it.

    That is no ordinary least squares: both sets are shifted and scaled to mean 0 and mean square 2, and the right
    singular vector of the smallest singular value of the homogeneous system is taken, so that errors of the start
    count as well (total least squares). With the points centred its normal equations have a closed form: with
    S = sum p p^T of the start and c, d = sum p x, sum p y against the end, the rows of the linear part are
    (S - lambda)^-1 c and (S - lambda)^-1 d for the smallest root lambda of a cubic; 0 where the fit is exact.

    Args:
        start, end: ... K 2, float64.
        used: bool ... K, which of the pairs count.

    Returns:
        ... 6, a0 a1 a2 b0 b1 b2 in x' = a0 x + a1 y + a2 and y' = b0 x + b1 y + b2, and bool ..., whether there is a
        map that can be inverted: points on a line, or too few, have none. Without one the numbers mean nothing.
    """
    weight = used.to(start)[..., None]  # ... K 1
    count = weight.sum(-2).clamp_min(1)  # ... 1
    p, p_mean, p_scale = _normalised(start, weight, count)
    q, q_mean, q_scale = _normalised(end, weight, count)
    spread = (p[..., :, None] * p[..., None, :]).sum(-3)  # ... 2 2
    cross = (q[..., :, None] * p[..., None, :]).sum(-3)  # ... 2 2, row i belongs to coordinate i of the end
    shrink = _smallest_root(spread, cross, 2 * count[..., 0])
    a, b, d = spread[..., 0, 0] - shrink, spread[..., 0, 1], spread[..., 1, 1] - shrink
    determinant = a * d - b * b
    inverse = torch.stack([d, -b, -b, a], -1).unflatten(-1, (2, 2)) / determinant[..., None, None]
    linear = (cross[..., :, :, None] * inverse[..., None, :, :]).sum(-2)  # ... 2 2 in normalised coordinates
    turned = linear[..., 0, 0] * linear[..., 1, 1] - linear[..., 0, 1] * linear[..., 1, 0]
    there = (used.sum(-1) > 2) & (determinant.abs() > FLAT * count[..., 0] ** 2) & (turned.abs() > FLAT)
    there &= p_scale[..., 0].isfinite() & q_scale[..., 0].isfinite()
    linear = linear * (p_scale / q_scale)[..., None]
    shift = q_mean - (linear * p_mean[..., None, :]).sum(-1)  # ... 2
    return torch.cat([linear, shift[..., None]], -1).flatten(-2), there


def _normalised(points: Tensor, weight: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Points with mean 0 and mean square 2 (0: unused), their mean ... 2, the factor ... 1 (infinite: none)."""
    mean = (points * weight).sum(-2) / count
    centred = (points - mean[..., None, :]) * weight
    scale = math.sqrt(2) / (centred.square().sum((-2, -1)) / count[..., 0]).sqrt()[..., None]
    return centred * scale[..., None], mean, scale


def _smallest_root(spread: Tensor, cross: Tensor, end: Tensor) -> Tensor:
    """The smallest eigenvalue of [[S, 0, c], [0, S, d], [c^T, d^T, e]], which is one of a symmetric 3x3 matrix.

    In the axes of S, where it is diag(s, t), the two columns count by u = c_0^2 + d_0^2 and v = c_1^2 + d_1^2 alone.
    """
    a, b, d = spread[..., 0, 0], spread[..., 0, 1], spread[..., 1, 1]
    middle, half = (a + d) / 2, torch.hypot((a - d) / 2, b)
    s, t = middle + half, middle - half
    # The squared length of the columns' part along the first axis, without the axis: a polynomial of S does it.
    gram = (cross[..., :, :, None] * cross[..., :, None, :]).sum(-3)  # ... 2 2, sum of c c^T + d d^T
    total = gram[..., 0, 0] + gram[..., 1, 1]
    along = (spread * gram).sum((-2, -1))  # s u + t v
    u = torch.where(half > 0, (along - t * total) / (2 * half).clamp_min(1e-300), total)
    v = total - u
    # The three roots of a symmetric matrix by the cosine; Newton's steps mend what the cosine loses near 0.
    mean = (s + t + end) / 3
    spread_of_roots = (((s - mean) ** 2 + (t - mean) ** 2 + (end - mean) ** 2 + 2 * (u + v)) / 6).sqrt()
    x, y, z = s - mean, t - mean, end - mean
    third = (x * y * z - u * y - v * x) / (2 * spread_of_roots**3).clamp_min(1e-300)
    angle = torch.acos(third.clamp(-1, 1)) / 3
    root = mean + 2 * spread_of_roots * torch.cos(angle + 2 * math.pi / 3)
    for _ in range(2):
        value = (s - root) * (t - root) * (end - root) - u * (t - root) - v * (s - root)
        slope = u + v - (t - root) * (end - root) - (s - root) * (end - root) - (s - root) * (t - root)
        root = torch.where(slope.abs() > 1e-12, root - value / slope, root)
    return root.clamp_min(0)
