from collections.abc import Callable
from itertools import pairwise
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datamodules.base import ClipData
from datamodules.errors import BenchError
from datamodules.stream import StreamSpec
from lightning_modules.contract import ClipNoise
from lightning_modules.mocogan.module import MoCoGAN, category_loss

Data = Callable[..., ClipData]
TrainerFactory = Callable[..., L.Trainer]
CATEGORICAL: dict[str, Any] = {"video_discriminator": "categorical", "dim_category": 3}


def tiny(**options: Any) -> MoCoGAN:
    torch.manual_seed(0)
    arguments = {"size": 32, "frames": 13, "ngf": 2, "ndf": 2, "dim_content": 6, "dim_motion": 4, "image_batch": 4}
    return MoCoGAN(**{**arguments, **options})


def logits_of_q(module: MoCoGAN) -> Tensor:
    """The weights of Q's own logits: the head's rows after the first."""
    return module.video_discriminator.main[-1].weight[1:]  # type: ignore[index]


def clips_and_frames(module: MoCoGAN, n: int = 3) -> tuple[Tensor, Tensor]:
    shape = (n, module.channels, module.frames, module.size, module.size)
    clips = torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return clips, clips[:, :, 0]


VARIANTS: list[dict[str, Any]] = [
    {},
    {"image_discriminator": "image", "video_discriminator": "video", "noise_sigma": 0.1},
    {**CATEGORICAL},
    {**CATEGORICAL, "use_infogan": True},
    {**CATEGORICAL, "use_infogan": True, "q_loss": "infogan"},
    {**CATEGORICAL, "use_infogan": True, "use_categories": True},
    {"dim_category": 6, "init": "default", "channels": 1},
    {**CATEGORICAL, "category_input": "gru", "use_infogan": True, "q_loss": "infogan"},
    {"image_discriminator": "none"},
]


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("size", [32, 64])
def test_losses_are_finite_and_reach_every_parameter_of_their_player(options: dict[str, Any], size: int) -> None:
    module = tiny(**options, size=size, frames=16)
    clips, frames = clips_and_frames(module)
    labels = torch.tensor([0, 2, 1]) if module.use_categories else None
    rounds: list[tuple[nn.Module, Callable[[], dict[str, Tensor]]]] = [
        (module.video_discriminator, lambda: module.video_discriminator_losses(clips, labels)),
        (module.generator, lambda: module.generator_losses(3, 3)),
    ]
    if module.image_discriminator is not None:
        rounds.insert(0, (module.image_discriminator, lambda: module.image_discriminator_losses(frames)))
    for player, losses in rounds:
        module.zero_grad()
        values = losses()
        assert all(value.isfinite() and value.ndim == 0 for value in values.values())
        torch.stack(list(values.values())).sum().backward()
        for name, parameter in player.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        if player is not module.generator:
            assert all(parameter.grad is None for parameter in module.generator.parameters())


@pytest.mark.parametrize(
    ("options", "real", "fake", "generator"),
    [
        ({}, False, False, False),
        ({"use_infogan": True}, False, False, True),  # the authors' command: Q is read and never trained
        ({"use_categories": True}, True, False, False),
        ({"use_infogan": True, "use_categories": True}, True, False, True),
        ({"use_infogan": True, "q_loss": "infogan"}, False, True, True),
        ({"use_infogan": True, "use_categories": True, "q_loss": "infogan"}, True, True, True),
    ],
)
def test_which_losses_read_q(options: dict[str, Any], real: bool, fake: bool, generator: bool) -> None:
    module = tiny(**CATEGORICAL, **options)
    clips, _ = clips_and_frames(module)
    labels = torch.tensor([0, 2, 1]) if module.use_categories else None
    of_videos = module.video_discriminator_losses(clips, labels)
    assert set(of_videos) - {"video_discriminator"} == ({"category_real"} if real else set()) | (
        {"category_fake"} if fake else set()
    )
    assert ("category" in module.generator_losses(2, 2)) == generator
    module.zero_grad()
    torch.stack(list(of_videos.values())).sum().backward()
    gradient = module.video_discriminator.main[-1].weight.grad
    assert isinstance(gradient, Tensor)
    assert (gradient[1:].abs().sum() > 0) == (real or fake)


@pytest.mark.parametrize(
    ("options", "moves"),
    [
        ({"use_infogan": True}, False),
        ({"use_infogan": True, "q_loss": "infogan"}, True),
        ({"use_categories": True}, True),
    ],
)
def test_q_is_trained_only_as_documented(
    squares: Data, trainer: TrainerFactory, options: dict[str, Any], moves: bool
) -> None:
    module = tiny(**CATEGORICAL, **options, weight_decay=0.0)
    before = logits_of_q(module).detach().clone()
    trainer(max_steps=2).fit(module, squares())
    assert torch.equal(logits_of_q(module), before) != moves


