"""On real samples of the published sets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.errors import BenchError
from datamodules.everybody_dance import EverybodyDance
from datamodules.flip import mirrored
from datamodules.market import LAYOUT as MARKET
from datamodules.market import Market
from datamodules.pix2pixhd import Pix2PixHD
from datamodules.pose.face_box import face_boxes
from datamodules.pose.skeletons import BODY_23
from datamodules.vid2vid_street import Vid2VidStreet
from tests.datamodules.frame_files import flat, save

SPLITS: dict[str, Any] = {"val": "train", "test": "train"}


def test_cityscapes_maps_are_what_the_files_hold(real_data: Path) -> None:
    root = real_data / "cityscapes_sample"
    whole = Pix2PixHD(root=str(root), size=(1024, 2048), **SPLITS)
    batch = whole.eval_batch("train", range(3), 1, 1, 0)
    for i, name in enumerate(batch["name"]):
        stem = name.removeprefix("train/").partition("[")[0]
        label = np.asarray(Image.open(root / f"train_label/{stem}_gtFine_labelIds.png"))
        instance = np.asarray(Image.open(root / f"train_inst/{stem}_gtFine_instanceIds.png"))
        picture = np.asarray(Image.open(root / f"train_img/{stem}_leftImg8bit.png"))
        np.testing.assert_array_equal(batch["labels"][i, 0], label)
        np.testing.assert_array_equal(batch["instances"][i, 0], instance)
        np.testing.assert_array_equal(batch["video"][i, :, 0].permute(1, 2, 0), picture)
        assert instance.max() >= 26000  # an 8-bit reading would end at 255
        objects = instance >= 1000
        np.testing.assert_array_equal(instance[objects] // 1000, label[objects])  # both maps lie on each other


def test_cityscapes_at_a_quarter_keeps_its_classes(real_data: Path) -> None:
    small = Pix2PixHD(root=str(real_data / "cityscapes_sample"), size=(256, 512), **SPLITS)
    batch = small.eval_batch("train", range(3), 1, 1, 0)
    labels, instances = batch["labels"].numpy().astype(int), batch["instances"].numpy()
    assert labels.max() <= 33
    np.testing.assert_array_equal(np.where(instances >= 1000, instances // 1000, labels), labels)


def test_the_test_phase_of_the_sample_has_no_pictures(real_data: Path) -> None:
    with pytest.raises(BenchError, match=r"test_img is missing .*\nFound instead: test_inst, test_label, train_img"):
        Pix2PixHD(root=str(real_data / "cityscapes_sample"), val="test").store("test")


def test_cityscapes_as_a_sequence_of_vid2vid(real_data: Path, tmp_path: Path) -> None:
    for kind, folder in (("A", "label"), ("B", "img"), ("inst", "inst")):
        (tmp_path / f"train_{kind}").mkdir()
        (tmp_path / f"train_{kind}/aachen").symlink_to(real_data / f"cityscapes_sample/train_{folder}")
    data = Vid2VidStreet(root=str(tmp_path), frames=3, **SPLITS)
    batch = data.eval_batch("train", [0], 3, 1, 0)
    assert batch["labels"].shape == batch["instances"].shape == (1, 3, 256, 512)


def test_a_dancers_poses_boxes_and_labels_lie_on_each_other(real_data: Path) -> None:
    root = real_data / "dance_sample/train"
    data = EverybodyDance(root=str(root), size=(512, 1024), frames=3, keypoints="keypoints", **SPLITS)
    store = data.store("train")
    assert store.lengths.tolist() == [3]  # every fourth frame
    batch = data.eval_batch("train", [0], 3, 1, 0)
    label, pose, box = batch["condition"][0].numpy(), batch["pose"][0, 0].numpy(), batch["face_box"][0].numpy()
    assert box[0].tolist() == [11, 139, 504, 632]
    drawn = np.any(label < 250, axis=0)  # T H W
    for t in range(3):
        there = pose[t, :, 2] > 0
        x, y = np.rint(pose[t, there, :2]).astype(int).T
        assert there.sum() >= 17 and drawn[t, y, x].mean() > 0.9  # joints lie on their drawn discs
    canvas = pose.copy()  # back to the frames of 1920 x 1080
    canvas[..., :2] = (pose[..., :2] + 0.5) * [1920 / 1024, 1080 / 512] - 0.5
    made = face_boxes(canvas, BODY_23)
    assert np.abs(made - box).max() <= 2


def test_a_dancer_without_frames_is_refused(real_data: Path) -> None:
    with pytest.raises(BenchError, match=r"test_img is missing .*\nFound instead: test_facetexts128, test_label"):
        EverybodyDance(root=str(real_data / "dance_sample/test"), val="test").store("test")


@pytest.fixture
def market(real_data: Path, tmp_path: Path) -> Path:
    """The real annotation; every picture is one and the same grey file."""
    one = save(tmp_path / "one.png", flat(128, 128, 64))
    for path in (real_data / "pose_annotations").glob("market-*.csv"):
        (tmp_path / path.name).symlink_to(path)
    for part in ("train", "test"):
        folder = tmp_path / f"bounding_box_{part}"
        folder.mkdir()
        for line in (tmp_path / f"market-annotation-{part}.csv").read_text().splitlines()[1:]:
            (folder / line.partition(":")[0]).hardlink_to(one)
    return tmp_path


def test_market_has_the_published_pairs(market: Path) -> None:
    data = Market(root=str(market))
    assert len(data.store("train").names) == 263_632
    published = [line.split(",") for line in (market / "market-pairs-test.csv").read_text().splitlines()[1:]]
    names = data.store("test").names
    assert names == [f"{a} -> {b}" for a, b in published] and len(names) == 12_000
    assert Market(root=str(market), test_pairs="rule").store("test").names == names
    batch = data.eval_batch("train", range(16), 1, 1, 0)
    people = zip(*(([n.split(" -> ")[k][:4] for n in batch["name"]]) for k in (0, 1)), strict=True)
    assert all(a == b for a, b in people)
    assert (batch["mask"].float().mean((1, 2, 3, 4)) > 10).all()  # 0..255: everybody is somewhere
    assert MARKET.folder == data.name


def test_a_walker_read_as_frames(real_data: Path, tmp_path: Path) -> None:
    """Frames without any annotation: the picture serves as its own condition."""
    for kind in ("A", "B"):
        (tmp_path / f"train_{kind}").mkdir()
        (tmp_path / f"train_{kind}/walk").symlink_to(real_data / "walk_frames/target-images")
    data = Vid2VidStreet(root=str(tmp_path), size=(128, 64), frames=16, classes=0, **SPLITS)
    store = data.store("train")
    assert store.lengths.tolist() == [67]
    batch = data.eval_batch("train", [0], 16, 1, 0)
    first = int(batch["name"][0].partition("[")[2].partition(":")[0])
    picture = np.asarray(Image.open(real_data / f"walk_frames/target-images/denis_walk{first:06}.jpg"))
    np.testing.assert_array_equal(batch["video"][0, :, 0].permute(1, 2, 0), picture)
    turned = mirrored(batch, batch["index"] == 0)
    np.testing.assert_array_equal(turned["condition"][0, :, 0].permute(1, 2, 0), picture[:, ::-1])
