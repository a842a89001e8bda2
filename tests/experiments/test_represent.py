"""What a discriminator learnt is measured by what it can be taught."""

from pathlib import Path

import pytest
import torch

from datamodules.errors import BenchError
from datamodules.jsonfile import read_json
from datamodules.synthetic.shape_motion import ShapeMotion
from experiments import represent
from experiments.cli import main as cli
from lightning_modules.vgan.actions import ActionNetwork, accuracy, classes_of, fine_tune
from lightning_modules.vgan.networks import Discriminator

TINY = ["--model.ngf", "4", "--model.ndf", "8", "--trainer.max_steps", "2", "--data.train_videos", "64"]
DATA = ["data/shape_motion", "--data.size", "32", "--data.stride", "2", "--data.test_videos", "64"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    argv = ["fit", "--config", "method/vgan_cpu", *TINY, "--wandb.enabled", "false", "--runs", str(runs)]
    assert cli(argv) == 0
    (folder,) = runs.glob("vgan_cpu-*")
    return folder


def test_all_layers_learn_the_direction_and_the_record_says_how(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "actions.json"
    argv = [str(run), *DATA, "--data.frames", "16", "--steps", "120", "--batch", "16", "-o", str(out)]
    assert represent.main([*argv, "--init", "random"]) == 0
    told = read_json(out)
    assert told["accuracy"] > 0.8 and told["videos"] == 64
    assert (told["init"], told["split"], told["steps"], told["data"]) == ("random", "test", 120, "shape_motion")


def test_frozen_features_stay(run: Path) -> None:
    torch.manual_seed(0)
    data = ShapeMotion(size=32, frames=16, stride=2, train_videos=32, val_videos=16)
    network = ActionNetwork(Discriminator(3, [4, 8, 16]), classes_of(data, "category"), bottom=2, frozen=True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fine_tune(network, data, "category", steps=3, batch=4, seed=0)
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}
    assert not network.training


def test_all_layers_change_where_they_are_not_frozen(run: Path) -> None:
    torch.manual_seed(0)
    data = ShapeMotion(size=32, frames=16, stride=2, train_videos=32, val_videos=16)
    network = ActionNetwork(Discriminator(3, [4, 8, 16]), classes_of(data, "category"), bottom=2)
    before = {name: p.clone() for name, p in network.named_parameters()}
    fine_tune(network, data, "category", steps=3, batch=4, seed=0)
    still = {name for name, p in network.named_parameters() if torch.equal(p, before[name])}
    assert still == {"discriminator.conv3.weight", "discriminator.conv3.bias"}  # its own last layer is not used


def test_accuracy_is_the_share_of_videos_told_right() -> None:
    data = ShapeMotion(size=32, frames=16, stride=2, train_videos=32, val_videos=40)
    network = ActionNetwork(Discriminator(3, [2, 2, 2]), 2, bottom=2).eval()
    with torch.no_grad():
        network.head.weight.zero_()
        assert network.head.bias is not None
        network.head.bias.copy_(torch.tensor([1.0, 0.0]))  # always the first
    share, videos = accuracy(network, data, "category", "val")
    labels = data.store("val").attributes["category"]
    assert videos == 40 and share == pytest.approx(float((labels == 0).mean()))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--data.frames", "8"], "frames"),
        (["--data.frames", "16", "--steps", "0"], "--steps must be at least 1"),
        (["--data.frames", "16", "--attribute", "actor"], "two classes of actor or more; shape_motion has"),
    ],
)
def test_what_does_not_fit(run: Path, extra: list[str], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        represent.main([str(run), *DATA, *extra])


def test_runs_of_other_methods_are_refused(tmp_path: Path) -> None:
    argv = ["fit", "--config", "method/mocogan_cpu", "--model.ngf", "2", "--model.ndf", "2", "--trainer.max_steps", "1"]
    assert cli([*argv, "--wandb.enabled", "false", "--runs", str(tmp_path)]) == 0
    (folder,) = tmp_path.glob("mocogan_cpu-*")
    with pytest.raises(BenchError, match="is a run of MoCoGAN; reelbench represent takes one of VGAN"):
        represent.main([str(folder), *DATA])
