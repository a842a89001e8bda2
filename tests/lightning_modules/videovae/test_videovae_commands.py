"""From a config to clips that were asked for, and to the score of whether they are: all by the command line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from datamodules.jsonfile import read_json
from datamodules.media import read_video
from datamodules.synthetic.puppet.data import Puppet
from experiments.cli import main
from metrics.features.action_network import ActionNetwork

OFF = ["--wandb.enabled", "false"]
VIDEOS = {"train_videos": 16, "val_videos": 3, "test_videos": 9}
SMALL = ["--model.init_args.attributes", "{category: 2, subject: 2}", "--model.init_args.widths", "[2,3,4,5]"]
SMALL += ["--data.init_args.motions", "[jump,kick]", "--data.init_args.identities", "[2,2,2]"]
SMALL += [word for key, value in VIDEOS.items() for word in (f"--data.init_args.{key}", str(value))]
CONFIGS = ["--config", "method/videovae_cpu", "--config", "trainer/cpu", *SMALL, "--trainer.max_steps", "1", *OFF]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    assert main(["fit", *CONFIGS, "--runs", str(runs)]) == 0
    (folder,) = runs.iterdir()
    path = folder / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    for name, weight in checkpoint["state_dict"].items():  # or clips are grey to a level of 255
        if name.startswith(("generator.of_prior", "generator.decoder")) and weight.ndim > 1 and "logvar" not in name:
            weight *= 3
    torch.save(checkpoint, path)
    return folder


def lossless(folder: Path, number: int = 0) -> np.ndarray:
    return np.asarray(read_video(folder / f"{number:05d}.mkv"))  # T H W C


def test_attributes_of_the_command_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = ["sample", str(run), "--n", "2", "--lossless", "true", *OFF]
    clips = {}
    for name, words in (("one", "category=1,subject=0"), ("switched", "category=1,subject=0,category=0@4")):
        assert main([*sample, "--attribute", words, "--out", str(tmp_path / name)]) == 0
        clips[name] = lossless(tmp_path / name)
    same = (clips["one"] == clips["switched"]).all((1, 2, 3)).tolist()
    assert same[:4] == [True] * 4 and not any(same[4:])
    assert main([*sample, "--attribute", "category=2"]) == 2
    assert "--attribute category=2: VideoVAE knows category 0 to 1" in capsys.readouterr().err
    assert main([*sample, "--swap", "true", "--grid", "category"]) == 2
    assert "--swap true goes without --grid" in capsys.readouterr().err


def test_a_grid_of_the_command_line(run: Path) -> None:
    assert main(["sample", str(run), "--grid", "subject,category", "--frames", "12", *OFF]) == 0
    folder = run / "samples" / "grid-subject-category-0"
    assert read_json(folder / "grid.json")["rows"] == {"attribute": "subject", "values": 2}
    assert read_video(folder / "grid.mp4").shape[0] == 12


def test_going_on_from_a_first_frame_with_the_weights_of_another_run(run: Path, tmp_path: Path) -> None:
    options = ["--model.init_args.generate_from", "first_frame", "--data.init_args.context", "1"]
    options += ["--weights", str(run / "checkpoints" / "last.ckpt"), "--runs", str(tmp_path / "runs")]
    assert main(["sample", *CONFIGS, *options, "--n", "1", "--lossless", "true", "--out", str(tmp_path / "s")]) == 0
    made, real = lossless(tmp_path / "s"), lossless(tmp_path / "s" / "real")
    assert np.array_equal(made[0], real[0]) and not np.array_equal(made[1], real[1])


def test_both_axes_are_scored(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classifiers that always say the same are right on the clips that were asked for that."""
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    for name, says in (("action", 1), ("identity", 0)):
        network = ActionNetwork(2, 1)
        last = network.layers[-1]
        with torch.no_grad():
            last.weight.zero_()  # type: ignore[operator]
            last.bias.copy_(9 * torch.eye(2)[says])  # type: ignore[operator]
        save_file(network.state_dict(), tmp_path / f"{name}.safetensors", {"classes": "2", "width": "1"})
    few = [f"--evaluate.protocol.n_{kind}=9" for kind in ("real", "fake")]
    assert main(["test", str(run), "--config", "protocol/attribute_control", *few, *OFF]) == 0
    ((_, entry),) = read_json(run / "results.json")["results"].items()
    shared = {"size": 32, "frames": 10, "video_frames": 24, "motions": ["jump", "kick"], "identities": (2, 2, 2)}
    data = Puppet(**shared, **VIDEOS, identity_split="shared")  # type: ignore[arg-type]
    labels = data.open_store("test").attributes
    values = {name: entry["values"][name]["value"] for name in entry["values"]}
    assert values["mcs[action]"] == pytest.approx((labels["category"] == 1).mean())
    assert values["mcs[action]_identity"] == pytest.approx((labels["subject"] == 0).mean())
    assert 0 < values["mcs[action]"] < 1 and values["mcs[action]"] != values["mcs[action]_identity"]
    assert values["inter_entropy[action]"] == pytest.approx(values["intra_entropy[action]"])
