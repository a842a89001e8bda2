"""`reelbench data show` draws every data config: from layouts as they are published, with puppets in them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.show import GAP, MARGIN
from experiments import data
from tests.datamodules.published_frame_layouts import FRAME_LAYOUTS
from tests.datamodules.published_layouts import VIDEO_LAYOUTS

CONFIGS = Path(__file__).parents[2] / "experiments" / "configs" / "data"
LAYOUTS = VIDEO_LAYOUTS | FRAME_LAYOUTS
PUPPETS = {"puppet", "puppet_labels", "puppet_pairs", "puppet_poses", "puppet_source"}
GENERATED = {"moving_digits", "moving_digits_deterministic", "moving_digits_srvp", "shape_motion"} | PUPPETS
# What the copies are too small for.
SMALLER = {
    **{f"vid2vid_{kind}_flow": ["--data.frames=3"] for kind in ("pose", "street")},
    "bair": ["--data.init_args.val=[traj_256_to_256.tfrecords]"],
    **{name: ["--data.init_args.train_videos=2"] for name in PUPPETS},
}
SMALLER["puppet_source"] += ["--columns", "1"]  # of a source there is one picture
# Rows of each clip; a clip of one frame has its pictures beside each other.
BESIDE = {"cityscapes_annotated": 3, "deepfashion": 5, "market": 5, "pix2pixhd": 3}
BESIDE |= {"deepfashion_pg2": 5, "market_pg2": 5, "puppet_labels": 3, "puppet_pairs": 8, "puppet_source": 1}
ROWS = {"puppet_poses": 4, "puppet_source": 8}
ROWS |= {"everybody_dance": 3, "puppet": 2, "vid2vid_face": 7, "vid2vid_pose": 5, "vid2vid_street": 3}
ROWS |= {"vid2vid_pose_flow": 7, "vid2vid_street_flow": 5}


def test_no_config_is_left_out() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(LAYOUTS) | GENERATED


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) | GENERATED))
def test_a_config_is_drawn(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELBENCH_DATA", str(tmp_path))
    if name in LAYOUTS:
        LAYOUTS[name](tmp_path)
    out = tmp_path / "sheet.png"
    small = ["--n", "1", "--columns", "2", "--side", "96"]
    assert data.main(["show", f"data/{name}", "-o", str(out), *small, *SMALLER.get(name, [])]) == 0
    picture = np.asarray(Image.open(out))
    rows, columns = ROWS.get(name, 1), BESIDE.get(name, 2)
    height, width = (picture.shape[0] - GAP) // rows - GAP, (picture.shape[1] - MARGIN - GAP) // columns - GAP
    assert min(height, width) >= 64
    for row in range(rows):
        for column in range(columns):
            bottom, left = (row + 1) * (GAP + height), MARGIN + GAP + column * (GAP + width)
            cell = picture[bottom - height + 20 : bottom, left : left + width]  # below a caption
            # The last rows: flow, which the last frame has not, and flow back, which the first has not.
            none = name.endswith("_flow") and (row, column) in {(rows - 2, columns - 1), (rows - 1, 0)}
            assert (len(np.unique(cell.reshape(-1, 3), axis=0)) > 1) != none, f"row {row}, column {column}"