def test_a_step_updates_each_player_once_in_the_official_order(squares: Data, trainer: TrainerFactory) -> None:
    module = tiny()
    order: list[str] = []

    class Watch(L.Callback):
        def on_before_optimizer_step(self, *args: Any) -> None:
            owner = {
                id(parameter): name for name in module.players.names for parameter in getattr(module, name).parameters()
            }
            parameters = args[2].param_groups[0]["params"]
            (player,) = {owner[id(parameter)] for parameter in parameters}
            assert len(parameters) == len(list(getattr(module, player).parameters()))
            order.append(player)

    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    run = trainer(max_steps=2, callbacks=[Watch()])
    run.fit(module, squares())
    assert run.global_step == 2
    assert order == ["image_discriminator", "video_discriminator", "generator"] * 2
    assert all(not torch.equal(parameter, before[name]) for name, parameter in module.named_parameters())


def test_without_the_image_discriminator(squares: Data, trainer: TrainerFactory) -> None:
    module = tiny(image_discriminator="none")
    assert set(module.streams) == {"clips"}
    before = {name: p.clone() for name, p in module.named_parameters()}
    trainer(max_steps=1).fit(module, squares())
    assert module.players.names == ["video_discriminator", "generator"]
    assert all(not torch.equal(p, before[name]) for name, p in module.named_parameters())


def test_logged_values(squares: Data, trainer: TrainerFactory) -> None:
    run = trainer(max_steps=1)
    run.fit(tiny(**CATEGORICAL, use_infogan=True, use_categories=True), squares())
    names = ("image_discriminator", "video_discriminator", "category_real", "generator", "category")
    assert set(run.callback_metrics) == {f"train/{name}" for name in names}
    assert all(value.isfinite() and not value.requires_grad for value in run.callback_metrics.values())


def test_four_independent_draws_of_fakes(squares: Data, trainer: TrainerFactory) -> None:
    module = tiny()
    draws: list[tuple[Tensor, ...]] = []
    module.generator.register_forward_pre_hook(lambda _, inputs: draws.append(inputs))
    trainer(max_steps=1).fit(module, squares())
    assert [len(inputs) for inputs in draws] == [5, 4, 5, 4]  # frames (with their times), clips, frames, clips
    for codes in zip(*draws, strict=False):
        if codes[0].shape[1]:
            assert all(not torch.equal(one, two) for one, two in pairwise(codes))


def test_fake_frames_come_from_all_times() -> None:
    module = tiny()
    times: list[Tensor] = []
    module.generator.register_forward_pre_hook(lambda _, inputs: times.append(inputs[4]))
    with torch.no_grad():
        module.fake_frames(400)
    counts = torch.cat(times).bincount(minlength=module.frames)
    assert len(counts) == module.frames and counts.min() >= 10  # 31 expected, standard deviation 5.3


def test_category_of_a_fake_clip_is_the_one_it_was_made_from() -> None:
    module = tiny(**CATEGORICAL)
    made_from: list[Tensor] = []
    module.generator.register_forward_pre_hook(lambda _, inputs: made_from.append(inputs[3]))
    _, category = module.fake_clips(60)
    assert torch.equal(made_from[0].argmax(1), category)
    assert category.bincount(minlength=3).min() >= 10


def test_category_loss() -> None:
    torch.manual_seed(0)
    logits, category = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    expected = -logits.log_softmax(1)[torch.arange(5), category].mean()
    torch.testing.assert_close(category_loss(logits[..., None, None, None], category), expected)
    twice = torch.stack([logits, -logits], 2)[..., None, None]  # two logits per clip: a clip longer than the kernel
    other = -(-logits).log_softmax(1)[torch.arange(5), category].mean()
    torch.testing.assert_close(category_loss(twice, category), (expected + other) / 2)


def test_optimizers() -> None:
    module = tiny(lr=3e-4, betas=(0.4, 0.9), weight_decay=0.02)
    optimizers = module.configure_optimizers()
    assert [type(optimizer) for optimizer in optimizers] == [torch.optim.Adam] * 3
    for optimizer in optimizers:
        group = optimizer.param_groups[0]
        assert (group["lr"], group["betas"], group["weight_decay"]) == (3e-4, (0.4, 0.9), 0.02)
    owned = [id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in module.parameters())


def test_official_settings_are_the_defaults() -> None:
    with torch.device("meta"):
        module = MoCoGAN()
    assert (module.lr, module.betas, module.weight_decay) == (2e-4, (0.5, 0.999), 1e-5)
    assert (module.generator.dim_content, module.generator.dim_motion, module.frames) == (50, 10, 16)


def test_streams_and_needs() -> None:
    assert tiny(image_batch=7).streams == {"clips": StreamSpec(), "frames": StreamSpec(batch=7, frames=1)}
    assert MoCoGAN.needs() == MoCoGAN.needs(use_categories=False, size=64) == {"video"}
    assert MoCoGAN.needs(use_categories=True) == {"video", "attributes"}


