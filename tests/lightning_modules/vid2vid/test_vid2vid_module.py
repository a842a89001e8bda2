"""Rolling along a clip, gradients in chunks and windows, first frames, lengths, and what is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from weakref import WeakSet

import pytest
import torch
from torch import Tensor, nn

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise
from lightning_modules.vid2vid.lengths import Lengths
from lightning_modules.vid2vid.module import Vid2Vid
from lightning_modules.vid2vid.temporal import judged
from lightning_modules.vid2vid.warp import warp

SMALL: dict[str, Any] = {
    "size": 16,
    "label_nc": 4,
    "n_scales_temporal": 2,
    "ngf": 4,
    "n_downsample_G": 1,
    "n_blocks": 2,
    "n_blocks_local": 1,
    "ndf": 4,
    "num_D": 1,
    "n_layers_D": 2,
    "lambda_vgg": 0,
    "start_frames": 8,
    "chunk_frames": 8,
}


def small(**arguments: Any) -> Vid2Vid:
    torch.manual_seed(0)
    return Vid2Vid(**{**SMALL, **arguments})


def a_batch(frames: int = 10, clips: int = 2, size: int = 16, labels: int = 4) -> VideoBatch:
    draw = torch.Generator().manual_seed(3)
    batch = {
        "video": torch.rand(clips, 3, frames, size, size, generator=draw) * 2 - 1,
        "labels": torch.randint(labels, (clips, frames, size, size), generator=draw),
        "instances": torch.randint(3, (clips, frames, size, size), generator=draw),
        "flow_back": torch.randn(clips, 2, frames - 1, size, size, generator=draw),
        "index": torch.arange(clips),
        "name": [f"clip{i}.mp4" for i in range(clips)],
    }
    return cast(VideoBatch, batch)


def sampled(method: Vid2Vid, batch: VideoBatch) -> Tensor:
    return method.eval().sample(batch, ClipNoise(0, batch["index"]))


class Turns:
    """Players without a trainer: gradients of a step stay, nothing is updated."""

    def __init__(self, method: Vid2Vid) -> None:
        self.of: dict[str, list[nn.Module]] = {
            "generator": [method.generator],
            "discriminator": [method.discriminator, method.time],
        }
        self.all = list(method.parameters())

    @contextmanager
    def turn(self, name: str) -> Iterator[list[Tensor]]:
        own = [p for network in self.of[name] for p in network.parameters()]
        for p in self.all:
            p.requires_grad_(any(p is q for q in own))
        losses: list[Tensor] = []
        yield losses
        torch.stack(losses).sum().backward()
        for p in self.all:
            p.requires_grad_(True)


def stepped(method: Vid2Vid, batch: VideoBatch, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Gradients of one training step."""
    method.players = Turns(method)  # type: ignore[assignment]
    adams = method.configure_optimizers()
    monkeypatch.setattr(method, "optimizers", lambda: [type("Wrapped", (), {"optimizer": adam}) for adam in adams])
    monkeypatch.setattr(method, "manual_backward", lambda loss: loss.backward())
    monkeypatch.setattr(method, "log_dict", lambda losses: None)
    monkeypatch.setattr(Vid2Vid, "global_step", 0)
    torch.manual_seed(1)
    method.training_step(batch, 0)
    return {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("first_frames", ["real", "zeros"])
@pytest.mark.parametrize("scales", [1, 2])
def test_chunks_of_a_clip_are_the_unbroken_clip(first_frames: str, scales: int) -> None:
    method = small(
        first_frames=first_frames, n_scales_spatial=scales, norm="instance", fg=True, fg_labels=(1, 2)
    ).eval()
    batch = a_batch()
    whole = sampled(method, batch)
    clip = method.draw(batch, 0)
    assert clip.real.shape[1] == method.past + 8
    with torch.no_grad():
        for chunk in (1, 2, 4, 8):
            history, made = method.beginning(clip.real), []
            for start in range(0, 8, chunk):
                part, history = method.follow(clip.shown, clip.mask, history, start, start + chunk, window=1)
                made += part
            frames = torch.stack([one.frame for one in made], 2)
            torch.testing.assert_close(frames, whole[:, :, method.past : method.past + 8], atol=1e-5, rtol=0)


def test_given_frames_are_copied_and_later_ones_never_seen() -> None:
    method, batch = small(), a_batch()
    made = sampled(method, batch)
    assert torch.equal(made[:, :, :2], batch["video"][:, :, :2])
    hidden: Any = {**batch, "video": torch.cat([batch["video"][:, :, :2], torch.zeros(2, 3, 8, 16, 16)], 2)}
    assert torch.equal(sampled(method, hidden), made)


def test_without_given_frames_the_video_is_never_seen() -> None:
    method, batch = small(first_frames="zeros"), a_batch()
    hidden: Any = {**batch, "video": torch.zeros_like(batch["video"])}
    assert torch.equal(sampled(method, hidden), sampled(method, batch))


def test_a_frame_is_sampled_with_its_own_statistics() -> None:
    # In float64: each frame multiplies rounding, as its flow moves the frame before.
    method, batch = small(label_nc=0, instances=False).double(), a_batch(clips=3)
    batch["video"] = batch["video"].double()
    batch["condition"] = batch["video"].flip(2)
    del batch["labels"]
    alone: Any = {key: value[1:2] for key, value in dict[str, Any](batch).items()}
    torch.testing.assert_close(sampled(method, batch)[1:2], sampled(method, alone), atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [1, 2, 4])
def test_gradients_go_back_as_far_as_the_window(window: int) -> None:
    method, batch = small(norm="instance"), a_batch()
    clip = method.draw(batch, 0)
    shown = clip.shown.clone().requires_grad_(True)
    made, _ = method.follow(shown, clip.mask, method.beginning(clip.real), 0, 8, window)
    (gradient,) = torch.autograd.grad(made[7].frame.sum(), shown)
    reached = gradient.abs().flatten(2).sum(2).gt(0).any(0).nonzero().flatten()
    # Frame 7 is number 9 of the sequence; its window's first frame sees two conditions before its own.
    assert int(reached.min()) == 2 + (8 - window) - 2 and int(reached.max()) == 9


def test_gradients_of_chunks_add_up_to_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without discriminators of time, whose groups end with chunks, chunks of equal length change nothing."""
    arguments: dict[str, Any] = {"norm": "instance", "n_scales_temporal": 0, "lambda_vgg": 0}
    batch = a_batch()
    whole = stepped(small(**arguments), batch, monkeypatch)
    parts = stepped(small(**arguments, chunk_frames=2), batch, monkeypatch)
    assert whole.keys() == parts.keys() and len(whole) > 40
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, atol=2e-4, rtol=1e-3, msg=name)


class Kept:
    """A tensor that a graph keeps for its backward pass."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def peak(monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> int:
    """Most bytes that a step's graphs keep at one time."""
    alive: WeakSet[Kept] = WeakSet()
    most = 0

    def keep(tensor: Tensor) -> Kept:
        nonlocal most
        kept = Kept(tensor)
        alive.add(kept)
        most = max(most, sum(one.tensor.nbytes for one in alive))
        return kept

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept.tensor):
        stepped(small(**arguments, n_scales_temporal=0), a_batch(clips=1), monkeypatch)
    return most


