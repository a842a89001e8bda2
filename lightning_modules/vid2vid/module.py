from typing import Any, Literal

import torch
from torch import Tensor, nn

from datamodules.base import ClipData
from datamodules.batch import VideoBatch, main_stream
from datamodules.errors import BenchError
from lightning_modules.adversarial import Players
from lightning_modules.contract import ClipNoise
from lightning_modules.pix2pixhd.condition import Condition
from lightning_modules.pix2pixhd.conditioned import ConditionedMethod
from lightning_modules.pix2pixhd.discriminator import MultiscaleDiscriminator
from lightning_modules.pix2pixhd.losses import perceptual
from lightning_modules.pix2pixhd.module import check_divisible
from lightning_modules.pix2pixhd.networks import Norm, init_weights
from lightning_modules.pix2pixhd.schedule import Decay, set_rate
from lightning_modules.sizes import Size
from lightning_modules.vid2vid.blocks import Statistics, use_frame_statistics
from lightning_modules.vid2vid.cascade import Cascade
from lightning_modules.vid2vid.clip import Clip, check_flow, conditions, cut, frames_of
from lightning_modules.vid2vid.lengths import Lengths
from lightning_modules.vid2vid.losses import (
    discriminator_terms,
    flow_losses,
    generator_terms,
    masked_l1,
    steady_loss,
)
from lightning_modules.vid2vid.networks import Made, stacked
from lightning_modules.vid2vid.temporal import judged, reach

WIDEST = 64  # first layer of the discriminators
Losses = dict[str, Tensor]


