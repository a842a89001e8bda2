"""What frames are made from: stick figures, edges, label maps; as the published layouts give them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy import ndimage

from datamodules.errors import BenchError
from datamodules.everybody_dance import EverybodyDance
from datamodules.pix2pixhd import Pix2PixHD
from datamodules.pose.skeletons import BODY_25, COCO_18
from datamodules.synthetic.puppet.condition import edges, sticks
from datamodules.synthetic.puppet.data import Puppet
from datamodules.synthetic.puppet.kept import BatchPuppets
from datamodules.vid2vid_pose import Vid2VidPose

CONFIGS = Path(__file__).parents[3] / "experiments" / "configs" / "data"
FEW: dict[str, Any] = {"train_videos": 3, "val_videos": 3, "test_videos": 3}
SIZES = [(64, 64), (128, 64), (128, 128), (256, 256)]


def config(name: str, **changed: Any) -> dict[str, Any]:
    return {**yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["data"]["init_args"], **FEW, **changed}


@pytest.mark.parametrize(
    ("name", "changed", "published", "channels"),
    [
        ("puppet_poses", {}, EverybodyDance.gives(keypoints="keypoints"), 3),
        ("puppet_poses", {"condition": "vid2vid", "truth": ["pose", "mask"], "frames": 6}, Vid2VidPose.gives(), 3),
        ("puppet_labels", {}, Pix2PixHD.gives(), 0),
        ("puppet_labels", {"frames": 6}, Pix2PixHD.gives(), 0),
        ("puppet_labels", {"condition": "edges"}, Pix2PixHD.gives(features=True), 1),
    ],
)
def test_the_configs_give_what_the_published_layouts_give(
    name: str, changed: dict[str, Any], published: frozenset[str], channels: int
) -> None:
    arguments = config(name, **changed)
    data = Puppet(**arguments)
    batch = data.eval_batch("test", range(3), data.frames, 1, seed=0)
    assert Puppet.gives(**arguments) - {"attributes"} == published == set(batch) - {"index", "name", "attributes"}
    if channels:
        assert batch["condition"].dtype == torch.uint8
        assert batch["condition"].shape == (3, channels, data.frames, 128, 128)
    if "labels" in batch:
        assert batch["labels"].max() < data.classes == 15
        assert set(batch["instances"].unique().tolist()) <= {0, 1, 2}


def test_the_dancers_splits_are_one_person_in_one_room_doing_other_things() -> None:
    data = Puppet(**config("puppet_poses"))
    stores = {split: BatchPuppets(split, 3, **data.drawn) for split in ("train", "test")}
    looks = [store.stage.identities.atlas.tobytes() for store in stores.values()]
    assert looks[0] == looks[1] and len(stores["train"].stage.identities.atlas) == 1
    np.testing.assert_array_equal(stores["train"].stage.backgrounds, stores["test"].stage.backgrounds)
    ends = stores["train"].stage.scenes.high / stores["test"].stage.scenes.low
    assert np.isfinite(ends).all() and data.drawn["motion_split"] == "phase" and data.drawn["camera"] == "static"


@pytest.mark.parametrize("size", SIZES)
def test_edn_draws_joints_where_they_are(size: tuple[int, int]) -> None:
    """The disc of a single joint, in the joint's colour on white, has the joint as its centre."""
    pose = np.zeros((1, 1, 3, 18, 3), np.float32)  # B P T J 3
    wrist = COCO_18.index("left_wrist")
    places = np.array([[20.5, 31.5], [33.0, 20.0], [40.25, 44.75]])
    pose[0, 0, :, wrist, :2], pose[0, 0, :, wrist, 2] = places, 1
    drawn = sticks("edn", pose, COCO_18, *size)
    assert drawn.shape == (1, 3, 3, *size) and drawn.dtype == np.uint8
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    colour = np.array(COCO_18.colours[wrist], dtype=float)
    channel = int(np.abs(255 - colour).argmax())
    ink = (255 - drawn[0, channel].astype(float)) / (255 - colour[channel])
    for t, (at_x, at_y) in enumerate(places):
        total = ink[t].sum()
        off = abs((ink[t] * x).sum() / total - at_x), abs((ink[t] * y).sum() / total - at_y)
        assert max(off) < 0.5 / max(2, 256 / size[0]) + 0.06  # half a pixel of the canvas
        radius = max(1.5, 8 * size[0] / 1080)
        assert 0.8 < total / (np.pi * radius**2) < 1.6
    white = (drawn[0, :, 0] > 250).all(0)
    assert white.mean() > 0.97


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kind", "thick"), [("edn", 0), ("vid2vid", 3)])
def test_limbs_lie_between_their_joints(kind: str, thick: int, size: tuple[int, int]) -> None:
    pose = np.zeros((1, 1, 1, 25, 3), np.float32)
    for joint, place in (("left_knee", (12.5, 20.5)), ("left_ankle", (42.5, 50.5))):
        pose[0, 0, 0, BODY_25.index(joint)] = *place, 0.4  # hidden ones are drawn as well
    drawn = sticks(kind, pose, BODY_25, *size)[0, :, 0].astype(int)
    paper = drawn[:, -1, -1]
    assert paper.tolist() == ([255] * 3 if kind == "edn" else [0] * 3)
    y, x = np.nonzero(np.abs(drawn - paper[:, None, None]).max(0) > 60)
    from_line = np.abs((x + 0.5 - 12.5) - (y + 0.5 - 20.5)) / np.sqrt(2)
    assert len(x) > 25 and from_line.max() < 2 + thick + size[0] / 128
    assert abs(x.min() - 12) <= 3 + thick and abs(x.max() - 42) <= 3 + thick
    assert abs((x + 0.5).mean() - 27.5) < 1 and abs((y + 0.5).mean() - 35.5) < 1


