import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.svg.losses import kl_divergence
from lightning_modules.svg.module import SVG, unit
from lightning_modules.svg.networks import Forecast
from lightning_modules.svg.recurrent import Gaussian
from tests.helpers.svg_loop import literal_pass, literal_rollout
from tests.lightning_modules.svg.test_svg_networks import tiny


def given(clips: int = 4, frames: int = 3, seed: int = 0) -> VideoBatch:
    torch.manual_seed(seed)
    return {"context": torch.rand(clips, 1, frames, 32, 32) * 2 - 1}


def noise(clips: int = 4, sample: int = 0) -> ClipNoise:
    return ClipNoise(1, torch.arange(clips), sample)


def forecast(video: Tensor, off: float) -> Forecast:
    """Every pixel is off by `off`, and each step's KL divergence from N(0, I) is 2 * 0.5 = 1 nat."""
    clips, steps = len(video), video.shape[2] - 1
    return Forecast(video[:, :, 1:] + off, Gaussian(torch.ones(clips, steps, 2), torch.zeros(clips, steps, 2)))


def test_loss_known_answers() -> None:
    video = torch.rand(3, 1, 6, 32, 32)
    loss, logged = tiny(prior="fixed", beta=0.25).loss(forecast(video, 0.1), video)
    torch.testing.assert_close(loss, torch.tensor(5 * 0.01 + 0.25 * 5))  # 5 of 6 frames are shown, given ones included
    assert set(logged) == {"loss", "mse", "kl"}
    torch.testing.assert_close((logged["mse"], logged["kl"]), (torch.tensor(0.01), torch.tensor(1.0)))
    # a unit normal likelihood, without its constant
    elbo, _ = tiny(prior="fixed", reduction="elbo", beta=1.0).loss(forecast(video, 0.1), video)
    pixels = torch.distributions.Normal(video[:, :, 1:], 1.0)
    nats = -(pixels.log_prob(video[:, :, 1:] + 0.1) - pixels.log_prob(video[:, :, 1:])).sum() / 3
    torch.testing.assert_close(elbo, nats + 5)
    plain, of_plain = tiny(prior="none").loss(Forecast(video[:, :, 1:] + 0.1), video)
    torch.testing.assert_close(plain, torch.tensor(0.05))
    assert "kl" not in of_plain


def test_the_two_reductions_are_one_loss_up_to_a_factor() -> None:
    video, shown = torch.rand(3, 1, 6, 32, 32), torch.rand(3, 1, 5, 32, 32)
    made = Forecast(shown, Gaussian(torch.randn(3, 5, 2), torch.randn(3, 5, 2)))
    half = 32 * 32 / 2
    elbo, _ = tiny(prior="fixed", reduction="elbo", beta=0.5).loss(made, video)
    svg, _ = tiny(prior="fixed", beta=0.5 / half).loss(made, video)
    torch.testing.assert_close(elbo, svg * half)


