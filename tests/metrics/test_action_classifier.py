"""The classifier of categories: trained by the command, read back, and asked by the metrics that need one."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from datamodules.errors import BenchError
from datamodules.synthetic.moving_digits import MovingDigits
from datamodules.synthetic.shape_motion import ShapeMotion
from experiments import classifier as command
from metrics.classifier_score import MotionControlScore
from metrics.entropy import InterEntropy, IntraEntropy
from metrics.features.action_classifier import ActionClassifier, save_classifier
from metrics.features.action_network import ActionNetwork, shown
from metrics.features.action_training import Training, cropped, fit, labels, sizes
from metrics.suite import MetricSuite
from tests.metrics.array_data import ArrayData, noise_clips
from tests.metrics.test_protocol_configs import FOLDER, OF_CATEGORIES, load

SETTINGS = ["--steps", "150", "--batch", "16", "--width", "4", "--lr", "1e-3"]
DATA = ["--data.size", "32", "--data.frames", "10", "--data.stride", "2", "--data.val_videos", "48"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of shape motion's two directions."""
    out = tmp_path_factory.mktemp("classifier") / "action.safetensors"
    assert command.main(["data/shape_motion", "-o", str(out), *SETTINGS, *DATA]) == 0
    return out


@pytest.fixture
def weights(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(trained.parent))
    return trained


def test_the_file_says_what_it_is(weights: Path) -> None:
    network = ActionClassifier("action.safetensors")
    assert network.num_features == 2 and network.level == "clip"
    assert network.about["data"] == "shape_motion" and network.about["attribute"] == "category"
    assert float(network.about["accuracy"]) > 0.9
    assert ActionClassifier(str(weights)).fingerprint == network.fingerprint
    assert not any(path.name.startswith(".") for path in weights.parent.iterdir())


@pytest.mark.parametrize("name", sorted(OF_CATEGORIES))
def test_protocols_that_ask_it(name: str, weights: Path) -> None:
    """Real clips, half of them asked for wrongly: the score is one half, and the entropies are those of sure clips."""
    settings, metrics = load(FOLDER / f"{name}.yaml", "--evaluate.protocol.n_real=32", "--evaluate.protocol.n_fake=32")
    assert settings.label == name and settings.frames is not None and settings.stride == 2
    data = ShapeMotion(size=32, frames=settings.frames, stride=2)
    suite = MetricSuite(metrics)
    suite.prepare(data, settings.resolve(data))
    batch = data.eval_batch("test", range(32), settings.frames, 2, 0)
    labels = batch["attributes"]["category"]
    batch["requested"] = {"category": torch.where(torch.arange(32) < 16, labels, 1 - labels)}
    suite.update(batch["video"], batch["video"], batch)
    results = suite.results()
    if name == "mocogan_mcs":
        result = results["mcs[action]"]
        accuracy = float(result.note.split("real clips: ")[1].split(" ")[0])
        assert accuracy > 0.85 and result.value is not None and abs(result.value - 0.5) <= 1 - accuracy
        return
    intra, inter = results["intra_entropy[action]"].value, results["inter_entropy[action]"].value
    assert intra is not None and inter is not None and intra < 0.4
    assert math.log(2) - 0.1 < inter <= math.log(2) + 1e-6
    score = results["is1[action]"].value
    assert score is not None and math.log(score) == pytest.approx(inter - intra, rel=1e-6)


