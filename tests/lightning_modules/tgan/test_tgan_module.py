import copy
from collections.abc import Callable
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datamodules.base import ClipData
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise
from lightning_modules.tgan import module as module_file
from lightning_modules.tgan.module import TGAN
from lightning_modules.tgan.networks import VideoGenerator, interpolate
from lightning_modules.tgan.official import NETWORKS, our_key
from tests.helpers.built import model_args

Data = Callable[..., ClipData]
TrainerFactory = Callable[..., L.Trainer]


def tiny(**options: Any) -> TGAN:
    torch.manual_seed(0)
    arguments = {"size": 32, "dim_slow": 6, "dim_fast": 5, "ngt": 4, "ngf": 1, "ndf": 2, "init": "paper"}
    return TGAN(**{**arguments, **options})


def lively(**options: Any) -> TGAN:
    """In eval mode, with weights that make pictures: those of a fresh one give grey."""
    model = tiny(ngf=4, **options).eval()
    with torch.no_grad():
        for p in model.generator.parameters():
            if p.ndim > 1:
                p.normal_(0, 0.3)
    return model


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_official_number_of_parameters() -> None:
    with torch.device("meta"):
        model, beta, grey = TGAN(), TGAN(beta=True), TGAN(channels=1)
    assert isinstance(model.generator, VideoGenerator) and isinstance(beta.generator, VideoGenerator)
    assert (count(model.generator.temporal), count(beta.generator.temporal)) == (825_444, 826_468)
    assert (count(model.generator.image), count(grey.generator)) == (3_622_691, 825_444 + 3_622_113)
    assert [count(m.critic) for m in (model, beta, grey)] == [11_032_449, 11_033_409, 11_024_257]


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("tgan", {}),
        ("tgan_conditional", {"categories": 101}),
        ("tgan_weight_clip", {"objective": "weight_clip"}),
        ("tgan_vanilla", {"objective": "vanilla"}),
        ("tgan_3d", {"architecture": "volume"}),
    ],
)
def test_paper_configs_differ_from_tgan_in_one_thing(name: str, differs: dict[str, Any]) -> None:
    path, arguments = model_args(name)
    assert path.endswith(".TGAN") and arguments == {"size": 64, "frames": 16, **differs}


@pytest.mark.parametrize("init", ["code", "paper", "uniform"])
def test_start(init: Any) -> None:
    model = TGAN(size=32, ngt=64, ngf=8, ndf=16, init=init)
    assert isinstance(model.generator, VideoGenerator)
    gain = {"code": 1.0, "paper": 2.0, "uniform": 0.0}[init]
    # fan in of a transposed convolution counts the output channels: 2 * ngt channels by a kernel of 4
    expected = {
        model.generator.temporal.get_parameter("dc1.weight"): (gain / (128 * 4)) ** 0.5,
        model.critic.get_parameter("c2.weight"): (gain / (32 * 64)) ** 0.5,
        model.generator.image.get_parameter("dc1.weight"): 0.0,
        model.generator.image.get_parameter("l0s.weight"): 0.0,
    }
    for parameter, deviation in expected.items():
        drawn = parameter.detach()
        assert float(drawn.std()) == pytest.approx(deviation or 0.01 / 3**0.5, rel=0.05)
        assert (drawn.abs().max() <= 0.01) == (deviation == 0)
    assert all(not p.any() for name, p in model.named_parameters() if name.endswith("bias"))


def test_each_frame_is_its_own_codes() -> None:
    model = tiny(categories=3).eval()
    g, z = model.generator, torch.rand(2, 6)
    assert isinstance(g, VideoGenerator)
    one_hot = torch.eye(3)[[2, 0]]
    with torch.no_grad():
        video = g(z, one_hot)
        fast = g.temporal(torch.cat([z, one_hot], 1))
        alone = g.image(z[1:], fast[1:, :, 7], one_hot[1:])
    assert video.shape == (2, 3, 16, 32, 32)
    torch.testing.assert_close(video[1:, :, 7], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("finer", [1, 2, 5])
def test_interpolated_clips_hold_the_clip_s_own_frames(finer: int) -> None:
    model, index = lively(), torch.arange(2)
    own = model.sample({}, ClipNoise(3, index))
    model.finer = finer
    more = model.sample({}, ClipNoise(3, index))
    assert more.shape[2] == 15 * finer + 1
    torch.testing.assert_close(more[:, :, ::finer], own, atol=1e-6, rtol=0)
    if finer > 1:
        assert not torch.allclose(more[:, :, 1], own[:, :, 0], atol=1e-6)


def test_codes_between_lie_on_the_line() -> None:
    fast = torch.randn(2, 3, 16)
    between = interpolate(fast, 4)
    assert torch.equal(between[..., ::4], fast)
    torch.testing.assert_close(between[..., 5], 0.75 * fast[..., 1] + 0.25 * fast[..., 2])


def test_what_has_no_codes_is_not_interpolated() -> None:
    model = tiny(architecture="volume")
    model.finer = 2
    with pytest.raises(BenchError, match="finer is 2"):
        model.sample({}, ClipNoise(0, torch.arange(1)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 32}, "frames is 32, but TGAN makes clips of 16"),
        ({"size": 40}, "multiple of 16 .* found 40"),
        ({"svc_every": 0}, "svc_every must be at least 1, found 0"),
        ({"categories": -1}, "categories must be 0"),
    ],
)
def test_what_the_architecture_cannot_make(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        TGAN(**arguments)


def test_data_that_do_not_fit(squares: Data, trainer: TrainerFactory) -> None:
    for options, data, message in [
        ({"categories": 2}, {}, "run from 0 to 2; it must be at least 3"),
        ({}, {"batch_size": 1}, "needs at least 2 clips"),
        ({}, {"size": 16}, "size is 32, but"),
    ]:
        with pytest.raises(BenchError, match=message):
            trainer(max_steps=1).fit(tiny(**options), squares(**{"frames": 16, **data}))


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"svc_every": 3}, [3, 6]),
        ({"svc_every": 1}, [1, 2, 3, 4, 5, 6, 7]),
        ({"objective": "weight_clip"}, [1, 2, 3, 4, 5, 6, 7]),
        ({"objective": "vanilla"}, []),
    ],
)
def test_when_the_critic_is_clipped(
    squares: Data, trainer: TrainerFactory, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], steps: list[int]
) -> None:
    seen: list[int] = []
    model = tiny(**options)
    for name in ("clip_critic_singular_values", "clip_critic_weights"):
        monkeypatch.setattr(module_file, name, lambda _: seen.append(model.global_step))
    trainer(max_steps=7).fit(model, squares(frames=16))
    assert seen == steps


