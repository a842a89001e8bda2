import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.errors import BenchError
from datamodules.synthetic.digit_pool import Digits, digit_pool

SPLITS = ("train", "val", "test")


def some_digits(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), rng.integers(0, 10, count)


def write_npz(folder: Path, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    images, labels = some_digits(count)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "mnist10k.npz", x=images, y=labels.astype(np.uint8))
    return images, labels


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_idx(folder: Path, train: int = 100, test: int = 30, zipped: bool = True, dotted: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (part, count) in enumerate((("train", train), ("t10k", test))):
        images, labels = some_digits(count, seed)
        for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            name = f"{part}-{name}".replace("-idx", ".idx") if dotted else f"{part}-{name}"
            data = idx(array)
            (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(data) if zipped else data)


def rows(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


@pytest.mark.parametrize("digits", ["drawn", "mnist10k", "mnist"])
def test_no_digit_is_in_two_splits(digits: Digits, tmp_path: Path) -> None:
    write_npz(tmp_path)
    write_idx(tmp_path)
    pools = {split: digit_pool(digits, split, 0, str(tmp_path)) for split in SPLITS}
    sets = [rows(pool.images) for pool in pools.values()]
    assert len(set.union(*sets)) == sum(map(len, sets)) == sum(len(pool.labels) for pool in pools.values())
    assert all(len(pool.images) == len(pool.labels) for pool in pools.values())
    sizes = [len(pools[split].labels) for split in SPLITS]
    assert sizes == {"drawn": [5000, 500, 1000], "mnist10k": [171, 9, 20], "mnist": [95, 5, 30]}[digits]
    assert len({pool.digest for pool in pools.values()}) == 3


def test_digits_keep_their_labels(tmp_path: Path) -> None:
    known = {image.tobytes(): label for image, label in zip(*write_npz(tmp_path), strict=True)}
    for split in SPLITS:
        pool = digit_pool("mnist10k", split, 0, str(tmp_path))
        assert [known[image.tobytes()] for image in pool.images] == pool.labels.tolist()
    assert (
        digit_pool("mnist10k", "val", 0, str(tmp_path)).digest == digit_pool("mnist10k", "val", 9, str(tmp_path)).digest
    )


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_idx_files_as_they_are_distributed(zipped: bool, dotted: bool, below: str, tmp_path: Path) -> None:
    write_idx(tmp_path / below, zipped=zipped, dotted=dotted)
    pool = digit_pool("mnist", "test", 0, str(tmp_path))
    images, labels = some_digits(30, seed=1)
    np.testing.assert_array_equal(pool.images, images)
    assert pool.labels.tolist() == labels.tolist()
    assert rows(digit_pool("mnist", "train", 0, str(tmp_path)).images) < rows(some_digits(100, 0)[0])


def test_the_folder_below_reelbench_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(tmp_path / "digits")
    monkeypatch.setenv("REELBENCH_DATA", str(tmp_path))
    assert len(digit_pool("mnist10k", "test", 0).labels) == 20


@pytest.mark.parametrize("side", [14, 16, 32, 56, 64])
def test_resizing_equals_pillow_image_by_image(side: int, tmp_path: Path) -> None:
    write_npz(tmp_path, 40)
    pool = digit_pool("mnist10k", "train", 0, str(tmp_path))
    expected = [np.asarray(Image.fromarray(i).resize((side, side), Image.Resampling.BILINEAR)) for i in pool.images]
    np.testing.assert_array_equal(pool.resized(side).images, expected)
    assert pool.resized(28) is pool


def test_missing_digits_say_what_is_expected_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELBENCH_DATA", raising=False)
    with pytest.raises(BenchError, match=r"set data\.init_args\.root.*or REELBENCH_DATA.*digits: drawn needs no file"):
        digit_pool("mnist", "train", 0)
    with pytest.raises(BenchError, match=r"nowhere: expected mnist10k\.npz.*that folder does not exist"):
        digit_pool("mnist10k", "train", 0, str(tmp_path / "nowhere"))
    (tmp_path / "other.txt").touch()
    with pytest.raises(BenchError, match=r"expected train-images-idx3-ubyte or .*\.gz.*MNIST/raw; found other\.txt"):
        digit_pool("mnist", "train", 0, str(tmp_path))
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(BenchError, match="expected t10k-labels-idx1-ubyte or"):
        digit_pool("mnist", "test", 0, str(tmp_path))


def damaged(folder: Path, name: str, data: bytes) -> str:
    write_idx(folder, zipped=False)
    (folder / name).write_bytes(data)
    with pytest.raises(BenchError) as error:
        digit_pool("mnist", "test", 0, str(folder))
    assert name in str(error.value)
    return str(error.value)


def test_damaged_idx_files_are_named(tmp_path: Path) -> None:
    images, labels = some_digits(30, seed=1)
    name = "t10k-images-idx3-ubyte"
    whole = idx(images)
    assert f"{len(whole) - 5} bytes, but its header [30, 28, 28] asks for {len(whole)}" in damaged(
        tmp_path, name, whole[:-5]
    )
    assert "asks for" in damaged(tmp_path, name, whole + b"x")
    assert "begins with '3c68746d', expected '00000803'" in damaged(tmp_path, name, b"<html>not found</html>")
    assert "begins with ''" in damaged(tmp_path, name, b"")
    assert "begins with '00000803'" in damaged(tmp_path, name, whole[:9])  # cut within the header
    assert "damaged gzip" in damaged(tmp_path, name, gzip.compress(whole)[:-100])
    assert "(30, 27, 28), expected uint8 (N, 28, 28)" in damaged(tmp_path, name, idx(images[:, 1:]))
    assert "labels of shape (29,) for 30 images" in damaged(tmp_path, "t10k-labels-idx1-ubyte", idx(labels[1:]))
    assert "not digits 0..9" in damaged(tmp_path, "t10k-labels-idx1-ubyte", idx(labels + 1))


def test_damaged_npz_files_are_named(tmp_path: Path) -> None:
    write_npz(tmp_path)
    path = tmp_path / "mnist10k.npz"
    raw, bad = path.read_bytes(), {}
    bad[r"not a readable npz \(\d+ bytes\)"] = [raw[:-3000], b"", b"text", raw[:5000] + bytes(200) + raw[5200:]]
    for message, contents in bad.items():
        for content in contents:
            path.write_bytes(content)
            with pytest.raises(BenchError, match=rf"mnist10k\.npz is {message}"):
                digit_pool("mnist10k", "train", 0, str(tmp_path))
    np.savez(path, images=np.zeros(3))
    with pytest.raises(BenchError, match=r"has the keys \['images'\], expected x"):
        digit_pool("mnist10k", "train", 0, str(tmp_path))
    np.savez(path, x=np.zeros((3, 28, 28)), y=np.zeros(3, dtype=int))
    with pytest.raises(BenchError, match="float64"):
        digit_pool("mnist10k", "train", 0, str(tmp_path))


def test_the_real_first_10000(real_data: Path) -> None:
    """Class counts of the first 10,000 training digits of MNIST."""
    pools = [digit_pool("mnist10k", split, 0) for split in SPLITS]
    counts = sum(np.bincount(pool.labels) for pool in pools)
    assert np.asarray(counts).tolist() == [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
    assert [len(pool.labels) for pool in pools] == [8550, 450, 1000]
    assert sum(len(rows(pool.images)) for pool in pools) == len(set.union(*(rows(pool.images) for pool in pools)))
