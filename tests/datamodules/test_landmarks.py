from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.landmarks import landmarks

FACES = np.random.default_rng(0).uniform(0, 512, (4, 68, 2)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Faces in the frames 7, 8, 10 and 11: in frame 9 none was found."""
    for face, number in zip(FACES, (7, 8, 10, 11), strict=True):
        (tmp_path / f"{number}.txt").write_text("".join(f"{x},{y}\n" for x, y in face))
    return tmp_path


def test_a_frame_without_a_file_has_no_face(folder: Path) -> None:
    found = landmarks(folder)
    assert found.shape == (5, 68, 3) and found.dtype == np.float32
    np.testing.assert_array_equal(found[[0, 1, 3, 4], :, :2], FACES)  # 10 after 9, not before 7
    assert found[:, :, 2].tolist() == [[1] * 68, [1] * 68, [0] * 68, [1] * 68, [1] * 68]
    assert not found[2].any()


def test_frames_are_matched_by_their_stems(folder: Path) -> None:
    found = landmarks(folder, [f"{number}.jpg" for number in range(6, 13)])
    assert found.shape == (7, 68, 3) and found[:, 0, 2].tolist() == [0, 1, 1, 0, 1, 1, 0]
    np.testing.assert_array_equal(found[4, :, :2], FACES[2])
    with pytest.raises(BenchError, match=r"/11.txt belongs to none of 4 frames"):
        landmarks(folder, ["7.jpg", "8.jpg", "9.jpg", "10.jpg"])


def test_files_that_hold_no_face_are_named(folder: Path) -> None:
    good = (folder / "8.txt").read_text()
    for text, found in (
        (good + "1,2\n", "found 69 lines of 2 values"),
        ("1,2,3\n" * 68, "found 68 lines of 3 values"),
        (good.replace(good.splitlines()[5], "nan,1"), "found 68 lines of 2 values, expected 68 `x,y`"),
        ("1 2\n" * 68, "expected 68 lines `x,y`"),
    ):
        (folder / "8.txt").write_text(text)
        with pytest.raises(BenchError, match=r"8.txt: .*" + found):
            landmarks(folder)
    (folder / "8.txt").rename(folder / "eight.txt")
    with pytest.raises(BenchError, match=r"eight.txt should be named by its frame's number"):
        landmarks(folder)
    with pytest.raises(BenchError, match=r"holds no landmarks: expected a file 0001.txt a frame"):
        landmarks(folder / "nowhere")
