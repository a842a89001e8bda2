import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.bad_files import BadFile
from datamodules.bair import BairPush, list_files, trajectories
from datamodules.base import TrainSteps
from datamodules.errors import BenchError
from datamodules.stream import StreamSpec
from tests.datamodules.tfrecord_files import Values, example, write

PER_FILE = 2


def video(seed: int, camera: str = "image_aux1") -> np.ndarray:
    """uint8 30 64 64 3: a block that grows with time, on noise coarse enough to be written fast."""
    frames = np.full((30, 64, 64, 3), seed % 256, dtype=np.uint8)
    frames[:, :8, :8] = np.random.default_rng([seed, camera == "image_main"]).integers(0, 256, (30, 8, 8, 3))
    frames[np.arange(30), 20, np.arange(30)] = 255
    return frames


def features(seed: int) -> dict[str, Values]:
    rng = np.random.default_rng(seed)
    out: dict[str, Values] = {}
    for step in range(30):
        for camera in ("image_main", "image_aux1"):
            out[f"{step}/{camera}/encoded"] = [video(seed, camera)[step].tobytes()]
        out[f"{step}/action"] = rng.normal(size=4).astype(np.float32)
        out[f"{step}/endeffector_pos"] = rng.normal(size=3).astype(np.float32)
    return out


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three training files and one for testing, of two trajectories each, numbered through."""
    root, number = tmp_path_factory.mktemp("bair") / "softmotion30_44k", 0
    for folder, files in (("train", 3), ("test", 1)):
        for file in range(files):
            first = file * 8  # 0, 8, 16: as strings 16 comes before 8
            path = root / folder / f"traj_{first}_to_{first + PER_FILE - 1}.tfrecords"
            write(path, [example(features(number + i)) for i in range(PER_FILE)])
            number += PER_FILE
    return root


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(written, tmp_path / "softmotion30_44k"))


def data(root: Path, **arguments: Any) -> BairPush:
    return BairPush(**{"root": str(root), "val": ("traj_8_to_9.tfrecords",), **arguments})


def test_files_are_in_the_order_of_their_trajectories(written: Path) -> None:
    (written / "train" / "._traj_0_to_1.tfrecords").touch()  # what some archivers leave behind
    names = [source.name.partition("/")[2] for source in list_files(written, "train")]
    assert names == ["traj_0_to_1.tfrecords", "traj_8_to_9.tfrecords", "traj_16_to_17.tfrecords"]


@pytest.mark.parametrize("camera", ["image_aux1", "image_main"])
def test_every_trajectory_reads_as_it_was_written(camera: str, written: Path) -> None:
    push = data(written, camera=camera)
    numbers = {"train": [0, 1, 4, 5], "val": [2, 3], "test": [6, 7]}
    for split, expected in numbers.items():
        store = push.store(split)
        assert store.lengths.tolist() == [30] * len(expected)
        clips = store.gather(np.arange(len(expected)), np.tile(np.arange(30), (len(expected), 1)))
        np.testing.assert_array_equal(clips, [video(number, camera) for number in expected])
    assert push.store("train").names == [
        "train/traj_0_to_1.tfrecords#0",
        "train/traj_0_to_1.tfrecords#1",
        "train/traj_16_to_17.tfrecords#0",
        "train/traj_16_to_17.tfrecords#1",
    ]
    assert push.name == f"bair_push_{camera}" and len({push.split_digest(split) for split in numbers}) == 3


def test_the_cameras_are_different_data(written: Path) -> None:
    digests = {data(written, camera=camera).split_digest("test") for camera in ("image_aux1", "image_main")}
    assert len(digests) == 2 and data(written).split_digest("test") in digests


def test_one_trajectory_does_not_run_into_the_next(written: Path) -> None:
    with pytest.raises(IndexError):
        data(written).store("train").gather(np.array([0]), np.array([[30]]))


def test_evaluation_clips_begin_with_the_trajectory(written: Path) -> None:
    push = data(written, context=2)
    batch = push.eval_batch("test", range(2), 30, 1, seed=0)
    assert batch["video"].shape == (2, 3, 30, 64, 64) and batch["context"].shape == (2, 3, 2, 64, 64)
    assert {name.partition("[")[2] for name in batch["name"]} == {"0:30]"}
    short = push.eval_batch("test", range(2), 10, 2, seed=0)
    assert (short["video"] == batch["video"][:, :, :20:2]).all()
    with pytest.raises(BenchError, match=r"frames=16 with stride=2 need 31 frames, but its videos have 30"):
        push.eval_batch("test", range(2), 16, 2, seed=0)


def test_training_clips_begin_at_the_first_frame_or_at_any(written: Path) -> None:
    starts: dict[str, set[int]] = {}
    for start in ("first", "any"):
        push = data(written, start=start, frames=12, batch_size=4)
        steps = TrainSteps(push, {"clips": StreamSpec()}, 0, 0, 1)
        names = [name for step in range(40) for name in steps[step]["name"]]
        starts[start] = {int(name.partition("[")[2].partition(":")[0]) for name in names}
        assert push.eval_batch("train", range(4), 30, 1, 0)["video"].shape[2] == 30
    assert starts["first"] == {0} and starts["any"] == set(range(19))


def test_what_the_robot_did_can_be_read(written: Path) -> None:
    for number, trajectory in enumerate(trajectories(written / "train" / "traj_0_to_1.tfrecords", "image_main")):
        expected = features(number)
        np.testing.assert_array_equal(trajectory.frames, video(number, "image_main"))
        np.testing.assert_array_equal(trajectory.action, [expected[f"{t}/action"] for t in range(30)])
        np.testing.assert_array_equal(trajectory.position, [expected[f"{t}/endeffector_pos"] for t in range(30)])


def test_actions_of_another_shape_are_named(tmp_path: Path) -> None:
    path = tmp_path / "traj_0_to_0.tfrecords"
    write(path, [example(features(0) | {"7/action": np.zeros(3, dtype=np.float32)})])
    with pytest.raises(BadFile, match=r"record 0 at byte 0: 7/action should hold 4 floats, found ndarray\(3,\)"):
        trajectories(path)


def broken(path: Path, kind: str) -> str:
    """Breaks a file and says which message to expect."""
    raw = path.read_bytes()
    record = len(raw) // 2
    if kind == "cut":
        path.write_bytes(raw[:-100])
        return (
            rf"record 1 at byte {record}: cut short: it ends at byte {len(raw)}, but the file at byte {len(raw) - 100}"
        )
    if kind == "cut between records":
        path.write_bytes(raw[:record])
        return "1 records, but its name promises 2: cut between two records"
    if kind == "empty":
        path.write_bytes(b"")
        return "0 records, but its name promises 2"
    if kind == "flipped":
        path.write_bytes(raw[: record + 5000] + bytes([raw[record + 5000] ^ 64]) + raw[record + 5001 :])
        return rf"record 1 at byte {record}: its \d+ bytes do not have the checksum"
    wrong = features(0)
    if kind == "a frame is missing":
        del wrong["12/image_aux1/encoded"]
        message = r"it has no 12/image_aux1/encoded, but 119 features: 0/action, 0/endeffector_pos"
    elif kind == "a frame is compressed":
        wrong["29/image_aux1/encoded"] = [b"\x89PNG" * 20]
        message = r"29/image_aux1/encoded has \[80\] bytes, expected one raw frame of 12288 \(64x64x3\)"
    else:
        wrong["0/image_aux1/encoded"] = np.zeros(4, dtype=np.float32)
        message = r"0/image_aux1/encoded has float32 \(4,\) bytes, expected one raw frame"
    write(path, [example(features(0)), example(wrong)])
    return rf"record 1 at byte {record}: {message}"


@pytest.mark.parametrize(
    "kind",
    [
        "cut",
        "cut between records",
        "empty",
        "flipped",
        "a frame is missing",
        "a frame is compressed",
        "a frame is of floats",
    ],
)
def test_broken_files_are_named_with_record_and_byte(kind: str, root: Path) -> None:
    message = broken(root / "train" / "traj_16_to_17.tfrecords", kind)
    push = data(root)
    with pytest.raises(BenchError, match=rf"1 of 3 files cannot be used:\n  train/traj_16_to_17\.tfrecords: {message}"):
        push.store("train")
    assert len(push.store("test").names) == 2  # train/ and test/ are cached apart
    with pytest.raises(BenchError, match="skip tolerates at most 5%"):
        data(root, on_error="skip").store("train")


def test_a_missing_set_says_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELBENCH_DATA", raising=False)
    get = r"Get bair_robot_pushing_dataset_v0\.tar.*softmotion30_44k/ with train/ and test/, each holding traj_0_to_255"
    with pytest.raises(BenchError, match=rf"root to the folder softmotion30_44k, or REELBENCH_DATA.*{get}"):
        BairPush().store("train")
    monkeypatch.setenv("REELBENCH_DATA", str(tmp_path))
    with pytest.raises(BenchError, match=rf"softmotion30_44k does not exist\. {get}"):
        BairPush().store("train")
    (tmp_path / "softmotion30_44k" / "train").mkdir(parents=True)
    with pytest.raises(BenchError, match=rf"softmotion30_44k holds train\. {get}"):
        BairPush().store("train")
    (tmp_path / "softmotion30_44k" / "test").mkdir()
    (tmp_path / "softmotion30_44k" / "train" / "0.png").touch()
    with pytest.raises(BenchError, match=rf"train holds no file traj_A_to_B\.tfrecords, but 0\.png\. {get}"):
        BairPush().store("train")


def test_the_folder_that_holds_the_set_will_do(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(data(written.parent).store("test").names) == 2
    monkeypatch.setenv("REELBENCH_DATA", str(written.parent))
    assert len(BairPush(val=("traj_8_to_9.tfrecords",)).store("val").names) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 32}, "size of bair_push must be 64, found 32"),
        ({"camera": "main"}, "camera must be image_main or image_aux1, found 'main'"),
        ({"val": ("traj_256_to_511.tfrecords",)}, r"val names traj_256_to_511\.tfrecords, not usable files of train/"),
    ],
)
def test_impossible_arguments_are_named(arguments: dict[str, Any], message: str, written: Path) -> None:
    with pytest.raises(BenchError, match=message):
        data(written, **arguments).store("train")
