import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.synthetic.puppet.body import LABELS, SKELETONS
from datamodules.synthetic.puppet.motions import load_motions
from datamodules.synthetic.puppet.shot import Shot
from datamodules.synthetic.puppet.store import CLIP_KEYS, PuppetStore
from tests.datamodules.puppet.puppet_scenes import brute_force

SHAPES: dict[str, tuple[str, str]] = {  # B 3 clips, T 4 frames, P persons, J joints, H W
    "video": ("B3THW", "uint8"),
    "pose": ("BPTJ3", "float32"),
    "visible": ("BPTJ", "uint8"),
    "occluded": ("BPTJ", "uint8"),
    "labels": ("BTHW", "uint8"),
    "instances": ("BTHW", "uint8"),
    "mask": ("B1THW", "uint8"),
    "flow": ("B2SHW", "float32"),
    "flow_back": ("B2SHW", "float32"),
    "flow_valid": ("B1SHW", "uint8"),
    "flow_back_valid": ("B1SHW", "uint8"),
    "face_box": ("BT4", "float32"),
}


def store(videos: int = 20, split: str = "train", **arguments: Any) -> PuppetStore:
    return PuppetStore(split, videos, **{"length": 40, "identities": (12, 5, 5), **arguments})


def some(puppets: PuppetStore, clips: int = 8, frames: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, len(puppets.names), clips), rng.integers(0, 40, (clips, frames))


@pytest.mark.parametrize("size", [(64, 64), (128, 64), (128, 128), (40, 56)])
@pytest.mark.parametrize(("persons", "skeleton"), [(1, "openpose18"), (2, "body25")])
def test_every_track_has_its_layout(size: tuple[int, int], persons: int, skeleton: str) -> None:
    puppets = store(size=size, persons=persons, skeleton=skeleton)
    lengths = dict(zip("BTSPJHW", (3, 4, 3, persons, len(SKELETONS[skeleton]), *size), strict=True))
    truth = puppets.tracks(*some(puppets, 3), CLIP_KEYS)
    assert set(truth) == set(SHAPES) == CLIP_KEYS
    for key, (axes, kind) in SHAPES.items():
        expected = tuple(lengths.get(axis, 0) or int(axis) for axis in axes)
        assert truth[key].shape == expected and truth[key].dtype == kind, key
        assert np.isfinite(truth[key]).all()
    assert truth["labels"].max() < len(LABELS) and set(np.unique(truth["instances"])) <= set(range(persons + 1))
    for key in ("flow_valid", "flow_back_valid", "visible", "occluded"):
        assert set(np.unique(truth[key])) == {0, 1}


def test_frames_are_the_video_track() -> None:
    puppets = store()
    videos, frames = some(puppets)
    clips = puppets.gather(videos, frames)
    assert clips.shape == (8, 4, 64, 64, 3) and clips.transpose(0, 4, 1, 2, 3).flags.c_contiguous
    truth = puppets.tracks(videos, frames, frozenset({"video"}))
    assert set(truth) == {"video"}
    np.testing.assert_array_equal(truth["video"], clips.transpose(0, 4, 1, 2, 3))


@pytest.mark.parametrize(
    "arguments", [{}, {"camera": "pan", "persons": 2}, {"size": (128, 64), "backgrounds": 2}, {"texture": "smooth"}]
)
def test_a_clip_alone_equals_the_clip_in_a_batch_to_the_bit(arguments: dict[str, Any]) -> None:
    puppets = store(**arguments)
    videos, frames = some(puppets, 40, 5)  # several chunks
    batch = puppets.tracks(videos, frames, CLIP_KEYS)
    for i in range(0, 40, 3):
        alone = puppets.tracks(videos[i : i + 1], frames[i : i + 1], CLIP_KEYS)
        for key in CLIP_KEYS:
            np.testing.assert_array_equal(alone[key][0], batch[key][i], err_msg=key)
    for frame in range(5):  # nor does a frame depend on its clip
        alone = puppets.tracks(videos[:3], frames[:3, frame : frame + 1], CLIP_KEYS)
        np.testing.assert_array_equal(alone["video"][:, :, 0], batch["video"][:3, :, frame])
        np.testing.assert_array_equal(alone["pose"][:, :, 0], batch["pose"][:3, :, frame])


