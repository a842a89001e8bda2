import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.errors import BenchError
from datamodules.media import read_video
from datamodules.pose.driving import PoseFiles
from datamodules.pose.skeletons import COCO_18
from experiments.cli import main
from experiments.zoo.build import ZOO
from lightning_modules.callbacks.sample_writer import write_samples
from lightning_modules.deformable_gan.module import DeformableGAN
from lightning_modules.pg2.module import PG2
from lightning_modules.pose_clips import pose_sheet, write_posed
from tests.helpers.posed_data import PosedData
from tests.helpers.tf_files import write_checkpoint
from tests.lightning_modules.pg2.test_pg2_convert import variables

SIZE = (64, 32)
OFF = ["--wandb.enabled", "false"]


def tiny() -> PG2:
    torch.manual_seed(0)
    return PG2(SIZE, hidden=2, dim_z=3, ndf=2)


@pytest.fixture
def files(tmp_path: Path) -> PoseFiles:
    """A picture of 128 x 64 and four frames of key-points, of which the second is empty."""
    Image.fromarray(np.full((128, 64, 3), (200, 30, 30), np.uint8)).save(tmp_path / "me.png")
    (tmp_path / "poses").mkdir()
    for frame in range(4):
        people = [] if frame == 1 else [{"pose_keypoints_2d": [20 + 4 * frame, 60, 1] * 18}]
        (tmp_path / "poses" / f"{frame}_keypoints.json").write_text(json.dumps({"people": people}))
    return PoseFiles(tmp_path / "me.png", tmp_path / "poses")


def part(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    """A picture of a sheet whose gaps have 2 pixels."""
    top, left = 2 + row * (SIZE[0] + 2), 2 + column * (SIZE[1] + 2)
    return sheet[top : top + SIZE[0], left : left + SIZE[1]]


def test_sheet_of_clips() -> None:
    batch = PosedData(size=SIZE, frames=3).eval_batch("val", [0, 1], 3, 1, 0)
    drawn = torch.full_like(batch["video"], 77)
    sheet = pose_sheet(batch, drawn, COCO_18.limbs)
    assert sheet.shape == (2 + 6 * (SIZE[0] + 2), 2 + 4 * (SIZE[1] + 2), 3)
    for clip in range(2):
        poses, clips, truth = 3 * clip, 3 * clip + 1, 3 * clip + 2
        assert (part(sheet, poses, 0) == batch["source"][clip].permute(1, 2, 0).numpy()).all()
        for frame in range(3):
            assert (part(sheet, clips, 1 + frame) == 77).all()
            assert (part(sheet, truth, 1 + frame) == batch["video"][clip, :, frame].permute(1, 2, 0).numpy()).all()
            x, y = batch["pose"][clip, 0, frame, 17, :2].int().tolist()
            assert part(sheet, poses, 1 + frame)[y, x].max() > 77  # the ear, drawn last
        assert (part(sheet, clips, 0) == 255).all()


def test_sheet_of_pictures_is_a_row_each() -> None:
    batch = PosedData(size=SIZE, frames=1).eval_batch("val", [0, 1], 1, 1, 0)
    sheet = pose_sheet(batch, torch.full_like(batch["video"], 77), COCO_18.limbs)
    assert sheet.shape[:2] == (2 + 2 * (SIZE[0] + 2), 2 + 4 * (SIZE[1] + 2))
    assert (part(sheet, 1, 2) == 77).all()
    assert (part(sheet, 1, 3) == batch["video"][1, :, 0].permute(1, 2, 0).numpy()).all()


def test_samples_come_with_a_sheet(tmp_path: Path) -> None:
    trainer: Any = type("Trainer", (), {"is_global_zero": True, "datamodule": PosedData(size=SIZE, frames=2)})
    model = tiny().eval()
    for _ in range(2):  # its own files are replaced
        with model.at_length(4):
            write_samples(trainer, model, tmp_path / "samples", n=2)
    assert (tmp_path / "samples" / "poses.png").exists()
    assert len(read_video(tmp_path / "samples" / "00001.mp4")) == 4


def test_a_person_in_poses_from_files(tmp_path: Path, files: PoseFiles) -> None:
    notes = write_posed(tiny().eval(), PG2.needs(), files, tmp_path / "out", lossless=True)
    assert notes == [f"{files.poses}: nobody in 1 of 4 frames, such as 1"]
    clip = read_video(tmp_path / "out" / "clip.mkv")
    assert clip.shape == (4, *SIZE, 3) and not (clip[0] == clip[2]).all()
    assert (tmp_path / "out" / "clip.mp4").exists() and (tmp_path / "out" / "poses.png").exists()


def test_a_pose_that_the_method_refuses(tmp_path: Path, files: PoseFiles) -> None:
    """Frame 1 has no joint: a method that measures the torso says whose clip it is and what to do."""
    model = DeformableGAN(features="rgb", ngf=2, ndf=2).eval()
    given = files._replace(source_pose=files.poses / "0_keypoints.json")
    with pytest.raises(BenchError, match=r"^pose: shoulders or hips .* 1 clips \(me.png in poses\)"):
        write_posed(model, DeformableGAN.needs(), given, tmp_path / "out")


def test_from_official_weights_to_a_clip(tmp_path: Path, files: PoseFiles, capsys: pytest.CaptureFixture[str]) -> None:
    index = write_checkpoint(tmp_path / "model.ckpt-9", variables(tiny()))
    weights, out = str(tmp_path / "pg2.safetensors"), tmp_path / "clip"
    assert main(["convert", "pg2", str(index), "-o", weights]) == 0
    words = ["sample", weights, "--out", str(out), "--runs", str(tmp_path / "runs"), *OFF, "--lossless", "true"]
    assert main([*words, "--source", str(files.source), "--poses", str(files.poses), "--frames", "3"]) == 0
    assert "nobody in 1 of 3 frames" in capsys.readouterr().out
    clip = read_video(out / "clip.mkv")
    same = tiny().eval()
    same.generator.refines.fill_(1)
    write_posed(same, PG2.needs(), files, tmp_path / "again", frames=3, lossless=True)
    assert len(clip) == 3 and np.abs(clip.astype(int) - read_video(tmp_path / "again" / "clip.mkv")).max() <= 1
    assert main([*words, "--source", str(files.source)]) == 2
    assert "--source and --poses go together" in capsys.readouterr().err
    assert main([*words, "--source", str(files.source), "--poses", str(files.poses), "--swap", "true"]) == 2
    assert "--source goes without --swap" in capsys.readouterr().err


def test_a_method_without_poses(tmp_path: Path, files: PoseFiles, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sample", str(ZOO / "mocogan" / "weights.safetensors"), "--runs", str(tmp_path / "runs"), *OFF]
    assert main([*words, "--source", str(files.source), "--poses", str(files.poses)]) == 2
    assert "MoCoGAN does not draw a person in poses, it needs video; name" in capsys.readouterr().err


def test_files_that_do_not_do(tmp_path: Path, files: PoseFiles) -> None:
    with pytest.raises(BenchError, match="none: no such folder of key-points"):
        write_posed(tiny().eval(), PG2.needs(), files._replace(poses=tmp_path / "none"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
