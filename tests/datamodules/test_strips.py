import errno
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.errors import BenchError
from datamodules.strip_folder import os as folder_os
from datamodules.strips import Strips
from tests.datamodules.strip_files import noise_video, save_strip, strip_folder

SPLITS = ("train", "val", "test")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sixty strips of 32 frames in three categories."""
    return strip_folder(tmp_path / "videos", {"b": 20, "a": 20, "c": 20})


def own(root: Path, **arguments: object) -> Strips:
    return Strips(**{"dataset": "mine", "root": str(root), "size": 8, "val": 0.2, "test": 0.2, **arguments})  # type: ignore[arg-type]


def named(data: Strips) -> dict[str, list[str]]:
    return {split: data.store(split).names for split in SPLITS}


def test_every_strip_is_in_one_split_and_reads_as_it_was_written(root: Path) -> None:
    data = own(root)
    names = named(data)
    files = {f"{path.parent.name}/{path.name}" for path in root.glob("*/*")}
    assert set().union(*names.values()) == files and sum(map(len, names.values())) == 60
    for split in SPLITS:
        store = data.store(split)
        assert store.names == sorted(store.names)
        clips = store.gather(np.arange(len(store.names)), np.tile(np.arange(32), (len(store.names), 1)))
        videos = np.stack([noise_video(int(Path(name).stem)) for name in store.names])
        np.testing.assert_array_equal(clips, videos)


def test_categories_are_numbered_by_sorted_folder(root: Path) -> None:
    data = own(root)
    assert data.gives() == {"video", "attributes"} and data.gives(context=2) == {"video", "attributes", "context"}
    batch = data.eval_batch("train", range(30), 16, 2, 0)
    folders = [name[0] for name in batch["name"]]
    assert ["abc"[c] for c in batch["attributes"]["category"].tolist()] == folders
    assert set(batch["attributes"]) == {"category"} and set(folders) == {"a", "b", "c"}


def test_equal_arguments_give_equal_data_sets(root: Path) -> None:
    first, second = own(root), own(root)
    assert named(first) == named(second)
    assert [first.split_digest(s) for s in SPLITS] == [second.split_digest(s) for s in SPLITS]
    assert len({first.split_digest(s) for s in SPLITS}) == 3
    assert first.split_digest("train") != own(root, val=0.3).split_digest("train")
    assert first.split_digest("train") != own(root, size=4).split_digest("train")


def test_other_sizes_are_resized_frame_by_frame(root: Path) -> None:
    data = own(root, size=(4, 6), resize="bilinear")
    name = data.store("val").names[0]
    frame = Image.fromarray(noise_video(int(Path(name).stem))[9]).resize((6, 4), Image.Resampling.BILINEAR)
    got = data.store("val").gather(np.array([0]), np.array([[9]]))[0, 0]
    np.testing.assert_array_equal(got, np.asarray(frame))
    assert (data.height, data.width, data.resize, data.name) == (4, 6, "bilinear", "mine_strips")


def test_hidden_files_and_other_suffixes_are_passed_over(root: Path) -> None:
    before = named(own(root))
    for path in (
        root / ".git",
        root / "a" / ".DS_Store",
        root / "a" / ".x.png",
        root / "a" / "notes.txt",
        root / "local.db",
    ):
        path.write_text("not a strip")
    assert named(own(root)) == before


def test_no_data_says_where_to_get_them_and_how_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELBENCH_DATA", raising=False)
    with pytest.raises(BenchError) as error:
        Strips(dataset="weizmann").store("train")
    for part in (
        "root",
        "REELBENCH_DATA",
        "weizmann_strips/",
        "sergeytulyakov/mocogan",
        "one sub-folder a category (0, 1, 3, 4)",
    ):
        assert part in str(error.value)
    monkeypatch.setenv("REELBENCH_DATA", str(tmp_path))
    with pytest.raises(BenchError, match=r"shape_motion_strips does not exist. Get it from data/shapes"):
        Strips(dataset="shape_motion").store("train")
    (tmp_path / "shape_motion_strips").touch()
    with pytest.raises(BenchError, match="shape_motion_strips is a file"):
        Strips(dataset="shape_motion").store("train")


def test_a_published_set_with_other_folders_names_what_was_found(tmp_path: Path) -> None:
    strip_folder(tmp_path / "data", {"0": 1, "2": 1})
    (tmp_path / "data" / "1").touch()  # a file in a folder's place
    with pytest.raises(BenchError, match=r"holds the folders 0, 2 and the files 1\. .*a category \(0, 1\)"):
        Strips(dataset="shape_motion", root=str(tmp_path / "data")).store("train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match=r"holds the folders \(none\) and the files \(none\)"):
        own(tmp_path / "empty").store("train")


def test_an_unknown_name_needs_a_root() -> None:
    with pytest.raises(BenchError, match="dataset is 'weizman'; published are shape_motion, weizmann"):
        Strips(dataset="weizman")


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_an_empty_category_is_an_error(root: Path, on_error: str) -> None:
    (root / "d").mkdir()
    (root / "d" / "clip.mp4").touch()
    with pytest.raises(BenchError, match=r"category folder .*/d holds no strip: looked for \.png.*, found clip\.mp4"):
        own(root, on_error=on_error).store("train")


def test_a_category_that_cannot_be_read_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "b":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as forbidden:
        forbidden.setattr(folder_os, "scandir", refuse)
        with pytest.raises(BenchError, match=r"folder .*/b cannot be read: Permission denied"):
            own(root, on_error="skip").store("train")
    (root / "z").symlink_to(root / "nowhere")
    with pytest.raises(BenchError, match=r"folder .*/z cannot be read: No such file"):
        own(root, on_error="skip").store("train")


def damage(root: Path, count: int, category: str = "a") -> list[str]:
    paths = sorted((root / category).iterdir())[:count]
    for path in paths:
        path.write_bytes(path.read_bytes()[:200])
    return [f"{path.parent.name}/{path.name}" for path in paths]


def test_a_broken_strip_is_named_with_its_reason(root: Path) -> None:
    (name,) = damage(root, 1)
    with pytest.raises(BenchError) as error:
        own(root).store("train")
    assert f"1 of 60 files cannot be used:\n  {name}: not a readable image" in str(error.value)
    assert "on_error: skip" in str(error.value)


def test_skipping_leaves_broken_strips_out_and_shows_them(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = damage(root, 3)
    with pytest.raises(BenchError):
        own(root).store("train")  # what it decoded is kept for the next line
    data = own(root, on_error="skip")
    names = set().union(*named(data).values())
    assert len(names) == 57 and not names & set(bad)
    assert "3 of 60 files cannot be used" in caplog.text and all(name in caplog.text for name in bad)
    with pytest.raises(BenchError, match="3 of 60"):
        own(root).store("train")  # a cache built with skip does not silence raise


def test_more_than_one_in_twenty_is_an_error_even_with_skip(root: Path) -> None:
    damage(root, 4)
    with pytest.raises(BenchError, match=r"(?s)4 of 60 files.*tolerates at most 5%"):
        own(root, on_error="skip").store("train")


def test_a_category_that_is_gone_is_an_error_even_with_skip(root: Path) -> None:
    save_strip(root / "d" / "00000000.png", noise_video(0))
    damage(root, 1, "d")
    with pytest.raises(BenchError, match=r"no usable video is left of category d:\n  d/00000000\.png: not a readable"):
        own(root, on_error="skip").store("train")


def test_strips_below_min_frames_are_dropped_and_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(10):
        save_strip(root / "a" / f"short{number}.png", noise_video(number, frames=31))
    data = own(root)
    assert sum(map(len, named(data).values())) == 60
    assert "10 of 70 videos are dropped" in caplog.text and "31 frames, fewer than min_frames=32" in caplog.text
    assert sum(map(len, named(own(root, min_frames=31)).values())) == 70


def test_a_strip_shorter_than_a_clip_is_an_error_or_skipped(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_strip(root / "a" / "short.png", noise_video(0, frames=12))
    with pytest.raises(BenchError, match=r"a/short\.png: 12 frames, but a clip has data\.init_args\.frames=16"):
        own(root, min_frames=1).store("train")
    assert sum(map(len, named(own(root, min_frames=1, on_error="skip")).values())) == 60
    assert sum(map(len, named(own(root, min_frames=1, frames=12)).values())) == 61
    with pytest.raises(BenchError, match="category"):
        own(root, frames=33, on_error="skip").store("train")


def test_nothing_is_shown_where_nothing_is_wrong(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        own(root).store("train")
    assert caplog.text == ""


def test_an_empty_split_is_an_error(root: Path) -> None:
    with pytest.raises(BenchError, match=r"none of 60 videos is in split 'val' with data\.init_args\.val=0"):
        own(root, val=0.0).store("val")


def weizmann_like(root: Path) -> Path:
    """The 72 numbers of the published strips in their folders: 4 actions, each file with its mirror twin."""
    for number in range(72):
        category = ("1", "0", "3", "4")[number % 8 // 2]
        save_strip(root / category / f"{number:08}.jpg", noise_video(number))
    return root


def test_weizmann_is_split_by_person(tmp_path: Path) -> None:
    root = weizmann_like(tmp_path / "weizmann")
    data = Strips(dataset="weizmann", root=str(root), size=8)
    subjects = {split: set(data.store(split).attributes["subject"].tolist()) for split in SPLITS}
    assert subjects == {"train": set(range(7)), "val": {7}, "test": {8}}
    chosen = Strips(dataset="weizmann", root=str(root), size=8, val=[0, 1], test=[5])
    numbers = {split: {int(Path(n).stem) for n in names} for split, names in named(chosen).items()}
    assert numbers["val"] == set(range(16)) and numbers["test"] == set(range(40, 48)) and len(numbers["train"]) == 48


def test_weizmann_files_must_have_their_numbers(tmp_path: Path) -> None:
    root = weizmann_like(tmp_path / "weizmann")
    for name in ("00000072.jpg", "daria.jpg"):
        save_strip(root / "0" / name, noise_video(0))
        with pytest.raises(BenchError, match=rf"0/{name} should be named by a number from 0 to 71"):
            Strips(dataset="weizmann", root=str(root), size=8).store("train")
        (root / "0" / name).unlink()


def test_splits_of_the_wrong_kind_are_refused(tmp_path: Path, root: Path) -> None:
    with pytest.raises(BenchError, match=r"mine_strips are shares of the files, found \[1\] and 0.2"):
        own(root, val=[1]).store("train")
    people = weizmann_like(tmp_path / "weizmann")
    with pytest.raises(BenchError, match=r"weizmann_strips are lists of subjects, found 0.1 and \[8\]"):
        Strips(dataset="weizmann", root=str(people), size=8, val=0.1).store("train")
