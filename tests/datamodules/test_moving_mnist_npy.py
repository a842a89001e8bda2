import pickle
from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.moving_mnist_npy import MovingMnistNpy

SPLITS = ("train", "val", "test")


@pytest.fixture
def clips(tmp_path: Path) -> np.ndarray:
    """A small copy, T N H W."""
    made = np.random.default_rng(0).integers(0, 256, (20, 200, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "mnist_test_seq.npy", made)
    return made


def data(folder: Path, **arguments: object) -> MovingMnistNpy:
    return MovingMnistNpy(**{"root": str(folder), "size": 8, **arguments})  # type: ignore[arg-type]


def test_time_comes_first_and_each_clip_is_in_one_split(clips: np.ndarray, tmp_path: Path) -> None:
    seen = []
    for split in SPLITS:
        store = data(tmp_path).store(split)
        rows = [int(name.removeprefix("mnist_test_seq.npy#")) for name in store.names]
        got = store.gather(np.arange(len(rows)), np.tile(np.arange(20), (len(rows), 1)))
        np.testing.assert_array_equal(got[..., 0], clips[:, rows].swapaxes(0, 1))
        assert store.lengths.tolist() == [20] * len(rows)
        seen += rows
    assert sorted(seen) == list(range(200))


def test_batches_are_grey_or_three_equal_channels(clips: np.ndarray, tmp_path: Path) -> None:
    grey = data(tmp_path, context=4).eval_batch("val", range(5), 16, 1, 0)
    assert grey["video"].shape == (5, 1, 16, 8, 8) and grey["context"].shape == (5, 1, 4, 8, 8)
    for clip, name in zip(grey["video"].numpy(), grey["name"], strict=True):
        row, _, window = name.removeprefix("mnist_test_seq.npy#").partition("[")
        start = int(window.partition(":")[0])
        np.testing.assert_array_equal(clip[0], clips[start : start + 16, int(row)])
    colour = data(tmp_path, channels=3)
    assert colour.channels == 3 and data(tmp_path).channels == 1
    assert (colour.eval_batch("val", range(5), 16, 1, 0)["video"] == grey["video"]).all()


def test_all_clips_can_be_the_test_split(clips: np.ndarray, tmp_path: Path) -> None:
    whole = data(tmp_path, use="test")
    assert len(whole.store("test").names) == 200
    with pytest.raises(BenchError, match=r"none of 200 clips is in split 'train' with data\.init_args\.use=test"):
        whole.store("train")


def test_the_digest_is_of_content_rows_and_channels(clips: np.ndarray, tmp_path: Path) -> None:
    digests = [data(tmp_path).split_digest(split) for split in SPLITS]
    digests += [data(tmp_path, channels=3).split_digest("val"), data(tmp_path, val=0.2).split_digest("val")]
    assert digests[0] == data(tmp_path / "mnist_test_seq.npy").split_digest("train")
    clips[3, 150, 2, 2] ^= 1
    np.save(tmp_path / "mnist_test_seq.npy", clips)
    digests.append(data(tmp_path).split_digest("train"))
    assert len(set(digests)) == 6


def test_workers_open_the_file_anew(clips: np.ndarray, tmp_path: Path) -> None:
    store = data(tmp_path).store("val")
    raw = pickle.dumps(store)
    assert len(raw) < 20_000  # of 256,000 bytes of pixels
    videos, frames = np.array([1, 0]), np.array([[3], [2]])
    np.testing.assert_array_equal(pickle.loads(raw).gather(videos, frames), store.gather(videos, frames))


def test_a_missing_file_says_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELBENCH_DATA", raising=False)
    with pytest.raises(
        BenchError, match=r"root.*REELBENCH_DATA.*moving_mnist/mnist_test_seq\.npy\. Get it from Moving"
    ):
        MovingMnistNpy().store("train")
    monkeypatch.setenv("REELBENCH_DATA", str(tmp_path))
    with pytest.raises(BenchError, match=r"moving_mnist/mnist_test_seq\.npy, but there is no such folder"):
        MovingMnistNpy().store("train")
    (tmp_path / "moving_mnist").mkdir()
    (tmp_path / "moving_mnist" / "train.npz").touch()
    with pytest.raises(BenchError, match=r"that folder holds train\.npz\. Get it from"):
        MovingMnistNpy().store("train")


def test_other_files_are_named_with_what_they_hold(clips: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "mnist_test_seq.npy"
    raw = path.read_bytes()
    with pytest.raises(BenchError, match=r"size is 64, but the frames of .* are 8x8"):
        MovingMnistNpy(root=str(tmp_path)).store("train")
    for content in (raw[:-1], raw[:30], b"", b"text" * 100):
        path.write_bytes(content)
        with pytest.raises(BenchError, match=rf"mnist_test_seq\.npy is not a readable npy file \({len(content)} bytes"):
            data(tmp_path).store("train")
    np.save(path, clips.astype(np.float32))
    with pytest.raises(BenchError, match=r"holds float32 \(20, 200, 8, 8\), expected uint8 \(T, N, H, W\): time first"):
        data(tmp_path).store("train")
    np.save(path, clips.swapaxes(0, 1))
    with pytest.raises(BenchError, match="200 frames of 20 clips: clips seem to come first"):
        data(tmp_path).store("train")
    with pytest.raises(BenchError, match="channels must be 1 or 3"):
        data(tmp_path, channels=2)