@pytest.mark.parametrize(
    "options",
    [
        {"svc_every": 1},
        {"svc_every": 1, "architecture": "volume", "categories": 3},
        {"objective": "weight_clip", "beta": True},
        {"objective": "vanilla", "categories": 3},
    ],
)
def test_a_step_moves_every_trained_parameter_and_keeps_the_bounds(
    squares: Data, trainer: TrainerFactory, options: dict[str, Any]
) -> None:
    model = tiny(**options)
    before = copy.deepcopy(model.state_dict())
    run = trainer(max_steps=2)
    run.fit(model, squares(frames=16))
    assert run.global_step == 2 and all(v.isfinite() for v in run.callback_metrics.values())
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert not torch.equal(parameter, before[name]), name
    if model.objective == "weight_clip":
        assert all(p.abs().max() <= 0.01 for p in model.critic.parameters())
    if model.objective == "svc":
        kernels = [p.double().flatten(1) for p in model.critic.parameters() if p.ndim > 1]
        assert all(torch.linalg.matrix_norm(k, 2) <= 1 + 1e-5 for k in kernels)
    assert model.critic.get_parameter("c4.bias").requires_grad == (model.objective == "vanilla")


def test_bias_that_is_frozen_has_no_gradient_anyway() -> None:
    model = tiny()
    bias = model.critic.get_parameter("c4.bias").requires_grad_(True)
    clips = torch.rand(3, 3, 16, 32, 32)
    model.critic_losses(clips, clips.flip(2), clips[:, 0, 0, 0, :0])["critic"].backward()
    assert bias.grad is not None and float(bias.grad) == 0


def test_vanilla_losses_by_hand() -> None:
    model = tiny(objective="vanilla", noise_sigma=0.0)
    real, fake = torch.rand(2, 3, 3, 16, 32, 32) * 2 - 1
    none = real[:, 0, 0, 0, :0]
    on_real, on_fake = (model.critic(x).detach().double().numpy() for x in (real, fake))
    found = {**model.critic_losses(real, fake, none), **model.generator_losses(fake, none)}
    expected = {  # fake is 1, real is 0
        "critic_real": np.log1p(np.exp(on_real)).mean(),
        "critic_fake": np.log1p(np.exp(-on_fake)).mean(),
        "generator": np.log1p(np.exp(on_fake)).mean(),
    }
    assert {k: float(v) for k, v in found.items()} == pytest.approx(expected, rel=1e-5)


def test_conditional_clips_are_of_the_batch_s_categories() -> None:
    model, index = lively(categories=3), torch.arange(2)
    assert TGAN.needs(categories=3) == {"video", "attributes"} and TGAN.needs() == {"video"}

    def drawn(*categories: int) -> Tensor:
        return model.sample({"attributes": {"category": torch.tensor(categories)}}, ClipNoise(0, index))

    one, two = drawn(0, 1), drawn(0, 2)
    assert torch.equal(one[0], two[0]) and not torch.allclose(one[1], two[1], atol=1e-6)
    batch: Any = {"attributes": {"category": torch.tensor([1, 2])}}
    assert torch.equal(model.requested(batch, ClipNoise(0, index))["category"], torch.tensor([1, 2]))
    assert model.critic(one, torch.eye(3)[[0, 1]]).shape == (2, 1, 1, 1)


def test_names_of_the_official_snapshots() -> None:
    model = tiny(beta=True)
    names = {"W": "weight", "b": "bias", "gamma": "weight", "avg_var": "running_var", "N": None}
    assert {k: our_key(f"x/{k}") for k in names} == {k: v and f"x.{v}" for k, v in names.items()}
    for network in NETWORKS.values():
        assert model.get_submodule(network).state_dict()
    with pytest.raises(KeyError):
        our_key("dc1/kernel")
