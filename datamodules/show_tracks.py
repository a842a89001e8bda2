"""Pictures of one clip and of what is known of it, at the size at which they are shown."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from datamodules.show_colours import flow_colours, hues, palette

SMALLEST = 96  # pixels: a shown frame's shorter side at least
NOTHING = (214, 214, 214)  # the paper; not white, as still flow and the ground of drawn poses are white
MANY = 30  # joints from which on a pose is drawn with points as small as can be: a face
Limbs = Sequence[tuple[int, int]]


class Zoom(NamedTuple):
    """Frames are enlarged by repeating pixels, or reduced, both by whole numbers."""

    times: int
    parts: int

    @classmethod
    def of(cls, shorter: int, largest: int) -> "Zoom":
        """Brings frames with that shorter side to between `SMALLEST` and `largest` pixels."""
        return cls(max(1, -(-SMALLEST // shorter)), max(1, -(-shorter // largest)))

    def pictures(self, frames: np.ndarray) -> np.ndarray:
        """uint8 T H W 3, reduced to means."""
        if self.parts > 1:
            frames = np.stack([np.asarray(Image.fromarray(frame).reduce(self.parts)) for frame in frames])
        return self._enlarged(frames)

    def marks(self, frames: np.ndarray) -> np.ndarray:
        """uint8 T H W 3, reduced to single pixels: a mean of two labels' colours would be a third label."""
        return self._enlarged(frames[:, :: self.parts, :: self.parts])

    def points(self, joints: np.ndarray) -> np.ndarray:
        """... 3: x and y of the frame -> of the shown frame; pixel centres lie at whole numbers in both."""
        scaled = (joints[..., :2] + 0.5) * (self.times / self.parts) - 0.5
        return np.concatenate([scaled, joints[..., 2:]], -1)

    def _enlarged(self, frames: np.ndarray) -> np.ndarray:
        return frames.repeat(self.times, 1).repeat(self.times, 2)


def pictures_of(batch: dict[str, Tensor], clip: int, limbs: Limbs, zoom: Zoom) -> list[tuple[str, np.ndarray]]:
    """Lines of text and uint8 T H W 3 of everything known of a clip; T is 1 for its source.

    Args:
        batch: widened, see `batch.to_float`.
        limbs: pairs of joints to join.
    """
    frames = _levels(batch["video"][clip])
    video = zoom.pictures(frames)
    found = [("video", video)]
    if "source" in batch:
        source = zoom.pictures(_levels(batch["source"][clip][:, None]))
        found.append(("source", source))
        if "source_pose" in batch:
            joints = zoom.points(batch["source_pose"][clip][:, None].numpy())
            found.append(("source_pose", _posed(source, joints, limbs)))
        if "source_labels" in batch:
            found.append(("source_labels", zoom.marks(_numbered(batch["source_labels"][clip][None].numpy()))))
        if "source_mask" in batch:
            found.append(("source_mask", zoom.pictures(_levels(batch["source_mask"][clip][:, None] * 2 - 1))))
    if "condition" in batch:
        channels = batch["condition"].shape[1]
        for start in range(0, channels, 3):  # stick figures and body parts may lie behind each other
            which = f"\nchannels {start}-{min(start + 3, channels) - 1}" if channels > 3 else ""
            found.append((f"condition{which}", zoom.pictures(_levels(batch["condition"][clip][start : start + 3]))))
    if "face_box" in batch:
        found.append(("face_box", zoom.pictures(_boxed(frames, batch["face_box"][clip].numpy()))))
    if "pose" in batch:
        found.append(("pose", _posed(video, zoom.points(batch["pose"][clip].numpy()), limbs)))
    found += [(key, zoom.marks(_numbered(batch[key][clip].numpy()))) for key in ("labels", "instances") if key in batch]
    if "mask" in batch:
        found.append(("mask", zoom.pictures(_levels(batch["mask"][clip] * 2 - 1))))
    for key in ("flow", "flow_back"):
        if key in batch:
            shown, longest = _flow(batch, key, clip)
            found.append((f"{key}\nto {longest:.3g} px", zoom.pictures(shown)))
    return found


def _numbered(values: np.ndarray) -> np.ndarray:
    """T H W of any numbers -> uint8 T H W 3. Large ones, as instances have, are counted through."""
    if values.max() >= 256:
        _, counted = np.unique(values, return_inverse=True)
        values = counted.reshape(values.shape) % 256
    return palette(256)[values]


def _flow(batch: dict[str, Tensor], key: str, clip: int) -> tuple[np.ndarray, float]:
    """One picture a frame, and the length in pixels that is shown in full colour.

    `flow` lies on the frame that it starts from, so the last frame has none; `flow_back` starts from the frame after,
    so the first has none.
    """
    flow = batch[key][clip].numpy().transpose(1, 0, 2, 3)  # T-1 2 H W
    longest = float(np.quantile(np.hypot(flow[:, 0], flow[:, 1]), 0.99))
    shown = flow_colours(flow, longest)
    valid = batch.get(f"{key}_valid")
    if valid is not None:  # what is not seen in the other frame is darkened
        shown = np.where(valid[clip, 0].numpy()[..., None] > 0, shown, shown // 3)
    none = np.full_like(shown[:1], NOTHING)
    return np.concatenate([none, shown] if key == "flow_back" else [shown, none]), longest


def _levels(frames: Tensor) -> np.ndarray:
    """[-1, 1] C T H W -> uint8 T H W 3."""
    levels = ((frames.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0).numpy()
    missing = 3 - levels.shape[-1]
    return levels.repeat(3, -1) if missing == 2 else np.pad(levels, ((0, 0), (0, 0), (0, 0), (0, missing)))


def _boxed(frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Uint8 T H W 3 with everything outside the boxes T 4 (y0, y1, x0, x1) darkened."""
    shown = frames // 3
    for frame, dark, (y0, y1, x0, x1) in zip(frames, shown, boxes.astype(int), strict=True):
        dark[max(y0, 0) : y1, max(x0, 0) : x1] = frame[max(y0, 0) : y1, max(x0, 0) : x1]
    return shown


def _posed(frames: np.ndarray, pose: np.ndarray, limbs: Limbs) -> np.ndarray:
    """Joints (and limbs) of P T J 3 over darkened uint8 T H W 3; the less confident, the darker."""
    colours = hues(pose.shape[2])
    size = 1 if pose.shape[2] > MANY else max(1, min(frames.shape[1:3]) // SMALLEST)
    shown = []
    for t, frame in enumerate(frames):
        picture = Image.fromarray(frame // 3)
        draw = ImageDraw.Draw(picture)
        for person in pose[:, t]:
            for a, b in limbs:
                if min(person[a, 2], person[b, 2]) > 0:
                    draw.line([*person[a, :2], *person[b, :2]], fill=tuple(colours[b].tolist()), width=size)
            for (x, y, confidence), colour in zip(person, colours, strict=True):
                if confidence > 0:
                    fill = tuple((colour * min(1.0, 0.4 + 0.6 * confidence)).astype(int).tolist())
                    draw.ellipse([x - size, y - size, x + size, y + size], fill=fill)
        shown.append(np.asarray(picture))
    return np.stack(shown)
