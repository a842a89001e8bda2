"""Landmarks beside FaceForensics++'s videos become a track, in the frames' pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.faceforensics import FaceForensics
from datamodules.pose.face_map import face_map
from datamodules.pose.skeletons import FACE_70
from tests.datamodules.drawn_faces import talking
from tests.datamodules.published_files import write_video

FRAMES, ROWS, COLUMNS = 40, 96, 128  # more than one piece
FOLDER = "ff/original_sequences/youtube/c23"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two videos of a head that moves; in frames 0 and 5 of the first no face was found."""
    frames, points = talking(FRAMES, ROWS, COLUMNS)
    (tmp_path / "ff" / "splits").mkdir(parents=True)
    for name, split in (("000", "train"), ("001", "val"), ("002", "test")):
        write_video(tmp_path / FOLDER / "videos" / f"{name}.mp4", frames, codec="mpeg4")
        (tmp_path / "ff/splits" / f"{split}.json").write_text(f'[["{name}"]]')
        folder = tmp_path / FOLDER / "landmarks" / name
        folder.mkdir(parents=True)
        for number in set(range(FRAMES)) - ({0, 5} if name == "000" else set()):
            lines = [f"{x:.4f},{y:.4f}" for x, y in points[number]]
            (folder / f"{number:04}.txt").write_text("\n".join(lines))
    return tmp_path / "ff"


def faces(root: Path, **arguments: Any) -> FaceForensics:
    return FaceForensics(**{"root": str(root), "size": (48, 64), "frames": FRAMES, "landmarks": True, **arguments})


def test_points_are_scaled_as_the_frames(root: Path) -> None:
    data, (_, points) = faces(root), talking(FRAMES, ROWS, COLUMNS)
    assert data.gives(landmarks=True) == {"video", "pose", "attributes"} and data.limbs == FACE_70.limbs
    pose = data.eval_batch("val", [0], FRAMES, 1, 0)["pose"].numpy()[0, 0]  # T 70 3
    assert pose.shape == (FRAMES, 70, 3) and pose[:, :68, 2].all() and not pose[:, 68:].any()
    np.testing.assert_allclose(pose[:, :68, :2], (points + 0.5) / 2 - 0.5, atol=1e-3)
    cropped = faces(root, size=48, fit="crop").eval_batch("val", [0], FRAMES, 1, 0)["pose"].numpy()[0, 0]
    x, y = np.moveaxis((points + 0.5) / 2 - 0.5 - np.array([8, 0]), -1, 0)  # the middle 48 of 64 columns
    inside = (x >= -0.5) & (x < 47.5) & (y >= -0.5) & (y < 47.5)
    np.testing.assert_array_equal(cropped[:, :68, 2] > 0, inside)
    np.testing.assert_allclose(cropped[:, :68, 0][inside], x[inside], atol=1e-3)


def test_frames_without_a_face_are_counted_from_the_first(root: Path) -> None:
    batch = faces(root, edges=True).eval_batch("train", [0], FRAMES, 1, 0)
    pose, condition = batch["pose"].numpy()[0, 0], batch["condition"].numpy()[0]
    assert np.flatnonzero(~pose[..., 2].any(1)).tolist() == [0, 5]  # 0000.txt is frame 0, also where it is missing
    assert condition.shape == (15, FRAMES, 48, 64)
    assert (condition[1:, [0, 5]] == 255).all() and not (condition[1:, 6] == 255).all()
    for t in (1, 33, FRAMES - 1):
        shown = batch["video"].numpy()[0, :, t].transpose(1, 2, 0)
        np.testing.assert_array_equal(condition[:, t], face_map(pose[t, :68], shown))


def test_another_landmark_makes_another_cache(root: Path) -> None:
    before = faces(root).cache().folder
    plain = faces(root, landmarks=False)
    path = root.parent / FOLDER / "landmarks/001/0003.txt"
    path.write_text("\n".join(["1.0,2.0", *path.read_text().splitlines()[1:]]))
    after = faces(root)
    assert after.cache().folder != before and plain.cache().folder != before
    pose = after.eval_batch("val", [0], FRAMES, 1, 0)["pose"][0, 0, 3, 0]
    np.testing.assert_allclose(pose, [0.25, 0.75, 1])


def test_what_does_not_fit_is_named(root: Path) -> None:
    folder = root.parent / FOLDER / "landmarks"
    (folder / "001/0040.txt").write_text((folder / "001/0039.txt").read_text())
    with pytest.raises(BenchError, match=r"001\.mp4: has landmarks of frame 40, counted from 0, but 40 frames"):
        faces(root).store("val")
    (folder / "001/0040.txt").rename(folder / "001/40.txt")
    with pytest.raises(BenchError, match=r"001/40\.txt belongs to none of 41 frames"):
        faces(root).store("val")
    (folder / "001").rename(folder / "elsewhere")
    with pytest.raises(BenchError, match=r"001\.mp4: .*landmarks/001"):
        faces(root).store("val")
    with pytest.raises(BenchError, match="edges is drawn from landmarks"):
        faces(root, landmarks=False, edges=True)
    with pytest.raises(BenchError, match="fps must be null with landmarks"):
        faces(root, fps=10)


def test_flow_goes_along(root: Path) -> None:
    batch = faces(root, edges=True, flow="dis", frames=8).eval_batch("val", [0], 8, 1, 0)
    assert {"flow", "flow_back", "pose", "condition"} <= set(batch)
    assert batch["flow"].shape[2] == 7 and batch["pose"].shape[2] == batch["condition"].shape[2] == 8
