from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.pose.opencv_yaml import read_matrix, read_yaml, write_yaml
from datamodules.pose.skeletons import BODY_23, BODY_25
from tests.datamodules.pose.random_people import assert_same, random_people

GOOD = """%YAML:1.0
pose_0: !!opencv-nd-matrix
   sizes: [ 1, 2, 3 ]
   dt: f
   data: [ 9.80697754e+02, 2.47778152e+02, 7.19993412e-01,
       0., 0., 0. ]
"""


def test_numbers_stand_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "a_pose.yml").write_text(GOOD)
    expected = [[[980.697754, 247.778152, 0.719993412], [0, 0, 0]]]
    np.testing.assert_array_equal(read_matrix(tmp_path / "a_pose.yml"), expected)


@pytest.mark.parametrize("persons", [0, 1, 2])
def test_what_is_written_is_read_again(tmp_path: Path, persons: int) -> None:
    people = random_people(0, 1, persons, BODY_23)
    write_yaml(tmp_path / "frame1", people)
    assert_same(read_yaml(tmp_path / "frame1", BODY_23), people)


def test_parts_may_be_absent(tmp_path: Path) -> None:
    people = random_people(0, 1, 1)
    write_yaml(tmp_path / "f", people)
    (tmp_path / "f_face.yml").unlink()
    read = read_yaml(tmp_path / "f")
    np.testing.assert_array_equal(read.hand_right, people.hand_right)
    assert not read.face.any()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("%YAML:1.0", "pose: 1", r"line 1: 'pose: 1' found, expected OpenCV's `%YAML:1.0`"),
        ("0., 0., 0. ]", "0., 0.,", r"line 7: not YAML"),
        ("0., 0., 0. ]", "0., 0. ]", r"line 2: sizes 1 x 2 x 3 with 5 numbers found"),
        ("0., 0., 0. ]", "0., x, 0. ]", r"line 6: 'x' found, expected a number"),
        ("9.80697754e+02", ".Nan", r"line 5: '.Nan' found, expected a number"),
        ("sizes: [ 1, 2, 3 ]", "sizes: [ 1, 3, 2 ]", r"line 2: sizes 1 x 3 x 2 with 6 numbers"),
        ("data", "date", r"line 2: a matrix needs `sizes` and `data`"),
        ("pose_0", "a: 1\npose_0", r"expected one matrix"),
    ],
)
def test_broken_files_are_named_with_the_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "a_pose.yml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(BenchError, match=rf"a_pose\.yml(, |: ){said}"):
        read_matrix(path)


def test_parts_that_do_not_fit_are_named(tmp_path: Path) -> None:
    write_yaml(tmp_path / "f", random_people(0, 1, 2))
    write_yaml(tmp_path / "g", random_people(0, 1, 1))
    (tmp_path / "g_face.yml").replace(tmp_path / "f_face.yml")
    with pytest.raises(BenchError, match=r"f_face\.yml: persons x joints x 3 is \(1, 70, 3\), expected \(2, 70, 3\)"):
        read_yaml(tmp_path / "f")
    with pytest.raises(BenchError, match="the body is body_25, expected body_23"):
        read_yaml(tmp_path / "f", BODY_23)
    with pytest.raises(BenchError, match=r"gone_pose\.yml: No such file"):
        read_yaml(tmp_path / "gone")


def test_the_published_frames(real_data: Path) -> None:
    folder = real_data / "dance_sample" / "train" / "keypoints"
    people = read_yaml(folder / "frame020001")
    assert people.skeleton is BODY_23 and people.counts().tolist() == [1]
    nose = people.body[0, 0, BODY_23.index("nose")]
    neck = people.body[0, 0, BODY_23.index("neck")]
    assert nose[1] < neck[1] < people.body[0, 0, BODY_23.index("mid_hip"), 1]
    assert not people.hand_left.any() and people.hand_right.any() and people.face.all()
    assert BODY_25 is not people.skeleton
