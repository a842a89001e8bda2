from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from lightning_modules.svg.blocks import Decoder, Encoder, norms, updated_twice
from lightning_modules.svg.dcgan import DcganDecoder, DcganEncoder
from lightning_modules.svg.recurrent import Gaussian, GaussianLstm, Lstm, State
from lightning_modules.svg.vgg import VggDecoder, VggEncoder

SkipSource = Literal["svg_code", "last_cond", "every_frame"]
Maps = list[Tensor]  # of one frame, finest first, each B C H W
Latent = Callable[[int, Tensor], Tensor]
BACKBONES: dict[str, tuple[type[DcganEncoder | VggEncoder], type[DcganDecoder | VggDecoder]]] = {
    "dcgan": (DcganEncoder, DcganDecoder),
    "vgg": (VggEncoder, VggDecoder),
}


class Forecast(NamedTuple):
    """What the network shows.

    Attributes:
        video: B C N H W in [0, 1].
        posterior: of z_1 to z_T-1; None when sampling, and where there is no z.
        prior: the learned prior of the same; None where there is none.
    """

    video: Tensor
    posterior: Gaussian | None = None
    prior: Gaussian | None = None


def skip_frame(frame: int, context: int, source: SkipSource) -> int:
    """Number of the frame whose maps the decoder sees when it draws frame `frame`, both counted from 0.

    Args:
        frame: from 1.
        context: how many first frames are given.
        source: see `SVG`.
    """
    latest = {"svg_code": context - 2, "last_cond": context - 1, "every_frame": frame - 1}[source]
    return min(frame - 1, latest)


