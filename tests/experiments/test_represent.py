"""What a discriminator learnt is measured by what it can be taught."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.errors import BenchError
from datamodules.jsonfile import read_json
from datamodules.synthetic.shape_motion import ShapeMotion
from experiments import represent
from experiments.cli import main as cli
from experiments.represent_protocol import ActionProtocol, load
from lightning_modules.vgan.actions import ActionNetwork, Average, accuracy, classes_of, fine_tune
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
    assert (told["clips"], told["average"], told["frames"]) == (1, "probabilities", 16)


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
        (["--data.frames", "16", "--steps", "0"], r"represent.steps must be a whole number of at least 1, found 0"),
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


# Protocols


def test_the_packaged_protocol_holds_the_official_recipe() -> None:
    protocol = load("vgan_ucf", {})
    assert (protocol.split, protocol.frames, protocol.stride) == ("test", 32, 1)
    assert (protocol.steps, protocol.batch) == (1000, 256)
    assert load("vgan_ucf", {"steps": 7, "batch": None}) == replace(protocol, steps=7)


def test_the_hash_is_of_all_that_moves_the_number() -> None:
    protocol = ActionProtocol()
    hashes = {protocol.conditions(data="ucf101")["hash"], protocol.conditions(data="shapes")["hash"]}
    changes: list[dict[str, Any]] = [{"clips": 2}, {"average": "votes"}, {"split": "val"}, {"seed": 1}, {"steps": 5}]
    hashes |= {replace(protocol, **change).conditions(data="ucf101")["hash"] for change in changes}
    assert len(hashes) == 2 + len(changes)
    assert replace(protocol, label="x").conditions(data="ucf101")["hash"] in hashes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("represent: {clip: 3}", r"represent.clip is no setting, did you mean 'clips'"),
        ("represent: {clips: 0}", "represent.clips must be a whole number of at least 1, found 0"),
        ("represent: {frames: 2.5}", "represent.frames must be a whole number of at least 1, or null"),
        ("represent: {average: mean}", "average must be one of probabilities, logits, votes, found 'mean'"),
        ("represent: {split: train}", "split must be val or test, found 'train'"),
        ("represent: {seed: -1}", "seed must be a whole number from 0 on, found -1"),
        ("evaluate: {}", "reads the key represent, found evaluate"),
        ("", "reads the key represent, found nothing"),
    ],
)
def test_protocol_files_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(BenchError, match=message):
        load(str(path), {})


def test_a_protocol_decides_split_frames_clips_and_average(run: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "mine.yaml", tmp_path / "actions.json"
    file.write_text(
        "represent: {label: mine, split: val, frames: 16, steps: 1, batch: 2, clips: 3, average: votes, seed: 4}"
    )
    argv = [str(run), *DATA, "--data.val_videos", "20", "--protocol", str(file)]
    assert represent.main([*argv, "-o", str(out)]) == 0
    told = read_json(out)
    keys = ("protocol", "split", "videos", "frames", "stride", "steps", "clips", "average", "seed")
    assert [told[key] for key in keys] == ["mine", "val", 20, 16, 2, 1, 3, "votes", 4]
    with pytest.raises(BenchError, match=r"--data.frames is 12, but protocol mine asks for 16"):
        represent.main([*argv, "--data.frames", "12"])
    with pytest.raises(BenchError, match=r"init_args.frames is 16, but the clips of shape_motion have frames 32"):
        represent.main([str(run), *DATA, "--data.stride", "1", "--protocol", "vgan_ucf"])


class Told(ActionNetwork):
    """Gives logits that were written down, call by call."""

    def __init__(self, *logits: Tensor) -> None:
        super().__init__(Discriminator(3, [2, 2, 2]), 2, bottom=2)
        self.queue = torch.cat(logits)
        self.seen: list[Tensor] = []

    def forward(self, clips: Tensor) -> Tensor:
        self.seen.append(clips)
        now, self.queue = self.queue[: len(clips)], self.queue[len(clips) :]
        return now


@pytest.mark.parametrize(("average", "chosen"), [("probabilities", 1), ("logits", 0), ("votes", 1)])
def test_what_is_averaged_over_the_clips_of_a_video(average: Average, chosen: int) -> None:
    """Two clips of three see class 1 with 0.73, the third class 0 almost surely, by a logit that outweighs both."""
    videos = 40  # more clips than one batch holds
    data = ShapeMotion(size=32, frames=16, stride=1, train_videos=8, val_videos=videos)
    mild, sure = torch.tensor([0.0, 3.0]), torch.tensor([9.0, 0.0])
    network = Told(*(clip.expand(videos, 2) for clip in (mild, sure, mild)))
    share, count = accuracy(network, data, "category", "val", clips=3, average=average)
    labels = data.store("val").attributes["category"]
    assert count == videos and share == pytest.approx(float((labels == chosen).mean()))
    clips = torch.cat(network.seen)
    assert len(clips) == 3 * videos and len(network.queue) == 0
    assert not torch.equal(clips[:videos], clips[videos : 2 * videos])  # other windows of the same videos
    colours = clips.amax((2, 3, 4))
    torch.testing.assert_close(colours[:videos], colours[videos : 2 * videos])
