"""The networks themselves: on noise, and on real videos."""

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.folder import VideoFolder
from datamodules.media import write_lossless
from datamodules.pose.blazepose.body import BlazePose
from datamodules.pose.blazepose.face import FaceMesh
from datamodules.pose.opencv_yaml import read_yaml
from datamodules.pose.skeletons import BODY_23, BODY_25
from datamodules.synthetic.puppet.kept import BatchPuppets
from tests.datamodules.pose.videos import decode


@pytest.fixture(scope="module")
def one(models: Path) -> BlazePose:
    return BlazePose(persons=1, models=models)


@pytest.fixture(scope="module")
def two(models: Path) -> BlazePose:
    return BlazePose(persons=2, models=models)


@pytest.fixture(scope="module")
def faces(models: Path) -> FaceMesh:
    return FaceMesh(models=models)


def test_nobody_is_found_in_noise_and_darkness(two: BlazePose, faces: FaceMesh) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 128, 96, 3)).astype(np.uint8)
    frames = np.concatenate([noise, np.zeros_like(noise), np.full_like(noise, 255)])
    for estimator in (two, faces):
        found = estimator.estimate(frames)
        assert not found.poses.any() and found.report.lines() == ["frames 0-5: no person"]


@pytest.mark.parametrize("frame", ["020001", "020005", "020009"])
def test_joints_lie_where_openpose_has_them(models: Path, real_data: Path, frame: str) -> None:
    """Of a dancer seen from the side: nearest and farthest joints, right and left."""
    folder = real_data / "dance_sample" / "train"
    image = np.asarray(Image.open(folder / "original_frames" / f"frame{frame}.jpg").convert("RGB"))
    ours = BlazePose("body_23", 1, models).estimate(image[None]).poses[0, 0]
    official = read_yaml(folder / "keypoints" / f"frame{frame}", BODY_23).body[0, 0]
    both = (ours[:, 2] > 0) & (official[:, 2] > 0)
    height = np.ptp(official[official[:, 2] > 0, 1])
    distance = np.hypot(*(ours - official)[both, :2].T) / height
    assert both.sum() >= 16
    assert np.median(distance) < 0.02 and distance.max() < 0.05  # a step is a third of the height wide


@pytest.mark.parametrize("clip", ["balance_cam01", "balance_cam03"])
def test_one_man_is_found_in_every_frame(two: BlazePose, real_data: Path, clip: str) -> None:
    found = two.estimate(decode(real_data / "real_videos" / f"{clip}.mp4", slice(0, 100, 4)))
    assert found.report.persons.tolist() == [1] * 25
    pose = found.poses[:, 0]
    assert (pose[:, BODY_25.index("nose"), 1] < pose[:, BODY_25.index("mid_hip"), 1]).all()


def test_two_people_are_two_and_keep_their_rows(two: BlazePose, real_data: Path) -> None:
    found = two.estimate(decode(real_data / "real_videos" / "two_people.mp4", slice(0, 40)))
    assert found.report.persons[5:].tolist() == [2] * 35  # the second is found at the second detection
    middle = found.poses[5:, :, BODY_25.index("mid_hip"), :2]
    assert np.abs(np.diff(middle, axis=0)).max() < 30  # nobody jumps at 60 frames a second


def test_who_walks_out_of_the_picture_is_reported(one: BlazePose, real_data: Path) -> None:
    still = decode(real_data / "real_videos" / "balance_cam01.mp4", slice(0, 1))[0]
    width = still.shape[1]
    frames = np.zeros((24, *still.shape), np.uint8)
    for t, frame in enumerate(frames):
        shift = width * t // 20
        frame[:, shift:] = still[:, : width - shift] if shift < width else 0
    report = one.estimate(frames).report
    assert report.persons[:6].tolist() == [1] * 6 and report.persons[20:].tolist() == [0] * 4
    assert report.left.sum() >= 1 and report.lines()[-1].startswith("frames ")


