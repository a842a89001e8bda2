"""What metrics on poses share: which person is which, and which joints can be compared."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

FAR = 1e9  # pixels: between persons who have no joint in common


class JointPairs(NamedTuple):
    """Joints of persons who are held against each other.

    Attributes:
        wanted: bool ... J: the joint is there in the target.
        both: bool ... J: it is there, and was found.
        offset: float64 ... J 2: found less target, x and y in pixels; 0 where not both are there.
        place: float64 ... J 2: of the target; 0 where it is not there.
    """

    wanted: Tensor
    both: Tensor
    offset: Tensor
    place: Tensor


def matched(found: Tensor, target: Tensor) -> Tensor:
    """`found` in the order of the target's persons: ... P J 3, all 0 where a person was not found.

    In each frame persons are paired so that the sum of their distances is least; a distance is the mean over the joints
    that both have. Found persons beyond the target's do not count.

    Args:
        found: ... Q J 3, target: ... P J 3; one person each is the common case and needs no search.
    """
    if found.shape[-3] == target.shape[-3] == 1:
        return found
    leading, (persons, joints, _) = target.shape[:-3], target.shape[-3:]
    ours, theirs = found.reshape(-1, *found.shape[-3:]), target.reshape(-1, persons, joints, 3)
    both = (ours[:, None, :, :, 2] > 0) & (theirs[:, :, None, :, 2] > 0)  # N P Q J
    distance = (ours[:, None, ..., :2] - theirs[:, :, None, ..., :2]).double().norm(dim=-1)
    common = both.sum(dim=-1)
    cost = (distance * both).sum(dim=-1) / common.clamp_min(1) + FAR * (common == 0)  # N P Q
    out = torch.zeros_like(theirs)
    for frame, matrix in enumerate(cost.numpy()):  # scipy solves one frame at a time
        rows, columns = linear_sum_assignment(matrix)
        near = matrix[rows, columns] < FAR
        out[frame, rows[near]] = ours[frame, np.ascontiguousarray(columns[near])]
    return out.reshape(*leading, persons, joints, 3)


def joint_pairs(found: Tensor, target: Tensor) -> JointPairs:
    """Joints of matched persons.

    Args:
        found, target: ... J 3: x, y in pixels, confidence (0 = missing).
    """
    wanted = target[..., 2] > 0
    both = wanted & (found[..., 2] > 0)
    place = torch.where(wanted[..., None], target[..., :2].double(), 0)
    offset = torch.where(both[..., None], found[..., :2].double() - place, 0)
    return JointPairs(wanted, both, offset, place)


def extent(place: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of the box around points (... 2 each: x, y), and whether it has two points or more.

    Args:
        place: ... K 2, there: bool ... K.
    """
    low = torch.where(there[..., None], place, torch.inf).amin(dim=-2)
    high = torch.where(there[..., None], place, -torch.inf).amax(dim=-2)
    boxed = there.sum(dim=-1) >= 2
    return torch.where(boxed[..., None], high - low, 0), boxed
