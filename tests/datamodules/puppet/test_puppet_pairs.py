"""Clips, or single pictures, with a source picture of the same person elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from datamodules.base import TrainSteps
from datamodules.batch import VideoBatch, to_float
from datamodules.flip import mirrored
from datamodules.market import Market
from datamodules.pose.skeletons import COCO_18
from datamodules.stream import StreamSpec
from datamodules.synthetic.puppet.body import LABELS, SKELETONS
from datamodules.synthetic.puppet.data import Puppet
from datamodules.synthetic.puppet.kept import BatchPuppets
from datamodules.synthetic.puppet.motions import load_motions
from datamodules.synthetic.puppet.sourced import SourcedStore
from datamodules.synthetic.puppet.store import PuppetStore
from metrics.mask_score import MaskSSIM
from metrics.protocol import ProtocolSettings
from metrics.suite import MetricSuite
from tests.datamodules.puppet.test_puppet_keypoints import labels_of

CONFIGS = Path(__file__).parents[3] / "experiments" / "configs" / "data"
SMALL: dict[str, Any] = {"train_videos": 24, "val_videos": 8, "test_videos": 8, "identities": (6, 3, 3)}
PAIRS: dict[str, Any] = {**SMALL, "size": (128, 64), "frames": 1, "video_frames": 1, "batch_size": 4}
CLIPS: dict[str, Any] = {**SMALL, "size": 64, "frames": 5, "video_frames": 8, "batch_size": 4}
TRUTH = ("pose", "mask", "labels")
SPLITS = ("train", "val", "test")


def config(name: str, **changed: Any) -> dict[str, Any]:
    return {**yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["data"]["init_args"], **changed}


def puppet(**arguments: Any) -> Puppet:
    return Puppet(**{"truth": TRUTH, "source": "other", **arguments})


def equal(a: VideoBatch, b: VideoBatch, i: int) -> bool:
    """Whether item i of `a` is the only one of `b`."""
    assert set(a) == set(b)
    tensors = {k: v for k, v in a.items() if isinstance(v, torch.Tensor)}
    others = {k: v[i].item() for k, v in a["attributes"].items()}
    return (
        all(torch.equal(v[i], b[k][0]) for k, v in tensors.items())  # type: ignore[literal-required]
        and a["name"][i] == b["name"][0]
        and others == {k: v.item() for k, v in b["attributes"].items()}
    )


def test_the_configs_give_what_the_published_pairs_give() -> None:
    published = Market.gives()
    for name, frames in (("puppet_pairs", 1), ("puppet_source", 16)):
        arguments = config(name, **SMALL)
        data = Puppet(**arguments)
        assert published <= Puppet.gives(**arguments) and data.skeleton == Market.skeleton
        batch = data.eval_batch("test", range(2), frames, 1, seed=0)
        assert set(batch) - {"index", "name"} == Puppet.gives(**arguments)
        height, width = (data.height, data.width)
        assert batch["video"].shape == (2, 3, frames, height, width) and batch["source"].shape == (2, 3, height, width)
        assert batch["pose"].shape == (2, 1, frames, 18, 3) and batch["source_pose"].shape == (2, 1, 18, 3)
        assert batch["mask"].shape == (2, 1, frames, height, width) and batch["source_mask"].shape == (
            2,
            1,
            height,
            width,
        )
        assert batch["labels"].shape == (2, frames, height, width) and batch["source_labels"].shape == (
            2,
            height,
            width,
        )
        assert (batch["attributes"]["category"] != batch["attributes"]["source_category"]).all()
        wide = to_float(batch)
        assert wide["source_mask"].max() == 1 and wide["source_labels"].dtype == torch.int64
    assert (Puppet(**config("puppet_pairs")).height, Puppet(**config("puppet_pairs")).width) == (128, 64)


def test_all_pairs_have_the_torso_that_deformable_gan_asks_for() -> None:
    arguments = config("puppet_pairs", train_videos=1500)
    puppets = BatchPuppets("train", 1500, **Puppet(**arguments).drawn)
    torso = [COCO_18.index(f"{side}_{joint}") for side in ("right", "left") for joint in ("shoulder", "hip")]
    for pictures in (puppets, puppets.sources("other")):
        pose = pictures.tracks(np.arange(1500), np.zeros((1500, 1), np.int64), frozenset({"pose"}))["pose"]
        assert (pose[..., torso, 2] > 0).mean() == 1 and (pose[..., 2] > 0).mean() > 0.95


@pytest.mark.parametrize("arguments", [{"persons": 1}, {"persons": 2, "camera": "pan"}, {"motions": ["walk"]}])
def test_sources_show_the_same_persons_in_another_motion(arguments: dict[str, Any]) -> None:
    clips = PuppetStore("train", 300, size=(64, 64), identities=(12, 5, 5), **arguments)
    sources = clips.sources()
    scenes, others = clips.stage.scenes, sources.stage.scenes
    np.testing.assert_array_equal(scenes.person, others.person)
    assert clips.stage.identities is sources.stage.identities
    if "motions" in arguments:
        assert set(sources.attributes["category"].tolist()) == {0}
    else:
        assert (scenes.motion != others.motion).all()
        assert len(np.unique(others.motion)) == 15
    assert (scenes.yaw != others.yaw).mean() > 0.98 and (scenes.start != others.start).all()
    apart = np.abs((scenes.yaw - others.yaw + 180) % 360 - 180)
    assert 80 < apart.mean() < 100  # turned any way
    np.testing.assert_array_equal(sources.attributes["yaw"], others.yaw[:, 0])
    assert set(sources.attributes) == set(clips.attributes) and (sources.lengths == 1).all()


def test_sources_keep_to_the_persons_and_motions_of_their_split() -> None:
    """Nothing of the test split is shown in training, neither as a target nor as a source."""
    shown: dict[str, dict[str, set[int]]] = {"subject": {}, "category": {}}
    looks: dict[str, set[bytes]] = {}
    for split in SPLITS:
        clips = PuppetStore(split, 300, size=(32, 32), identities=(12, 5, 5), motion_split="held_out")
        sources = clips.sources()
        for key, found in shown.items():
            found[split] = {*clips.attributes[key].tolist(), *sources.attributes[key].tolist()}
        stages = (clips.stage, sources.stage)
        looks[split] = {s.identities.atlas[p].tobytes() for s in stages for p in np.unique(s.scenes.person)}
    everything: list[dict[str, set[Any]]] = [*shown.values(), looks]
    for sets, counts in zip(everything, ([12, 5, 5], [11, 2, 2], [12, 5, 5]), strict=True):
        assert [len(sets[split]) for split in SPLITS] == counts
        assert not (sets["train"] & sets["test"] or sets["train"] & sets["val"] or sets["val"] & sets["test"])
    for split, low, high in (("train", 0, 0.6), ("val", 0.6, 0.8), ("test", 0.8, 1)):
        sources = PuppetStore(split, 100, identities=(12, 5, 5), motion_split="phase").sources()
        scenes, seconds = sources.stage.scenes, load_motions().seconds[sources.stage.scenes.motion]
        at, _ = scenes.time(np.arange(100), np.zeros((100, 1)))
        share = at[..., 0] / seconds
        assert low - 1e-9 <= share.min() and share.max() <= high + 1e-9


@pytest.mark.parametrize("arguments", [PAIRS, CLIPS, {**CLIPS, "persons": 2, "source_room": "other"}])
def test_an_item_depends_on_seed_and_number_alone(arguments: dict[str, Any]) -> None:
    data = puppet(**arguments)
    batch = data.eval_batch("test", range(8), data.frames, 1, seed=3)
    again = puppet(**arguments)
    for i in range(8):
        assert equal(batch, again.eval_batch("test", [i], data.frames, 1, seed=3), i), i
    assert not equal(batch, again.eval_batch("test", [0], data.frames, 1, seed=4), 0)
    whole = TrainSteps(data, {"clips": StreamSpec()}, 0, 0, 1)[5]
    halves = [TrainSteps(again, {"clips": StreamSpec()}, 0, rank, 2)[5] for rank in (0, 1)]
    for key in ("video", "source", "source_pose", "source_labels"):
        parts = {int(n): part[key][j] for part in halves for j, n in enumerate(part["index"])}
        assert len(parts) == 4 and all(torch.equal(whole[key][j], parts[int(n)]) for j, n in enumerate(whole["index"]))


@pytest.mark.parametrize("room", ["same", "other"])
def test_sources_come_out_of_the_cache_as_they_were_drawn(room: Any) -> None:
    data = puppet(**CLIPS, source_room=room)
    batch = data.eval_batch("val", range(8), 5, 1, seed=0)
    videos = np.array([int(name.partition("[")[0].rpartition("/")[2]) for name in batch["name"]])
    puppets = BatchPuppets("val", 8, **data.drawn)
    sources = puppets.sources(room)
    drawn = sources.tracks(videos, np.zeros((8, 1), np.int64), frozenset({"video", *TRUTH}))
    for key, of in (("source", "video"), ("source_pose", "pose"), ("source_mask", "mask")):
        np.testing.assert_array_equal(batch[key].numpy(), drawn[of][:, :, 0], err_msg=key)  # type: ignore[literal-required]
    np.testing.assert_array_equal(batch["source_labels"].numpy(), drawn["labels"][:, 0])
    np.testing.assert_array_equal(batch["attributes"]["source_yaw"].numpy(), sources.attributes["yaw"][videos])
    # The corner above shows the wall, whose mottle a background decides.
    wall = np.abs(drawn["video"][:, :, 0, :6].astype(int) - batch["video"][:, :, 0, :6].numpy().astype(int))
    alone = (drawn["mask"][:, :, 0, :6] == 0) & (batch["mask"][:, :, 0, :6].numpy() == 0)
    differs = (wall * alone).max((1, 2, 3))
    assert (differs == 0).all() if room == "same" else (differs > 8).all()


def test_digests_tell_sources_apart() -> None:
    digests = [
        data.split_digest("val") for data in (Puppet(**CLIPS), puppet(**CLIPS), puppet(**CLIPS, source_room="other"))
    ]
    assert len(set(digests)) == 3 and puppet(**CLIPS).split_digest("val") == digests[1]


def test_a_frame_of_the_clip_as_its_source() -> None:
    data = puppet(**{**CLIPS, "source": "first"})
    batch = data.eval_batch("val", range(4), 5, 1, seed=0)
    assert set(batch) - {"index", "name"} == Puppet.gives(source="first", truth=TRUTH)
    for key, of in (("source", "video"), ("source_pose", "pose"), ("source_mask", "mask")):
        assert torch.equal(batch[key], batch[of][:, :, 0])  # type: ignore[literal-required]
    assert torch.equal(batch["source_labels"], batch["labels"][:, 0])


def own_parts(pose: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """Of the joints in sight of B J 3, how many lie within a pixel of a part (B H W) that holds them; and all."""
    right, total = 0, 0
    for joint, name in enumerate(SKELETONS["openpose18"]):
        for clip in np.flatnonzero(pose[:, joint, 2] == 1):
            x, y = np.rint(pose[clip, joint, :2]).astype(int)
            around = labels[clip, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            right, total = right + bool(np.isin(around, labels_of(name)).any()), total + 1
    return right, total


def test_mirrored_pairs_are_pairs() -> None:
    """Source and target turn together, and right and left change places in joints, labels and yaw alike."""
    data = puppet(**{**PAIRS, "train_videos": 150, "flip": True})
    batch = data.batch("train", np.arange(150), np.zeros((150, 1), np.int64), np.arange(150))
    which = torch.arange(150) % 2 == 0
    turned = mirrored(batch, which, COCO_18, data.other_side, data.turns)
    for key, of in (("pose", "labels"), ("source_pose", "source_labels")):
        pose, labels = turned[key], turned[of]  # type: ignore[literal-required]
        pose, labels = (pose[:, :, 0], labels[:, 0]) if key == "pose" else (pose, labels)
        right, total = own_parts(pose[which, 0].numpy(), labels[which].numpy())
        assert total > 600 and right / total > 0.99, (key, right, total)
        wrong, total = own_parts(pose[which, 0].numpy(), labels[which].flip(-1).numpy())
        assert wrong / total < 0.7  # the check can fail
    for key in ("video", "source", "mask", "source_mask"):
        assert torch.equal(turned[key][which], batch[key][which].flip(-1))  # type: ignore[literal-required]
        assert torch.equal(turned[key][~which], batch[key][~which])  # type: ignore[literal-required]
    for key in ("yaw", "source_yaw"):
        assert torch.equal((turned["attributes"][key] + batch["attributes"][key])[which] % 360, torch.zeros(75).long())
    assert torch.equal(turned["attributes"]["subject"], batch["attributes"]["subject"])
    twice = mirrored(turned, which, COCO_18, data.other_side, data.turns)
    assert torch.equal(twice["labels"], batch["labels"]) and torch.allclose(twice["pose"], batch["pose"], atol=1e-4)


def test_training_mirrors_and_evaluation_does_not() -> None:
    data = puppet(**PAIRS, flip=True)
    step: Any = data.batch("train", np.arange(24), np.zeros((24, 1), np.int64), np.arange(24))
    plain = to_float(step)
    turned = data.on_after_batch_transfer({**step, "step": 7}, 0)
    changed = (turned["source"] != plain["source"]).flatten(1).any(1)
    assert 4 < changed.sum() < 20
    assert torch.equal(changed, (turned["video"] != plain["video"]).flatten(1).any(1))
    assert torch.equal(data.on_after_batch_transfer(step, 0)["source"], plain["source"])


def test_labels_of_the_right_become_labels_of_the_left() -> None:
    other = {LABELS[i]: LABELS[j] for i, j in enumerate(Puppet.other_side)}
    assert other["right_hand"] == "left_hand" and other["left_foot"] == "right_foot" and other["torso"] == "torso"
    assert sorted(Puppet.other_side) == list(range(15)) and other["background"] == "background"


def test_pairs_are_scored_as_published_ones() -> None:
    """PG2's mask-SSIM with the target's exact mask and with the mask drawn from the source's pose."""
    data = puppet(**PAIRS)
    batch = data.eval_batch("val", range(8), 1, 1, seed=0)
    settings = ProtocolSettings(frames=1, n_real=8, n_fake=8)
    found: dict[str, dict[str, float | None]] = {}
    for name, fake in (("target", batch["video"]), ("source", batch["source"][:, :, None])):
        suite = MetricSuite({"mask_ssim": MaskSSIM(), "mask_ssim_source": MaskSSIM(of="source")})
        suite.prepare(data, settings.resolve(data))
        suite.update(fake, batch["video"], batch)
        found[name] = {key: result.value for key, result in suite.results().items()}
    assert set(found["target"].values()) == {1.0}
    assert all(value is not None and 0.5 < value < 0.97 for value in found["source"].values())


def test_sources_must_be_as_many_as_clips() -> None:
    clips, fewer = PuppetStore("val", 4), PuppetStore("val", 3).sources()
    with pytest.raises(ValueError, match="4 clips cannot have 3 sources"):
        SourcedStore(clips, fewer)
