from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from datamodules.errors import BenchError
from datamodules.pose.face_box import face_boxes, read_face_box, write_face_box
from datamodules.pose.opencv_yaml import read_yaml
from datamodules.pose.skeletons import BODY_23, BODY_25


def heads(nose: tuple[float, float, float], ears: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    pose = np.zeros((1, 25, 3), np.float32)
    pose[0, BODY_25.index("nose")] = nose
    pose[0, BODY_25.index("right_ear")] = pose[0, BODY_25.index("left_ear")] = ears
    return pose


def test_boxes_surround_the_nose() -> None:
    (box,) = face_boxes(heads((960, 540, 1)), BODY_25)
    assert box.tolist() == [191, 319, 447, 575]  # x: 890 and 1030 are cut to 474 and 549, their middle to 511


def test_ears_stand_in_and_no_head_is_no_box() -> None:
    np.testing.assert_array_equal(
        face_boxes(heads((0, 0, 0), (960, 540, 1)), BODY_25), face_boxes(heads((960, 540, 1)), BODY_25)
    )
    assert face_boxes(heads((0, 0, 0)), BODY_25).tolist() == [[0, 0, 0, 0]]


def test_boxes_stay_inside_the_label() -> None:
    assert face_boxes(heads((5, 5, 1)), BODY_25).tolist() == [[0, 128, 0, 128]]
    assert face_boxes(heads((1915, 1075, 1)), BODY_25).tolist() == [[384, 512, 896, 1024]]


def test_files_are_written_and_read(tmp_path: Path) -> None:
    write_face_box(tmp_path / "a.txt", np.array([11, 139, 504, 632]))
    assert (tmp_path / "a.txt").read_text() == "11 139 504 632"
    assert read_face_box(tmp_path / "a.txt").tolist() == [11, 139, 504, 632]
    for text in ("11 139 504", "1 2 3 x", ""):
        (tmp_path / "a.txt").write_text(text)
        with pytest.raises(BenchError, match=r"a\.txt: .* expected four whole numbers"):
            read_face_box(tmp_path / "a.txt")


def test_official_boxes(parity: Path) -> None:
    file = load_file(parity / "edn_pose_normalisation.safetensors")
    poses = file["output/normalised_source"].reshape(-1, 23, 3)
    np.testing.assert_array_equal(face_boxes(poses, BODY_23), file["output/face_boxes_miny_maxy_minx_maxx"])


@pytest.mark.parametrize("frame", ["020001", "020005", "020009"])
def test_published_boxes(real_data: Path, frame: str) -> None:
    folder = real_data / "dance_sample" / "train"
    body = read_yaml(folder / "keypoints" / f"frame{frame}", BODY_23).body[:, 0]
    official = read_face_box(folder / "train_facetexts128" / f"frame{frame}.txt")
    np.testing.assert_array_equal(face_boxes(body, BODY_23)[0], official)
