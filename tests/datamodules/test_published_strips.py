"""On the published strips themselves."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.strips import Strips

SPLITS = ("train", "val", "test")


def official(path: Path) -> np.ndarray:
    """T H W 3 by the plainest way: cut, keep the first three channels."""
    strip = np.array(Image.open(path))
    return np.stack(np.split(strip, strip.shape[1] // strip.shape[0], axis=1))[..., :3]


@pytest.fixture(scope="module")
def one_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def weizmann(real_data: Path, one_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Strips:
    monkeypatch.setenv("REELBENCH_CACHE", str(one_cache))
    return Strips(dataset="weizmann")


def test_weizmann_is_what_was_published(weizmann: Strips, real_data: Path) -> None:
    stores = [weizmann.store(split) for split in SPLITS]
    lengths = np.concatenate([store.lengths for store in stores])
    assert (len(lengths), lengths.sum(), lengths.min(), lengths.max()) == (72, 5290, 51, 146)
    for store in stores:
        for row, name in enumerate(store.names):
            video = official(real_data / "weizmann_strips" / name)
            at = np.arange(len(video))[None]
            np.testing.assert_array_equal(store.gather(np.array([row]), at)[0], video)


def test_twins_are_mirror_images_of_one_person_and_share_a_split(weizmann: Strips) -> None:
    seen = 0
    for split in SPLITS:
        store = weizmann.store(split)
        rows = {int(Path(name).stem): row for row, name in enumerate(store.names)}
        for number, row in rows.items():
            twin = rows[number ^ 1]
            assert store.attributes["subject"][row] == store.attributes["subject"][twin] == number // 8
            assert store.attributes["category"][row] == store.attributes["category"][twin]
            at = np.arange(51)[None]
            pair = store.gather(np.array([row, twin]), np.concatenate([at, at]))
            np.testing.assert_array_equal(pair[0], pair[1][:, :, ::-1])
            seen += 1
    assert seen == 72


def test_each_person_does_every_action(weizmann: Strips) -> None:
    for split, people in zip(SPLITS, (7, 1, 1), strict=True):
        category = weizmann.store(split).attributes["category"]
        assert np.bincount(category).tolist() == [2 * people] * 4


def test_shape_strips_are_read_and_split(real_data: Path, tmp_path: Path) -> None:
    root = tmp_path / "strips"
    for category in ("0", "1"):
        (root / category).mkdir(parents=True)
        for path in sorted((real_data / "shape_motion_strips" / category).iterdir())[:80]:
            (root / category / path.name).symlink_to(path)
    data = Strips(dataset="shape_motion", root=str(root))
    batch = data.eval_batch("train", range(8), 16, 2, 0)
    assert batch["video"].shape == (8, 3, 16, 64, 64)
    for clip, name in zip(batch["video"].numpy(), batch["name"], strict=True):
        file, _, window = name.partition("[")
        start = int(window.partition(":")[0])
        assert start in (0, 1)  # windows of 31 frames in 32
        np.testing.assert_array_equal(clip, official(root / file)[start::2][:16].transpose(3, 0, 1, 2))
    sizes = [len(data.store(split).names) for split in SPLITS]
    assert sum(sizes) == 160 and min(sizes) > 0
