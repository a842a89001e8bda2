"""What a puppet batch promises, for every size, camera, number of persons and skeleton that is offered."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from datamodules.batch import VideoBatch, to_float
from datamodules.pose.skeletons import BODY_25, COCO_18
from datamodules.synthetic.puppet.body import LABELS
from datamodules.synthetic.puppet.data import Puppet
from datamodules.synthetic.puppet.kept import DRAWN_LIKE, TRUTH
from datamodules.synthetic.puppet.store import PuppetStore

CLIPS, FRAMES = 12, 4


class Setting(NamedTuple):
    size: tuple[int, int]
    camera: str
    persons: int
    skeleton: str


TABLE = [
    Setting((64, 64), "static", 1, "openpose18"),
    Setting((64, 64), "pan", 2, "body25"),
    Setting((128, 64), "static", 2, "openpose18"),
    Setting((128, 64), "pan", 1, "body25"),
    Setting((128, 128), "static", 1, "body25"),
    Setting((128, 128), "pan", 2, "openpose18"),
    Setting((256, 256), "static", 2, "body25"),
    Setting((256, 256), "pan", 1, "openpose18"),
]


def batch_of(setting: Setting, **changed: Any) -> VideoBatch:
    counts = {"train_videos": 1, "val_videos": CLIPS, "test_videos": 1, "identities": (3, 4, 2)}
    arguments = {**setting._asdict(), "frames": FRAMES, "video_frames": FRAMES, "truth": TRUTH, **counts, **changed}
    data = Puppet(**arguments)
    assert Puppet.gives(**arguments) == {"video", "attributes", *TRUTH}
    return data.eval_batch("val", range(CLIPS), FRAMES, 1, seed=0)


@pytest.fixture(scope="module", params=TABLE, ids=str)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Setting, dict[str, Any]]:
    """A setting and its batch, widened; drawn into a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return request.param, to_float(batch_of(request.param))


def test_layout(case: tuple[Setting, dict[str, Any]]) -> None:
    setting, batch = case
    joints = {"openpose18": COCO_18, "body25": BODY_25}[setting.skeleton]
    frames, between = (FRAMES, *setting.size), (FRAMES - 1, *setting.size)
    shapes = {
        "video": (3, *frames),
        "pose": (setting.persons, FRAMES, len(joints), 3),
        "labels": frames,
        "instances": frames,
        "mask": (1, *frames),
        "face_box": (FRAMES, 4),
        **dict.fromkeys(("flow", "flow_back"), (2, *between)),
        **dict.fromkeys(("flow_valid", "flow_back_valid"), (1, *between)),
    }
    assert {key: tuple(batch[key].shape[1:]) for key in shapes} == shapes
    assert DRAWN_LIKE[setting.skeleton] is joints
    more = ["category_2", "subject_2", "yaw_2"] if setting.persons == 2 else []
    assert sorted(batch["attributes"]) == sorted(["category", "subject", "yaw", *more])
    assert {3, 4, 5, 6} >= set(batch["attributes"]["subject"].tolist())  # identities of val follow train's three
    assert (batch["attributes"]["yaw"] >= 0).all() and (batch["attributes"]["yaw"] < 360).all()


def test_parts_persons_and_mask_agree(case: tuple[Setting, dict[str, Any]]) -> None:
    setting, batch = case
    labels, instances, mask = batch["labels"], batch["instances"], batch["mask"][:, 0]
    assert torch.equal(labels > 0, instances > 0)
    assert instances.unique().tolist() == list(range(setting.persons + 1))
    assert labels.unique().tolist() == list(range(len(LABELS)))
    assert (mask[labels > 0] > 0.5).all() and ((mask > 0) & (mask < 1)).any()
    assert (mask[labels == 0] == 0).float().mean() > 0.9


