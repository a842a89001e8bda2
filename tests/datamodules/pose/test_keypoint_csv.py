from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.pose.keypoint_csv import HEADER, read_keypoints, write_keypoints

YS, XS = list(range(100, 118)), list(range(18))


def test_y_comes_first_and_minus_one_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    ys, xs = [*YS], [*XS]
    ys[3] = xs[3] = -1
    path.write_text(f"{HEADER}\nb.jpg: {YS}: {XS}\na.jpg: {ys}: {xs}\n")
    names, poses = read_keypoints(path)
    assert names == ["b.jpg", "a.jpg"] and poses.shape == (2, 18, 3) and poses.dtype == np.float32
    assert poses[0, 5].tolist() == [5, 105, 1]
    assert poses[1, 3].tolist() == [0, 0, 0] and poses[1, 4].tolist() == [4, 104, 1]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    poses = np.random.default_rng(0).integers(0, 200, (40, 18, 3)).astype(np.float32)
    poses[..., 2] = poses[..., 2] > 50
    poses *= poses[..., 2:]
    names = [f"{i}.jpg" for i in range(40)]
    write_keypoints(tmp_path / "a.csv", names, poses)
    read_names, read = read_keypoints(tmp_path / "a.csv")
    assert read_names == names
    np.testing.assert_array_equal(read, poses)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"a.jpg: {YS}", "2 fields found, expected 3"),
        (f"a.jpg: {YS}: {XS[:17]}", "keypoints_x has 17 numbers, expected 18"),
        (f"a.jpg: {str(YS)[:-1]}: {XS}", "keypoints_y is .*, expected a list of numbers"),
        (f"a.jpg: {YS}: {['a', *XS[1:]]}", "keypoints_x is .*, expected a list of numbers"),
        (f"a.jpg: {YS}: 3", "keypoints_x is '3', expected a list"),
        (f"b.jpg: {YS}: {XS}", "b.jpg stands in the file twice"),
    ],
)
def test_broken_lines_are_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}\nb.jpg: {YS}: {XS}\n{line}\n")
    with pytest.raises(BenchError, match=rf"a\.csv, line 3: {said}"):
        read_keypoints(path)


def test_another_header_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name:keypoints_x:keypoints_y\n")
    with pytest.raises(BenchError, match="line 1: 'name:keypoints_x:keypoints_y' found, expected 'name:keypoints_y:"):
        read_keypoints(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(BenchError, match="line 1: '' found"):
        read_keypoints(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["market-annotation-train", "market-annotation-test", "fasion-annotation-test"])
def test_published_files_survive_reading_and_writing(real_data: Path, tmp_path: Path, name: str) -> None:
    path = real_data / "pose_annotations" / f"{name}.csv"
    write_keypoints(tmp_path / "a.csv", *read_keypoints(path))
    assert (tmp_path / "a.csv").read_bytes() == path.read_bytes()


def test_joint_14_is_the_right_eye(real_data: Path) -> None:
    """Both readers that published the format name it the left one; flips depend on the truth."""
    _, poses = read_keypoints(real_data / "pose_annotations" / "market-annotation-train.csv")
    # Seen from the front, with nose and both eyes: who faces us has the right shoulder at smaller x.
    there = (poses[:, [0, 2, 5, 14, 15], 2] > 0).all(1)
    side = np.sign(poses[:, 5, 0] - poses[:, 2, 0]) == np.sign(poses[:, 15, 0] - poses[:, 14, 0])
    assert there.sum() > 500 and side[there].mean() > 0.95