def test_only_one_chunk_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory grows with the chunk, and not with the sequence."""
    whole, two, longer = (
        peak(monkeypatch, start_frames=frames, chunk_frames=chunk) for frames, chunk in ((8, 8), (4, 2), (8, 2))
    )
    assert longer < 1.05 * two and 3.5 * two < whole < 4.5 * two


def test_fakes_of_earlier_chunks_are_judged_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = stepped(small(chunk_frames=2), a_batch(), monkeypatch)
    assert any(name.startswith("time.0") for name in gradients) and any(name.startswith("time.1") for name in gradients)


def test_groups_of_true_frames_are_shown_the_flow_that_leads_through_them() -> None:
    """A picture that moves two pixels a frame to the left: a frame is found in an earlier one further to the right."""
    method = small(size=32)
    x = torch.rand(64)
    video = torch.stack([x[2 * t : 2 * t + 32].expand(3, 32, 32) for t in range(10)], 1)[None]
    batch: Any = {**a_batch(10, 1, 32), "video": video, "flow_back": torch.zeros(1, 2, 9, 32, 32)}
    batch["flow_back"][:, 0] = 2
    clip = method.draw(batch, 0)
    real = clip.real[:, method.past :]
    for scale, skip, last in ((0, 1, [7, 4]), (1, 3, [7])):
        pair = judged(clip, real.flip(1), 0, 8, 3, scale)
        assert pair is not None
        true, fake = pair
        assert true.shape == fake.shape == (len(last), 13, 32, 32)
        assert torch.equal(true[:, 9:], fake[:, 9:])  # the true flow beside both
        torch.testing.assert_close(true[:, [9, 11]], torch.full((len(last), 2, 32, 32), 2.0 * skip / 20))
        assert true[:, [10, 12]].abs().max() == 0
        torch.testing.assert_close(true[:, 6:9], real[0, last])
        torch.testing.assert_close(fake[:, 6:9], real.flip(1)[0, last])
        moved = warp(true[:, 3:6], 20 * true[:, 11:13])
        torch.testing.assert_close(moved[..., : 32 - 2 * skip], true[:, 6:9, :, : 32 - 2 * skip], atol=1e-5, rtol=0)


def test_the_first_frame_has_no_flow() -> None:
    clip = small(first_frames="zeros").draw(a_batch(), 0)
    assert clip.flow[:, 0].abs().sum() == 0 and clip.trusted[:, 0].sum() == 0
    assert torch.equal(clip.flow[:, 1:], a_batch()["flow_back"].transpose(1, 2)[:, :7])
    assert torch.equal(clip.before[:, 1:], clip.real[:, :-1])


def test_trusted_flow_is_what_moves_the_frame_before_onto_the_frame() -> None:
    batch = a_batch()
    clip = small().draw(batch, 0)
    moved = warp(clip.before[:, 3], clip.flow[:, 3])
    expected = (clip.real[:, 3] - moved).square().sum(1, keepdim=True) < 0.02
    assert torch.equal(clip.trusted[:, 3].bool(), expected)


def test_lengths_double_and_windows_divide_chunks() -> None:
    lengths = Lengths(start_frames=6, grow_every=10, chunk_frames=6, max_frames_backprop=4)
    assert [lengths.sequence(step, 28) for step in (0, 9, 10, 20, 30, 10**9)] == [6, 6, 12, 24, 28, 28]
    assert lengths.chunks(14) == [(0, 6), (6, 12), (12, 14)]
    assert [lengths.window(step, 6) for step in (0, 10, 20)] == [1, 2, 3]
    assert Lengths(6, 0, 6, 4).window(0, 6) == 3 and Lengths(6, 0, 6, 1).sequence(10**6, 28) == 6


def test_fixed_coarse_networks_take_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    method = small(n_scales_spatial=2, fix_coarse_steps=1)
    gradients = stepped(method, a_batch(), monkeypatch)
    assert not [name for name in gradients if name.startswith("generator.G0")]
    assert [name for name in gradients if name.startswith("generator.G1")]
    assert method.idle(0) == {"generator.G0"} and method.idle(1) == frozenset()


def test_discriminators_of_strides_beyond_the_sequence_are_idle() -> None:
    assert small(start_frames=6, n_scales_temporal=2).idle(0) == {"time.1"}
    assert small(start_frames=7, n_scales_temporal=2).idle(0) == frozenset()


BAD = [
    ({"flow_back": torch.zeros(2, 2, 10, 16, 16)}, r"flow_back is \(2, 10, 16, 16\), but 10 frames .* need \(2, 9, 16"),
    ({"flow_back": torch.full((2, 2, 9, 16, 16), float("nan"))}, "clip0.mp4: flow_back holds NaN"),
    ({"labels": torch.full((2, 10, 16, 16), 4)}, "clip0.mp4: labels 4 found, but model.init_args.label_nc is 4"),
    ({"labels": torch.zeros(2, 9, 16, 16, dtype=torch.int64)}, "differs in frames"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD)
def test_bad_batches_are_named(wrong: Any, message: str) -> None:
    batch: Any = {**a_batch(), **wrong}
    with pytest.raises(BenchError, match=message):
        small().on_before_batch_transfer(batch, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fg": True}, "fg_labels holds 26, but label_nc is 4"),
        ({"n_frames_G": 1}, "n_frames_G must be at least 2, found 1"),
        ({"chunk_frames": 0}, "chunk_frames must be at least 1, found 0"),
        ({"size": 18, "n_downsample_G": 2}, "size must be a multiple of 4"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        small(**arguments)


def test_clips_within_the_given_frames_are_refused() -> None:
    with pytest.raises(BenchError, match="clips need more than 2 frames to sample, found 2"):
        sampled(small(), a_batch(2))


def test_data_shorter_than_the_first_sequences_are_refused() -> None:
    data: Any = type("Data", (), {"height": 16, "width": 16, "channels": 3, "frames": 9, "name": "streets"})()
    with pytest.raises(BenchError, match=r"clips of streets have 9 frames: set data.init_args.frames to at least 10"):
        small().check_data(data)
    data.frames, data.classes = 10, 35
    with pytest.raises(BenchError, match="label_nc is 4, but streets has 35 classes"):
        small().check_data(data)