def test_fixed_prior_is_a_learned_one_at_zero() -> None:
    video = torch.rand(3, 1, 6, 32, 32)
    fixed = forecast(video, 0.1)
    learned = fixed._replace(prior=Gaussian(torch.zeros(3, 5, 2), torch.zeros(3, 5, 2)))
    torch.testing.assert_close(
        tiny(prior="fixed", beta=1.0).loss(fixed, video), tiny(beta=1.0).loss(learned, video), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("prior", ["learned", "fixed", "none"])
def test_sampled_clips(prior: Any) -> None:
    method = tiny(prior=prior).eval()
    batch = given()
    clips = method.sample(batch, noise())
    assert clips.shape == (4, 1, 6, 32, 32) and not clips.requires_grad
    assert torch.equal(clips[:, :, :3], batch["context"])
    future = clips[:, :, 3:]
    assert future.abs().max() <= 1 and future.min() < -0.1 and future.max() > 0.1  # both halves of [-1, 1]
    again, other = method.sample(batch, noise()), method.sample(batch, noise(sample=1))
    assert torch.equal(clips, again) and torch.equal(clips, other) == (prior == "none")
    # without a context the clips' first frames are given, and what follows them is not looked at
    torch.manual_seed(0)
    video = torch.cat([batch["context"], torch.rand(4, 1, 3, 32, 32)], 2)
    assert torch.equal(method.sample({"video": video}, noise()), clips)


@pytest.mark.parametrize("prior", ["learned", "fixed", "none"])
@pytest.mark.parametrize("skip_source", ["svg_code", "every_frame"])
def test_sampling_is_the_literal_loop(prior: Any, skip_source: Any) -> None:
    method, batch = tiny(prior=prior, skip_source=skip_source).eval(), given()
    clips = method.sample(batch, noise())
    drawn = noise()
    eps = torch.stack([drawn.normal(0 if prior == "none" else 3) for _ in range(5)], 1)
    with torch.no_grad():
        expected = literal_rollout(method.generator, unit(batch["context"]), eps, 3)
    torch.testing.assert_close(unit(clips[:, :, 3:]), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("skip_source", ["svg_code", "last_cond", "every_frame"])
def test_longer_clips_begin_as_shorter_ones(skip_source: Any) -> None:
    method, batch = tiny(skip_source=skip_source).eval(), given()
    short = method.sample(batch, noise())
    with method.at_length(11):
        long = method.sample(batch, noise())
        more = method.sample(given(frames=7), noise())
    assert long.shape[2] == more.shape[2] == 11
    torch.testing.assert_close(long[:, :, :6], short)
    assert not torch.allclose(long[:, :, 10], long[:, :, 9])


@pytest.mark.parametrize("options", [{}, {"prior": "fixed", "cond_z": "mean"}, {"skip_source": "every_frame"}])
def test_many_futures_are_single_ones(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    method, batch = tiny(**options).eval(), given()
    single = torch.stack([method.sample(batch, noise(sample=k)) for k in range(5)])
    encode = method.generator.encode
    calls: list[int] = []

    def noted(video: Tensor) -> Any:
        calls.append(len(video))
        return encode(video)

    monkeypatch.setattr(method.generator, "encode", noted)
    many = method.sample_many(batch, [noise(sample=k) for k in range(5)])
    assert calls == [4]  # the given frames of all clips, once
    torch.testing.assert_close(many, single, atol=1e-5, rtol=0)
    assert (many[0] - many[1]).abs().max() > 1e-4
    torch.testing.assert_close(Method.sample_many(method, batch, [noise(sample=k) for k in range(5)]), single)


def test_latents_of_given_frames() -> None:
    """What they are shows in the first predicted frame alone if the later latents are the same."""
    batch, first = given(), {}
    for cond_z in ("sample", "mean", "prior"):
        method = tiny(cond_z=cond_z).eval()
        eps = torch.zeros(1, 4, 5, 3)
        eps[:, :, :2] = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            moved = method.generator(unit(batch["context"]), eps, 3).video
            still = method.generator(unit(batch["context"]), eps * 0, 3).video
        assert torch.equal(moved, still) == (cond_z == "mean")
        first[cond_z] = still
    torch.testing.assert_close(first["sample"], first["mean"])  # the mean is a sample with no noise
    assert not torch.allclose(first["prior"], first["mean"], atol=1e-4)


def test_a_reconstruction_uses_the_future_and_a_prediction_does_not() -> None:
    method = tiny().eval()
    torch.manual_seed(0)
    video = torch.rand(4, 1, 6, 32, 32) * 2 - 1
    other = torch.cat([video[:, :, :5], torch.rand(4, 1, 1, 32, 32)], 2)
    one, two = (method.reconstruct({"video": clip, "context": clip[:, :, :3]}) for clip in (video, other))
    assert one.shape == video.shape and torch.equal(one[:, :, :3], video[:, :, :3])
    assert torch.equal(one[:, :, :5], two[:, :, :5]) and not torch.equal(one[:, :, 5], two[:, :, 5])
    one, two = (method.sample({"video": clip, "context": clip[:, :, :3]}, noise()) for clip in (video, other))
    assert torch.equal(one, two)


def test_uncertainty_is_the_priors_before_the_frame_is_seen() -> None:
    method = tiny().eval()
    torch.manual_seed(0)
    video = torch.rand(4, 1, 6, 32, 32) * 2 - 1
    found = method.uncertainty({"video": video})
    with torch.no_grad():
        prior = literal_pass(method.generator, unit(video), torch.zeros(4, 5, 3), 3).prior
    assert prior is not None and found.shape == (4, 6) and found[:, 0].isnan().all()
    torch.testing.assert_close(found[:, 1:], prior.logvar.exp().sqrt().mean(2))
    other = torch.cat([video[:, :, :4], torch.rand(4, 1, 2, 32, 32)], 2)  # frame 5 is judged from frames 0 to 4
    changed = method.uncertainty({"video": other})
    assert torch.allclose(changed[:, 1:5], found[:, 1:5], atol=1e-6) and not torch.allclose(changed[:, 5], found[:, 5])
    for which in ("fixed", "none"):
        with pytest.raises(BenchError, match=f"SVG with prior {which} is equally unsure of every frame"):
            tiny(prior=which).uncertainty({"video": video})


def test_batch_statistics_make_clips_depend_on_their_batch() -> None:
    batch, alone = given(), {"context": given()["context"][:2]}
    running, by_batch = tiny().eval(), tiny(bn_eval="batch").eval()
    assert torch.allclose(running.sample(batch, noise())[:2], running.sample(alone, noise(2)), atol=1e-5)  # type: ignore[arg-type]
    apart = by_batch.sample(batch, noise())[:2] - by_batch.sample(alone, noise(2))  # type: ignore[arg-type]
    assert apart.abs().max() > 1e-3
    many = by_batch.sample_many(batch, [noise(), noise(sample=1)])
    assert torch.equal(many[1], by_batch.sample(batch, noise(sample=1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 6}, "init_args.context: 6 frames are given of clips of 6; at least 1 .* and 1 be left to predict"),
        ({"context": 0}, "init_args.context: 0 frames are given of clips of 6"),
        ({"context": 1}, "1 frame is given, and skip_source svg_code .* last_cond or every_frame"),
        ({"size": 48}, "size must be one of 32, 64, 128 for backbone dcgan, found 48"),
        ({"backbone": "vgg"}, "size must be one of 64, 128 for backbone vgg, found 32"),
        ({"z_dim": 0}, "z_dim must be at least 1, found 0"),
        ({"posterior_layers": 0}, "posterior_layers must be at least 1, found 0"),
    ],
)
def test_arguments_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        tiny(**options)


def test_one_given_frame_is_enough_for_other_maps() -> None:
    for source in ("last_cond", "every_frame"):
        clips = tiny(skip_source=source, context=1).eval().sample(given(frames=1), noise())
        assert clips.shape == (4, 1, 6, 32, 32)


@pytest.mark.parametrize(
    ("batch", "options", "message"),
    [
        (given(frames=6), {}, "batch['context']: 6 frames are given of clips of 6"),
        (given(frames=1), {}, "batch['context']: 1 frame is given, and skip_source svg_code"),
        (given(clips=1), {"bn_eval": "batch"}, "cannot sample a single one"),
        (
            {"context": torch.zeros(4, 3, 3, 32, 32)},
            {},
            "frames of (3, 32, 32) (C H W), but this SVG was built for (1,",
        ),
        ({"context": torch.zeros(4, 1, 3, 64, 64)}, {}, "frames of (1, 64, 64) (C H W)"),
    ],
)
def test_batches_that_cannot_be_sampled(batch: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=re.escape(message)):
        tiny(**options).eval().sample(batch, noise(len(batch["context"])))


def test_no_futures_at_all() -> None:
    with pytest.raises(BenchError, match="no noise was given"):
        tiny().sample_many(given(), [])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"context": 2}, "init_args.context is 3, but squares gives the first 2 frames"),
        ({"batch_size": 1}, "batch_size is 1 on 1 processes; SVG's BatchNorm over codes"),
        ({"frames": 7}, "init_args.frames is 6, but the clips of squares have frames 7"),
    ],
)
def test_data_that_do_not_fit(squares: Callable[..., ClipData], data: dict[str, int], message: str) -> None:
    method: Any = tiny(channels=3)
    method._trainer = SimpleNamespace(world_size=1)
    with pytest.raises(BenchError, match=message):
        method.check_data(squares(**{"frames": 6, "context": 3, **data}))


def test_needs_given_frames() -> None:
    assert SVG.needs() == {"video", "context"}


def test_training_lowers_the_loss(squares: Callable[..., ClipData], trainer: Callable[..., L.Trainer]) -> None:
    torch.manual_seed(0)
    method = SVG(size=32, channels=3, frames=6, context=3, nf=4, g_dim=8, z_dim=2, rnn_size=16)
    data = squares(frames=6, context=3, batch_size=4)
    losses: list[float] = []

    class Watch(L.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
            losses.append(float(outputs["loss"]))

    trainer(40, callbacks=[Watch()]).fit(method, datamodule=data)
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    video = unit(torch.rand(2, 3, 6, 32, 32))
    made = method.generator(video, torch.randn(1, 2, 5, 2), 3)
    assert made.posterior is not None and kl_divergence(made.posterior, made.prior).min() >= 0
