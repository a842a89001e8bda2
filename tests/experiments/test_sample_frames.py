"""Clips of other lengths than those of training, where the architecture makes them."""

from pathlib import Path

import pytest

from datamodules.errors import BenchError
from datamodules.jsonfile import read_json
from datamodules.media import read_video
from experiments.cli import main
from experiments.zoo.build import ZOO
from lightning_modules.vgan.module import VGAN

WEIGHTS = str(ZOO / "mocogan" / "weights.safetensors")
OFF = ["--wandb.enabled", "false"]


def test_longer_clips_of_the_command_line(tmp_path: Path) -> None:
    assert (
        main(
            [
                "sample",
                WEIGHTS,
                "--frames",
                "40",
                "--n",
                "1",
                *OFF,
                "--runs",
                str(tmp_path / "r"),
                "--out",
                str(tmp_path / "s"),
            ]
        )
        == 0
    )
    assert read_video(tmp_path / "s" / "00000.mp4").shape[0] == 40


def test_longer_clips_are_scored_where_the_protocol_asks_for_them(tmp_path: Path) -> None:
    argv = ["test", WEIGHTS, "--config", "protocol/quick", "--evaluate.protocol.frames", "24", *OFF]
    argv += [f"--evaluate.protocol.n_{kind}=4" for kind in ("real", "fake")]
    assert main([*argv, "--runs", str(tmp_path)]) == 0
    (results,) = tmp_path.glob("*/results.json")
    ((_, entry),) = read_json(results)["results"].items()
    assert entry["protocol"]["frames"] == 24 and entry["values"]["diversity"]["value"] > 0


def test_other_architectures_say_so() -> None:
    method = VGAN(size=8, frames=4, ngf=1, ndf=1, dim_z=2)
    with (
        pytest.raises(BenchError, match="VGAN makes clips of 4 frames and of no other length, not 5"),
        method.at_length(5),
    ):
        pass
    with method.at_length(4), method.at_length(None):
        assert method.frames == 4
