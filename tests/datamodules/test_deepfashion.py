from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.deepfashion import DeepFashion
from datamodules.errors import BenchError
from tests.datamodules.frame_files import flat, save
from tests.datamodules.pair_files import annotate, pose

SIZE = (256, 256)
# As in the archive, in the annotation, and as pose-gan's script renames it.
SPELLINGS = [
    ("WOMEN/Tees_Tanks/id_00005085/45_1_front.jpg", "WOMENTees_Tanksid0000508545_1front.jpg"),
    ("WOMEN/Tees_Tanks/id_00005085/45_4_full.jpg", "WOMENTees_Tanksid0000508545_4full.jpg"),
    ("WOMEN/Tees_Tanks/id_00005085/46_1_front.jpg", "WOMENTees_Tanksid0000508546_1front.jpg"),
    ("WOMEN/Tees_Tanks/id_00005085/46_2_side.jpg", "WOMENTees_Tanksid0000508546_2side.jpg"),
    ("MEN/Shirts_Polos/id_00000080/01_7_additional.jpg", "MENShirts_Polosid0000008001_7additional.jpg"),
    ("MEN/Shirts_Polos/id_00000080/01_3_back.jpg", "MENShirts_Polosid0000008001_3back.jpg"),
]


def pose_gans(name: str) -> str:
    """Without the underscore of the category."""
    head, _, tail = name.rpartition("_")
    return f"fasion{head.replace('_', '')}_{tail}"


def annotated(root: Path, part: str = "train") -> Path:
    annotate(
        root / f"fasion-annotation-{part}.csv",
        {f"fashion{name}": pose(i, *SIZE) for i, (_, name) in enumerate(SPELLINGS)},
    )
    return root


def save_pictures(root: Path, layout: str) -> None:
    for i, (archive, name) in enumerate(SPELLINGS):
        path = {
            "archive": root / "img" / archive,
            "nested": root / "Img/img" / archive,
            "patn": root / "train" / f"fashion{name}",
            "pose_gan": root / "train" / pose_gans(name),
        }[layout]
        save(path.with_suffix(".png"), flat(i + 1, *SIZE)).rename(path)


def data(root: Path, **arguments: Any) -> DeepFashion:
    return DeepFashion(**{"root": str(root), **arguments})


@pytest.mark.parametrize("layout", ["archive", "nested", "patn", "pose_gan"])
def test_pictures_are_found_under_all_their_names(tmp_path: Path, layout: str) -> None:
    save_pictures(annotated(tmp_path), layout)
    sets = data(tmp_path)
    store = sets.store("train")
    assert len(store.names) == 6  # both orders of two pictures, for two colours and a shirt
    batch = sets.batch("train", np.arange(6), np.zeros((6, 1), np.int64), np.arange(6))
    for b, entry in enumerate(store.names):
        places = [[f"fashion{name}" for _, name in SPELLINGS].index(part) for part in entry.split(" -> ")]
        levels = [int(batch["source"][b, 0, 0, 0]) - 1, int(batch["video"][b, 0, 0, 0, 0]) - 1]
        assert places == levels and places[0] // 2 == places[1] // 2  # one garment in one colour
        np.testing.assert_array_equal(batch["pose"][b, 0, 0], pose(places[1], *SIZE))
    assert sorted(batch["attributes"]["identity"].tolist()) == [0, 0, 1, 1, 2, 2]


def test_pair_files_may_spell_names_as_the_other_repository(tmp_path: Path) -> None:
    save_pictures(annotated(tmp_path, "test"), "archive")
    (tmp_path / "fashion-pairs-test.csv").write_text(
        f"from,to\n{pose_gans(SPELLINGS[0][1])},{pose_gans(SPELLINGS[1][1])}\n"
    )
    assert data(tmp_path).store("test").names == [f"fashion{SPELLINGS[0][1]} -> fashion{SPELLINGS[1][1]}"]
    (tmp_path / "fashion-pairs-test.csv").write_text("from,to\nfasionMENDenimid0000000101_1front.jpg,b_1.jpg\n")
    with pytest.raises(BenchError, match=r"2 pictures without annotation, such as b_1.*an older and a newer one"):
        data(tmp_path).store("test")


def test_patns_crop_moves_joints_and_loses_those_outside(tmp_path: Path) -> None:
    save_pictures(annotated(tmp_path), "archive")
    joints = pose(0, *SIZE)
    joints[:4, 0] = 39, 40, 215, 216
    joints[4:, 0] = np.clip(joints[4:, 0], 60, 200)
    name = f"fashion{SPELLINGS[0][1]}"
    annotate(tmp_path / "fasion-annotation-train.csv", {name: joints, f"fashion{SPELLINGS[1][1]}": joints})
    sets = data(tmp_path, size=(256, 176), crop="patn")
    joint = sets.eval_batch("train", [0], 1, 1, 0)["pose"][0, 0, 0]
    assert sets.resize == "area patn"
    # x = 39 minus 40 is -1, which PATN's files read as missing; 216 lies right of the crop
    assert (joint[:, 2] > 0).tolist() == [False, True, True, False] + [True] * 14
    np.testing.assert_array_equal(joint[[1, 2], 0], [0, 175])
    np.testing.assert_array_equal(joint[4:, :2], joints[4:, :2] - [40, 0])


def test_one_picture_under_two_names(tmp_path: Path) -> None:
    save_pictures(annotated(tmp_path), "patn")
    save(tmp_path / "train" / pose_gans(SPELLINGS[0][1]).replace("jpg", "png"), flat(0, *SIZE))
    with pytest.raises(BenchError, match="are one picture; keep one of them"):
        data(tmp_path).store("train")


def test_a_set_without_its_files(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"the file fasion-annotation-train\.csv or fashion-annotation-train\.csv is"):
        data(tmp_path).store("train")
    annotated(tmp_path)
    (tmp_path / "highres").mkdir()
    with pytest.raises(BenchError, match=r"folder img or .*Img/img or .*train is missing .*\n.*csv, highres\n"):
        data(tmp_path).store("train")
    (tmp_path / "img").mkdir()
    with pytest.raises(BenchError, match="every picture is missing"):
        data(tmp_path).store("train")