def test_tracks_do_not_depend_on_what_else_is_asked_for() -> None:
    puppets = store(camera="pan", persons=2)
    videos, frames = some(puppets, 3)
    whole = puppets.tracks(videos, frames, CLIP_KEYS)
    for key in CLIP_KEYS:
        np.testing.assert_array_equal(puppets.tracks(videos, frames, frozenset({key}))[key], whole[key])


def test_no_clips_and_single_frames() -> None:
    puppets = store()
    none = puppets.tracks(np.zeros(0, np.int64), np.zeros((0, 4), np.int64), CLIP_KEYS)
    assert none["video"].shape == (0, 3, 4, 64, 64) and none["flow"].shape == (0, 2, 3, 64, 64)
    one = puppets.tracks(np.array([1]), np.array([[3]]), CLIP_KEYS)
    assert one["video"].shape == (1, 3, 1, 64, 64) and one["flow_back"].shape == (1, 2, 0, 64, 64)


def test_a_video_depends_on_seed_split_and_number_only() -> None:
    few, many = store(4), store(30)
    frames = np.tile(np.arange(0, 40, 9), (4, 1))
    np.testing.assert_array_equal(few.gather(np.arange(4), frames), many.gather(np.arange(4), frames))
    again = pickle.loads(pickle.dumps(few))
    np.testing.assert_array_equal(few.gather(np.arange(4), frames), again.gather(np.arange(4), frames))
    others = [store(4, seed=1), store(4, split="val"), store(4, camera="pan"), store(4, persons=2), store(5)]
    assert len({few.digest, *(other.digest for other in others)}) == 6 and store(4).digest == few.digest


def test_digest_tells_arguments_apart() -> None:
    changed: list[dict[str, Any]] = [
        {"length": 41},
        {"size": (64, 32)},
        {"skeleton": "body25"},
        {"fps": 25.0},
        {"identities": (13, 5, 5)},
        {"motions": ["walk", "run"]},
        {"motion_split": "phase"},
        {"yaw": (0, 90)},
        {"backgrounds": 3},
        {"texture": "smooth"},
        {"identity_split": "shared"},
    ]
    assert len({store(2).digest, *(store(2, **arguments).digest for arguments in changed)}) == len(changed) + 1


def test_splits_show_different_persons() -> None:
    splits = {split: store(200, split) for split in ("train", "val", "test")}
    subjects = {split: set(puppets.attributes["subject"].tolist()) for split, puppets in splits.items()}
    assert subjects == {"train": set(range(12)), "val": set(range(12, 17)), "test": set(range(17, 22))}
    looks = [atlas.tobytes() for puppets in splits.values() for atlas in puppets.stage.identities.atlas]
    assert len(looks) == 22 and len(set(looks)) == 22
    shared = store(200, "test", identity_split="shared")
    assert set(shared.attributes["subject"].tolist()) == set(range(12))
    np.testing.assert_array_equal(shared.stage.identities.atlas, splits["train"].stage.identities.atlas)


def test_held_out_motions_are_in_one_split_only() -> None:
    splits = ("train", "val", "test")
    shown = [set(store(400, s, motion_split="held_out").attributes["category"].tolist()) for s in splits]
    assert [len(s) for s in shown] == [11, 2, 2] and set().union(*shown) == set(range(15))
    three = [
        set(store(50, s, motion_split="held_out", motions=["run", "walk", "jump"]).attributes["category"].tolist())
        for s in ("train", "val", "test")
    ]
    assert three == [{0}, {1}, {2}]


