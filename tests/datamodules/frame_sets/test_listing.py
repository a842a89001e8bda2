from pathlib import Path

import pytest

from datamodules.errors import BenchError
from datamodules.frame_sets.listing import Frame, Role, pair, runs, videos_of


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_names_decide_and_tags_do_not_count(tmp_path: Path) -> None:
    pictures = touch(
        tmp_path / "img", "a_000010_leftImg8bit.png", "a_000009_leftImg8bit.png", "Thumbs.db", ".hidden.png"
    )
    maps = touch(tmp_path / "label", "a_000009_gtFine_labelIds.png", "a_000010_gtFine_labelIds.PNG")
    poses = touch(tmp_path / "pose", "a_000009_keypoints.json", "a_000010.json")
    roles = {"picture": Role(pictures), "label": Role(maps), "pose": Role(poses, (".json",))}
    found = pair(roles)
    assert [stem for stem, _ in found.frames] == ["a_000009", "a_000010"] and not found.alone
    assert {role: path.name for role, path in found.frames[1][1].items()} == {
        "picture": "a_000010_leftImg8bit.png",
        "label": "a_000010_gtFine_labelIds.PNG",
        "pose": "a_000010.json",
    }


def test_frame_2_comes_before_frame_10(tmp_path: Path) -> None:
    folder = touch(tmp_path, "frame10.png", "frame2.png", "frame1.png")
    assert [stem for stem, _ in pair({"picture": Role(folder)}).frames] == ["frame1", "frame2", "frame10"]


def test_one_missing_file_does_not_shift_the_others(tmp_path: Path) -> None:
    pictures = touch(tmp_path / "img", "1.png", "2.png", "3.png", "4.png")
    maps = touch(tmp_path / "label", "1.png", "3.png", "4.png", "5.png")
    found = pair({"picture": Role(pictures), "label": Role(maps)})
    assert all(files["picture"].stem == stem == files["label"].stem for stem, files in found.frames)
    assert found.alone == [("2", "has no label (label)"), ("5", "has no picture (img)")]
    assert [[stem for stem, _ in part] for part in found.stretches()] == [["1"], ["3", "4"]]


def test_a_role_may_hold_more(tmp_path: Path) -> None:
    pictures = touch(tmp_path / "img", "1.png", "2.png")
    maps = touch(tmp_path / "label", "2.png")
    found = pair({"picture": Role(pictures), "label": Role(maps)}, more=("picture",))
    assert [stem for stem, _ in found.frames] == ["2"] and not found.alone


def test_two_files_of_one_frame_are_an_error(tmp_path: Path) -> None:
    folder = touch(tmp_path, "a_gtFine_labelIds.png", "a_labelIds.png")
    with pytest.raises(BenchError, match=r"a_gtFine_labelIds\.png and a_labelIds\.png both belong to frame a"):
        pair({"label": Role(folder)})


def frames(*numbers: int) -> list[Frame]:
    return [(f"f{n:04}", {"picture": Path(f"f{n:04}.png")}) for n in numbers]


def test_runs_part_where_numbers_jump() -> None:
    def lengths(*numbers: int, step: int | None = None) -> list[int]:
        return [len(part) for part in runs(frames(*numbers), step)]

    assert lengths(1, 2, 3, 7, 8, 9, 10) == [3, 4]
    assert lengths(1, 5, 9, 21, 25) == [3, 2]  # every fourth frame, one left out
    assert lengths(1, 5, 9, 10, 14, 18) == [3, 3]  # a smaller step parts them as well
    assert lengths(1, 5, 9, step=1) == [1, 1, 1]
    assert lengths(3) == [1] and lengths() == []
    with pytest.raises(BenchError, match=r"odd\.png: its name has no frame number"):
        runs([("odd", {"picture": Path("odd.png")})])


def test_videos_of_one_name_are_told_apart() -> None:
    parts = runs(frames(1, 2, 9))
    assert [(v.name, len(v)) for v in videos_of("seq", parts)] == [("seq/f0001", 2), ("seq/f0009", 1)]
    assert [v.name for v in videos_of("seq", parts[:1])] == ["seq"]
    (video,) = videos_of("seq", parts[:1], {"identity": 3})
    assert [file.name for file in video.files()] == ["seq/f0001/picture", "seq/f0002/picture"]
    assert video.files()[0].attributes == {"identity": 3}
