from pathlib import Path

import av
import numpy as np


def decode(path: Path, frames: slice = slice(None), longest: int = 512) -> np.ndarray:
    """uint8 T H W 3, with a longer side of at most `longest` pixels."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        scale = min(1.0, longest / max(stream.width, stream.height))
        size = {"width": round(stream.width * scale), "height": round(stream.height * scale)}
        reformat = av.video.reformatter.VideoReformatter().reformat
        decoded = list(container.decode(stream))[frames]
        return np.stack([reformat(f, **size, format="rgb24", interpolation="AREA").to_ndarray() for f in decoded])