class Vid2Vid(ConditionedMethod):
    """vid2vid (Wang, Liu, Zhu, Liu, Tao, Kautz, Catanzaro, NeurIPS 2018, arXiv 1808.06601) as its code trains it.

    Frames are made one after another from a window of conditions and the frames made before, which the network's own
    flow moves. Discriminators judge single frames, and groups of frames at several strides with the true flow between
    them; that flow (`flow_back`) comes from the data. Where paper and code part: docs/methods/vid2vid.md.

    Args:
        size: height and width of the frames, or (height, width).
        channels: C of the frames.
        label_nc, condition_nc, instances: see `Pix2PixHD`; `label_nc` 0 takes `condition`.
        fg: whether the foreground has a branch of its own; needs labels.
        fg_labels: classes of the foreground.
        first_frames: `real`, the first n_frames_G - 1 frames are given, also in sampling; `zeros`, none is: the first
            frame is the new picture after black ones.
        n_frames_G: conditions in the window, one more than frames made before.
        n_frames_D: frames that the discriminators of time judge together.
        n_scales_spatial: sizes; the smallest network comes first.
        n_scales_temporal: discriminators of time, each at n_frames_D times the stride of the one before; 0 for none.
        ngf, n_downsample_G, n_blocks, n_blocks_local: see `Cascade`.
        no_flow: frames are new pictures, without the frame before.
        ndf, n_layers_D, num_D: see `MultiscaleDiscriminator`.
        norm: see `pix2pixhd.networks.norm_layer`.
        statistics: of BatchNorm in sampling: `frame`, each frame's own, as the official test has it; `running`.
        lambda_feat, lambda_vgg: weights of feature matching and the perceptual loss; 0 leaves the latter out.
        lambda_F, lambda_T: weights of the flow's loss, and of those of pictures that it moves.
        start_frames, grow_every, chunk_frames, max_frames_backprop: see `Lengths`.
        fix_coarse_steps: first steps, in which only the finest network is trained.
        lr, constant_steps, decay_steps, decay_every: see `schedule.Decay`; for every network.
        betas: of Adam.
        ttur: half the generator's rate, twice the discriminators', betas (0, 0.9).
    """

    generator: Cascade

    def __init__(
        self,
        size: Size = (256, 512),
        channels: int = 3,
        label_nc: int = 35,
        condition_nc: int = 3,
        instances: bool = True,
        fg: bool = False,
        fg_labels: tuple[int, ...] = (26,),
        first_frames: Literal["real", "zeros"] = "real",
        n_frames_G: int = 3,
        n_frames_D: int = 3,
        n_scales_spatial: int = 1,
        n_scales_temporal: int = 2,
        ngf: int = 128,
        n_downsample_G: int = 3,
        n_blocks: int = 9,
        n_blocks_local: int = 3,
        no_flow: bool = False,
        ndf: int = 64,
        n_layers_D: int = 3,
        num_D: int = 2,
        norm: Norm = "batch",
        statistics: Statistics = "frame",
        lambda_feat: float = 10.0,
        lambda_vgg: float = 10.0,
        lambda_F: float = 10.0,
        lambda_T: float = 10.0,
        start_frames: int = 6,
        grow_every: int = 0,
        chunk_frames: int = 6,
        max_frames_backprop: int = 1,
        fix_coarse_steps: int = 0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        ttur: bool = False,
        constant_steps: int = 0,
        decay_steps: int = 0,
        decay_every: int = 1,
    ) -> None:
        super().__init__()
        least = {"n_frames_G": n_frames_G - 1, "n_frames_D": n_frames_D - 1, "n_scales_spatial": n_scales_spatial}
        least |= {
            "start_frames": start_frames,
            "chunk_frames": chunk_frames,
            "max_frames_backprop": max_frames_backprop,
        }
        for name, value in least.items():
            if value < 1:
                more = int(name.startswith("n_frames"))
                raise BenchError(f"model.init_args.{name} must be at least {1 + more}, found {value + more}")
        if fg and (wrong := [label for label in fg_labels if not 0 <= label < label_nc]):
            raise BenchError(
                f"model.init_args.fg_labels holds {', '.join(map(str, wrong))}, but label_nc is {label_nc}: name "
                "classes of the foreground below it, or set fg: false"
            )
        check_divisible(size, n_downsample_G + n_scales_spatial - 1)
        self.size, self.channels, self.first_frames = size, channels, first_frames
        self.memory = n_frames_G - 1
        self.past = self.memory if first_frames == "real" else 0
        self.n_frames_D, self.n_scales_temporal, self.no_flow = n_frames_D, n_scales_temporal, no_flow
        self.lambda_feat, self.lambda_vgg, self.lambda_T = lambda_feat, lambda_vgg, lambda_T
        self.lambda_flow = lambda_F / 2 ** (n_scales_spatial - 1)
        self.lengths = Lengths(start_frames, grow_every, chunk_frames, max_frames_backprop)
        self.fix_coarse_steps, self.betas, self.ttur = fix_coarse_steps, (0.0, 0.9) if ttur else betas, ttur
        self.decay = Decay(lr, constant_steps, decay_steps, decay_every)
        self.condition = Condition(label_nc, instances, condition_nc)
        self.fg_labels = fg_labels if fg else ()

        shown = self.condition.channels
        self.generator = Cascade(
            *(shown * n_frames_G, channels, channels * self.memory, ngf, n_scales_spatial, n_downsample_G, n_blocks),
            *(n_blocks_local, fg, no_flow, norm),
        )
        if norm == "batch" and statistics == "frame":
            use_frame_statistics(self.generator)
        arguments = (ndf, n_layers_D, num_D, norm)
        self.discriminator = MultiscaleDiscriminator(shown + channels, *arguments, widest=WIDEST)
        of_time = channels * n_frames_D + 2 * (n_frames_D - 1)
        self.time = nn.ModuleList(
            MultiscaleDiscriminator(of_time, *arguments, widest=WIDEST) for _ in range(n_scales_temporal)
        )
        init_weights(self)
        self.players = Players(self, ["generator", "discriminator"], main="generator")

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Labels or the condition, numbers of objects where they are used, and the flow to the frame before."""
        objects = {"instances"} if init_args.get("instances", True) else set()
        return frozenset({"video", "flow_back", "labels" if init_args.get("label_nc", 35) else "condition"} | objects)

    def check_data(self, data: ClipData) -> None:
        """See `ConditionedMethod.check_data`; clips may have any length that the first sequences fit into."""
        super().check_data(data)
        needed = self.past + self.lengths.start_frames
        if data.frames < needed:
            raise BenchError(
                f"model.init_args.start_frames is {self.lengths.start_frames} and {self.past} frames are given before "
                f"them, but the clips of {data.name} have {data.frames} frames: set data.init_args.frames to at least "
                f"{needed}, or start_frames lower"
            )

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """See `ConditionedMethod`; also flow of another length or that is not finite."""
        if batch:
            check_flow(main_stream(batch))
        return super().on_before_batch_transfer(batch, dataloader_idx)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for the generators and one for all discriminators."""
        judges = [*self.discriminator.parameters(), *self.time.parameters()]
        return [torch.optim.Adam(own, self.decay.lr, self.betas) for own in (list(self.generator.parameters()), judges)]

    def training_step(self, batch: VideoBatch, batch_idx: int) -> None:
        """One update of each player on a sequence from anywhere in each clip, chunk by chunk.

        Each player's gradient is the mean over chunks, taken chunk by chunk, so that only one chunk's graph is kept.
        """
        step = self.global_step
        rate = self.decay.at(step)
        factors = (0.5, 2.0) if self.ttur else (1.0, 1.0)
        for optimizer, factor in zip(self.optimizers(), factors, strict=True):
            set_rate([optimizer.optimizer], factor * rate)
        clip = self.draw(batch, step)
        chunks = self.lengths.chunks(clip.made)
        history, done, seen = self.beginning(clip.real), clip.real[:, :0], []
        told: list[Losses] = []
        with self.players.turn("generator") as losses:
            for start, stop in chunks:
                window = self.lengths.window(step, stop - start)
                made, history = self.follow(clip.shown, clip.mask, history, start, stop, window, step)
                frames, raw = stacked(made, "frame"), stacked(made, "raw")
                terms = self.generator_losses(clip, made, frames, raw, done)
                whole = torch.stack(list(terms.values())).sum() / len(chunks)
                if stop < chunks[-1][1]:
                    self.manual_backward(whole)
                else:
                    losses.append(whole)
                told.append(terms)
                done = torch.cat([done, frames.detach()], 1)
                seen.append(raw.detach())
        with self.players.turn("discriminator") as losses:
            for (start, stop), raw in zip(chunks, seen, strict=True):
                terms = self.discriminator_losses(clip, done, raw, start, stop)
                whole = torch.stack(list(terms.values())).sum() / len(chunks)
                if stop < chunks[-1][1]:
                    self.manual_backward(whole)
                else:
                    losses.append(whole)
                told.append(terms)
        names = {name: [terms[name].detach() for terms in told if name in terms] for terms in told for name in terms}
        self.log_dict({f"train/{name}": torch.stack(values).mean() for name, values in names.items()})

    def draw(self, batch: VideoBatch, step: int) -> Clip:
        """The step's sequence of each clip, with the frames that are given before it."""
        length = batch["video"].shape[2]
        made = self.lengths.sequence(step, length - self.past)
        start = torch.randint(length - self.past - made + 1, (len(batch["video"]),)).to(self.device)
        if not self.past:  # what comes first after nothing is a clip's first frame
            start = torch.zeros_like(start)
        return cut(batch, self.condition, self.fg_labels, start, self.past, made)

    def beginning(self, real: Tensor) -> list[Tensor]:
        """What the first frame made follows, at every size: given frames of B T 3 H W, or black ones."""
        given = (
            real[:, : self.memory] if self.past else torch.zeros_like(real[:, :1]).expand(-1, self.memory, -1, -1, -1)
        )
        return self.generator.pyramid(given.flatten(1, 2))

    def follow(
        self,
        shown: Tensor,
        mask: Tensor | None,
        history: list[Tensor],
        start: int,
        stop: int,
        window: int | None = None,
        step: int | None = None,
    ) -> tuple[list[Made], list[Tensor]]:
        """Makes frames `start` to `stop` of those that are made, each after those before.

        Args:
            shown, mask: of the whole sequence, B T C H W.
            history: see `beginning`; of a later chunk what this gave for the one before.
            window: frames after which gradients are cut.
            step: of training.

        Returns:
            What was made at full size, and the history after it.
        """
        fixed = step is not None and step < self.fix_coarse_steps
        found = []
        for i in range(start, stop):
            t = self.past + i
            if window is not None and (i - start) % window == 0:
                history = [h.detach() for h in history]
            at = [
                max(0, t - k) for k in reversed(range(self.memory + 1))
            ]  # the first condition stands for earlier ones
            raw_only = not self.past and i == 0
            made = self.generator(
                shown[:, at].flatten(1, 2), history, None if mask is None else mask[:, t], raw_only, fixed
            )
            history = self.generator.remember(history, made)
            found.append(made[-1])
        return found, history

    def generator_losses(self, clip: Clip, made: list[Made], frames: Tensor, raw: Tensor, done: Tensor) -> Losses:
        """What the generators minimise in a chunk, by name and weighted.

        Args:
            clip: the sequence.
            made: the chunk.
            frames, raw: of it, B K 3 H W.
            done: frames made in chunks before, B K 3 H W, detached.
        """
        start, stop = done.shape[1], done.shape[1] + len(made)
        part = slice(self.past + start, self.past + stop)
        shown, real = clip.shown[:, part].flatten(0, 1), clip.real[:, part].flatten(0, 1)
        kinds = [frames.flatten(0, 1)] if self.no_flow else [frames.flatten(0, 1), raw.flatten(0, 1)]
        with torch.no_grad():
            on_real = self.discriminator(torch.cat([shown, real], 1))
        terms = [generator_terms(self.discriminator(torch.cat([shown, fake], 1)), on_real) for fake in kinds]
        losses = {
            "generator": torch.stack([gan for gan, _ in terms]).sum(),
            "feature_matching": self.lambda_feat * torch.stack([features for _, features in terms]).sum(),
        }
        if self.lambda_vgg:
            seen = torch.stack([perceptual(self._vgg[0], fake, real) for fake in kinds])
            losses["vgg"] = self.lambda_vgg * seen.sum()
        true, trusted = clip.flow[:, part].flatten(0, 1), clip.trusted[:, part].flatten(0, 1)
        # Without given frames the first one follows none: no loss looks at what stands here for it.
        earlier = done[:, -1:] if start else clip.real[:, max(self.past - 1, 0), None]
        before = torch.cat([earlier, frames[:, :-1]], 1).flatten(0, 1)
        losses["steady"] = self.lambda_T * steady_loss(kinds[0], before, true, trusted)
        if not self.no_flow:
            flow, weight = (stacked(made, name).flatten(0, 1) for name in ("flow", "weight"))
            of_flow, moved = flow_losses(flow, true, trusted, real, clip.before[:, part].flatten(0, 1))
            losses |= {"flow": self.lambda_flow * of_flow, "warp": self.lambda_T * moved}
            if not self.past:
                losses["weight"] = masked_l1(weight, torch.zeros_like(weight), trusted)
        fakes = torch.cat([done, frames], 1)
        for scale, network in enumerate(self.time):
            if pair := judged(clip, fakes, start, stop, self.n_frames_D, scale):
                with torch.no_grad():
                    on_true = network(pair[0])
                gan, features = generator_terms(network(pair[1]), on_true)
                losses |= {f"time{scale}": gan, f"time{scale}_feature_matching": self.lambda_feat * features}
        return losses

    def discriminator_losses(self, clip: Clip, done: Tensor, raw: Tensor, start: int, stop: int) -> Losses:
        """What the discriminators minimise in a chunk, by name.

        Args:
            clip: the sequence.
            done: all frames made, B K 3 H W, detached.
            raw: the chunk's new pictures, detached.
            start, stop: of the chunk.
        """
        part = slice(self.past + start, self.past + stop)
        shown, real = clip.shown[:, part].flatten(0, 1), clip.real[:, part].flatten(0, 1)
        fakes = [done[:, start:stop].flatten(0, 1)] + ([] if self.no_flow else [raw.flatten(0, 1)])
        beside = [torch.cat([shown, fake], 1) for fake in fakes]
        on_real, on_fake = discriminator_terms(self.discriminator, torch.cat([shown, real], 1), beside)
        losses = {"discriminator_real": on_real, "discriminator_fake": on_fake}
        for scale, network in enumerate(self.time):
            if pair := judged(clip, done, start, stop, self.n_frames_D, scale):
                on_real, on_fake = discriminator_terms(network, pair[0], [pair[1]])
                losses |= {f"time{scale}_real": on_real, f"time{scale}_fake": on_fake}
        return losses

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Frame after frame; given frames are copied."""
        self.condition.check(batch)
        frames = frames_of(batch)
        if frames <= self.past:
            raise BenchError(
                f"model.init_args.n_frames_G is {self.memory + 1} and first_frames real, so clips need more than "
                f"{self.past} frames to sample, found {frames}: set data.init_args.frames, or --frames, higher"
            )
        shown, mask = conditions(batch, self.condition, self.fg_labels)
        shown, mask = shown.to(self.device), None if mask is None else mask.to(self.device)
        real = batch["video"].transpose(1, 2).to(self.device)
        history, made = self.beginning(real), [real[:, t] for t in range(self.past)]
        for i in range(frames - self.past):
            (one,), history = self.follow(shown, mask, history, i, i + 1)
            made.append(one.frame.float())
        return torch.stack(made, 2)  # B C T H W

    def idle(self, step: int) -> frozenset[str]:
        """See `Method.idle`: coarse networks that stay, discriminators of strides longer than the sequence."""
        coarse = range(self.generator.scales - 1) if step < self.fix_coarse_steps else range(0)
        frames = self.lengths.sequence(step, 1 << 30)
        long = [s for s in range(self.n_scales_temporal) if frames <= reach(self.n_frames_D, s + 1)]
        return frozenset([f"generator.G{s}" for s in coarse] + [f"time.{s}" for s in long])