def test_phases_of_motions_do_not_overlap() -> None:
    played: dict[str, np.ndarray] = {}
    for split in ("train", "val", "test"):
        scenes = store(100, split, motion_split="phase").stage.scenes
        seconds, _ = scenes.time(np.arange(100), np.tile(np.arange(40) / 12.5, (100, 1)))
        played[split] = seconds / load_motions().seconds[scenes.motion][..., None]
    for split, (low, high) in {"train": (0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1)}.items():
        assert low - 1e-9 <= played[split].min() < low + 0.02 and high - 0.02 < played[split].max() <= high + 1e-9


def test_loops_go_round_and_other_motions_forth_and_back() -> None:
    scenes, bank = store(300).stage.scenes, load_motions()
    seconds = np.tile(np.arange(400) / 100, (300, 1))
    within, travel = scenes.time(np.arange(300), seconds)
    steps = np.diff(within[:, 0]) * 100
    loops = bank.loops[scenes.motion[:, 0]]
    forth = np.abs(steps - 1) < 1e-6
    assert forth[loops].mean() > 0.97 and 0.4 < forth[~loops].mean() < 0.7
    np.testing.assert_allclose(np.abs(steps[~loops]), 1, atol=1.01)  # slower only where it turns
    np.testing.assert_allclose(np.diff(travel[loops][:, 0]), 0.01)
    assert (within >= 0).all() and (within <= bank.seconds[scenes.motion][..., None]).all()


def test_attributes_say_what_is_shown() -> None:
    puppets = store(300, persons=2, motions=["walk", "kick", "dance_a"], yaw=(30, 60))
    assert set(puppets.attributes) == {"category", "subject", "yaw", "category_2", "subject_2", "yaw_2"}
    names = np.array(load_motions().names)[puppets.stage.scenes.motion[:, 1]]
    assert [["walk", "kick", "dance_a"].index(name) for name in names] == puppets.attributes["category_2"].tolist()
    assert (puppets.attributes["subject"] != puppets.attributes["subject_2"]).all()
    assert set(puppets.attributes["yaw"].tolist()) == set(range(30, 60))
    assert set(store(300, yaw=(-30, 30)).attributes["yaw"].tolist()) <= {*range(330, 360), *range(30)}
    assert len(puppets.names) == 300 and puppets.names[7] == "puppet/train/7"
    counts = Counter(store(3000).attributes["category"].tolist())
    assert set(counts) == set(range(15)) and min(counts.values()) > 140


def test_the_nearer_of_two_persons_is_in_front_and_lower() -> None:
    """Every pixel against the depths of all 32 limbs, one by one."""
    puppets = store(40, persons=2)
    videos, frames = np.arange(40), np.full((40, 1), 3)
    cover, depth = brute_force(Shot(puppets.stage, videos, frames).limbs, 64, 64)
    instances = puppets.tracks(videos, frames, frozenset({"instances"}))["instances"][:, 0]
    by_person = depth.reshape(40, 2, 16, 64, 64).max(2)
    expected = np.where(np.isfinite(by_person.max(1)), by_person.argmax(1) + 1, 0)
    both = np.isfinite(by_person).all(1)
    tie = np.abs(np.subtract(by_person[:, 0], by_person[:, 1], where=both, out=np.ones(both.shape))) < 1e-3
    clear = ~tie & ((np.abs(cover - 0.5).min(1) > 1e-3) | (expected == 0))
    assert both.sum() > 500 and (instances == expected)[clear].mean() > 0.9999
    assert (instances == expected)[both & clear].mean() > 0.999
    place = puppets.stage.scenes.place[..., 1]
    nearer = place.argmax(1)
    wins = np.array([(instances[i][both[i]] == nearer[i] + 1).mean() for i in range(40) if both[i].sum() > 30])
    assert len(wins) > 8 and wins.mean() > 0.75  # limbs may reach across
    assert (np.abs(place) == 0.45).all() and 0.3 < nearer.mean() < 0.7
    walkers = store(40, persons=2, motions=["walk"])
    pose = walkers.tracks(videos, np.tile(np.arange(0, 40, 4), (40, 1)), frozenset({"pose"}))["pose"]
    soles = pose[..., [10, 13], 1].max((2, 3))  # B P, the lower ankle of the lowest frame
    nearer = walkers.stage.scenes.place[..., 1].argmax(1)
    assert (soles[videos, nearer] > soles[videos, 1 - nearer]).all()


