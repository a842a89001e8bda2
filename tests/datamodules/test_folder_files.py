import os
from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.folder_files import find_videos
from tests.datamodules.strip_files import noise_video, save_strip
from tests.datamodules.test_reading_kinds import NOISE, frames


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"\0\0\0\x20ftypisom")


def listed(root: Path) -> list[tuple[str, str | None]]:
    return [(found.name, found.label) for found in find_videos(root)]


def test_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "walk/b.mp4", "walk/a.MOV", "run/x/c.avi", ".git/d.mp4", "run/.e.mp4")
    assert listed(tmp_path) == [("run/x/c.avi", "run"), ("walk/a.MOV", "walk"), ("walk/b.mp4", "walk")]
    assert find_videos(tmp_path)[0].path == tmp_path / "run" / "x" / "c.avi"


def test_a_flat_folder_has_no_classes(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.gif")
    assert listed(tmp_path) == [("a.mp4", None), ("b.gif", None)]


def test_files_are_found_by_content_and_broken_ones_by_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "video", "film.dat")
    for name, data in {
        "empty.mp4": b"",
        "notes.txt": b"a",
        "data.csv": b"a,b",
        "poses.npy": b"",
        "a.wav": b"RIFF....WAVE",
    }.items():
        (tmp_path / name).write_bytes(data)
    assert [name for name, _ in listed(tmp_path)] == ["empty.mp4", "film.dat", "poses.npy", "video"]


def test_folders_of_frames_with_and_without_classes(tmp_path: Path) -> None:
    for clip in ("with/walk/one", "with/walk/two", "with/run/one", "without/one", "without/two", "single"):
        frames(tmp_path / clip, NOISE[:2])
    assert listed(tmp_path / "with") == [("run/one", "run"), ("walk/one", "walk"), ("walk/two", "walk")]
    assert listed(tmp_path / "without") == [("one", None), ("two", None)]
    assert listed(tmp_path / "single") == [("single", None)]


def test_strips_are_videos_of_their_own(tmp_path: Path) -> None:
    for number in range(3):
        save_strip(tmp_path / "walk" / f"{number}.jpg", noise_video(number, 8))
    assert listed(tmp_path) == [(f"walk/{number}.jpg", "walk") for number in range(3)]


def test_pictures_beside_videos_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4")
    frames(tmp_path / "walk" / "posters", NOISE[:1])
    save_strip(tmp_path / "walk" / "cover.png", NOISE[:1])
    assert listed(tmp_path) == [("walk/a.mp4", "walk"), ("walk/posters", "walk")]


def test_videos_inside_and_outside_of_classes_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "walk/b.mp4", "walk/c.mp4")
    with pytest.raises(
        BenchError, match=r"1 videos lie in no class folder \(a\.mp4\), 2 do \(walk/b\.mp4\); move them"
    ):
        find_videos(tmp_path)


def test_a_folder_without_videos_says_what_is_there_and_what_should_be(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(BenchError, match=r"holds no video: found a\.txt, b\.txt, expected class/clip\.mp4"):
        find_videos(tmp_path)


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> object:
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(BenchError, match=r"folder .* cannot be read: Permission denied"):
        find_videos(tmp_path)


def test_npz_and_npy_are_videos(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", NOISE)
    np.savez(tmp_path / "b.npz", allow_pickle=False, video=NOISE)
    assert listed(tmp_path) == [("a.npy", None), ("b.npz", None)]