def test_the_man_who_jumps_leaves_at_the_end(one: BlazePose, real_data: Path) -> None:
    report = one.estimate(decode(real_data / "real_videos" / "jump.mp4", slice(190, 230))).report
    assert report.persons[:30].tolist() == [1] * 30 and report.persons[-1] == 0


def test_twenty_frames_a_second_on_one_core(two: BlazePose, real_data: Path) -> None:
    frames = decode(real_data / "real_videos" / "two_people.mp4", slice(0, 20))
    spent = []
    for _ in range(3):
        began = time.process_time()
        two.estimate(frames)
        spent.append(time.process_time() - began)
    assert 20 / min(spent) >= 20


def test_the_same_frames_give_the_same_poses(one: BlazePose, real_data: Path) -> None:
    frames = decode(real_data / "real_videos" / "balance_cam01.mp4", slice(0, 4))
    first = one.estimate(frames).poses
    one.estimate(frames[::-1])
    np.testing.assert_array_equal(one.estimate(frames).poses, first)


def test_a_talking_face_is_found_and_in_order(faces: FaceMesh, one: BlazePose, real_data: Path) -> None:
    frames = decode(real_data / "real_videos" / "carphone_pristine.mp4", slice(0, 120, 6))
    found = faces.estimate(frames)
    assert found.report.found == 1.0 and found.poses.shape == (20, 1, 70, 3)
    x = found.poses[:, 0, :, 0]
    assert (x[:, 68] < x[:, 69]).all() and (x[:, 36] < x[:, 45]).all()  # he faces us: his right is at the left
    assert (x[:, 0] < x[:, 68]).all() and (x[:, 69] < x[:, 16]).all()  # the jaw surrounds the eyes
    places = found.poses[:, 0, :, :2]
    eyes = places[:, 68:].mean(1)
    down = np.einsum("tjc,tc->tj", places - eyes[:, None], places[:, 8] - eyes)  # he tilts his head
    assert (np.diff(down[:, [27, 30, 33, 51, 57, 8]], axis=1) > 0).all()  # nose, lips, chin
    bodies = one.estimate(frames).poses
    small = np.zeros((20, 432, 704, 3), np.uint8)  # the detector alone does not see a face as small as here
    small[:, 144:288, 264:440] = frames
    moved = bodies + (bodies[..., 2:] > 0) * np.array([264, 144, 0], np.float32)
    at_heads = faces.at_heads(small, moved, BODY_25)
    there = at_heads.poses[:, 0, :, 2] > 0
    assert there.any(1).mean() > 0.9
    distance = np.hypot(*np.moveaxis(at_heads.poses[:, 0, :, :2] - (264, 144) - found.poses[:, 0, :, :2], -1, 0))
    assert np.median(distance[there]) < 1.5


def test_a_folder_of_puppets_has_poses_near_the_truth(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rendered at 256 pixels, read at 64: the joints lie where they lie in the small frames."""
    monkeypatch.setenv("REELBENCH_CACHE", str(tmp_path / "cache"))
    puppets = BatchPuppets("train", 3, length=12, size=(256, 256), seed=0, skeleton="body25")
    at = np.arange(3), np.tile(np.arange(12), (3, 1))
    known = puppets.tracks(*at, frozenset({"video", "pose"}))
    for video in range(3):
        write_lossless(tmp_path / f"videos/{video}.mkv", known["video"][video].transpose(1, 2, 3, 0))
    data = VideoFolder(
        root=str(tmp_path / "videos"), labelled=False, size=64, frames=12, pose="blazepose", val=0.0, test=0.0
    )
    found = data.batch("train", *at, at[0])["pose"].numpy()[:, 0]  # N T J 3
    exact = known["pose"][:, 0]
    both = (found[..., 2] > 0) & (exact[..., 2] > 0)
    assert (found[..., 2] > 0).any(-1).mean() > 0.8
    distance = np.hypot(*np.moveaxis(found[..., :2] - ((exact[..., :2] + 0.5) / 4 - 0.5), -1, 0))[both]
    assert np.median(distance) < 0.04 * 64
