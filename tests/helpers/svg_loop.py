"""SVG's training loop word for word: two passes of the encoder a step, maps stacked with features, then convolved."""

import torch
from torch import Tensor

from lightning_modules.svg.blocks import Decoder
from lightning_modules.svg.networks import Forecast, StochasticPredictor
from lightning_modules.svg.recurrent import Gaussian


def decode(decoder: Decoder, codes: Tensor, maps: list[Tensor]) -> Tensor:
    """Codes N g_dim beside the maps of as many frames."""
    x = decoder.first(codes)
    for level, beside in zip(decoder.levels(), reversed(maps), strict=True):
        x = torch.cat([decoder.grow(x), beside], 1)
        for layer in level:
            x = layer(x)
    return x


def literal_pass(network: StochasticPredictor, video: Tensor, eps: Tensor, context: int) -> Forecast:
    """As `StochasticPredictor.forward` with all frames known; `eps` B T-1 z_dim. Skips as the code has them."""
    frames = video.unbind(2)
    states: dict[str, list[tuple[Tensor, Tensor]] | None] = {"posterior": None, "prior": None, "predictor": None}
    believed: dict[str, list[Gaussian]] = {"posterior": [], "prior": []}
    shown, skip = [], []
    for i in range(1, len(frames)):
        h, maps = network.encoder(frames[i - 1])
        target, _ = network.encoder(frames[i])
        if network.skip_source == "every_frame" or i < context:
            skip = maps
        z = eps[:, i - 1 : i]
        if network.prior is not None:
            of_prior, states["prior"] = network.prior(h[:, None], states["prior"])
            believed["prior"].append(of_prior)
        if network.posterior is not None:
            of_posterior, states["posterior"] = network.posterior(target[:, None], states["posterior"])
            believed["posterior"].append(of_posterior)
            z = of_posterior.at(z)
        code, states["predictor"] = network.frame_predictor(torch.cat([h[:, None], z], -1), states["predictor"])
        shown.append(decode(network.decoder, code[:, 0], skip))
    joined = {
        name: Gaussian(torch.cat([g.mean for g in every], 1), torch.cat([g.logvar for g in every], 1))
        for name, every in believed.items()
        if every
    }
    return Forecast(torch.stack(shown, 2), joined.get("posterior"), joined.get("prior"))


def literal_rollout(network: StochasticPredictor, video: Tensor, eps: Tensor, context: int) -> Tensor:
    """Frames K to T-1 of one future of each clip, `eps` B T-1 z_dim; latents of given frames are sampled.

    Args:
        video: at least the given frames, B C K H W.
    """
    x = video[:, :, 0]
    q = p = g = None
    shown, skip = [], []
    for i in range(1, eps.shape[1] + 1):
        h, maps = network.encoder(x)
        if network.skip_source == "every_frame" or i < context:
            skip = maps
        z = eps[:, i - 1 : i]
        if network.prior is not None:
            of_prior, p = network.prior(h[:, None], p)
            z = of_prior.at(z) if i >= context else z
        if network.posterior is not None and i < context:
            of_posterior, q = network.posterior(network.encoder(video[:, :, i])[0][:, None], q)
            z = of_posterior.at(z)
        code, g = network.frame_predictor(torch.cat([h[:, None], z], -1), g)
        x = video[:, :, i] if i < context else decode(network.decoder, code[:, 0], skip)
        shown += [] if i < context else [x]
    return torch.stack(shown, 2)
