"""The configs of sets with labels, conditions, poses and pairs build what their papers say."""

from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser

from datamodules.base import ClipData
from datamodules.errors import BenchError
from datamodules.flip import Flipped
from datamodules.pose.skeletons import SKELETONS
from datamodules.tracks import BETWEEN

CONFIGS = Path(__file__).parents[2] / "experiments" / "configs" / "data"
PAIR = {"video", "pose", "mask", "source", "source_pose", "attributes"}
# name: (height, width), frames, batch, flip, skeleton, what it gives
EXPECTED = {
    "market": ((128, 64), 1, 4, False, "coco_18", PAIR),
    "market_pg2": ((128, 64), 1, 16, True, "coco_18", PAIR),
    "deepfashion": ((256, 256), 1, 2, False, "coco_18", PAIR),
    "deepfashion_pg2": ((256, 256), 1, 8, True, "coco_18", PAIR),
    "cityscapes": ((256, 512), 30, 8, False, None, {"video"}),
    "cityscapes_annotated": ((512, 1024), 1, 1, True, None, {"video", "labels", "instances"}),
    "pix2pixhd": ((512, 1024), 1, 1, True, None, {"video", "labels", "instances"}),
    "everybody_dance": ((256, 512), 2, 1, False, None, {"video", "condition", "face_box"}),
    "vid2vid_street": ((256, 512), 6, 1, False, None, {"video", "labels", "instances"}),
    "vid2vid_pose": ((256, 192), 12, 1, False, "body_25", {"video", "condition", "pose", "mask"}),
    "vid2vid_street_flow": ((256, 512), 30, 1, False, None, {"video", "labels", "instances"} | BETWEEN),
    "vid2vid_pose_flow": ((256, 192), 14, 1, False, "body_25", {"video", "condition", "pose", "mask"} | BETWEEN),
    "vid2vid_face": ((512, 512), 12, 1, False, "face_70", {"video", "condition", "pose"}),
}


def build(name: str) -> ClipData:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(ClipData, "data")
    return parser.instantiate(parser.parse_args(["--config", str(CONFIGS / f"{name}.yaml")])).data


@pytest.mark.parametrize("name", EXPECTED)
def test_the_papers_settings(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = build(name)
    assert isinstance(data, Flipped)
    size, frames, batch, flip, skeleton, gives = EXPECTED[name]
    found = ((data.height, data.width), data.frames, data.batch_size, data.flip, data.skeleton)
    assert found == (size, frames, batch, flip, skeleton)
    assert data.limbs == (SKELETONS[skeleton].limbs if skeleton else ())
    arguments = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["data"]["init_args"]
    assert type(data).gives(**arguments) == gives == {"video", *data.tracks} | (gives & {"attributes"})
    # The set is not here: the message says where to get it, and what it looks like.
    monkeypatch.setenv("REELBENCH_DATA", str(tmp_path))
    for split in ("train", "val", "test"):
        with pytest.raises(BenchError, match=r"is not found: .*does not exist\nGet it from .+\nExpected layout:\n  .+"):
            data.store(split)