def test_training_repeats_itself_and_leaves_the_generator_alone() -> None:
    data = ShapeMotion(size=32, frames=8)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, other, third = (
        fit(data, Training(steps=2, batch=4, width=2, lr=1e-3, seed=seed))[0].state_dict() for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert not torch.equal(one["layers.0.weight"], third["layers.0.weight"])


def test_layers_are_those_of_the_original() -> None:
    network = ActionNetwork(10, 64)
    shapes = [tuple(p.shape) for name, p in network.named_parameters() if p.ndim == 5]
    widths = [(64, 3), (128, 64), (256, 128), (512, 256), (10, 512)]
    assert shapes == [(*width, 4, 4, 4) for width in widths]
    assert [i for i, layer in enumerate(network.layers) if isinstance(layer, torch.nn.BatchNorm3d)] == [3, 6, 9]
    small = ActionNetwork(3, 2).eval()
    for frames in (8, 10, 16):
        assert small(torch.zeros(2, 3, frames, 64, 64)).shape == (2, 3)
    clips = noise_clips(0, 2, 3, 4, 64, 64)
    assert torch.equal(shown(clips), clips / 127.5 - 1)
    assert shown(noise_clips(0, 2, 3, 4, 32, 48)).shape == (2, 3, 4, 64, 64)


def test_what_is_no_classifier(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(BenchError, match=r"there is no classifier .*nowhere.safetensors .*reelbench classifier"):
        ActionClassifier("nowhere.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "odd.safetensors", {"classes": "2", "width": "4"})
    for name in ("text", "other", "odd"):
        with pytest.raises(BenchError, match=f"{name}.safetensors is not what `reelbench classifier` writes"):
            ActionClassifier(str(tmp_path / f"{name}.safetensors"))
    for metric in (MotionControlScore, IntraEntropy, InterEntropy):
        assert "[action]" in metric(ActionClassifier("action.safetensors")).name


def test_data_and_arguments_that_give_no_classifier(tmp_path: Path) -> None:
    out = str(tmp_path / "x.safetensors")
    with pytest.raises(BenchError, match="arrays has the attributes none"):
        fit(ArrayData(train=noise_clips(0, 4, 3, 8, 16, 16)), Training(steps=1, batch=2, width=2))
    with pytest.raises(BenchError, match="frames of at least 8, found 4"):
        command.main(["data/shape_motion", "-o", out, "--data.frames", "4"])
    with pytest.raises(BenchError, match="--steps must be at least 1, found 0"):
        command.main(["data/shape_motion", "-o", out, "--steps", "0"])
    with pytest.raises(BenchError, match=r"--out must end in .safetensors, found x.pt"):
        command.main(["data/shape_motion", "-o", "x.pt"])
    assert not Path(out).exists()


def test_joined_attributes_are_all_pairs() -> None:
    data = MovingDigits(size=16, frames=8, train_videos=600, val_videos=4, test_videos=4)
    assert sizes(data, "digit0+digit1") == [10, 10] and sizes(data, "digit1") == [10]
    attributes = {"digit0": torch.tensor([0, 1, 9]), "digit1": torch.tensor([7, 0, 9])}
    assert labels(data, attributes, "digit0+digit1").tolist() == [7, 10, 99]
    assert labels(data, attributes, "digit1").tolist() == [7, 0, 9]
    network, classes = fit(data, Training("digit0+digit1", steps=1, batch=2, width=2))
    assert classes == 100 and network.layers[-1].out_channels == 100
    with pytest.raises(BenchError, match=r"two classes of digit0\+odd or more; moving_digits has .*digit0, digit1"):
        sizes(data, "digit0+odd")


def test_crops_are_windows_at_places_of_their_own() -> None:
    clips = noise_clips(0, 40, 3, 2, 12, 10)
    places = set()
    for clip, window in zip(clips, cropped(clips, 3, (0, 5)), strict=True):
        found = [(y, x) for y in range(4) for x in range(4) if torch.equal(window, clip[..., y : y + 9, x : x + 7])]
        places |= set(found)
        assert len(found) == 1
    assert len(places) > 12
    assert torch.equal(cropped(clips, 3, (0, 5)), cropped(clips, 3, (0, 5)))
    assert not torch.equal(cropped(clips, 3, (0, 5)), cropped(clips, 3, (0, 6))) and cropped(clips, 0, (0, 5)) is clips
    middle = noise_clips(1, 2, 3, 8, 69, 69)
    assert torch.equal(shown(middle, 5), shown(middle[..., 2:66, 2:66]))  # 5: two before, three after


def test_the_file_knows_its_crop(tmp_path: Path) -> None:
    network = ActionNetwork(2, 2).eval()
    for crop in (0, 5):
        save_classifier(network, tmp_path / f"{crop}.safetensors", classes="2", width="2", crop=str(crop))
    whole, middle = (ActionClassifier(str(tmp_path / f"{crop}.safetensors")) for crop in (0, 5))
    clips = noise_clips(0, 2, 3, 8, 69, 69)
    assert torch.equal(middle(clips), whole(clips[..., 2:66, 2:66])) and middle.fingerprint != whole.fingerprint
    data = ShapeMotion(size=16, frames=8)
    with pytest.raises(BenchError, match="a crop must be at least 0 and below the frames' 16x16, found 16"):
        fit(data, Training(steps=1, crop=16))


def test_the_learning_rate_falls_by_the_decay(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    class Watched(torch.optim.Adam):
        def step(self, closure: Any = None) -> Any:
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Watched)
    data = MovingDigits(size=16, frames=8, train_videos=40, val_videos=4, test_videos=4)  # two steps an epoch
    fit(data, Training("digit0", steps=5, batch=20, width=2, lr=1.0, decay=0.5))
    assert rates == [1, 1, 0.5, 0.5, 0.25]
