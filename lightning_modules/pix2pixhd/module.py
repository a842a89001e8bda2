from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch, to_float
from datamodules.errors import BenchError
from lightning_modules.adversarial import Players
from lightning_modules.contract import ClipNoise
from lightning_modules.evaluation import to_device
from lightning_modules.pix2pixhd.clusters import ClusterBank, object_features
from lightning_modules.pix2pixhd.condition import Condition, all_frames, one_frame
from lightning_modules.pix2pixhd.conditioned import ConditionedMethod
from lightning_modules.pix2pixhd.discriminator import Judged, MultiscaleDiscriminator, judge_both
from lightning_modules.pix2pixhd.losses import Gan, feature_matching, gan_loss, perceptual
from lightning_modules.pix2pixhd.networks import GlobalGenerator, LocalEnhancer, Norm, init_weights
from lightning_modules.pix2pixhd.pool import ImagePool
from lightning_modules.pix2pixhd.schedule import Decay, set_rate
from lightning_modules.pix2pixhd.translator import Stage, Translator
from lightning_modules.sizes import Size, height_width


class Pix2PixHD(ConditionedMethod):
    """pix2pixHD (Wang, Liu, Zhu, Tao, Kautz, Catanzaro, CVPR 2018, arXiv 1711.11585) as the official code trains it.

    It makes pictures, each from its own condition: training takes one frame of each clip, sampling all of them, so it
    gives clips. Each step updates the generator and then the discriminators on the same fakes; both gradients are
    those before the step, as in the official code. Where paper and code part: docs/methods/pix2pixhd.md.

    Args:
        size: height and width of the pictures, or (height, width); what the halvings divide.
        channels: C of the pictures.
        label_nc: number of classes of `labels`, given one-hot; 0 takes `condition`, such as drawn poses or edges.
        condition_nc: channels of `condition`; read with `label_nc` 0 only.
        instances: whether the outlines of `instances` are given too.
        feat_num: length of the features of each object that an encoder learns; 0 for none. They need `instances` maps.
        n_clusters: appearances of each class to sample from.
        cluster_frames: training clips whose frames are encoded for these; None for all.
        n_local_enhancers: 0 for G1 alone (officially `netG: global`), else how often G2 doubles the size.
        ngf: generator's width at full size: officially 64 for G1 alone, 32 with an enhancer.
        n_downsample_global, n_blocks_global: halvings and residual blocks of G1.
        n_blocks_local: residual blocks of each enhancer.
        nef, n_downsample_E: width and halvings of the encoder.
        ndf, n_layers_D, num_D: width, halvings and scales of the discriminators.
        norm: see `networks.norm_layer`.
        gan: see `losses.gan_loss`.
        lambda_feat: weight of feature matching; 0 leaves it out.
        lambda_vgg: weight of the perceptual loss, whose network's weights must be on this machine; 0 leaves it out.
        pool_size: fakes of earlier steps kept for the discriminators; 0 (official) for none.
        global_steps: steps in which G1 is trained alone at its own size; officially a run of its own.
        global_decay_steps: the last of them, in which the rate falls to 0, as it does at the end of that run.
        fix_global_steps: steps after them in which the enhancers are trained on top of a G1 that stays as it is.
        lr: of both Adam optimizers.
        betas: of Adam.
        constant_steps, decay_steps, decay_every: see `schedule.Decay`, counted from the run's first step; officially
            100 epochs, 100 epochs, one epoch, and 50 and 50 behind G1's stage.
        frames_at_once: frames made together in sampling; moves no number.
    """

    generator: Translator

    def __init__(
        self,
        size: Size = (512, 1024),
        channels: int = 3,
        label_nc: int = 35,
        condition_nc: int = 3,
        instances: bool = True,
        feat_num: int = 0,
        n_clusters: int = 10,
        cluster_frames: int | None = None,
        n_local_enhancers: int = 0,
        ngf: int = 64,
        n_downsample_global: int = 4,
        n_blocks_global: int = 9,
        n_blocks_local: int = 3,
        nef: int = 16,
        n_downsample_E: int = 4,
        ndf: int = 64,
        n_layers_D: int = 3,
        num_D: int = 2,
        norm: Norm = "instance",
        gan: Gan = "lsgan",
        lambda_feat: float = 10.0,
        lambda_vgg: float = 10.0,
        pool_size: int = 0,
        global_steps: int = 0,
        global_decay_steps: int = 0,
        fix_global_steps: int = 0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        constant_steps: int = 0,
        decay_steps: int = 0,
        decay_every: int = 1,
        frames_at_once: int = 8,
    ) -> None:
        super().__init__()
        if (global_steps or fix_global_steps) and not n_local_enhancers:
            raise BenchError(
                "model.init_args.global_steps and fix_global_steps are stages of training with an enhancer: set "
                f"n_local_enhancers, found 0 with global_steps {global_steps} and fix_global_steps {fix_global_steps}"
            )
        if not 0 <= global_decay_steps <= global_steps:
            raise BenchError(
                f"model.init_args.global_decay_steps must lie in 0 to global_steps, {global_steps}, found "
                f"{global_decay_steps}"
            )
        halvings = [n_downsample_global + n_local_enhancers] + ([n_downsample_E] if feat_num else [])
        check_divisible(size, max(halvings))
        self.size, self.channels, self.n_local_enhancers = size, channels, n_local_enhancers
        self.norm, self.gan, self.lambda_feat, self.lambda_vgg = norm, gan, lambda_feat, lambda_vgg
        self.global_steps, self.fix_global_steps, self.betas = global_steps, fix_global_steps, betas
        self.decay = Decay(lr, constant_steps, decay_steps, decay_every)
        self.global_decay = Decay(lr, global_steps - global_decay_steps, global_decay_steps, decay_every)
        self.cluster_frames, self.frames_at_once = cluster_frames, frames_at_once
        self.condition = Condition(label_nc, instances, condition_nc)

        inputs = self.condition.channels + feat_num
        net: GlobalGenerator | LocalEnhancer
        if n_local_enhancers:
            net = LocalEnhancer(
                *(inputs, channels, ngf, n_downsample_global, n_blocks_global),
                *(n_local_enhancers, n_blocks_local, norm),
            )
        else:
            net = GlobalGenerator(inputs, channels, ngf, n_downsample_global, n_blocks_global, norm)
        encoder = GlobalGenerator(channels, feat_num, nef, n_downsample_E, 0, norm) if feat_num else None
        bank = ClusterBank(label_nc or 1, n_clusters, feat_num) if feat_num else None
        self.generator = Translator(net, encoder, bank, apart=global_steps > 0)
        self.discriminator = MultiscaleDiscriminator(
            self.condition.channels + channels, ndf, n_layers_D, num_D, norm, features=lambda_feat > 0
        )
        init_weights(self)
        self.pool = ImagePool(pool_size)
        self.players = Players(self, ["generator", "discriminator"], main="generator")

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Labels or the condition, and numbers of objects where they are used."""
        objects = {"instances"} if init_args.get("instances", True) or init_args.get("feat_num") else set()
        return frozenset({"video", "labels" if init_args.get("label_nc", 35) else "condition"} | objects)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each player, in the order of `players`."""
        return [
            # fused: one pass over 180 million weights in place of five; equal to rounding
            torch.optim.Adam(network.parameters(), self.decay.lr, self.betas, fused=True)
            for network in (self.generator, self.discriminator)
        ]

    def stage(self, step: int) -> Stage:
        """What is trained in a step, counted from 0."""
        if step < self.global_steps:
            return "global"
        return "enhancer" if step < self.global_steps + self.fix_global_steps else "joint"

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0: of G1's stage, then of what follows it."""
        falls = step < self.global_steps and self.global_decay.falling
        return self.global_decay.at(step) if falls else self.decay.at(step)

    def idle(self, step: int) -> frozenset[str]:
        """See `Method.idle`."""
        stage = self.stage(step)
        of_generator, of_discriminator = self.generator.idle(stage), self.discriminator.idle(self.skipped(stage))
        return frozenset(
            [f"generator.{part}" for part in of_generator] + [f"discriminator.{part}" for part in of_discriminator]
        )

    def skipped(self, stage: Stage) -> int:
        """Discriminators that judge sizes which the stage does not have: each has one size in all stages."""
        return min(self.n_local_enhancers, self.discriminator.num_D - 1) if stage == "global" else 0

    def training_step(self, batch: VideoBatch, batch_idx: int) -> None:
        """One update of each player on the same fakes of one frame of each clip, at the step's rate and stage."""
        step = self.global_step
        set_rate([o.optimizer for o in self.optimizers()], self.rate(step))  # type: ignore[union-attr]
        at = torch.randint(batch["video"].shape[2], (len(batch["video"]),)).to(self.device)
        shown, real, fake = self.make(one_frame(batch, at), self.stage(step))
        seen = self.pool.exchange(torch.cat([shown, fake.detach()], 1))
        # One pass serves both turns: the generator needs the features of real pictures, before the step.
        skip = self.skipped(self.stage(step))
        on_real, on_fake = judge_both(self.discriminator, torch.cat([shown, real], 1), seen, self.norm, skip)
        with self.players.turn("generator") as losses:
            of_generator = self.generator_losses(shown, real, fake, on_real, skip)
            losses += of_generator.values()
        with self.players.turn("discriminator") as losses:
            of_discriminator = self.discriminator_losses(on_real, on_fake)
            losses += of_discriminator.values()
        self.log_dict({f"train/{name}": loss.detach() for name, loss in {**of_generator, **of_discriminator}.items()})

    def make(self, images: Mapping[str, Tensor], stage: Stage) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures made for training.

        Args:
            images: see `condition.one_frame`.
            stage: decides the size, and which parts take gradients.

        Returns:
            What the discriminators are shown N c h w, real pictures and fakes N C h w.
        """
        shown, real = self.condition(images), images["video"]
        x = shown
        if self.generator.encoder is not None:
            x = torch.cat([shown, self.generator.features(real, images["instances"])], 1)
        if stage == "global":
            shown, real, x = (self.generator.coarse_size(images) for images in (shown, real, x))
        return shown, real, self.generator(x, stage)

    def generator_losses(
        self, shown: Tensor, real: Tensor, fake: Tensor, on_real: Judged, skip: int = 0
    ) -> dict[str, Tensor]:
        """What the generator and the encoder minimise, by name and weighted.

        Args:
            shown, real, fake: see `make`.
            on_real: the discriminators on `shown` and `real`.
            skip: see `skipped`.
        """
        judged = self.discriminator(torch.cat([shown, fake], 1), skip)
        losses = {"generator": gan_loss(judged, True, self.gan)}
        if self.lambda_feat:
            losses["feature_matching"] = self.lambda_feat * feature_matching(judged, on_real)
        if self.lambda_vgg:
            losses["vgg"] = self.lambda_vgg * perceptual(self._vgg[0], fake, real)
        return losses

    def discriminator_losses(self, on_real: Judged, on_fake: Judged) -> dict[str, Tensor]:
        """What the discriminators minimise, by name: half of each."""
        return {
            "discriminator_real": 0.5 * gan_loss(on_real, True, self.gan),
            "discriminator_fake": 0.5 * gan_loss(on_fake, False, self.gan),
        }

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Sampling shows G1 alone until the enhancers' stage begins."""
        if self.generator.head is not None:
            self.generator.coarse_only.fill_(self.stage(self.global_step) == "global")

    @torch.no_grad()
    def prepare(self, data: ClipData) -> None:
        """Gathers the appearances to sample from: the encoder's features of objects in training frames, by class."""
        generator = self.generator
        if generator.encoder is None or generator.bank is None:
            return
        count = len(data.store("train").lengths)
        count = count if self.cluster_frames is None else min(count, self.cluster_frames)
        modes = generator.training
        generator.eval()
        found = []
        for start in range(0, count, self.frames_at_once):
            numbers = list(range(start, min(start + self.frames_at_once, count)))
            clips = data.eval_batch("train", numbers, data.frames, data.stride, seed=0)
            images = all_frames(to_float(to_device(clips, self.device)))
            found.append(object_features(generator.encoder(images["video"]), images["instances"]))
        generator.train(modes)
        features, classes = zip(*found, strict=True)
        generator.bank.fit(torch.cat(features), torch.cat(classes))

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """A picture for each frame's condition; objects' appearances, where features are used, come from `noise`."""
        self.condition.check(batch)
        images = all_frames(batch)
        clips, generator = len(noise), self.generator
        parts = {key: value for key, value in images.items() if key != "video"}
        if generator.bank is not None:
            parts["features"] = generator.bank.draw(batch["instances"], noise).flatten(0, 1)
        made = []
        for at in range(0, len(next(iter(parts.values()))), self.frames_at_once):
            part = {key: value[at : at + self.frames_at_once].to(self.device) for key, value in parts.items()}
            x = self.condition(part)
            made.append(generator.full_size(torch.cat([x, part["features"]], 1) if "features" in part else x).float())
        return torch.cat(made).unflatten(0, (clips, -1)).transpose(1, 2)  # B C T H W

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The fakes kept for the discriminators, so that a resumed run goes on as an unbroken one."""
        checkpoint["pool"] = self.pool.kept

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See `on_save_checkpoint`."""
        self.pool.kept = [fake.to(self.device) for fake in checkpoint.get("pool", [])]


def check_divisible(size: Size, halvings: int, argument: str = "size") -> None:
    """Raises `BenchError` unless both sides divide by the networks' factor, and the smallest map can be mirrored."""
    factor = 1 << halvings
    if any(side < 2 * factor or side % factor for side in height_width(size)):
        raise BenchError(
            f"model.init_args.{argument} must be a multiple of {factor} for {halvings} halvings, and at least "
            f"{2 * factor}, found {size}; choose such a size, or fewer halvings"
        )
