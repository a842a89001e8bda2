"""What frames are made from: stick figures as two methods draw them, and the edges of body parts."""

from typing import Literal

import numpy as np

from datamodules.pose import stick_edn, stick_vid2vid
from datamodules.pose.people import People
from datamodules.pose.skeletons import Skeleton
from datamodules.pose.stick_edn import EdnStyle
from datamodules.pose.stick_vid2vid import Vid2VidStyle

Condition = Literal["none", "edn", "vid2vid", "edges"]
CHANNELS = {"edn": 3, "vid2vid": 3, "edges": 1}
SIDED = ("edn", "vid2vid")  # their colours tell right from left
# Pixels of the frame that lines are thick at least: those of the papers, on frames of 512 lines and more, would be half
# a pixel wide on frames of 64. From 203 lines on (EDN) and 214 (vid2vid) their share of the frame is the papers'.
EDN_RADIUS, VID2VID_WIDTH = 1.5, 2
LEAST = 256  # lines of the canvas that EDN's figures are drawn on before they are reduced


def sticks(kind: str, pose: np.ndarray, skeleton: Skeleton, height: int, width: int) -> np.ndarray:
    """Stick figures, uint8 B 3 T H W; joints outside the picture are missing.

    Args:
        kind: `edn` (on white, lines smooth) or `vid2vid` (on black, not smooth).
        pose: B P T J 3 in pixels, the first of which has its centre at 0.5.
    """
    clips, persons, times, joints, _ = pose.shape
    body = pose.transpose(0, 2, 1, 3, 4).reshape(clips * times, persons, joints, 3)
    body = np.where(body[..., 2:] > 0, body, 0)  # a joint outside the picture still has a place
    drawn = _edn(body, skeleton, height, width) if kind == "edn" else _vid2vid(body, skeleton, height, width)
    return drawn.reshape(clips, times, height, width, 3).transpose(0, 4, 1, 2, 3)


def _edn(body: np.ndarray, skeleton: Skeleton, height: int, width: int) -> np.ndarray:
    factor = max(2, -(-LEAST // height))
    style, (full, _) = EdnStyle(), stick_edn.CANVAS
    radius = max(style.joint * height / full, EDN_RADIUS) * factor  # pixels of the canvas
    style = EdnStyle(joint=round(radius), limb=round(radius * style.limb / style.joint))
    canvas = (height * factor, width * factor)
    # Places are cut to whole numbers there, which is the canvas's pixel that the joint lies in.
    return stick_edn.labels(People.of(skeleton, body), height, width, (height, width), style, canvas)


def _vid2vid(body: np.ndarray, skeleton: Skeleton, height: int, width: int) -> np.ndarray:
    style = Vid2VidStyle()
    thick = max(VID2VID_WIDTH, round(style.limb * height / 512))
    end = thick if thick > VID2VID_WIDTH else 1
    return stick_vid2vid.draw(People.of(skeleton, body), height, width, Vid2VidStyle(limb=thick, end=end))


def edges(labels: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """Where body parts and persons meet each other and the background, as pix2pixHD draws its instances: both pixels.

    Args:
        labels, instances: uint8 B T H W.

    Returns:
        uint8 B 1 T H W, 0 or 255.
    """
    numbers = labels.astype(np.int64) + 256 * instances.astype(np.int64)
    out = np.zeros(labels.shape, dtype=np.uint8)
    down, right = numbers[..., 1:, :] != numbers[..., :-1, :], numbers[..., 1:] != numbers[..., :-1]
    for part, differs in (
        (out[..., 1:, :], down),
        (out[..., :-1, :], down),
        (out[..., 1:], right),
        (out[..., :-1], right),
    ):
        part[differs] = 255
    return out[:, None]
