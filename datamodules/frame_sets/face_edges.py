"""`condition`: what vid2vid makes faces of."""

import numpy as np

from datamodules.frame_sets.keypoints import face_rows, read_landmarks
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.maps import read_rgb
from datamodules.frame_sets.view import View
from datamodules.pose.face_map import CHANNELS, POINTS, face_map
from datamodules.tracks import Track


class FaceEdges:
    """`condition`: `face_map` of the landmarks, in the frame's own pixels; 15 bytes a pixel."""

    key = "condition"
    policy = "face map 1"

    def __init__(self, role: str = "keypoints") -> None:
        self.role = role

    def track(self, height: int, width: int) -> Track:
        """Uint8 15 H W."""
        return Track("uint8", (CHANNELS, height, width))

    def read(self, source: FrameSource, frame: int, view: View) -> np.ndarray:
        """See `maps.Part`."""
        files = source.frames[frame]
        points = view.points(face_rows(read_landmarks(files[self.role]))[:POINTS], outside=True)
        return face_map(points, view.picture(read_rgb(files["picture"])))
