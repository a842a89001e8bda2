from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.svg.blocks import batch_statistics, init_weights
from lightning_modules.svg.losses import kl_divergence
from lightning_modules.svg.networks import Forecast, StochasticPredictor

SIZES = {"dcgan": (32, 64, 128), "vgg": (64, 128)}


class SVG(Method):
    """SVG (Denton, Fergus, ICML 2018, arXiv 1802.07687) as the official code trains it.

    Predicts the frames after the first `context`. Inside frames lie in [0, 1].

    Args:
        size: height and width of the frames, 64 or 128 (official); 32, dcgan alone, is ours: one level fewer.
        channels: C of the frames.
        frames: T of the training clips, the official n_past + n_future; sampled clips may be longer.
        context: how many first frames are given in training, the official n_past; sampling takes what the batch gives.
        prior: `learned` is SVG-LP, `fixed` SVG-FP with N(0, I), `none` the paper's deterministic baseline without z.
        backbone: of encoder and decoder, `dcgan` or `vgg`.
        nf: channels of the finest maps, 64.
        g_dim: length of a frame's code.
        z_dim: length of a latent.
        rnn_size: width of all LSTMs.
        predictor_layers, posterior_layers, prior_layers: LSTM cells on top of each other.
        beta: weight of the KL divergence.
        reduction: `svg` is the official loss, squared errors averaged over pixels and summed over time; `elbo` half
            their sum, a Gaussian likelihood of unit variance, so that beta 1 gives the evidence lower bound. It is the
            `svg` loss with beta 2 beta / (C H W), times C H W / 2.
        skip_source: whose maps the decoder sees for predicted frames. `svg_code`: of the last given frame but one, as
            the official loop has it; `last_cond`: of the last given one, as the paper says; `every_frame`: of the frame
            before, the official --last_frame_skip.
        bn_eval: normalises sampled frames by `running` statistics, or as the official SVG-LP script by those of the
            `batch`; a clip then depends on the clips that it is sampled with.
        cond_z: latents of the given frames when sampling: a `sample` of their posterior (official SVG-LP), its `mean`
            (official SVG-FP), or a sample of the `prior`.
        bn_updates: `svg_code` moves the encoder's running statistics by an inner frame twice where the prior is
            learned, since the official loop encodes it twice; `once` by every frame once. Both encode it once.
        lr: of Adam.
        betas: of Adam.

    Raises:
        BenchError: values that do not go together.
    """

    generator: StochasticPredictor
    size: int
    any_length = True

    def __init__(
        self,
        size: int = 64,
        channels: int = 1,
        frames: int = 15,
        context: int = 5,
        prior: Literal["learned", "fixed", "none"] = "learned",
        backbone: Literal["dcgan", "vgg"] = "dcgan",
        nf: int = 64,
        g_dim: int = 128,
        z_dim: int = 10,
        rnn_size: int = 256,
        predictor_layers: int = 2,
        posterior_layers: int = 1,
        prior_layers: int = 1,
        beta: float = 1e-4,
        reduction: Literal["svg", "elbo"] = "svg",
        skip_source: Literal["svg_code", "last_cond", "every_frame"] = "svg_code",
        bn_eval: Literal["running", "batch"] = "running",
        cond_z: Literal["sample", "mean", "prior"] = "sample",
        bn_updates: Literal["svg_code", "once"] = "svg_code",
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        super().__init__()
        widths = {"nf": nf, "g_dim": g_dim, "z_dim": z_dim, "rnn_size": rnn_size, "channels": channels}
        widths |= {"predictor_layers": predictor_layers, "posterior_layers": posterior_layers}
        widths |= {"prior_layers": prior_layers}
        for key, value in widths.items():
            if value < 1:
                raise BenchError(f"model.init_args.{key} must be at least 1, found {value}")
        if size not in SIZES[backbone]:
            allowed = ", ".join(map(str, SIZES[backbone]))
            raise BenchError(f"model.init_args.size must be one of {allowed} for backbone {backbone}, found {size}")
        _check_context(context, frames, skip_source, "model.init_args.context")
        self.size, self.channels, self.frames, self.context = size, channels, frames, context
        self.prior = prior
        self.beta, self.reduction, self.skip_source, self.bn_eval = beta, reduction, skip_source, bn_eval
        self.lr, self.betas = lr, betas
        self.generator = StochasticPredictor(
            prior,
            backbone,
            size,
            channels,
            nf,
            g_dim,
            z_dim,
            rnn_size,
            predictor_layers,
            posterior_layers,
            prior_layers,
            skip_source,
            cond_z,
            bn_updates,
        )
        init_weights(self.generator)

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Clips, and the frames that they begin with."""
        return frozenset({"video", "context"})

    def check_data(self, data: ClipData) -> None:
        """See `Method.check_data`; also another number of given frames, and batches of one clip."""
        super().check_data(data)
        if data.context != self.context:
            raise BenchError(
                f"model.init_args.context is {self.context}, but {data.name} gives the first {data.context} frames "
                "(data.init_args.context); make them agree, for example by context: ${data.init_args.context}"
            )
        if data.batch_size < 2 * self.trainer.world_size:
            raise BenchError(
                f"data.init_args.batch_size is {data.batch_size} on {self.trainer.world_size} processes; SVG's "
                "BatchNorm over codes, one frame of each clip at a time, needs at least 2 clips on each"
            )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One Adam over all networks; the official code's one for each, with equal settings, take the same steps."""
        return torch.optim.Adam(self.generator.parameters(), self.lr, self.betas)

    def training_step(self, batch: VideoBatch, batch_idx: int) -> Tensor:
        """The loss of one batch; the optimizer's step is Lightning's."""
        video = unit(batch["video"])
        eps = torch.randn(len(video), video.shape[2] - 1, self.generator.z_dim, device=self.device)
        forecast = self.generator(video, eps[None], self.context)
        loss, logged = self.loss(forecast, video)
        self.log_dict({f"train/{name}": value for name, value in logged.items()})
        return loss

    def loss(self, forecast: Forecast, video: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, over given and predicted frames alike (all but the first), and what is logged of it.

        Args:
            forecast: of all frames of `video` but the first.
            video: B C T H W in [0, 1].

        Returns:
            The loss to minimise; `loss`, `mse` (mean over all pixels) and, where there is a z, `kl` (nats of one frame,
            mean over frames and clips), without gradients.
        """
        clips, channels, frames, height, width = video.shape
        mse = (forecast.video.float() - video[:, :, 1:].float()).square().mean()
        of_pixels = 1.0 if self.reduction == "svg" else 0.5 * channels * height * width
        loss = mse * ((frames - 1) * of_pixels)
        logged = {"mse": mse.detach()}
        if forecast.posterior is not None:
            kl = kl_divergence(forecast.posterior, forecast.prior).sum() / clips
            loss = loss + self.beta * kl
            logged["kl"] = kl.detach() / (frames - 1)
        return loss, {"loss": loss.detach(), **logged}

    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Clips that begin with the frames of `batch["context"]` B C K H W, followed by predicted ones.

        Raises:
            BenchError: more given frames than there is room for, too few for `skip_source`, or a single clip with
                `bn_eval` batch.
        """
        return self.sample_many(batch, [noise])[0]

    @torch.no_grad()
    def sample_many(self, batch: VideoBatch, noises: Sequence[ClipNoise]) -> Tensor:
        """See `Method.sample_many`; the given frames are encoded once for all futures.

        With `bn_eval` batch the futures are made one after another: a batch is the clips of one draw.
        """
        if not noises:
            raise BenchError("SVG.sample_many: no noise was given, but it makes one future for each; give at least one")
        if self.bn_eval == "batch" and len(noises) > 1:
            return torch.stack([self.sample(batch, noise) for noise in noises])
        context = self._given(batch)
        eps = torch.stack([self._draw(noise) for noise in noises])  # S B T-1 z_dim
        with self._statistics(len(context)):
            forecast = self.generator(unit(context), eps.to(self.device), context.shape[2])
        future = (forecast.video.float() * 2 - 1).unflatten(0, (len(noises), len(context)))  # S B C T-K H W
        return torch.cat([context.float().expand(len(noises), *context.shape), future], 3)

    @torch.no_grad()
    def reconstruct(self, batch: VideoBatch) -> Tensor:
        """Clips of `batch["video"]` again, B C T H W, the given frames copied; see `StochasticPredictor.reconstruct`.

        Raises:
            BenchError: see `sample`.
        """
        video, context = batch["video"].to(self.device), self._given(batch)
        _check_context(context.shape[2], video.shape[2], self.skip_source, "batch['context']")
        with self._statistics(len(context)):
            future = self.generator.reconstruct(unit(video), context.shape[2])
        return torch.cat([context.float(), future.float() * 2 - 1], 2)

    @torch.no_grad()
    def uncertainty(self, batch: VideoBatch) -> Tensor:
        """See `Method.uncertainty`: the learned prior's standard deviation, mean over the latents.

        Raises:
            BenchError: a prior that is not learned, whose deviation is the same at every frame.
        """
        if self.generator.prior is None:
            raise BenchError(
                f"SVG with prior {self.prior} is equally unsure of every frame; only prior learned says when"
            )
        video = batch["video"].to(self.device)
        with self._statistics(len(video)):
            codes, _ = self.generator.encode(unit(video))
            deviation = (0.5 * self.generator.prior(codes[:, :-1])[0].logvar).exp().mean(2)  # B T-1
        return torch.cat([deviation.new_full((len(video), 1), torch.nan), deviation], 1).float()

    def _given(self, batch: VideoBatch) -> Tensor:
        """B C K H W in [-1, 1]: what the batch gives, else its first frames."""
        context = batch["context"] if "context" in batch else batch["video"][:, :, : self.context]
        if context.shape[1] != self.channels or context.shape[3:] != (self.size, self.size):
            found = (context.shape[1], *context.shape[3:])
            raise BenchError(
                f"batch['context'] has frames of {found} (C H W), but this SVG was built for "
                f"{(self.channels, self.size, self.size)}; sample with data of its size and channels"
            )
        _check_context(context.shape[2], self.frames, self.skip_source, "batch['context']")
        return context.to(self.device)

    def _draw(self, noise: ClipNoise) -> Tensor:
        """B T-1 z_dim; frame by frame, so that a longer clip begins as a shorter one does."""
        return torch.stack([noise.normal(self.generator.z_dim) for _ in range(self.frames - 1)], 1)

    def _statistics(self, clips: int) -> Any:
        if self.bn_eval == "running":
            return nullcontext()
        if clips < 2:
            raise BenchError(
                "model.init_args.bn_eval batch normalises by the other clips of a batch and cannot sample a single "
                "one; sample several at a time, or set bn_eval to running"
            )
        return batch_statistics(self.generator)


def unit(video: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1]."""
    return (video + 1) / 2


def _check_context(context: int, frames: int, skip_source: str, name: str) -> None:
    if not 1 <= context < frames:
        raise BenchError(
            f"{name}: {context} frames are given of clips of {frames}; at least 1 must be given and 1 be left to "
            "predict: raise frames or lower data.init_args.context"
        )
    if skip_source == "svg_code" and context < 2:
        raise BenchError(
            f"{name}: {context} frame is given, and skip_source svg_code takes the decoder's maps from the last given "
            "frame but one; give 2 frames or more, or set model.init_args.skip_source to last_cond or every_frame"
        )
