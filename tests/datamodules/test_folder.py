import json
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from datamodules.bad_files import OnError
from datamodules.errors import BenchError
from datamodules.folder import VideoFolder
from tests.datamodules.strip_files import noise_video
from tests.datamodules.test_data_configs import CONFIGS, build
from tests.datamodules.test_reading_kinds import frames
from tests.datamodules.video_files import cut, marked, numbers, write_video

SPLITS = ("train", "val", "test")


def save(path: Path, seed: int, length: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, noise_video(seed, length))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sixty arrays of 20 frames in three classes."""
    for number in range(60):
        save(tmp_path / "videos" / "cab"[number % 3] / f"{number}.npy", number)
    return tmp_path / "videos"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder apart from the cache."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def own(root: Path, **arguments: object) -> VideoFolder:
    return VideoFolder(**{"root": str(root), "size": 8, "frames": 4, "val": 0.2, "test": 0.2, **arguments})  # type: ignore[arg-type]


def table(root: Path, header: str, *lines: str) -> Path:
    (root / "manifest.csv").write_text("\n".join((header, *lines)) + "\n")
    return root


def named(data: VideoFolder) -> dict[str, list[str]]:
    return {split: data.store(split).names for split in SPLITS}


def test_every_video_is_in_one_split_and_reads_as_it_was_written(root: Path) -> None:
    data = own(root)
    names = named(data)
    assert sorted(name for split in SPLITS for name in names[split]) == sorted(
        f"{p.parent.name}/{p.name}" for p in root.glob("*/*")
    )
    for split in SPLITS:
        store = data.store(split)
        clips = store.gather(np.arange(len(store.names)), np.tile(np.arange(20), (len(store.names), 1)))
        np.testing.assert_array_equal(clips, np.stack([noise_video(int(Path(n).stem), 20) for n in store.names]))
        assert ["abc"[c] for c in store.attributes["category"]] == [name[0] for name in store.names]
    assert data.categories == ["a", "b", "c"] and data.subjects == []
    assert data.gives() == {"video", "attributes"} and data.gives(labelled=False) == {"video"}


def test_batches_travel_and_workers_get_the_data(root: Path) -> None:
    data = own(root)
    batch = data.eval_batch("train", range(6), 4, 2, 0)
    assert batch["video"].shape == (6, 3, 4, 8, 8) and set(batch["attributes"]) == {"category"}
    again = pickle.loads(pickle.dumps(data)).eval_batch("train", range(6), 4, 2, 0)
    assert again["name"] == batch["name"] and (again["video"] == batch["video"]).all()


def test_a_table_says_class_subject_part_and_split(place: Path) -> None:
    write_video(place / "film.mp4")
    frames(place / "clip", marked(8))
    lines = [
        "film.mp4,walk,Bob,5,15,train",
        "film.mp4,run,Ann,20,,val",
        "clip,walk,Ann,,,test",
        "film.mp4,run,Cid,0,6,train",
    ]
    data = own(table(place, "path,label,subject,start,end,split", *lines), size=64)
    assert named(data) == {
        "train": ["film.mp4[5:15]", "film.mp4[0:6]"],
        "val": ["film.mp4[20:]"],
        "test": ["clip"],
    }
    store = data.store("train")
    assert store.lengths.tolist() == [10, 6]
    assert numbers(store.gather(np.array([0]), np.arange(10)[None])[0]) == list(range(5, 15))
    assert numbers(data.store("val").gather(np.array([0]), np.arange(10)[None])[0]) == list(range(20, 30))
    assert data.categories == ["run", "walk"] and data.subjects == ["Ann", "Bob", "Cid"]
    assert store.attributes["category"].tolist() == [1, 0] and store.attributes["subject"].tolist() == [1, 2]


def people(root: Path, **arguments: object) -> VideoFolder:
    names = [f"{p.parent.name}/{p.name}" for p in sorted(root.glob("*/*"))]
    lines = [f"{name},person{number % 20:02}" for number, name in enumerate(names)]
    return own(table(root, "path,subject", *lines), **arguments)


def test_all_videos_of_a_subject_are_in_one_split(root: Path) -> None:
    data = people(root)
    subjects = [set(data.store(split).attributes["subject"].tolist()) for split in SPLITS]
    assert sum(map(len, subjects)) == len(set().union(*subjects)) == 20 and all(subjects)
    chosen = people(root, val=["person03"], test=["person07", "person08"])
    assert set(chosen.store("val").attributes["subject"]) == {3} and len(chosen.store("test").names) == 6
    assert len(chosen.store("train").names) == 51


def test_splits_that_cannot_be_made(root: Path) -> None:
    with pytest.raises(BenchError, match=r"must name different groups: \['nobody'\] is not among \['person00'"):
        people(root, val=["nobody"], test=["person01"]).store("val")
    with pytest.raises(BenchError, match=r"two shares or, where subjects are known, two lists.*split_by: subject"):
        people(root, val=0.1, test=["person01"]).store("val")
    (root / "manifest.csv").unlink()
    with pytest.raises(BenchError, match="split_by: manifest needs the column split"):
        own(root, split_by="manifest").store("train")
    with pytest.raises(BenchError, match="split_by: stem"):
        own(root, val=["a"], test=["b"]).store("train")
    with pytest.raises(BenchError, match=r"none of 60 videos is in split 'val' with .*split_by: stem, val=0\.0 and"):
        own(root, val=0.0).store("val")


def test_parts_of_one_file_share_a_split(place: Path) -> None:
    for number in range(20):
        save(place / f"{number}.npy", number)
    lines = [f"{number}.npy,a,{start},{start + 10}" for number in range(20) for start in (0, 10)]
    names = named(own(table(place, "path,label,start,end", *lines)))
    stems = [{name.split("[")[0] for name in names[split]} for split in SPLITS]
    assert sum(map(len, stems)) == 20 and sum(map(len, names.values())) == 40


def test_a_folder_without_classes_must_be_said(place: Path) -> None:
    for number in range(30):
        save(place / f"{number}.npy", number)
    with pytest.raises(BenchError, match=r"neither class folders nor .*: set data\.init_args\.labelled: false"):
        own(place).store("train")
    data = own(place, labelled=False)
    assert "attributes" not in data.eval_batch("train", [0], 4, 1, 0) and data.store("train").attributes == {}


def test_frames_of_a_folder_are_part_of_the_identity(place: Path) -> None:
    for number in range(30):
        frames(place / "walk" / f"clip{number}", noise_video(number, 5))
    digests = [own(place).split_digest("train")]
    for name in named(own(place))["train"][:1]:
        picture = place / name / "frame2.png"
        picture.write_bytes((place / name / "frame3.png").read_bytes())
    digests.append(own(place).split_digest("train"))
    (place / name / "notes.txt").write_text("another file")
    assert digests[0] != digests[1] == own(place).split_digest("train")


def broken_set(root: Path, count: int = 40) -> Path:
    """Videos of 30 frames, one of them cut off after some and one that is none."""
    write_video(root / "x" / "whole.mp4")
    for number in range(count - 2):
        (root / "x" / f"{number}.mp4").write_bytes((root / "x" / "whole.mp4").read_bytes())
    (root / "x" / "whole.mp4").unlink()
    film = write_video(root / "film.mp4", muxer={"movflags": "faststart"})
    cut(film, root / "x" / "short.mp4", 0.9)
    film.unlink()
    (root / "x" / "text.mp4").write_text("no video")
    return root


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    (tmp_path / "videos" / "x").mkdir(parents=True)
    return broken_set(tmp_path / "videos")


def whole(data: VideoFolder) -> dict[str, int]:
    return {
        name: int(length)
        for split in SPLITS
        for name, length in zip(data.store(split).names, data.store(split).lengths, strict=True)
    }


def test_broken_files_are_named(broken: Path) -> None:
    with pytest.raises(BenchError) as error:
        own(broken).store("train")
    told = str(error.value)
    assert "videos: 2 of 40 files cannot be used" in told and "on_error: skip; truncate keeps the sound" in told
    assert "x/text.mp4: not a readable video" in told and "x/short.mp4: breaks off after" in told


def test_broken_files_are_skipped_or_cut(broken: Path, caplog: pytest.LogCaptureFixture) -> None:
    skipped = whole(own(broken, on_error="skip"))
    assert len(skipped) == 38 and set(skipped.values()) == {30}
    assert "Skipped, as on_error: skip asks" in caplog.text
    with caplog.at_level(logging.WARNING):
        cut_off = whole(own(broken, on_error="truncate"))
    assert len(cut_off) == 39 and 4 <= cut_off.pop("x/short.mp4") < 30 and cut_off == skipped
    assert "Cut or skipped, as on_error: truncate asks" in caplog.text


def test_both_rules_share_one_cache(broken: Path, cache_folder: Path) -> None:
    for rule in ("skip", "truncate"):
        own(broken, on_error=rule).store("train")
    folders = [path for path in cache_folder.iterdir() if path.name.startswith("videos-")]
    assert len(folders) == 1
    manifest = json.loads((folders[0] / "manifest.json").read_text())
    facts = {source["name"]: source for source in manifest["sources"]}
    assert facts["x/0.mp4"]["header"] == facts["x/0.mp4"]["length"] == 30 and facts["x/0.mp4"]["rate"] == 25
    assert [name for name, _ in manifest["cut"]] == ["x/short.mp4"]


@pytest.mark.parametrize("rule", ["skip", "truncate"])
def test_more_than_five_per_cent_are_too_many(broken: Path, rule: OnError) -> None:
    (broken / "x" / "text2.mp4").write_text("no video")
    with pytest.raises(BenchError, match=f"3 of 41 files .*\n.*\n.*\n.*\non_error: {rule} tolerates at most 5%"):
        own(broken, on_error=rule).store("train")


def test_a_class_that_is_gone_is_an_error(broken: Path) -> None:
    (broken / "y").mkdir()
    (broken / "y" / "a.mp4").write_bytes((broken / "x" / "short.mp4").read_bytes())
    (broken / "x" / "short.mp4").unlink()
    with pytest.raises(BenchError, match=r"no usable video is left of category y:\n  y/a\.mp4: breaks off"):
        own(broken, on_error="skip").store("train")
    assert "y/a.mp4" in whole(own(broken, on_error="truncate"))


def test_short_videos_are_bad_or_dropped(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(5):
        save(root / "a" / f"short{number}.npy", number, 3)
    with pytest.raises(BenchError, match=r"a/short0\.npy: 3 frames, but a clip has data\.init_args\.frames=4"):
        own(root).store("train")
    assert len(whole(own(root, min_frames=4))) == 60
    assert "5 of 65 videos are dropped" in caplog.text and "3 frames, fewer than min_frames=4" in caplog.text


def test_a_video_that_is_cut_and_then_too_short_counts_once(broken: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert "x/short.mp4" not in whole(own(broken, on_error="truncate", frames=28))
    assert "2 of 40 files cannot be used" in caplog.text  # 3 would be more than 5 %
    assert "x/short.mp4: 14 frames, but a clip has data.init_args.frames=28" in caplog.text


def test_a_missing_folder_says_where_it_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        BenchError, match=r"root to its folder, or REELBENCH_DATA to .*holds videos/\. Expected there: class"
    ):
        monkeypatch.delenv("REELBENCH_DATA", raising=False)
        VideoFolder().store("train")
    monkeypatch.setenv("REELBENCH_DATA", str(tmp_path))
    with pytest.raises(BenchError, match=r"/videos does not exist\. Expected there: class/clip\.mp4"):
        VideoFolder().store("train")
    (tmp_path / "videos").write_text("")
    with pytest.raises(BenchError, match=r"/videos is a file"):
        VideoFolder().store("train")
    with pytest.raises(BenchError, match="is a name, not a path, found 'a/b'"):
        VideoFolder("a/b")


def test_the_config(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setenv("REELBENCH_DATA", str(root.parent))
    data = build("--config", str(CONFIGS / "folder.yaml"), "--data.val=[a,7]", "--data.test=[b]", "--data.fps=12.5")
    assert isinstance(data, VideoFolder)
    assert (data.name, data.height, data.frames, data.resize, data.val) == ("videos", 64, 16, "area crop", ["a", 7])
    assert data.reader.policy["fps"] == 12.5
    plain = build("--config", str(CONFIGS / "folder.yaml"))
    assert isinstance(plain, VideoFolder) and plain.store("train").names
    assert "root:" not in (CONFIGS / "folder.yaml").read_text()  # no path