def test_missing_joints_and_persons_are_not_drawn() -> None:
    pose = np.zeros((1, 2, 2, 18, 3), np.float32)
    pose[..., :2] = 30  # places without confidence
    pose[0, 1, 1, 4] = 20, 20, 1  # the second person, in the second frame
    for kind, paper in (("edn", 255), ("vid2vid", 0)):
        drawn = sticks(kind, pose, COCO_18, 64, 64)
        assert (drawn[:, :, 0] == paper).all()
        assert (drawn[:, :, 1] != paper).any() == (kind == "edn")  # vid2vid draws limbs only
        assert (drawn[:, :, :, 26:] == paper).all()


def test_edges_are_pixels_with_another_part_or_person_beside_them() -> None:
    """Against filters over the pixel and its four neighbours."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (2, 3, 8, 6)), np.ones((4, 5))).astype(np.uint8)
    instances = np.kron(rng.integers(0, 2, (2, 3, 4, 6)), np.ones((8, 5))).astype(np.uint8)
    cross = ndimage.generate_binary_structure(2, 1)[None, None]
    expected = np.zeros(labels.shape, dtype=bool)
    for ids in (labels, instances):
        largest, smallest = (
            f(ids, footprint=cross, mode="nearest") for f in (ndimage.maximum_filter, ndimage.minimum_filter)
        )
        expected |= largest != smallest
    np.testing.assert_array_equal(edges(labels, instances)[:, 0], np.where(expected, 255, 0))
    assert 0.1 < expected.mean() < 0.9
    assert not edges(np.ones_like(labels), np.ones_like(labels)).any()


@pytest.mark.parametrize("condition", ["edn", "vid2vid", "edges"])
def test_conditions_come_out_of_the_cache_as_they_are_drawn(condition: Any) -> None:
    data = Puppet(size=64, frames=4, video_frames=6, persons=2, condition=condition, **FEW)
    batch = data.eval_batch("val", range(3), 4, 1, seed=0)
    starts = [int(name.partition("[")[2].partition(":")[0]) for name in batch["name"]]
    videos = np.array([int(name.partition("[")[0].rpartition("/")[2]) for name in batch["name"]])
    frames = np.array(starts)[:, None] + np.arange(4)
    puppets = BatchPuppets("val", 3, condition, **data.drawn)
    known = puppets.tracks(videos, frames, frozenset({"condition", "labels"}))
    assert set(known) == {"condition", "labels"}
    np.testing.assert_array_equal(batch["condition"].numpy(), known["condition"])
    one = puppets.tracks(videos[1:2], frames[1:2, 2:3], frozenset({"condition"}))["condition"]
    np.testing.assert_array_equal(one[0, :, 0], known["condition"][1, :, 2])
    if condition != "edges":  # figures stand on the persons
        away = np.abs(known["condition"].astype(int) - (255 if condition == "edn" else 0)).max(1) > 100
        person = ndimage.binary_dilation(known["labels"] > 0, np.ones((1, 1, 3, 3)))
        assert away.any((2, 3)).all() and person[away].mean() > 0.95


def test_every_condition_has_a_cache_of_its_own() -> None:
    kinds: tuple[Any, ...] = ("none", "edn", "vid2vid", "edges")
    assert len({BatchPuppets("val", 3, kind, size=(64, 64)).digest for kind in kinds}) == 4


def test_sides_in_colours_cannot_be_mirrored() -> None:
    kinds: tuple[Any, ...] = ("edn", "vid2vid")
    for kind in kinds:
        with pytest.raises(BenchError, match=f"flip=true with condition={kind}: its colours tell right from left"):
            Puppet(condition=kind, flip=True)
    assert Puppet(condition="edges", flip=True).flip
    with pytest.raises(BenchError, match=r"condition must be one of .*found 'canny'"):
        Puppet(condition="canny")  # type: ignore[arg-type]
