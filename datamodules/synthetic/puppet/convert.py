"""Makes `mocap.npz` of this folder: `python -m datamodules.synthetic.puppet.convert FOLDER`.

FOLDER holds the 15 files `humanoid3d_*.txt` (JSON) of DeepMimic, as pybullet ships them in `pybullet_data/data/motions`
(zlib licence, see NOTICE). The array is kept as float16, of which root positions lose at most 1 mm and rotations
0.03 degrees; times are float32.
"""

import json
import sys
from pathlib import Path

import numpy as np

ARRAYS = Path(__file__).with_name("mocap.npz")
PREFIX = "humanoid3d_"


def read(path: Path) -> tuple[np.ndarray, bool]:
    """Rows of 44 numbers (seconds to the next row, root x y z, rotations) and whether the motion repeats."""
    motion = json.loads(path.read_text())
    return np.array(motion["Frames"], dtype=np.float64), motion["Loop"] == "wrap"


def convert(folder: Path, target: Path = ARRAYS) -> None:
    """Packs all motions of `folder`, sorted by name."""
    paths = sorted(folder.glob(f"{PREFIX}*.txt"))
    rows, loops = zip(*(read(path) for path in paths), strict=True)
    # A row's time is the sum of the steps before it; what the last row says of its own step is not used.
    times = [np.concatenate([[0], np.cumsum(motion[:-1, 0])]) for motion in rows]
    np.savez_compressed(
        target,
        names=np.array([path.stem.removeprefix(PREFIX) for path in paths]),
        lengths=np.array([len(motion) for motion in rows]),
        loops=np.array(loops),
        times=np.concatenate(times).astype(np.float32),
        poses=np.concatenate(rows)[:, 1:].astype(np.float16),
    )


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
