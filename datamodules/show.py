"""What a data set yields, as one picture: each clip's frames, and below them everything that is known of them."""

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from datamodules.batch import VideoBatch, to_float

# Pixels: between pictures, for the names of rows and columns, of a shown frame's shorter side at least.
GAP, MARGIN, HEAD, SMALLEST = 2, 96, 18, 96
WHITE = (255, 255, 255)
Limbs = Sequence[tuple[int, int]]


def palette(count: int) -> np.ndarray:
    """uint8 count 3: black for 0, then hues a golden ratio apart, so that neighbours differ."""
    hues = [colorsys.hsv_to_rgb(i * 0.618034 % 1, 0.65, 1 - 0.4 * (i % 3) / 2) for i in range(1, count)]
    return np.array([(0, 0, 0), *[[round(255 * c) for c in hue] for hue in hues]], dtype=np.uint8)


def flow_colours(flow: np.ndarray, largest: float) -> np.ndarray:
    """Direction as hue, length as saturation: standing still is white.

    Args:
        flow: ... 2 H W in pixels.
        largest: length in pixels that is fully saturated.

    Returns:
        uint8 ... H W 3.
    """
    x, y = np.moveaxis(flow, -3, 0)
    hue = (np.arctan2(y, x) / (2 * np.pi)) % 1 * 6
    wheel = np.stack([np.clip(np.abs((hue + shift) % 6 - 3) - 1, 0, 1) for shift in (0, 4, 2)], -1)
    strength = np.clip(np.hypot(x, y) / max(largest, 1e-6), 0, 1)[..., None]
    return np.rint(255 * (1 - strength * (1 - wheel))).astype(np.uint8)


def sheet(batch: VideoBatch, columns: int = 8, limbs: Limbs = ()) -> np.ndarray:
    """Rows of every clip in turn: frames, source picture, and each track under its name. Of single frames a row each.

    Args:
        batch: as a datamodule gives it; at least one clip.
        columns: frames shown of each clip, evenly spaced, first and last included; all where there are fewer.
        limbs: pairs of joints to join.

    Returns:
        uint8 H W 3.
    """
    wide: dict[str, Tensor] = to_float(batch)
    frames = wide["video"].shape[2]
    at = np.linspace(0, frames - 1, min(columns, frames)).round().astype(int)
    scale = max(1, -(-SMALLEST // min(wide["video"].shape[3:])))
    rows, heads = [], []
    for clip in range(len(wide["video"])):
        of_clip = [(name, picture.repeat(scale, 1).repeat(scale, 2)) for name, picture in _rows(wide, clip, at, limbs)]
        if frames == 1:
            heads = ["video", *(name for name, pictures in of_clip[1:] for _ in pictures)]
            of_clip = [(of_clip[0][0], np.concatenate([pictures for _, pictures in of_clip]))]
        rows += of_clip
    return _grid(rows, heads)


def _rows(batch: dict[str, Tensor], clip: int, at: np.ndarray, limbs: Limbs) -> list[tuple[str, np.ndarray]]:
    """(name, uint8 K H W 3) of one clip."""
    video = _levels(batch["video"][clip])  # T H W 3
    rows = [(f"video {int(batch['index'][clip])}", video[at])]
    if "source" in batch:
        rows.append(("source", _source(batch, clip, limbs)))
    if "condition" in batch:
        for start in range(0, batch["condition"].shape[1], 3):  # stick figures and body parts may lie behind each other
            rows.append(("condition", _levels(batch["condition"][clip][start : start + 3])[at]))
    if "face_box" in batch:
        rows.append(("face_box", _boxed(video, batch["face_box"][clip].numpy())[at]))
    if "pose" in batch:
        rows.append(("pose", _posed(video, batch["pose"][clip].numpy(), limbs)[at]))
    for key in ("labels", "instances"):
        if key in batch:
            rows.append((key, _numbered(batch[key][clip])[at]))
    if "mask" in batch:
        rows.append(("mask", _levels(batch["mask"][clip] * 2 - 1)[at]))
    for key in ("flow", "flow_back"):
        if key in batch:
            rows.append((key, _flow(batch, key, clip)[np.minimum(at, len(video) - 2)]))
    return rows


def _source(batch: dict[str, Tensor], clip: int, limbs: Limbs) -> np.ndarray:
    """The picture, and beside it its pose, labels and mask: uint8 K H W 3."""
    shown = [_levels(batch["source"][clip][:, None])]
    if "source_pose" in batch:
        shown.append(_posed(shown[0], batch["source_pose"][clip][:, None].numpy(), limbs))
    if "source_labels" in batch:
        shown.append(_numbered(batch["source_labels"][clip][None]))
    if "source_mask" in batch:
        shown.append(_levels(batch["source_mask"][clip][:, None] * 2 - 1))
    return np.concatenate(shown)


def _numbered(labels: Tensor) -> np.ndarray:
    """Labels or instances T H W as colours: uint8 T H W 3."""
    values = labels.numpy()
    _, numbers = np.unique(values, return_inverse=True)  # instance numbers may be large
    return palette(256)[values if values.max() < 256 else numbers.reshape(values.shape) % 256]


def _flow(batch: dict[str, Tensor], key: str, clip: int) -> np.ndarray:
    flow = batch[key][clip].numpy().transpose(1, 0, 2, 3)  # T-1 2 H W
    shown = flow_colours(flow, float(np.quantile(np.hypot(flow[:, 0], flow[:, 1]), 0.99)))
    valid = batch.get(f"{key}_valid")
    if valid is not None:  # what is not seen in the other frame is darkened
        shown = np.where(valid[clip, 0].numpy()[..., None] > 0, shown, shown // 3)
    return shown


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
    colours = palette(pose.shape[2] + 1)[1:]
    shown = []
    for t, frame in enumerate(frames):
        picture = Image.fromarray(frame // 3)
        draw = ImageDraw.Draw(picture)
        for person in pose[:, t]:
            for a, b in limbs:
                if min(person[a, 2], person[b, 2]) > 0:
                    draw.line([*person[a, :2], *person[b, :2]], fill=tuple(colours[b].tolist()))
            for (x, y, confidence), colour in zip(person, colours, strict=True):
                if confidence > 0:
                    fill = tuple((colour * min(1.0, 0.4 + 0.6 * confidence)).astype(int).tolist())
                    draw.ellipse([x - 1, y - 1, x + 1, y + 1], fill=fill)
        shown.append(np.asarray(picture))
    return np.stack(shown)


def _grid(rows: Sequence[tuple[str, np.ndarray]], heads: Sequence[str] = ()) -> np.ndarray:
    height, width = rows[0][1].shape[1:3]
    columns = max(len(pictures) for _, pictures in rows)
    above = GAP + (HEAD if heads else 0)
    size = (MARGIN + columns * (width + GAP) + GAP, above + len(rows) * (height + GAP))
    canvas = Image.new("RGB", size, WHITE)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for c, head in enumerate(heads):
        draw.text((MARGIN + GAP + c * (width + GAP), GAP), head, fill=(40, 40, 40), font=font)
    for r, (name, pictures) in enumerate(rows):
        top = above + r * (height + GAP)
        draw.text((6, top + height // 2 - 8), name, fill=(40, 40, 40), font=font)
        for c, picture in enumerate(pictures):
            canvas.paste(Image.fromarray(picture), (MARGIN + GAP + c * (width + GAP), top))
    return np.asarray(canvas)