class StochasticPredictor(nn.Module):
    """Encoder, decoder and frame predictor, with a posterior and a prior of the latent z_t where there is one.

    Frame t is Dec(LSTM(Enc(x_t-1), z_t), maps of an earlier frame). The posterior of z_t has seen x_1 to x_t, never
    x_0; the learned prior x_0 to x_t-1.

    Args: of `SVG`.
    """

    def __init__(
        self,
        prior: Literal["learned", "fixed", "none"],
        backbone: Literal["dcgan", "vgg"],
        size: int,
        channels: int,
        nf: int,
        g_dim: int,
        z_dim: int,
        rnn_size: int,
        predictor_layers: int,
        posterior_layers: int,
        prior_layers: int,
        skip_source: SkipSource,
        cond_z: Literal["sample", "mean", "prior"],
        bn_updates: Literal["svg_code", "once"],
    ) -> None:
        super().__init__()
        self.z_dim = 0 if prior == "none" else z_dim
        self.skip_source, self.cond_z = skip_source, cond_z
        encoder, decoder = BACKBONES[backbone]
        self.encoder: Encoder = encoder(channels, g_dim, nf, size)
        self.decoder: Decoder = decoder(channels, g_dim, nf, size)
        self.frame_predictor = Lstm(g_dim + self.z_dim, g_dim, rnn_size, predictor_layers)
        self.posterior = None if prior == "none" else GaussianLstm(g_dim, z_dim, rnn_size, posterior_layers)
        self.prior = GaussianLstm(g_dim, z_dim, rnn_size, prior_layers) if prior == "learned" else None
        # The official loop of the learned prior encodes inner frames twice: once to predict, once to predict from.
        self.inner_twice = bn_updates == "svg_code" and prior == "learned"

    def encode(self, video: Tensor) -> tuple[Tensor, list[Maps]]:
        """B C T H W in [0, 1] -> codes B T g_dim, and the maps of each frame.

        BatchNorm normalises a frame by the other clips' frames of the same time, as the official code, which makes one
        call a frame. Running statistics let all frames go through at once.
        """
        frames = video.transpose(1, 2)  # B T C H W
        steps = frames.shape[1]
        if not any(layer.training for layer in norms(self.encoder)):
            codes, every = self.encoder(frames.flatten(0, 1))
            apart = [maps.unflatten(0, (-1, steps)).unbind(1) for maps in every]
            return codes.unflatten(0, (-1, steps)), [list(maps) for maps in zip(*apart, strict=True)]
        passes = []
        for t, frame in enumerate(frames.unbind(1)):
            inner = self.training and self.inner_twice and 0 < t < steps - 1
            with updated_twice(self.encoder) if inner else nullcontext():
                passes.append(self.encoder(frame))
        return torch.stack([code for code, _ in passes], 1), [maps for _, maps in passes]

    def forward(self, video: Tensor, eps: Tensor, context: int) -> Forecast:
        """All known frames are fed in; what lies beyond them is predicted from the network's own frames.

        With all T frames known, as in training, frames 1 to T-1 are shown, each from the true frames before it and a
        draw of its posterior. With fewer, the frames after them, by draws of the prior.

        Args:
            video: the known frames, B C K H W in [0, 1], 1 <= K <= T.
            eps: S B T-1 z_dim from N(0, I): S draws for each clip, which share the encoding of the known frames. One
                where all frames are known.
            context: how many first frames count as given when maps are chosen.

        Returns:
            S B clips in one axis, in the order of `eps`.
        """
        codes, maps = self.encode(video)
        if video.shape[2] > eps.shape[2]:
            return self._taught(codes, maps, eps[0], context)
        draws = len(eps)
        eps = eps.flatten(0, 1)  # N T-1 z_dim
        z, memory = self._of_known(codes, eps[:, : codes.shape[1] - 1], draws)

        def latent(frame: int, code: Tensor) -> Tensor:
            nonlocal memory
            at = eps[:, frame - 1 : frame]
            if self.prior is None:
                return at
            believed, memory = self.prior(code, memory)
            return believed.at(at)

        chosen = maps[skip_frame(codes.shape[1], context, self.skip_source)]
        return Forecast(self._roll(codes.repeat(draws, 1, 1), chosen, z, latent, eps.shape[1] + 1))

    def reconstruct(self, video: Tensor, context: int) -> Tensor:
        """The frames after the first `context`, from the network's own ones and the posterior means of the true ones.

        How well it does says what the latents hold; it is no prediction.

        Args:
            video: B C T H W in [0, 1].
            context: K, from 1 to T-1.

        Returns:
            B C T-K H W in [0, 1].
        """
        codes, maps = self.encode(video)
        z = codes[:, 1:, :0] if self.posterior is None else self.posterior(codes[:, 1:])[0].mean
        chosen = maps[skip_frame(context, context, self.skip_source)]
        known = z[:, : context - 1]
        return self._roll(codes[:, :context], chosen, known, lambda t, _: z[:, t - 1 : t], video.shape[2])

    def _taught(self, codes: Tensor, maps: list[Maps], eps: Tensor, context: int) -> Forecast:
        """Every frame from the true ones before it."""
        posterior = None if self.posterior is None else self.posterior(codes[:, 1:])[0]
        prior = None if self.prior is None else self.prior(codes[:, :-1])[0]
        z = eps if posterior is None else posterior.at(eps)
        drawn, _ = self.frame_predictor(torch.cat([codes[:, :-1], z], -1))  # B T-1 g_dim
        frames: list[Tensor] = []
        seen: list[Tensor] = []
        latest = -1
        for t, code in enumerate(drawn.unbind(1), start=1):
            if (chosen := skip_frame(t, context, self.skip_source)) != latest:
                seen, latest = self.decoder.seen(maps[chosen]), chosen
            frames.append(self.decoder(code, seen))
        return Forecast(torch.stack(frames, 2), posterior, prior)  # B C T-1 H W

    def _of_known(self, codes: Tensor, eps: Tensor, draws: int) -> tuple[Tensor, State | None]:
        """Latents of the known frames, N K-1 z_dim, and the prior's state behind them."""
        memory: State | None = None
        believed = None
        if self.prior is not None:
            believed, memory = self.prior(codes[:, :-1])
            memory = [(h.repeat(draws, 1), c.repeat(draws, 1)) for h, c in memory]
        if self.posterior is not None and self.cond_z != "prior":
            believed, _ = self.posterior(codes[:, 1:])
        if believed is None:
            return eps, memory
        believed = Gaussian(believed.mean.repeat(draws, 1, 1), believed.logvar.repeat(draws, 1, 1))
        return believed.mean if self.cond_z == "mean" else believed.at(eps), memory

    def _roll(self, codes: Tensor, maps: Maps, z: Tensor, latent: Latent, frames: int) -> Tensor:
        """Predicts on from own frames.

        Args:
            codes: of the known frames, N K g_dim.
            maps: what the decoder sees first, of N clips or of those whose draws the N are.
            z: of the known frames, N K-1 z_dim.
            latent: gives z_t, N 1 z_dim, for the number of frame t and the code of the frame before it, N 1 g_dim.
            frames: T.

        Returns:
            N C T-K H W.
        """
        draws = len(codes) // max(len(maps[0]), 1)
        _, state = self.frame_predictor(torch.cat([codes[:, :-1], z], -1))
        seen = [summand.repeat(draws, 1, 1, 1) for summand in self.decoder.seen(maps)]
        code, shown = codes[:, -1:], []
        for t in range(codes.shape[1], frames):
            drawn, state = self.frame_predictor(torch.cat([code, latent(t, code)], -1), state)
            shown.append(self.decoder(drawn[:, 0], seen))
            if t < frames - 1:
                code, maps = self.encoder(shown[-1])
                code = code[:, None]
                if self.skip_source == "every_frame":
                    seen = self.decoder.seen(maps)
        return torch.stack(shown, 2)
