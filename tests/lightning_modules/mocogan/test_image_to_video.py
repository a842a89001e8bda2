from typing import Any

import pytest
import torch

from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise
from lightning_modules.mocogan.image_to_video import ImageToVideoMoCoGAN


def tiny(**options: Any) -> ImageToVideoMoCoGAN:
    torch.manual_seed(0)
    arguments = {"size": 32, "frames": 16, "ngf": 2, "ndf": 2, "dim_content": 6, "dim_motion": 4, "image_batch": 4}
    return ImageToVideoMoCoGAN(**{**arguments, **options})


def given(n: int) -> torch.Tensor:
    return torch.rand((n, 3, 32, 32), generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_the_first_code_is_the_encoder_s_and_the_gru_walks_on_from_it() -> None:
    g = tiny().generator.eval()
    frame, e = given(2), torch.randn(2, 3, 4)
    with torch.no_grad():
        codes, first = g.codes(frame, e), g.encoder(frame).flatten(1)
        assert codes.shape == (2, 4, 10)
        assert torch.equal(codes[:, 0], first)
        assert torch.equal(codes[:, :, :6], first[:, None, :6].expand(-1, 4, -1))
        h = first[:, 6:]
        for step in range(3):
            h = g.recurrent(e[:, step], h)
            assert torch.equal(codes[:, step + 1, 6:], h)
        assert torch.equal(g(frame, e)[:, :, 2], g.main(codes[:, 2, :, None, None]))


def test_losses_by_hand() -> None:
    module = tiny(frames=16).eval()  # without batch statistics the draws do not bear on each other
    with torch.no_grad():  # a fresh generator gives grey, in which all frames are alike
        for p in module.parameters():
            if p.ndim > 1:
                p.normal_(0, 0.4)
    frames, first = given(3), given(2)
    torch.manual_seed(5)
    with torch.no_grad():
        losses = module.generator_losses(frames, first)
        torch.manual_seed(5)
        clips = module.generator(first, torch.randn(2, 15, 4))
        shown = module.fake_frames(frames)
        expected = -module.video_discriminator(clips).sigmoid().log().mean()
        expected = expected - module.image_discriminator(shown).sigmoid().log().mean()
    torch.testing.assert_close(losses["generator"], expected)
    apart = [10 * (clips[:, :, t] - first).abs().mean() for t in range(16)]
    torch.testing.assert_close(losses["first_frame"], apart[0])
    assert min(abs(float(apart[0] - other)) for other in apart[1:]) > 1e-3


def test_fake_frames_come_from_all_times() -> None:
    """With a generator that shows the GRU's step, every step is shown."""
    module = tiny()
    g = module.generator
    with torch.no_grad():
        shown: list[torch.Tensor] = []
        g.codes = lambda frame, e: torch.arange(16.0)[None, :, None].expand(len(frame), -1, 10)  # type: ignore[method-assign]
        g.register_module("main", torch.nn.Identity())
        shown.append(module.fake_frames(given(1).expand(400, -1, -1, -1)))
    counts = shown[0][:, 0, 0, 0].long().bincount(minlength=16)
    assert len(counts) == 16 and counts.min() >= 10  # 25 expected, standard deviation 4.8


def test_clips_begin_with_their_context_and_noise_moves_the_rest() -> None:
    module = tiny().eval()
    index = torch.arange(3)
    for n in (1, 4):
        context = given(3)[:, :, None].expand(-1, -1, n, -1, -1)
        clips = module.sample({"index": index, "context": context}, ClipNoise(0, index))
        assert clips.shape == (3, 3, 16, 32, 32) and torch.equal(clips[:, :, :n], context)
        other = module.sample({"index": index, "context": context}, ClipNoise(1, index))
        assert torch.equal(other[:, :, :n], context) and not torch.equal(other, clips)


def test_too_short_clips() -> None:
    with pytest.raises(BenchError, match="frames must be at least 10 at size 32, found 9"):
        tiny(frames=9)
