from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.svg.blocks import batch_statistics, norms
from lightning_modules.svg.losses import kl_divergence
from lightning_modules.svg.module import SVG
from lightning_modules.svg.networks import Forecast, StochasticPredictor, skip_frame
from lightning_modules.svg.recurrent import Gaussian, GaussianLstm
from tests.helpers.built import PAPER_CONFIGS, model_args
from tests.helpers.svg_loop import decode, literal_pass

TINY: dict[str, Any] = {"size": 32, "frames": 6, "context": 3, "nf": 2, "g_dim": 5, "z_dim": 3, "rnn_size": 4}
PARTS = ("encoder", "decoder", "frame_predictor", "posterior", "prior")


def tiny(**options: Any) -> SVG:
    """Weights well scaled: those of a fresh network give nearly grey frames."""
    torch.manual_seed(3)
    method = SVG(**{**TINY, **options})
    for name, value in method.generator.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value) * 0.4)
    return method


def count(module: nn.Module | None) -> int:
    return 0 if module is None else sum(p.numel() for p in module.parameters())


SIZES: dict[str, dict[str, Any]] = {
    "smmnist": {"size": 64, "z_dim": 10},
    "kth_64": {"size": 64, "backbone": "vgg", "z_dim": 24},
    "kth_128": {"size": 128, "backbone": "vgg", "z_dim": 32},
    "bair": {"size": 64, "backbone": "vgg", "z_dim": 64, "channels": 3},
}


@pytest.mark.parametrize(
    ("sizes", "counts", "totals"),
    [
        ("smmnist", (3_805_376, 6_558_529, 1_121_152, 564_500), (12_614_057, 12_049_557, 11_482_497)),
        ("kth_64", (8_688_448, 11_821_505, 1_124_736, 571_696), (22_778_081, 22_206_385, 21_628_545)),
        ("kth_128", (15_770_944, 21_263_297, 1_126_784, 575_808), (39_312_641, 38_736_833, 38_152_833)),
        ("bair", (8_689_600, 11_822_659, 1_134_976, 592_256), (22_831_747, 22_239_491, 21_630_851)),
    ],
)
def test_official_number_of_parameters(sizes: str, counts: tuple[int, ...], totals: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        models = [SVG(**SIZES[sizes], prior=prior).generator for prior in ("learned", "fixed", "none")]
    assert tuple(count(getattr(models[0], part)) for part in PARTS) == (*counts, counts[-1])
    assert tuple(map(count, models)) == totals


def test_official_number_of_parameters_of_dcgan_128() -> None:
    with torch.device("meta"):
        grey, colour = (SVG(size=128, channels=channels).generator for channels in (1, 3))
    assert (count(grey.encoder), count(grey.decoder)) == (8_001_216, 14_948_673)
    assert (count(colour.encoder), count(colour.decoder)) == (8_003_264, 14_952_771)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("svg", 12_614_057),
        ("svg_fp", 12_049_557),
        ("svg_deterministic", 11_482_497),
        ("svg_kth", 22_206_385),
        ("svg_bair", 22_831_747),
    ],
)
def test_paper_configs_are_full_width(config: str, expected: int) -> None:
    assert config in PAPER_CONFIGS
    path, arguments = model_args(config)
    assert path == "lightning_modules.svg.module.SVG"
    with torch.device("meta"):
        assert count(SVG(**arguments)) == expected


