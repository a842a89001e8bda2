"""What holds for every published video set."""

from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser

from datamodules.base import ClipData
from datamodules.chairs import Chairs
from datamodules.content import Source
from datamodules.errors import BenchError
from datamodules.faceforensics import FaceForensics
from datamodules.kth import Kth
from datamodules.mug import Mug
from datamodules.published import Published, PublishedVideos, Video, some
from datamodules.taichi import TaiChi
from datamodules.tiny_videos import TinyVideos
from datamodules.ucf101 import Ucf101
from datamodules.weizmann import Weizmann
from tests.datamodules.published_files import named, write_video

CONFIGS = Path(__file__).parents[2] / "experiments" / "configs" / "data"
SETS: dict[str, type[PublishedVideos]] = {
    "chairs": Chairs,
    "faceforensics": FaceForensics,
    "kth": Kth,
    "mug": Mug,
    "taichi": TaiChi,
    "tiny_videos": TinyVideos,
    "ucf101": Ucf101,
    "weizmann_videos": Weizmann,
}


def build(*arguments: str) -> PublishedVideos:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(ClipData, "data")
    data = parser.instantiate(parser.parse_args(list(arguments))).data
    assert isinstance(data, PublishedVideos)
    return data


@pytest.mark.parametrize("name", SETS)
def test_a_missing_set_says_where_to_get_it_what_is_expected_and_what_was_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = SETS[name].published
    monkeypatch.delenv("REELBENCH_DATA", raising=False)
    with pytest.raises(BenchError, match=rf"{known.folder}/\nGet it from ") as error:
        SETS[name]().store("train")
    assert known.origin in str(error.value) and all(line in str(error.value) for line in known.tree)
    monkeypatch.setenv("REELBENCH_DATA", str(tmp_path))
    with pytest.raises(BenchError, match=rf"is not found: {tmp_path}/{known.folder} does not exist\nGet it from "):
        SETS[name]().store("train")
    (tmp_path / known.folder).touch()
    with pytest.raises(BenchError, match=rf"{known.folder} is a file\nGet it from "):
        SETS[name]().store("train")
    (tmp_path / "other" / "videos").mkdir(parents=True)
    with pytest.raises(BenchError, match=r" is missing in .*other.*\nFound instead: videos\nGet it from ") as error:
        SETS[name](root=str(tmp_path / "other")).store("train")
    assert all(line in str(error.value) for line in known.tree)


@pytest.mark.parametrize("name", SETS)
def test_configs_build_their_set_and_hold_no_path(name: str) -> None:
    path = CONFIGS / f"{name}.yaml"
    data = build("--config", str(path))
    assert type(data) is SETS[name] and data.gives() == {"video", "attributes"}
    given = yaml.safe_load(path.read_text())["data"]["init_args"]
    assert (data.frames, data.stride, data.batch_size, data.height) == (
        *(given[key] for key in ("frames", "stride", "batch_size", "size")),
    )
    assert "/" not in path.read_text()


def test_papers_settings() -> None:
    kth, mug = build("--config", str(CONFIGS / "kth.yaml")), build("--config", str(CONFIGS / "mug.yaml"))
    assert (kth.channels, kth.context, kth.frames, kth.fit, kth.min_frames) == (1, 10, 20, "squash", 20)
    assert (mug.min_frames, mug.stride, len(mug.categories)) == (64, 2, 6)
    assert build("--config", str(CONFIGS / "ucf101.yaml")).resize == "area crop"


def test_common_arguments_can_be_given_on_the_command_line() -> None:
    data = build("--config", str(CONFIGS / "kth.yaml"), "--data.split=icpr", "--data.fit=pad", "--data.on_error=skip")
    assert isinstance(data, Kth) and (data.split, data.fit, data.on_error) == ("icpr", "pad", "skip")
    assert data.reader.policy["fit"] == "pad" and data.resize == "area pad"
    with pytest.raises(Exception, match=r"sises|not accepted|No action|Unrecognized"):
        build("--config", str(CONFIGS / "kth.yaml"), "--data.sises=3")


class Toy(PublishedVideos):
    """Files without a published split in `free`, with one elsewhere."""

    published = Published("Toy", "toy", "nowhere", ("a.avi",))
    test = 0.1
    expected = 41

    def list_videos(self, root: Path) -> list[Video]:
        names = sorted(path.name for path in root.glob("*.avi"))
        free = [Video(Source(root / name, name, {"subject": 0}), name[:2]) for name in names if name[0] == "f"]
        given = [Video(Source(root / n, n, {"subject": 1}), n[:2], "train") for n in names if n[0] != "f"]
        return free + given


def test_groups_without_a_published_split_are_drawn_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = write_video(tmp_path / "f0a.avi", 4)
    for group in "0123456789":
        for kind in ("fa", "fb", "ga", "gb"):
            path = tmp_path / f"{kind[0]}{group}{kind[1]}.avi"
            path.write_bytes(first.read_bytes())
    data = Toy(root=str(tmp_path), size=4, frames=4, val=0.25)
    names = named(data)
    groups = [{n[:2] for n in names[split]} for split in names]
    assert all(groups) and len(set().union(*groups)) == sum(map(len, groups)) == 20
    assert sum(map(len, names.values())) == 40
    assert all(n[0] == "f" for n in names["test"])  # what is published as training is never tested on
    assert {"f", "g"} == {n[0] for n in names["val"]} == {n[0] for n in names["train"]}
    assert caplog.text.count("40 files are in") == 1 and "the published set has 41" in caplog.text


def test_some() -> None:
    assert (some([]), some(["a", "b"]), some(list("abcdef"), 4)) == ("nothing", "a, b", "a, b, c, d and 2 more")