def test_a_static_camera_shows_a_still_background_and_casts_shadows() -> None:
    puppets = store(30)
    truth = puppets.tracks(np.arange(30), np.tile([0, 6, 12], (30, 1)), frozenset({"video", "mask"}))
    alone = truth["mask"].max(2)[:, 0] == 0  # never covered
    moved = np.ptp(truth["video"].astype(int), axis=2).max(1)
    changed = (moved > 0) & alone
    assert changed[:, :36].sum() == 0 and changed[:, 36:].sum() > 100  # only on the floor, by shadows
    assert alone.mean() > 0.6


def test_the_mask_is_soft_at_outlines_only() -> None:
    puppets = store(10, size=(128, 128))
    truth = puppets.tracks(np.arange(10), np.full((10, 1), 4), frozenset({"mask", "labels"}))
    mask, labels = truth["mask"][:, 0, 0].astype(int), truth["labels"][:, 0]
    assert 0.05 < (mask == 255).mean() < 0.3 and 0 < ((mask > 0) & (mask < 255)).mean() < 0.03
    # A pixel whose centre no limb covers may be covered by up to half by each of several that meet in it.
    assert (mask[labels > 0] > 127).all() and (mask[labels == 0] < 225).all()


def test_outlines_in_front_do_not_keep_the_limb_behind_them_from_being_drawn() -> None:
    """Where the outlines of several limbs meet before one that covers the pixel, that one is in the picture too."""
    puppets = store(60, persons=2)
    truth = puppets.tracks(np.arange(60), np.tile(np.arange(4), (60, 1)), frozenset({"mask", "labels"}))
    assert (truth["mask"][:, 0][truth["labels"] > 0] > 127).all()


def test_backgrounds_may_be_shared() -> None:
    rooms = [store(6, split, backgrounds=1, motions=["walk"]).stage.backgrounds for split in ("train", "test")]
    assert rooms[0].shape[0] == 1
    np.testing.assert_array_equal(rooms[0], rooms[1])
    assert store(6).stage.backgrounds.shape[0] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"persons": 3}, r"data\.init_args\.persons must be one of \[1, 2\], found 3"),
        ({"skeleton": "coco"}, r"skeleton must be one of \['openpose18', 'body25'\], found 'coco'"),
        ({"camera": "zoom"}, r"camera must be one of \['static', 'pan'\], found 'zoom'"),
        ({"motions": ["walk", "fly"]}, r"motions must name some of \['backflip'.*found \['walk', 'fly'\]"),
        ({"motions": ["walk", "walk"]}, "each once"),
        ({"motions": []}, "must name some of"),
        ({"motions": ["walk", "run"], "motion_split": "held_out"}, "needs at least 3 motions, found 2"),
        ({"identities": (1, 0, 1)}, "3 counts of at least 1"),
        ({"size": (64, 8)}, r"size must be at least 16, found \(64, 8\)"),
        ({"yaw": (90, 90)}, r"yaw is \[from, up to\].*found \[90, 90\]"),
        ({"fps": 0}, "fps must be above 0, found 0"),
        ({"backgrounds": 0}, "backgrounds must be at least 1 or null, found 0"),
        ({"split": "all"}, "split must be one of"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        store(2, **arguments)


def test_an_unknown_track_is_an_error() -> None:
    with pytest.raises(KeyError, match="has no \\['depth'\\]"):
        store(2).tracks(np.zeros(1, np.int64), np.zeros((1, 2), np.int64), frozenset({"depth", "video"}))


def test_a_frame_outside_its_video_is_an_error() -> None:
    for frame in (-1, 40):
        with pytest.raises(IndexError, match="of puppet videos of 40 frames"):
            store(2).gather(np.zeros(1, np.int64), np.array([[0, frame]]))
