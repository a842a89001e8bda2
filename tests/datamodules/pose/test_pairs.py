from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import BenchError
from datamodules.pose.keypoint_csv import read_keypoints
from datamodules.pose.pairs import (
    Pair,
    all_pairs,
    fashion_identity,
    market_identity,
    read_pairs,
    sampled,
    write_pairs,
)

WHOLE = np.ones((18, 3), np.float32)


def test_every_ordered_pair_of_an_identity_in_the_order_of_the_list() -> None:
    names = ["b_1", "a_1", "b_2", "a_2", "b_3", "c_1"]
    pairs = all_pairs(names, np.stack([WHOLE] * 6), market_identity)
    assert pairs == [Pair(*p) for p in [*permutations(["b_1", "b_2", "b_3"], 2), *permutations(["a_1", "a_2"], 2)]]


def test_junk_and_poses_without_a_torso_are_left_out() -> None:
    names = ["-1_1", "-1_2", "0000_1", "0000_2", "a_1", "a_2", "a_3", "a_4", "a_5", "a_6"]
    poses = np.stack([WHOLE] * 10)
    for image, joint in ((6, 2), (7, 5), (8, 8), (9, 11)):  # one of the four torso joints each
        poses[image, joint] = 0
    poses[5, [0, 1, 3, 4, 14]] = 0  # others may be missing
    assert all_pairs(names, poses, market_identity) == [("a_1", "a_2"), ("a_2", "a_1")]


def test_identities() -> None:
    assert market_identity("0002_c1s1_000451_03.jpg") == "0002"
    assert fashion_identity("fashionWOMENBlouses_Shirtsid0000337203_3back.jpg") == (
        "fashionWOMENBlouses_Shirtsid0000337203"
    )


def test_samples_are_without_repetition_and_keyed() -> None:
    pairs = [Pair(str(i), "x") for i in range(50)]
    assert sampled(pairs, 20) == sampled(pairs, 20) != sampled(pairs, 20, seed=1)
    assert len({*sampled(pairs, 20)}) == 20 and {*sampled(pairs)} == {*pairs}


def test_lists_are_written_and_read(tmp_path: Path) -> None:
    pairs = [Pair("a_1.jpg", "a_2.jpg"), Pair("a_2.jpg", "a_1.jpg")]
    write_pairs(tmp_path / "p.csv", pairs)
    assert (tmp_path / "p.csv").read_text() == "from,to\na_1.jpg,a_2.jpg\na_2.jpg,a_1.jpg\n"
    assert read_pairs(tmp_path / "p.csv") == pairs
    for line in ("a_1.jpg", "a,b,c", "a,"):
        (tmp_path / "p.csv").write_text(f"from,to\na,b\n\n{line}\n")
        with pytest.raises(BenchError, match=rf"p\.csv, line 4: '{line}' found, expected two names"):
            read_pairs(tmp_path / "p.csv")


@pytest.mark.parametrize(
    ("annotation", "published", "identity"),
    [
        ("market-annotation-test", "market-pairs-test", market_identity),
        ("fasion-annotation-test", "fashion-pairs-test", fashion_identity),
    ],
)
def test_published_test_lists_line_by_line(
    real_data: Path, tmp_path: Path, annotation: str, published: str, identity: Callable[[str], str]
) -> None:
    folder = real_data / "pose_annotations"
    pairs = all_pairs(*read_keypoints(folder / f"{annotation}.csv"), identity)
    write_pairs(tmp_path / "p.csv", sampled(pairs))
    assert (tmp_path / "p.csv").read_bytes() == (folder / f"{published}.csv").read_bytes()


def test_market_has_263632_training_pairs(real_data: Path) -> None:
    names, poses = read_keypoints(real_data / "pose_annotations" / "market-annotation-train.csv")
    assert len(all_pairs(names, poses, market_identity)) == 263632