@pytest.mark.parametrize(
    ("source", "numbers"),
    [
        ("svg_code", [0, 1, 2, 3, 3, 3, 3]),  # 5 given frames: of the last but one, frame 3
        ("last_cond", [0, 1, 2, 3, 4, 4, 4]),
        ("every_frame", [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_which_frame_the_decoder_sees(source: Any, numbers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert [skip_frame(t, 5, source) for t in range(1, 8)] == numbers
    network = tiny(skip_source=source, prior="none").generator.eval()
    encode, seen = network.encode, network.decoder.seen
    used: list[float] = []

    def numbered(video: Tensor) -> Any:
        """Maps that hold their frame's number."""
        codes, maps = encode(video)
        return codes, [[torch.full_like(m, t) for m in of_frame] for t, of_frame in enumerate(maps)]

    monkeypatch.setattr(network, "encode", numbered)

    def noted(maps: list[Tensor]) -> list[Tensor]:
        used.append(float(maps[0].max()))
        return seen(maps)

    monkeypatch.setattr(network.decoder, "seen", noted)
    with torch.no_grad():
        video, eps = torch.rand(2, 1, 8, 32, 32), torch.empty(1, 2, 7, 0)
        network(video, eps, 5)
        assert used == sorted(set(numbers))  # in training, each once for all the frames that it serves
        for shown in (network(video[:, :, :5], eps, 5).video, network.reconstruct(video, 5)):
            assert shown.shape == (2, 1, 3, 32, 32)
        first = [used[i] for i in (len(set(numbers)), len(set(numbers)) + (3 if source == "every_frame" else 1))]
        assert first == [numbers[4]] * 2


@pytest.mark.parametrize("options", [{}, {"backbone": "vgg", "size": 64}, {"backbone": "vgg", "size": 128}])
def test_maps_convolved_apart_are_maps_stacked(options: dict[str, Any]) -> None:
    network = tiny(**options).generator.eval()
    size = options.get("size", 32)
    with torch.no_grad():
        codes, maps = network.encoder(torch.rand(2, 1, size, size))
        apart = network.decoder(codes, network.decoder.seen(maps))
        torch.testing.assert_close(apart, decode(network.decoder, codes, maps), atol=1e-6, rtol=1e-5)
    assert apart.std() > 0.01
    shapes = [m.shape[-1] for m in maps]
    assert shapes == ([16, 8, 4] if not options else [size >> i for i in range(size.bit_length() - 3)])


@pytest.mark.parametrize("prior", ["learned", "fixed", "none"])
@pytest.mark.parametrize("skip_source", ["svg_code", "every_frame"])
def test_one_pass_a_frame_is_the_literal_loop(prior: Any, skip_source: Any) -> None:
    """Predictions, gradients and, with a learned prior, whose loop encodes inner frames twice, running statistics."""
    torch.manual_seed(0)
    video, eps = torch.rand(4, 1, 6, 32, 32), torch.randn(1, 4, 5, 0 if prior == "none" else 3)
    found: list[tuple[SVG, Forecast]] = []
    for ours in (True, False):
        method = tiny(prior=prior, skip_source=skip_source).train()
        g = method.generator
        forecast = g(video, eps, 3) if ours else literal_pass(g, video, eps[0], 3)
        method.loss(forecast, video)[0].backward()
        found.append((method, forecast))
    (one, mine), (two, theirs) = found
    torch.testing.assert_close(mine.video, theirs.video, atol=1e-6, rtol=1e-5)
    for name, parameter in one.named_parameters():
        other = two.get_parameter(name).grad
        torch.testing.assert_close(parameter.grad, other, atol=1e-6, rtol=1e-3, msg=name)
    for name, buffer in one.named_buffers():
        if "running" in name and ("decoder" in name or prior == "learned"):
            torch.testing.assert_close(buffer, two.get_buffer(name), atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize(("prior", "twice"), [("learned", True), ("fixed", False)])
def test_updates_of_running_statistics(prior: Any, twice: bool) -> None:
    """Against the closed form: mean <- 0.9 mean + 0.1 of the frame, inner frames of a learned prior two times."""
    video, eps = torch.rand(4, 1, 6, 32, 32), torch.randn(1, 4, 5, 3)
    for updates in ("svg_code", "once"):
        method = tiny(prior=prior, bn_updates=updates).train()
        first: Any = method.generator.encoder.get_submodule("c1.main")
        mean = first[1].running_mean.clone()
        with torch.no_grad():
            frame_means = [first[0](frame).mean((0, 2, 3)) for frame in video.unbind(2)]
        for t, of_frame in enumerate(frame_means):
            for _ in range(2 if twice and updates == "svg_code" and 0 < t < 5 else 1):
                mean = 0.9 * mean + 0.1 * of_frame
        method.generator(video, eps, 3)
        torch.testing.assert_close(first[1].running_mean, mean)
        assert all(layer.momentum == 0.1 for layer in norms(method))


def test_batch_statistics_leave_the_running_ones_alone() -> None:
    network = tiny().generator.eval()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    frames = torch.rand(4, 1, 32, 32)
    with torch.no_grad():
        running, _ = network.encoder(frames)
        with batch_statistics(network):
            batch, _ = network.encoder(frames)
        network.train()
        trained, _ = network.encoder(frames)
    assert not torch.allclose(running, batch) and torch.equal(batch, trained)
    network.eval()
    network.load_state_dict({**network.state_dict(), **before})
    with torch.no_grad(), batch_statistics(network):
        network.encoder(frames)
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    assert not any(layer.training or not layer.track_running_stats for layer in norms(network))


def test_running_statistics_let_frames_go_through_at_once() -> None:
    network = tiny().generator.eval()
    video = torch.rand(3, 1, 4, 32, 32)
    with torch.no_grad():
        codes, maps = network.encode(video)
        for t, frame in enumerate(video.unbind(2)):
            code, of_frame = network.encoder(frame)
            torch.testing.assert_close(codes[:, t], code)
            for together, alone in zip(maps[t], of_frame, strict=True):
                torch.testing.assert_close(together, alone)


def moved_by(network: StochasticPredictor, frame: int) -> dict[str, list[bool]]:
    """Which steps change when one frame of a known video is another."""
    video, eps = torch.rand(2, 1, 6, 32, 32), torch.randn(1, 2, 5, 3)
    changed = video.clone()
    changed[:, :, frame] = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        one, two = network(video, eps, 3), network(changed, eps, 3)
    assert one.posterior is not None and one.prior is not None
    return {
        "posterior": (one.posterior.mean != two.posterior.mean).any(-1).any(0).tolist(),
        "prior": (one.prior.mean != two.prior.mean).any(-1).any(0).tolist(),
    }


def test_what_posterior_and_prior_have_seen() -> None:
    network = tiny().generator.eval()
    for frame in range(6):
        moved = moved_by(network, frame)
        # step i is z_i, for i from 1: the posterior has seen x_1 to x_i, the prior x_0 to x_i-1
        assert moved["posterior"] == [frame >= 1 and i >= frame for i in range(1, 6)]
        assert moved["prior"] == [i - 1 >= frame for i in range(1, 6)]


def gaussian(*shape: int) -> Gaussian:
    return Gaussian(torch.randn(*shape), torch.randn(*shape))


def test_kl_known_answers() -> None:
    torch.manual_seed(0)
    q, p = gaussian(4, 3, 6), gaussian(4, 3, 6)
    torch.testing.assert_close(kl_divergence(q, q), torch.zeros(4, 3), atol=1e-6, rtol=0)
    standard = Gaussian(torch.zeros(4, 3, 6), torch.zeros(4, 3, 6))
    torch.testing.assert_close(kl_divergence(q, None), kl_divergence(q, standard))
    normal = [torch.distributions.Normal(g.mean.double(), (g.logvar.double() / 2).exp()) for g in (q, p)]
    expected = torch.distributions.kl_divergence(*normal).sum(-1).float()
    torch.testing.assert_close(kl_divergence(q, p), expected)
    assert kl_divergence(Gaussian(q.mean.bfloat16(), q.logvar.bfloat16()), None).dtype == torch.float32


def test_a_draw_of_a_gaussian() -> None:
    made = Gaussian(torch.full((1, 1, 2), 3.0), torch.tensor([[[0.0, 4.0]]]).log()).at(torch.full((1, 1, 2), 0.5))
    torch.testing.assert_close(made, torch.tensor([[[3.0, 4.0]]]))  # standard deviations 0 and 2


def test_draws_of_a_clip_share_its_memory() -> None:
    network = tiny().generator.eval()
    codes, eps = torch.randn(2, 3, 5), torch.randn(6, 2, 3)
    with torch.no_grad():
        z, memory = network._of_known(codes, eps, 3)
        _, of_clips = network._of_known(codes, eps[:2], 1)
        for draw in range(3):
            rows = slice(2 * draw, 2 * draw + 2)
            torch.testing.assert_close(z[rows], network._of_known(codes, eps[rows], 1)[0])
            assert memory is not None and of_clips is not None
            torch.testing.assert_close([(h[rows], c[rows]) for h, c in memory], of_clips)


def test_scanning_is_stepping() -> None:
    torch.manual_seed(0)
    network = GaussianLstm(4, 3, 5, 2)
    x = torch.randn(2, 6, 4)
    whole, (*_, (h, c)) = network(x)
    state, means = None, []
    for t in range(6):
        step, state = network(x[:, t : t + 1], state)
        means.append(step.mean)
    assert state is not None
    torch.testing.assert_close(torch.cat(means, 1), whole.mean)
    torch.testing.assert_close((h, c), state[-1])
    nothing, state = network(x[:, :0])
    assert nothing.mean.shape == (2, 0, 3) and not any(s.any() for layer in state for s in layer)


def test_start_of_the_official_code() -> None:
    torch.manual_seed(0)
    g = SVG(size=32, nf=32, rnn_size=128).generator
    kernels = torch.cat([m.weight.flatten() for m in g.modules() if isinstance(m, nn.Conv2d | nn.Linear)]).detach()
    scales = torch.cat([layer.weight for layer in norms(g)]).detach()
    assert float(kernels.std()) == pytest.approx(0.02, rel=0.01) and abs(float(kernels.mean())) < 1e-4
    assert float(scales.mean()) == pytest.approx(1, abs=0.005) and float(scales.std()) == pytest.approx(0.02, rel=0.2)
    assert not any(
        m.bias is not None and m.bias.any()
        for m in g.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    )
    cells = torch.cat([p.flatten() for n, p in g.named_parameters() if ".lstm." in n]).detach()
    bound = 128**-0.5  # PyTorch's own, uniform
    assert bound * 0.99 < cells.abs().max() <= bound and float(cells.std()) == pytest.approx(bound / 3**0.5, rel=0.02)
