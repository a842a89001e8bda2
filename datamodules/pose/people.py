"""The people in some frames: bodies, faces and hands, T frames of P persons each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from datamodules.pose.convert import convert
from datamodules.pose.skeletons import FACE_70, HAND_21, Skeleton

PARTS = ("body", "face", "hand_left", "hand_right")


@dataclass(frozen=True)
class People:
    """Joints as x, y in pixels and confidence; all zero where a joint, a part or a person is missing.

    Attributes:
        skeleton: of the bodies.
        body: T P J 3, float32, or float64 where a file's decimals are to be kept.
        face: T P 70 3 of the same type.
        hand_left, hand_right: T P 21 3; the person's own left and right.
    """

    skeleton: Skeleton
    body: np.ndarray
    face: np.ndarray
    hand_left: np.ndarray
    hand_right: np.ndarray

    @classmethod
    def of(
        cls,
        skeleton: Skeleton,
        body: np.ndarray,
        face: np.ndarray | None = None,
        hand_left: np.ndarray | None = None,
        hand_right: np.ndarray | None = None,
    ) -> "People":
        """Checks the shapes; parts that are None are missing.

        Raises:
            ValueError: the arrays do not fit together.
        """
        given = {"body": body, "face": face, "hand_left": hand_left, "hand_right": hand_right}
        rows = {"body": len(skeleton), "face": len(FACE_70), "hand_left": len(HAND_21), "hand_right": len(HAND_21)}
        arrays = {}
        for part, value in given.items():
            shape = (*body.shape[:2], rows[part], 3)
            value = np.zeros(shape, dtype=body.dtype) if value is None else value
            if value.shape != shape or value.dtype != body.dtype or body.dtype.kind != "f":
                raise ValueError(f"{part} is {value.dtype} {value.shape}, expected floats T P J 3 = {shape}")
            arrays[part] = value
        return cls(skeleton, **arrays)

    @property
    def frames(self) -> int:
        """T."""
        return self.body.shape[0]

    @property
    def persons(self) -> int:
        """P, the places for persons; some may be empty."""
        return self.body.shape[1]

    def counts(self) -> np.ndarray:
        """int64 T: persons of whom a body, face or hand joint is there."""
        there = np.zeros(self.body.shape[:2], dtype=bool)
        for part in PARTS:
            there |= (getattr(self, part)[..., 2] > 0).any(-1)
        return there.sum(-1)

    def to(self, skeleton: Skeleton) -> "People":
        """The same people with bodies of another skeleton."""
        return replace(self, skeleton=skeleton, body=convert(self.body, self.skeleton, skeleton))

    def transformed(self, scale: float, shift: tuple[float, float]) -> "People":
        """Places times `scale` plus `shift` (x, y); missing joints stay zero."""
        factor, offset = np.array([scale, scale, 1], self.body.dtype), np.array([*shift, 0], self.body.dtype)
        moved: dict[str, Any] = {}
        for part in PARTS:
            joints = getattr(self, part)
            moved[part] = np.where(joints[..., 2:] > 0, joints * factor + offset, 0)
        return replace(self, **moved)


def joined(people: Sequence[People]) -> People:
    """Frames one after another; frames with fewer persons are filled with missing ones.

    Raises:
        ValueError: there are none, or their skeletons differ.
    """
    if not people or any(p.skeleton is not people[0].skeleton for p in people):
        raise ValueError("frames to join must be some, and of one skeleton")
    persons = max(p.persons for p in people)
    joined_parts = {}
    for part in PARTS:
        padded = [np.pad(getattr(p, part), ((0, 0), (0, persons - p.persons), (0, 0), (0, 0))) for p in people]
        joined_parts[part] = np.concatenate(padded)
    return People(people[0].skeleton, **joined_parts)