def test_confidence_is_sight(case: tuple[Setting, dict[str, Any]]) -> None:
    """1 in sight, 0.4 hidden, 0 outside the picture; who is in sight is seen there, and not who stands before him."""
    setting, batch = case
    (height, width), pose = setting.size, batch["pose"].numpy()
    x, y, sure = np.moveaxis(pose, -1, 0)
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    np.testing.assert_array_equal(sure > 0, inside)
    assert set(np.unique(sure)) - {np.float32(0), np.float32(0.4), np.float32(1)} == set()
    instances, own, other = batch["instances"].numpy(), [], 0
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    for clip, person, t, joint in np.argwhere(sure == 1):
        at_y, at_x = row[clip, person, t, joint], column[clip, person, t, joint]
        around = instances[clip, t, max(at_y - 1, 0) : at_y + 2, max(at_x - 1, 0) : at_x + 2]
        own.append((around == person + 1).any())
        other += int((around == 2 - person).all())  # in the middle of the other person
    assert len(own) > 150 and np.mean(own) > 0.99 and other == 0
    if setting.persons == 2:
        behind = np.argwhere((sure == np.float32(0.4)) & (row < height) & (column < width))
        hidden = [instances[c, t, row[c, p, t, j], column[c, p, t, j]] == 2 - p for c, p, t, j in behind]
        assert np.sum(hidden) > 10  # some are hidden by the other person


@pytest.mark.parametrize("way", ["", "_back"])
def test_flow_leads_to_the_same_part_of_the_same_person(case: tuple[Setting, dict[str, Any]], way: str) -> None:
    setting, batch = case
    (height, width), flow = setting.size, batch[f"flow{way}"].numpy()
    part = (batch["labels"] + 20 * batch["instances"]).numpy()
    here, there = (part[:, :-1], part[:, 1:]) if not way else (part[:, 1:], part[:, :-1])
    valid = batch[f"flow{way}_valid"].numpy()[:, 0] > 0
    y, x = np.mgrid[:height, :width]
    # Pixels hold what lies at most half a pixel from their centres; the cache rounds the flow to 1/32 pixel.
    to_x, to_y = np.rint(x + flow[:, 0]).astype(int), np.rint(y + flow[:, 1]).astype(int)
    within = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
    person = here > 0
    assert (valid & ~within & person).sum() <= 0.001 * person.sum()
    clip, time = np.indices(to_x.shape)[:2]
    lands = there[clip, time, np.clip(to_y, 0, height - 1), np.clip(to_x, 0, width - 1)]
    same = (lands == here) & within
    assert same[valid & person].mean() > 0.985 and same[valid & ~person].all()
    assert 0.5 < valid[person].mean() < 1 and not same[~valid].all()
    moved = np.hypot(flow[:, 0], flow[:, 1])
    assert moved[person].mean() > 0.5 and (moved[~person].max() > 0) == (setting.camera == "pan")


def test_face_boxes_hold_heads(case: tuple[Setting, dict[str, Any]]) -> None:
    setting, batch = case
    held, heads = 0, 0
    for clip, t in np.ndindex(CLIPS, FRAMES):
        y0, y1, x0, x1 = batch["face_box"][clip, t].int().tolist()
        assert 0 <= y0 < y1 <= setting.size[0] and 0 <= x0 < x1 <= setting.size[1]
        head = (batch["labels"][clip, t] == LABELS.index("head")) & (batch["instances"][clip, t] == 1)
        held, heads = held + int(head[y0:y1, x0:x1].sum()), heads + int(head.sum())
    assert heads > 500 and held / heads > 0.85


def test_a_batch_is_drawn_again_to_the_bit(
    case: tuple[Setting, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, batch = case
    monkeypatch.setenv("REELBENCH_CACHE", str(tmp_path))
    again = to_float(batch_of(setting))
    for key in ("video", *TRUTH):
        assert torch.equal(batch[key], again[key]), key
    others = batch_of(setting, seed=1)
    assert not torch.equal(to_float(others)["video"], batch["video"])


def test_another_process_draws_the_same() -> None:
    code = "from datamodules.synthetic.puppet.store import PuppetStore as S; print(S('test', 3, persons=2).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == PuppetStore("test", 3, persons=2).digest


def test_splits_of_a_batch_share_neither_persons_nor_motions() -> None:
    shown: dict[str, list[set[int]]] = {"subject": [], "category": []}
    for split in ("train", "val", "test"):
        counts = {"train_videos": 40, "val_videos": 40, "test_videos": 40, "identities": (6, 3, 3)}
        data = Puppet(size=32, frames=1, video_frames=1, truth=(), motion_split="held_out", **counts)  # type: ignore[arg-type]
        attributes = data.eval_batch(split, range(40), 1, 1, seed=0)["attributes"]
        for key, sets in shown.items():
            sets.append(set(attributes[key].tolist()))
    for a, b, c in shown.values():
        assert a and b and c and not (a & b | a & c | b & c)
