from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser

from datamodules.base import ClipData
from datamodules.batch import to_float
from datamodules.errors import BenchError
from datamodules.synthetic.puppet.body import SKELETONS
from datamodules.synthetic.puppet.data import DRAWN_LIKE, Puppet
from datamodules.synthetic.puppet.kept import TRUTH
from datamodules.synthetic.puppet.store import CLIP_KEYS, PuppetStore

CONFIGS = Path(__file__).parents[3] / "experiments" / "configs" / "data"
SMALL: dict[str, Any] = {"train_videos": 8, "val_videos": 4, "test_videos": 4, "identities": (4, 2, 2)}


def test_batches_are_clips_with_attributes() -> None:
    data = Puppet(size=(64, 32), frames=4, stride=2, context=1, **SMALL)
    batch = data.eval_batch("test", range(4), 4, 2, seed=0)
    assert batch["video"].shape == (4, 3, 4, 64, 32) and batch["video"].dtype == torch.uint8
    assert batch["context"].shape == (4, 3, 1, 64, 32)
    assert set(batch["attributes"]) == {"category", "subject", "yaw"}
    assert all(6 <= subject < 8 for subject in batch["attributes"]["subject"].tolist())
    assert Puppet.gives(context=1) == {"video", "context", "attributes", "pose"} == set(batch) - {"index", "name"}
    assert data.split_digest("val") != data.split_digest("test")


def test_all_that_is_known_comes_out_of_the_cache_as_it_was_drawn() -> None:
    options = {"size": (64, 32), "frames": 4, "truth": TRUTH, "source": "random", "persons": 2, **SMALL}
    data = Puppet(**options)
    batch = data.eval_batch("val", range(4), 4, 1, seed=0)
    assert set(batch) - {"index", "name"} == Puppet.gives(**options)
    starts = [int(name.partition("[")[2].partition(":")[0]) for name in batch["name"]]
    videos = np.array([int(name.partition("[")[0].rpartition("/")[2]) for name in batch["name"]])
    drawn = PuppetStore("val", 4, **data.drawn).tracks(videos, np.array(starts)[:, None] + np.arange(4), CLIP_KEYS)
    for key in ("video", "labels", "instances", "mask", "flow_valid", "flow_back_valid"):
        assert np.array_equal(batch[key].numpy(), drawn[key]), key
    wide = to_float(batch)
    for key in ("flow", "flow_back"):
        assert np.abs(wide[key].numpy() - drawn[key]).max() <= 1 / 64
    # The first pixel's centre is 0, 0 in a batch, and boxes begin with y.
    assert np.allclose(batch["pose"].numpy()[..., :2], drawn["pose"][..., :2] - 0.5)
    assert np.array_equal(batch["pose"].numpy()[..., 2], drawn["pose"][..., 2])
    assert np.array_equal(batch["face_box"].numpy(), drawn["face_box"][..., [1, 3, 0, 2]])
    assert batch["source"].shape == (4, 3, 64, 32) and batch["source_pose"].shape == (4, 2, 18, 3)


@pytest.mark.parametrize("skeleton", ["openpose18", "body25"])
def test_joints_are_those_of_the_skeleton_that_joins_them(skeleton: str) -> None:
    ours = ["neck" if name == "collar" else name for name in SKELETONS[skeleton]]
    theirs = list(DRAWN_LIKE[skeleton].joints)
    assert [name.replace("_", "").lower() for name in ours] == [name.replace("_", "").lower() for name in theirs]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truth": ("depth",)}, "truth names depth; puppets know pose, labels"),
        ({"truth": ("flow",), "stride": 2}, "stride must be 1 where truth names flow, found 2; change fps"),
        ({"truth": ("flow_valid",), "frames": 1}, "frames must be at least 2 where truth names flow, found 1"),
        ({"video_frames": 8, "frames": 16}, "video_frames=8 must be at least frames=16"),
        ({"source": "second"}, r"source must be one of \['none', 'first', 'random', 'other'\], found 'second'"),
        ({"source": "other", "source_room": "any"}, r"source_room must be one of \['same', 'other'\], found 'any'"),
        ({"source_room": "other"}, "source_room=other needs source=other, found none"),
        ({"val_videos": 0}, "val_videos must be at least 1, found 0"),
        ({"motions": ["swim"]}, "motions must name some of"),
        ({"identities": (0, 1, 1)}, "identities are 3 counts"),
        ({"size": 8}, r"size must be at least 16, found \(8, 8\)"),
        ({"motion_split": "held_out", "motions": ["walk"]}, "at least 3 motions"),
    ],
)
def test_wrong_arguments_fail_before_anything_is_drawn(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        Puppet(**arguments)


def test_the_config_and_the_command_line() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(ClipData, "data")
    config = ("--config", str(CONFIGS / "puppet.yaml"))
    data = parser.instantiate(parser.parse_args([*config])).data
    assert type(data) is Puppet and (data.height, data.width, data.frames, data.stride) == (64, 64, 16, 1)
    changed = [f"--data.{x}" for x in ("size=[128,64]", "persons=2", "camera=pan", "motions=[walk,run]", "yaw=[0,90]")]
    data = parser.instantiate(parser.parse_args([*config, *changed, "--data.identities=[3,2,2]"])).data
    assert isinstance(data, Puppet) and data.drawn["size"] == (128, 64) and data.drawn["motions"] == ["walk", "run"]
    assert data.drawn["yaw"] == (0, 90) and data.drawn["identities"] == (3, 2, 2) and data.drawn["persons"] == 2


@pytest.mark.parametrize(
    ("name", "size", "frames", "source", "condition", "gives"),
    [
        ("puppet_pairs", (128, 64), 1, True, "none", {"pose", "mask", "labels"}),
        ("puppet_source", (64, 64), 16, True, "none", {"pose", "mask", "labels"}),
        ("puppet_poses", (128, 128), 2, False, "edn", {"pose", "face_box", "condition"}),
        ("puppet_labels", (128, 128), 1, False, "none", {"labels", "instances"}),
    ],
)
def test_the_other_configs(
    name: str, size: tuple[int, int], frames: int, source: bool, condition: str, gives: set[str]
) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(ClipData, "data")
    parsed = parser.parse_args(["--config", str(CONFIGS / f"{name}.yaml")])
    data = parser.instantiate(parsed).data
    assert isinstance(data, Puppet) and (data.height, data.width) == size
    assert (data.frames, data.condition, data.source) == (frames, condition, "none")
    expected = gives | ({"source", *(f"source_{key}" for key in gives)} if source else set())
    assert data.tracks == expected
    assert Puppet.gives(**parsed.data.init_args.as_dict()) == {"video", "attributes", *expected}


def test_the_motions_and_their_licence_are_package_data() -> None:
    listed = (Path(__file__).parents[3] / "setup.cfg").read_text()
    for name in ("mocap.npz", "NOTICE"):
        assert f"synthetic/puppet/{name}" in listed
        assert resources.files("datamodules.synthetic.puppet").joinpath(name).is_file()
