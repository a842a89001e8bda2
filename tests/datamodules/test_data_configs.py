from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from datamodules.base import ClipData
from datamodules.strips import Strips
from datamodules.synthetic.shape_motion import ShapeMotion

CONFIGS = Path(__file__).parents[2] / "experiments" / "configs" / "data"


def build(*arguments: str) -> ClipData:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(ClipData, "data")
    return parser.instantiate(parser.parse_args(list(arguments))).data


@pytest.mark.parametrize(
    ("name", "kind", "dataset"),
    [
        ("shape_motion", ShapeMotion, "shape_motion"),
        ("shape_strips", Strips, "shape_motion_strips"),
        ("weizmann", Strips, "weizmann_strips"),
    ],
)
def test_configs_hold_the_official_clip_rule(name: str, kind: type[ClipData], dataset: str) -> None:
    data = build("--config", str(CONFIGS / f"{name}.yaml"))
    assert type(data) is kind and data.name == dataset
    assert (data.height, data.width, data.frames, data.stride, data.batch_size) == (64, 64, 16, 2, 32)
    assert "/" not in (CONFIGS / f"{name}.yaml").read_text()  # no path


def test_every_argument_can_be_given_on_the_command_line() -> None:
    config = ("--config", str(CONFIGS / "weizmann.yaml"))
    people = build(*config, "--data.val=[1,2]", "--data.test=[3]", "--data.size=[32,48]", "--data.on_error=skip")
    assert isinstance(people, Strips)
    assert (people.val, people.test, people.height, people.width, people.on_error) == ([1, 2], [3], 32, 48, "skip")
    shares = build("--config", str(CONFIGS / "shape_strips.yaml"), "--data.val=0.1", "--data.resize=bilinear_strip")
    assert isinstance(shares, Strips) and (shares.val, shares.test, shares.resize) == (0.1, 0.05, "bilinear_strip")