# Sampling


def with_statistics(module: MoCoGAN) -> MoCoGAN:
    """Ready to sample: without batch statistics a fresh generator gives grey."""
    with torch.no_grad():
        for _ in range(20):
            module.fake_clips(8)
    return module.eval()


@pytest.fixture(params=[0, 3])
def sampler(request: pytest.FixtureRequest) -> MoCoGAN:
    return with_statistics(tiny(dim_category=request.param))


def test_a_clip_is_the_same_in_whatever_batch(sampler: MoCoGAN) -> None:
    eight = sampler.sample({}, ClipNoise(5, torch.arange(8)))
    assert eight.shape == (8, 3, 13, 32, 32) and eight.dtype == torch.float32 and not eight.requires_grad
    assert eight.abs().max() <= 1
    spread = eight.std().item()
    assert spread > 1e-3
    torch.testing.assert_close(
        sampler.sample({}, ClipNoise(5, torch.tensor([3])))[0], eight[3], rtol=0, atol=1e-4 * spread
    )
    other = sampler.sample({}, ClipNoise(6, torch.arange(8)))
    assert ((other - eight).abs().flatten(1).amax(1) > spread).all()
    assert ((eight[1:] - eight[:-1]).abs().flatten(1).amax(1) > spread).all()


def test_sampling_leaves_the_global_generators_alone(sampler: MoCoGAN) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    sampler.sample({}, ClipNoise(0, torch.arange(2)))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], before_numpy)  # type: ignore[index]


def test_any_length_and_no_clips_at_all(sampler: MoCoGAN) -> None:
    short = sampler.sample({}, ClipNoise(0, torch.arange(2)))
    with sampler.at_length(32):
        assert sampler.sample({}, ClipNoise(0, torch.arange(2))).shape == (2, 3, 32, 32, 32)
        assert sampler.sample({}, ClipNoise(0, torch.arange(0))).shape == (0, 3, 32, 32, 32)
    assert torch.equal(sampler.sample({}, ClipNoise(0, torch.arange(2))), short)


def test_every_category_is_sampled() -> None:
    module = tiny(dim_category=4).eval()
    drawn: list[Tensor] = []
    module.generator.register_forward_pre_hook(lambda _, inputs: drawn.append(inputs[3]))
    module.sample({}, ClipNoise(0, torch.arange(80)))
    assert drawn[0].sum(1).eq(1).all() and drawn[0].sum(0).min() >= 8


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"video_discriminator": "categorical"}, "needs dim_category"),
        ({"use_infogan": True}, "use_infogan needs Q"),
        ({"use_categories": True, "dim_category": 3}, "use_categories needs Q"),
        ({**CATEGORICAL, "q_loss": "infogan"}, "q_loss infogan needs use_infogan"),
        ({"frames": 9}, "frames must be at least 10"),
        ({"video_discriminator": "video", "size": 64, "frames": 15}, "frames must be at least 16"),
        ({"size": 48}, "found size 48"),
        ({"category_input": "gru"}, "category_input gru needs dim_category of at least 1, found 0"),
    ],
)
def test_arguments_that_do_not_fit_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        tiny(**options)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"size": 64}, "init_args.size is 32, but the clips of squares have height 64"),
        ({"size": (32, 40)}, "init_args.size is 32, but the clips of squares have width 40"),
        ({"frames": 14}, "init_args.frames is 13, but the clips of squares have frames 14"),
    ],
)
def test_data_that_do_not_fit(squares: Data, trainer: TrainerFactory, data: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        trainer(max_steps=1).fit(tiny(), squares(**data))


def test_channels_that_do_not_fit(squares: Data, trainer: TrainerFactory) -> None:
    with pytest.raises(BenchError, match=r"init_args.channels is 1, but the clips of squares have channels 3"):
        trainer(max_steps=1).fit(tiny(channels=1), squares())


# Precision and compilation


def test_trains_in_bf16_mixed(squares: Data, trainer: TrainerFactory) -> None:
    module = tiny(**CATEGORICAL, use_infogan=True, noise_sigma=0.1)
    run = trainer(max_steps=2, precision="bf16-mixed")
    run.fit(module, squares())
    assert all(value.isfinite() for value in run.callback_metrics.values())
    assert all(parameter.isfinite().all() for parameter in module.parameters())


def test_compiled_generator_gives_the_same_clips_and_trains(squares: Data, trainer: TrainerFactory) -> None:
    module = with_statistics(tiny())
    noise = torch.arange(2)
    expected = module.sample({}, ClipNoise(0, noise))
    keys = list(module.state_dict())
    module.generator.compile(backend="eager", fullgraph=True)
    torch.testing.assert_close(module.sample({}, ClipNoise(0, noise)), expected)
    assert list(module.state_dict()) == keys
    trainer(max_steps=1).fit(module.train(), squares())
