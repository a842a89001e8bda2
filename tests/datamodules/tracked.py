"""A generator whose every value tells the video and the frame that it belongs to."""

from collections.abc import Mapping

import numpy as np


class TrackedStore:
    """Frames of 2x3 pixels: video, frame, column. Key-points are (video, frame, 1), labels the frame, flow the step."""

    def __init__(self, lengths: np.ndarray) -> None:
        self.lengths = lengths
        self.names = [f"v{i}" for i in range(len(lengths))]
        self.attributes: Mapping[str, np.ndarray] = {"category": np.arange(len(lengths), dtype=np.int32) % 2}
        self.digest = "tracked"

    def gather(self, videos: np.ndarray, frames: np.ndarray) -> np.ndarray:
        clips = np.zeros((*frames.shape, 2, 3, 3), dtype=np.uint8)
        clips[..., 2] = np.arange(3)
        clips[..., 0], clips[..., 1] = videos[:, None, None, None], frames[..., None, None]
        return clips

    def tracks(self, videos: np.ndarray, frames: np.ndarray, keys: frozenset[str]) -> dict[str, np.ndarray]:
        at = np.stack(np.broadcast_arrays(videos[:, None], frames, 1), -1).astype(np.float32)  # B T 3
        out = {
            "video": self.gather(videos, frames).transpose(0, 4, 1, 2, 3),
            "pose": at[:, None, :, None],  # B P T J 3
            "labels": np.broadcast_to(frames[..., None, None], (*frames.shape, 2, 3)).astype(np.uint8),
        }
        if "flow" in keys:
            steps = np.diff(frames)[:, None, :, None, None].astype(np.float32)
            out["flow"] = np.broadcast_to(steps, (len(frames), 2, frames.shape[1] - 1, 2, 3)).copy()
        return {key: out[key] for key in keys}
