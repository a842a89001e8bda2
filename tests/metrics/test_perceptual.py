from pathlib import Path

import jsonargparse
import pytest
import torch
import yaml
from torch import Tensor, nn

from datamodules.errors import BenchError
from metrics.perceptual import Lpips
from metrics.protocol import ProtocolSettings
from tests.metrics.array_data import ArrayData, noise_clips, numbered
from tests.metrics.test_pixel_metrics import noisy


class ToyNetwork(nn.Module):
    """Mean squared difference of one filter's answers: 0 for equal frames, as LPIPS."""

    def __init__(self, net: str = "alex") -> None:
        super().__init__()
        self.net = net
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.conv = nn.Conv2d(3, 4, 3)
        self.sizes: list[int] = []

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        assert a.shape[1] == 3 and a.dtype == torch.float32 and a.abs().max() <= 1
        self.sizes.append(len(a))
        return (self.conv(a) - self.conv(b)).square().mean(dim=(1, 2, 3))


def load_toy(name: str = "alex") -> ToyNetwork:
    if name == "lost":
        raise BenchError("the weights of lost are missing")
    return ToyNetwork(name)


@pytest.mark.parametrize("channels", [1, 3])
def test_mean_over_frames_then_clips(channels: int) -> None:
    real = noise_clips(0, 5, channels, 4, 16, 16)
    fake = noisy(real, 20)
    network = ToyNetwork()
    metric = Lpips(network, frames_at_once=3)
    metric.update(fake[:2], real[:2], numbered(0, 1))
    metric.update(fake[2:], real[2:], numbered(2, 3, 4))
    assert network.sizes == [3, 3, 2, 3, 3, 3, 3]
    expected = torch.empty(5, 4)
    for b in range(5):
        for t in range(4):
            x, y = (c[b, :, t].expand(3, -1, -1)[None].float() / 255 * 2 - 1 for c in (fake, real))
            expected[b, t] = ToyNetwork()(x, y).detach()
    result = metric.result()
    assert result.value == pytest.approx(float(expected.mean()), rel=1e-5)
    assert result.standard_error == pytest.approx(float(expected.mean(1).std() / 5**0.5), rel=1e-4)
    assert result.curve is not None and result.curve.mean == pytest.approx(expected.mean(0).tolist(), rel=1e-5)
    assert metric.name == "lpips[alex]" and metric.higher_is_better is False


def test_equal_frames_are_at_distance_zero() -> None:
    real = noise_clips(0, 2, 3, 4, 16, 16)
    metric = Lpips(ToyNetwork())
    metric.update(real, real, numbered(0, 1))
    assert metric.result().value == 0.0


def test_network_never_trains_and_autocast_moves_nothing() -> None:
    real = noise_clips(0, 2, 3, 4, 16, 16)
    metric, other = Lpips(ToyNetwork()), Lpips(ToyNetwork())
    assert not any(p.requires_grad for p in metric.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        metric.update(noisy(real, 9), real, numbered(0, 1))
    other.update(noisy(real, 9), real, numbered(0, 1))
    assert metric.result() == other.result()


def test_weights_are_in_the_fingerprint() -> None:
    other = ToyNetwork()
    with torch.no_grad():
        other.conv.weight.mul_(2)
    assert Lpips(ToyNetwork()).fingerprint == Lpips(ToyNetwork()).fingerprint != Lpips(other).fingerprint


def test_loaded_when_an_evaluation_starts() -> None:
    real = noise_clips(0, 2, 3, 4, 16, 16)
    data = ArrayData(val=real)
    protocol = ProtocolSettings(n_real=2, n_fake=2).resolve(data)
    metric = Lpips(load_toy, net="vgg")
    before = metric.fingerprint
    with pytest.raises(BenchError, match=r"lpips\[vgg\]: prepare\(data, protocol\) comes before update"):
        metric.update(real, real, numbered(0, 1))
    metric.prepare(data, protocol)
    network = metric.network
    metric.prepare(data, protocol)
    assert metric.network is network and isinstance(network, ToyNetwork) and network.net == "vgg"
    assert metric.fingerprint == before  # else a missing number would stand in another column than the measured one
    metric.update(noisy(real, 9), real, numbered(0, 1))
    given = Lpips(ToyNetwork("vgg"), net="vgg")
    given.update(noisy(real, 9), real, numbered(0, 1))
    assert metric.result().value == given.result().value
    lost = Lpips(load_toy, net="lost")
    assert "load_toy" in lost.fingerprint
    with pytest.raises(BenchError, match="the weights of lost are missing"):
        lost.prepare(data, protocol)


def test_from_a_config(tmp_path: Path) -> None:
    init_args = {"network": f"{__name__}.load_toy", "net": "vgg"}
    (tmp_path / "c.yaml").write_text(
        yaml.safe_dump({"metric": {"class_path": "metrics.perceptual.Lpips", "init_args": init_args}})
    )
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Lpips, "metric")
    parser.add_argument("--config", action="config")
    metric = parser.instantiate(parser.parse_args([f"--config={tmp_path / 'c.yaml'}"])).metric
    assert isinstance(metric, Lpips) and metric.name == "lpips[vgg]" and metric.network is None


def test_a_network_of_another_net_is_refused() -> None:
    with pytest.raises(BenchError, match=r"lpips\[alex\]: the network given is the one of net vgg"):
        Lpips(ToyNetwork("vgg"))
    with pytest.raises(BenchError, match="frames_at_once must be at least 1"):
        Lpips(ToyNetwork(), frames_at_once=0)


def test_a_network_that_gives_a_map_is_refused() -> None:
    class Spatial(ToyNetwork):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (a - b).abs()

    real = noise_clips(0, 2, 3, 4, 16, 16)
    with pytest.raises(BenchError, match="expected one distance a pair"):
        Lpips(Spatial()).update(real, real, numbered(0, 1))


def test_nan_is_no_number() -> None:
    class Broken(ToyNetwork):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.full((len(a),), float("nan"))

    real = noise_clips(0, 2, 3, 4, 16, 16)
    metric = Lpips(Broken())
    metric.update(real, real, numbered(0, 1))
    result = metric.result()
    assert result.value is None and result.curve is None and "2 of 2 generated clips" in result.note
