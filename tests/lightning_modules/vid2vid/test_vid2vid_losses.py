"""The losses of a later chunk, written out, and what frames are made from."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.vid2vid.clip import Clip
from lightning_modules.vid2vid.module import Vid2Vid
from lightning_modules.vid2vid.networks import Made, stacked
from lightning_modules.vid2vid.temporal import judged
from lightning_modules.vid2vid.warp import chain, warp
from tests.lightning_modules.vid2vid.test_vid2vid_module import a_batch, small, stepped


def rolled(**arguments: Any) -> tuple[Vid2Vid, Clip, list[Made]]:
    """A method, a sequence of it and its frames."""
    method = small(**arguments)
    clip = method.draw(a_batch(), 0)
    clip = clip._replace(trusted=(torch.rand(clip.trusted.shape) < 0.5).float())
    return method, clip, method.follow(clip.shown, clip.mask, method.beginning(clip.real), 0, 8, 1)[0]


def l1(found: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    return F.l1_loss(found * mask, wanted * mask)


def test_losses_of_flow_in_a_later_chunk() -> None:
    method, clip, made = rolled(lambda_F=3.0, lambda_T=5.0, n_scales_spatial=2)
    frames, raw, flow = (stacked(made, name) for name in ("frame", "raw", "flow"))
    losses = method.generator_losses(clip, made[4:], frames[:, 4:], raw[:, 4:], frames[:, :4].detach())
    true, trusted, real = clip.flow[:, 6:10], clip.trusted[:, 6:10], clip.real
    before = torch.stack([warp(real[:, t - 1], flow[:, t - 2]) for t in range(6, 10)], 1)
    moved = torch.stack([warp(frames[:, t - 3], clip.flow[:, t]) for t in range(6, 10)], 1)
    torch.testing.assert_close(losses["flow"], 3.0 / 2 * l1(flow[:, 4:], true, trusted))
    torch.testing.assert_close(losses["warp"], 5.0 * l1(before, real[:, 6:], trusted))
    torch.testing.assert_close(losses["steady"], 5.0 * l1(frames[:, 4:], moved, trusted))
    assert "weight" not in losses


def test_the_weights_loss_without_given_frames() -> None:
    method, clip, made = rolled(first_frames="zeros")
    frames, raw, weight = (stacked(made, name) for name in ("frame", "raw", "weight"))
    losses = method.generator_losses(clip, made, frames, raw, frames[:, :0])
    torch.testing.assert_close(losses["weight"], (weight * clip.trusted[:, :8]).mean())


def test_discriminators_judge_final_frames_and_raw_pictures() -> None:
    method, clip, made = rolled(n_scales_temporal=0, norm="instance")
    frames, raw = stacked(made, "frame").detach(), stacked(made, "raw").detach()
    losses = method.discriminator_losses(clip, frames, raw[:, 4:], 4, 8)

    def error(pictures: Tensor, wanted: float) -> Tensor:
        shown = torch.cat([clip.shown[:, 6:], pictures], 2).flatten(0, 1)
        return (method.discriminator(shown)[0][-1] - wanted).square().mean()

    torch.testing.assert_close(losses["discriminator_real"], error(clip.real[:, 6:], 1.0))  # twice the half
    fake = 0.5 * (error(frames[:, 4:], 0.0) + error(raw[:, 4:], 0.0))
    torch.testing.assert_close(losses["discriminator_fake"], fake)
    of_generator = method.generator_losses(clip, made[4:], frames[:, 4:], raw[:, 4:], frames[:, :4])
    torch.testing.assert_close(of_generator["generator"], error(frames[:, 4:], 1.0) + error(raw[:, 4:], 1.0))


def test_flow_beside_groups_is_chained_in_order() -> None:
    _, clip, made = rolled()
    pair = judged(clip, stacked(made, "frame"), 0, 8, 3, 1)
    assert pair is not None
    # The group of the frames made 1, 4 and 7: numbers 3, 6 and 9 of the sequence.
    last = chain(clip.flow[:, [7, 8, 9]].transpose(1, 2))
    torch.testing.assert_close(20 * pair[0][:, 11:], last)
    step = clip.flow[:, 9]
    step = step + warp(clip.flow[:, 8], step)
    torch.testing.assert_close(last, step + warp(clip.flow[:, 7], step))


def test_the_frame_is_remembered_and_the_first_is_raw_without_given_ones() -> None:
    for first_frames, raw in (("zeros", True), ("real", False)):
        method = small(first_frames=first_frames)
        clip = method.draw(a_batch(), 0)
        made, history = method.follow(clip.shown, clip.mask, method.beginning(clip.real), 0, 3)
        assert torch.equal(made[0].frame, made[0].raw) == raw
        assert not torch.equal(made[2].frame, made[2].raw)
        assert torch.equal(history[0], torch.cat([made[1].frame, made[2].frame], 1))


def test_sequences_grow_up_to_the_clip() -> None:
    method = small(start_frames=3, grow_every=1)
    assert [method.draw(a_batch(), step).made for step in (0, 1, 2, 30)] == [3, 6, 8, 8]


def test_rates_of_both_players(monkeypatch: Any) -> None:
    method = small(ttur=True, lr=0.1)
    adams = method.configure_optimizers()
    monkeypatch.setattr(method, "configure_optimizers", lambda: adams)
    stepped(method, a_batch(), monkeypatch)
    assert [adam.param_groups[0]["lr"] for adam in adams] == [0.05, 0.2]
    assert [adam.param_groups[0]["betas"] for adam in adams] == [(0.0, 0.9)] * 2
