from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.pose.maps import disc_maps
from datamodules.stream import StreamSpec
from lightning_modules.adversarial import Players
from lightning_modules.pg2.discriminator import Discriminator
from lightning_modules.pg2.losses import (
    Adversarial,
    bce,
    discriminator_loss,
    generator_loss,
    judge,
    pose_mask_l1,
)
from lightning_modules.pg2.networks import Generator, PoseInput, residual_blocks
from lightning_modules.pose_image import PoseImageMethod, Wanted, frames_of, wanted_of
from lightning_modules.sizes import Size, height_width
from lightning_modules.tf_adam import TFAdam

Networks = Literal["g1", "g1_d", "g1_g2_d"]
BETAS = (0.5, 0.999)


class PG2(PoseImageMethod):
    """PG2 (Ma et al., NIPS 2017, arXiv 1705.09368): a person in another pose, a coarse picture first, then a finer one.

    Stage I teaches G1 alone. From step `stage1_steps` on G1 is frozen, and G2, which adds a difference to G1's picture,
    is taught with a discriminator. The stage is a function of the step, so one run goes through both and resumes in
    either. Options where paper and code part: docs/methods/pg2.md.

    Args:
        size: height and width of the frames, or (height, width): (128, 64) or 256 officially.
        networks: `g1_g2_d`, the method; `g1`, stage I for good; `g1_d`, the paper's one-stage adversarial baseline, in
            which the discriminator judges G1, which goes on learning.
        stage1_steps: steps of stage I.
        adversarial: what the discriminator is shown; see `losses.judge`.
        full_skip: whether G2's largest map skips to its last block; officially for DeepFashion alone.
        lambda_l1: weight of the difference to the picture wanted in stage II; officially 10 for Market-1501, 50 for
            DeepFashion.
        pose_mask: whether the person's pixels count twice in that difference, in both stages.
        pose_input: how G1 is told the pose; see `networks.Coarse`.
        pose_radius: pixels of the discs in pose maps; 4 officially for both sets, more than small frames have room for.
        fresh_batch: the discriminator's turn has a batch of its own, as in the official code; otherwise it is shown
            what the generator was, and a step draws and generates half as much.
        hidden: channels of the generators' first block.
        dim_z: length of G1's code.
        ndf: channels of the discriminator's first layer.
        lr: of all optimizers, which are TensorFlow's Adam.
    """

    generator: Generator
    discriminator: Discriminator | None

    def __init__(
        self,
        size: Size = (128, 64),
        networks: Networks = "g1_g2_d",
        stage1_steps: int = 22000,
        adversarial: Adversarial = "market",
        full_skip: bool = False,
        lambda_l1: float = 10.0,
        pose_mask: bool = True,
        pose_input: PoseInput = "maps",
        pose_radius: int = 4,
        fresh_batch: bool = True,
        hidden: int = 128,
        dim_z: int = 64,
        ndf: int = 64,
        lr: float = 2e-5,
    ) -> None:
        super().__init__()
        for key, value in (("stage1_steps", stage1_steps), ("pose_radius", pose_radius)):
            if value < 0:
                raise BenchError(f"model.init_args.{key} must be at least 0, found {value}")
        self.size, self.height, self.width = size, *height_width(size)
        residual_blocks(self.height, self.width)
        self.networks, self.stage1_steps = networks, stage1_steps
        self.adversarial, self.lambda_l1, self.pose_mask = adversarial, lambda_l1, pose_mask
        self.pose_radius, self.fresh_batch, self.lr = pose_radius, fresh_batch and networks != "g1", lr
        skip = full_skip if networks == "g1_g2_d" else None
        self.generator = Generator(self.height, self.width, hidden, dim_z, pose_input, skip)
        self.discriminator = None
        if networks != "g1":
            channels = 6 if adversarial == "pairs" else 3
            self.discriminator = Discriminator(channels, ndf, (self.height, self.width))
        self.stage: int | None = None  # that the parameters are frozen for
        names = ["generator"] if self.discriminator is None else ["generator", "discriminator"]
        self.players = Players(self, names, main="generator")

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Pictures and the pose wanted, and the person's mask for the loss. The source's pose is not read."""
        masks = {"mask"} if init_args.get("pose_mask", True) else set()
        return frozenset({"video", "source", "pose"} | masks)

    @property
    def streams(self) -> Mapping[str, StreamSpec]:
        """Single frames; with `fresh_batch` as many again for the discriminator's turn."""
        single = StreamSpec(frames=1)
        return {"clips": single, "discriminator": single} if self.fresh_batch else {"clips": single}

    def setup(self, stage: str) -> None:
        """Makes every parameter trainable: several processes share the gradients only of those that are now."""
        super().setup(stage)
        self.requires_grad_(True)
        self.stage = None

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One for the generators, which are groups with steps of their own, and one for the discriminator."""
        parts: list[nn.Module] = [self.generator.coarse]
        if self.generator.difference is not None:
            parts.append(self.generator.difference)
        groups = [{"params": list(part.parameters())} for part in parts]
        optimizers: list[torch.optim.Optimizer] = [TFAdam(groups, self.lr, BETAS)]
        if self.discriminator is not None:
            optimizers.append(TFAdam(self.discriminator.parameters(), self.lr, BETAS))
        return optimizers

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Stage I: a step of G1. Stage II: one of the generator, then one of the discriminator."""
        mine: VideoBatch = batch["clips"] if self.fresh_batch else batch
        wanted, target = wanted_of(mine), frames_of(mine["video"])
        mask = frames_of(mine["mask"]) if self.pose_mask else None
        if self.enter(1 if self.networks == "g1" or self.global_step < self.stage1_steps else 2) == 1:
            with self.players.turn("generator") as losses:
                coarse, _ = self.draw(wanted, refine=False)
                losses.append(pose_mask_l1(coarse, target, mask))
            self.log("train/coarse_l1", losses[0].detach())
            return
        assert self.discriminator is not None
        with self.players.turn("generator") as losses:
            coarse, fake = self.draw(wanted, refine=True)
            found = self.generator_losses(wanted.source, target, mask, coarse, fake)
            losses += [found["adversarial"], self.lambda_l1 * found["l1"]]
        if self.fresh_batch:
            wanted, target = wanted_of(batch["discriminator"]), frames_of(batch["discriminator"]["video"])
            with torch.no_grad():
                coarse, fake = self.draw(wanted, refine=True)
        with self.players.turn("discriminator") as losses:
            losses.append(self.critic_loss(wanted.source, target, coarse, fake))
        found["discriminator"] = losses[0]
        self.log_dict({f"train/{name}": loss.detach() for name, loss in found.items()})

    def draw(self, wanted: Wanted, refine: bool) -> tuple[Tensor, Tensor]:
        """G1's picture and the one to show, N 3 H W each."""
        coarse, fake = self.generator(wanted.source, self.pose(wanted.pose), refine)
        return coarse, fake

    def pose(self, pose: Tensor) -> Tensor:
        """What G1 reads of a pose N 18 3: maps N 18 H W of -1 and 1, or coordinates N 54.

        Coordinates are x and y from -1 to 1 over the picture and whether the joint is there; 0 where it is not. The
        paper does not tell this.
        """
        if self.generator.coarse.pose_input != "coordinates":
            return disc_maps(pose, self.height, self.width, self.pose_radius).float() * 2 - 1
        there = (pose[..., 2:] > 0).float()
        x, y = pose[..., :1] / (self.width - 1), pose[..., 1:2] / (self.height - 1)
        return torch.cat([(x * 2 - 1) * there, (y * 2 - 1) * there, there], -1).flatten(1)

    def generator_losses(
        self, source: Tensor, target: Tensor, mask: Tensor | None, coarse: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        """Of stage II, by name: `adversarial`; `l1`, to be weighted by `lambda_l1`.

        Args:
            source, target, coarse, fake: N 3 H W.
            mask: N 1 H W in [0, 1].
        """
        assert self.discriminator is not None
        logits = judge(self.discriminator, self.adversarial, source, target, coarse, fake)
        found = {"adversarial": generator_loss(self.adversarial, logits), "l1": pose_mask_l1(fake, target, mask)}
        if "coarse" in logits:  # nobody minimises it: 0.69 where G2's pictures look as real as G1's, less where more
            found["fake_over_coarse"] = bce((logits["fake"] - logits["coarse"]).detach(), 1)
        return found

    def critic_loss(self, source: Tensor, target: Tensor, coarse: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator minimises."""
        assert self.discriminator is not None
        # Without G2 the coarse picture is the fake one, which `judge` tells by identity.
        shown = fake.detach()
        still = shown if coarse is fake else coarse.detach()
        return discriminator_loss(
            self.adversarial, judge(self.discriminator, self.adversarial, source, target, still, shown)
        )

    def images(self, wanted: Wanted) -> Tensor:
        """G2's pictures, or G1's where G2 has not been trained; cut to [-1, 1] as officially in writing them."""
        return self.draw(wanted, refine=bool(self.generator.refines))[1].clamp(-1, 1)

    def enter(self, stage: int) -> int:
        """Freezes what the stage does not train."""
        if stage != self.stage:
            self.stage = stage
            refines = stage == 2 and self.generator.difference is not None
            self.generator.coarse.requires_grad_(not refines)
            if self.generator.difference is not None:
                self.generator.difference.requires_grad_(refines)
                self.generator.refines.fill_(int(refines))
            if self.discriminator is not None:
                self.discriminator.requires_grad_(stage == 2)
        return stage
