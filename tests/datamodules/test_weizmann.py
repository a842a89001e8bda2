from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from datamodules.errors import BenchError
from datamodules.weizmann import ACTIONS, PERSONS, Weizmann, masks
from datamodules.window_reader import WindowReader
from tests.datamodules.published_files import named, read_all, write_video


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Every action once, and lena's two runs."""
    for number, action in enumerate(ACTIONS):
        write_video(tmp_path / "w" / action / f"{PERSONS[number % 3]}_{action}.avi", 13)
    for take in (1, 2):
        write_video(tmp_path / "w" / "run" / f"lena_run{take}.avi", 12)
    return tmp_path / "w"


def weizmann(root: Path, **arguments: Any) -> Weizmann:
    return Weizmann(**{"root": str(root), "size": 8, "frames": 4, "val": 0, **arguments})


def test_a_digit_counts_takes_except_in_the_two_waves(root: Path) -> None:
    data = weizmann(root, split="actor", test_actors=["lena"], val_actors=["eli"])
    names = named(data)
    assert names["test"] == {"run/lena_run1", "run/lena_run2"}
    assert {"wave1/eli_wave1", "wave2/daria_wave2"} <= set().union(*names.values())
    store = data.store("train")
    actions = {n.partition("/")[0]: ACTIONS[c] for n, c in zip(store.names, store.attributes["category"], strict=True)}
    assert all(folder == action for folder, action in actions.items()) and {"wave1", "wave2"} & set(actions)
    assert data.store("test").attributes["category"].tolist() == [ACTIONS.index("run")] * 2
    assert data.store("test").attributes["subject"].tolist() == [PERSONS.index("lena")] * 2


def test_time_split_trains_on_two_thirds_and_tests_on_the_rest(root: Path) -> None:
    data = weizmann(root)
    train, test = read_all(data, "train"), read_all(data, "test")
    assert len(train) == len(test) == 12
    assert train["bend/daria_bend[:8]"] == list(range(8)) and test["bend/daria_bend[8:]"] == list(range(8, 13))
    assert train["run/lena_run2[:8]"] == list(range(8)) and test["run/lena_run2[8:]"] == [8, 9, 10, 11]
    held = weizmann(root, val=0.5)
    assert held.store("val").names and held.store("test").digest == data.store("test").digest
    assert not set(held.store("val").names) & set(held.store("train").names)


def test_persons_of_the_strips_are_held_out_by_default() -> None:
    data = Weizmann(split="actor")
    assert data.held_out == {"moshe": "val", "shahar": "test"} and PERSONS.index("moshe") == 7


def test_some_actions_in_a_chosen_order(root: Path) -> None:
    data = weizmann(root, actions=["walk", "bend"])
    store = data.store("train")
    assert {n[:4]: c for n, c in zip(store.names, store.attributes["category"].tolist(), strict=True)} == {
        "bend": 1,
        "walk": 0,
    }
    for wrong in (["wave"], ["walk", "walk"]):
        with pytest.raises(BenchError, match=r"init_args.actions: wa.* known: bend, jack"):
            weizmann(root, actions=wrong)
    with pytest.raises(BenchError, match=r"val_actors and test_actors: eli.* is not known or named twice"):
        weizmann(root, val_actors=["eli"], test_actors=["eli"])


def test_a_zip_that_was_not_unpacked_is_named(root: Path) -> None:
    (root / "skip" / f"{PERSONS[0]}_skip.avi").unlink()
    (root / "skip.zip").touch()
    with pytest.raises(BenchError, match=r"skip/daria_skip.avi \(unpack skip.zip\) is missing"):
        weizmann(root).store("train")
    assert weizmann(root, actions=["run"]).store("train").names


def test_files_may_lie_beside_each_other_and_others_are_passed_over(root: Path) -> None:
    expected = weizmann(root).store("train").digest
    for path in root.glob("*/*.avi"):
        path.rename(root / path.name)
    for stranger in ("bg_015.avi", "daria_bag.avi", "normal_walk.avi", "daria_wave.avi"):
        (root / stranger).touch()
    assert weizmann(root).store("train").digest == expected


def test_a_broken_file_is_named(root: Path) -> None:
    write_video(root / "bend" / "ido_bend.avi", 13)
    (root / "bend" / "daria_bend.avi").write_text("no video")
    with pytest.raises(BenchError, match=r"(?s)1 of 25 files cannot be used:\n  bend/daria_bend: not a readable video"):
        weizmann(root).store("train")


def test_the_window_is_the_middle_of_the_picture(tmp_path: Path) -> None:
    video = np.random.default_rng(0).integers(0, 256, (3, 144, 180, 3), dtype=np.uint8)
    path = write_video(tmp_path / "a.avi", video)
    np.testing.assert_array_equal(WindowReader(96, 96, 3, 96, 144, 180).read(path), video[:, 24:120, 42:138])
    middle = video[:, 8:136, 26:154].astype(float)
    box = middle.reshape(3, 64, 2, 64, 2, 3).mean((2, 4))
    assert np.abs(WindowReader(64, 64, 3, 128, 144, 180).read(path) - box).max() <= 1  # rounding
    for wrong in (0, 145):
        with pytest.raises(BenchError, match=rf"window must lie in 1..144, found {wrong}"):
            Weizmann(window=wrong)
    data = Weizmann(window=128)
    assert data.resize == "area, middle 128x128 of 180x144" and data.reader.policy["window"] == 128


def test_silhouettes(tmp_path: Path) -> None:
    person = np.random.default_rng(0).integers(0, 2, (6, 8, 4), dtype=np.uint8)  # H W T
    path = tmp_path / "classification_masks.mat"
    savemat(path, {"original_masks": {"lena_run1": person}, "aligned_masks": {"lena_run1": person[::-1]}})
    found = masks(path, "lena_run1")
    assert found.shape == (4, 6, 8) and found.dtype == np.uint8
    np.testing.assert_array_equal(found, 255 * person.transpose(2, 0, 1))
    np.testing.assert_array_equal(masks(path, "lena_run1", aligned=True), found[:, ::-1])
    with pytest.raises(BenchError, match="no masks of lena_run: found lena_run1, expected original_masks with a field"):
        masks(path, "lena_run")
