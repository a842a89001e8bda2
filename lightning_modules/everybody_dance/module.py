from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.adversarial import Players
from lightning_modules.contract import ClipNoise
from lightning_modules.everybody_dance.faces import face_perceptual, faces_of, verdicts
from lightning_modules.everybody_dance.networks import CHANNELS, Dancer, FaceDiscriminator, Frame
from lightning_modules.everybody_dance.stages import Stages, check_stages
from lightning_modules.pix2pixhd.condition import Condition
from lightning_modules.pix2pixhd.conditioned import ConditionedMethod
from lightning_modules.pix2pixhd.discriminator import Judged, MultiscaleDiscriminator, judge_both
from lightning_modules.pix2pixhd.losses import feature_matching, gan_loss, perceptual
from lightning_modules.pix2pixhd.module import check_divisible
from lightning_modules.pix2pixhd.networks import GlobalGenerator, LocalEnhancer, init_weights
from lightning_modules.pix2pixhd.schedule import set_rate
from lightning_modules.pix2pixhd.translator import Translator
from lightning_modules.sizes import Size, height_width


class Roll(NamedTuple):
    """What a training step looks at, frame by frame: N 3 H W each.

    Attributes:
        poses, real: drawn poses and true frames, at the stage's size.
        made: frames made one after another, the first after zeros.
        boxes: of the faces, N 4 each.
    """

    poses: list[Tensor]
    real: list[Tensor]
    made: list[Frame]
    boxes: list[Tensor]


class EverybodyDance(ConditionedMethod):
    """Everybody Dance Now (Chan, Ginosar, Zhou, Efros, ICCV 2019, arXiv 1808.07371) as the official code trains it.

    One dancer, one room: frames are made from drawn poses, each after the one before, so sampling goes frame by frame
    along the clip. The discriminators judge pairs of frames with their poses. One run passes through the stages that
    the official code trains in runs of their own: G1 at half the size; all of the main network; the face's residual
    with the main network as it is. Where paper and code part: docs/methods/everybody_dance.md.

    Args:
        size: height and width of the frames, or (height, width).
        channels: C of the frames, 3.
        pose_range: `unit`, poses are given in [0, 1] as the official code gives them; `signed`, in [-1, 1].
        rollout: frames made in a training step, each from the one before; officially 2, while sampling goes on for the
            whole clip. Pairs and frames weigh as in two.
        n_local_enhancers: 0 for G1 alone, else how often the size is doubled beyond it.
        ngf: main network's width at full size: officially 64 for G1 alone, 32 with an enhancer.
        n_downsample_global, n_blocks_global, n_blocks_local: see `Pix2PixHD`.
        ndf, n_layers_D, num_D: width, halvings and scales of the discriminators; the finest scales join with the size.
        face: whether faces have a network and a discriminator of their own.
        face_size: side of the squares about the faces; officially 128.
        face_box: `first` takes the first frame's box for all frames of a training step, as the official code does;
            `own` each frame's.
        face_ngf, face_n_downsample, face_n_blocks: of the face's network.
        face_ndf: of its discriminator.
        lambda_feat, lambda_vgg: see `Pix2PixHD`; the perceptual loss counts half while G1 is trained alone, and is
            added for faces with half its weight a frame.
        global_steps, local_steps, face_steps: lengths of the stages.
        face_fix_steps: first steps of the last stage in which the main discriminators stay as they are.
        decay_share: of each stage, at its end, in which the learning rate falls to 0; officially half.
        lr, betas: of both Adam optimizers.
    """

    generator: Dancer

    def __init__(
        self,
        size: Size = (512, 1024),
        channels: int = 3,
        pose_range: Literal["unit", "signed"] = "unit",
        rollout: int = 2,
        n_local_enhancers: int = 1,
        ngf: int = 32,
        n_downsample_global: int = 4,
        n_blocks_global: int = 9,
        n_blocks_local: int = 3,
        ndf: int = 64,
        n_layers_D: int = 3,
        num_D: int = 3,
        face: bool = True,
        face_size: int = 128,
        face_box: Literal["first", "own"] = "first",
        face_ngf: int = 64,
        face_n_downsample: int = 3,
        face_n_blocks: int = 5,
        face_ndf: int = 64,
        lambda_feat: float = 10.0,
        lambda_vgg: float = 10.0,
        global_steps: int = 0,
        local_steps: int = 0,
        face_steps: int = 0,
        face_fix_steps: int = 0,
        decay_share: float = 0.5,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__()
        _check(size, channels, rollout, n_downsample_global + n_local_enhancers)
        if face:
            check_divisible(face_size, face_n_downsample, "face_size")
            if face_size > min(height_width(size)):
                raise BenchError(f"model.init_args.face_size is {face_size}, larger than the frames of size {size}")
        check_stages(n_local_enhancers, face, global_steps, face_steps, face_fix_steps, decay_share)
        self.size, self.channels, self.pose_range, self.rollout = size, channels, pose_range, rollout
        self.face_box, self.lambda_feat, self.lambda_vgg = face_box, lambda_feat, lambda_vgg
        self.stages = Stages(lr, decay_share, global_steps, local_steps, face, face_steps, face_fix_steps)
        self.betas, self.n_local_enhancers = betas, n_local_enhancers
        self.condition = Condition(0, False, CHANNELS)

        net: GlobalGenerator | LocalEnhancer
        if n_local_enhancers:
            net = LocalEnhancer(
                *(2 * CHANNELS, channels, ngf, n_downsample_global, n_blocks_global),
                *(n_local_enhancers, n_blocks_local),
            )
        else:
            net = GlobalGenerator(2 * CHANNELS, channels, ngf, n_downsample_global, n_blocks_global)
        residual = GlobalGenerator(2 * CHANNELS, channels, face_ngf, face_n_downsample, face_n_blocks) if face else None
        self.generator = Dancer(Translator(net, apart=global_steps > 0), residual, face_size)
        self.discriminator = MultiscaleDiscriminator(4 * CHANNELS, ndf, n_layers_D, num_D)
        self.face_discriminator = FaceDiscriminator(face_ndf, n_layers_D) if face else None
        init_weights(self)
        self.players = Players(self, ["generator", "discriminator"], main="generator")

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Drawn poses, and boxes of the faces where these have a network."""
        return frozenset({"video", "condition"} | ({"face_box"} if init_args.get("face", True) else set()))

    def check_data(self, data: ClipData) -> None:
        """See `ConditionedMethod.check_data`; clips may have any length from `rollout` on."""
        super().check_data(data)
        if self.generator.face is not None and self.stages.at(0) == "face":
            raise BenchError(
                "model.init_args.local_steps and global_steps are 0: the main network would stay as it was drawn while "
                "faces are trained on top of it; set local_steps, or face: false"
            )
        if data.frames < self.rollout:
            raise BenchError(
                f"model.init_args.rollout is {self.rollout}, but the clips of {data.name} have {data.frames} frames: "
                f"set data.init_args.frames to at least {self.rollout}"
            )

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each player, in the order of `players`; officially the generator's weights were listed twice."""
        judges = [self.discriminator, *([self.face_discriminator] if self.face_discriminator is not None else [])]
        parameters = [list(self.generator.parameters()), [p for judge in judges for p in judge.parameters()]]
        return [torch.optim.Adam(own, self.stages.lr, self.betas, fused=True) for own in parameters]

    def training_step(self, batch: VideoBatch, batch_idx: int) -> None:
        """One update of each player on the same frames made, at the step's rate and stage."""
        step = self.global_step
        set_rate([o.optimizer for o in self.optimizers()], self.stages.rate(step))  # type: ignore[union-attr]
        stage, skip = self.stages.at(step), self.skipped(step)
        roll = self.roll(batch, step)
        real, fake = pairs(roll.poses, roll.real), pairs(roll.poses, [frame.whole for frame in roll.made])
        # One pass serves both turns: the generator needs the features of real pairs, before the step.
        with torch.set_grad_enabled(not self.stages.face_alone(step)):
            on_real, on_fake = judge_both(self.discriminator, real, fake.detach(), "instance", skip)
        with self.players.turn("generator") as losses:
            of_generator = self.generator_losses(roll, fake, on_real, step)
            losses += of_generator.values()
        with self.players.turn("discriminator") as losses:
            of_discriminator = {} if self.stages.face_alone(step) else self.discriminator_losses(on_real, on_fake)
            if stage == "face":
                of_discriminator |= self.face_discriminator_losses(roll)
            losses += of_discriminator.values()
        self.log_dict({f"train/{name}": loss.detach() for name, loss in {**of_generator, **of_discriminator}.items()})

    def skipped(self, step: int) -> int:
        """Discriminators that judge sizes which the stage does not have."""
        return min(self.n_local_enhancers, self.discriminator.num_D - 1) if self.stages.at(step) == "global" else 0

    def roll(self, batch: VideoBatch, step: int) -> Roll:
        """Makes `rollout` frames of each clip one after another, beginning anywhere in it."""
        video, drawn = batch["video"], self.ranged(batch["condition"])  # B 3 T H W
        clips, length = len(video), video.shape[2]
        start = torch.randint(length - self.rollout + 1, (clips,)).to(self.device)
        rows = torch.arange(clips, device=self.device)
        at = [start + k for k in range(self.rollout)]
        poses, real = ([whole.movedim(2, 1)[rows, t] for t in at] for whole in (drawn, video))
        boxes = (
            [batch["face_box"][rows, at[0] if self.face_box == "first" else t] for t in at]
            if self.generator.face is not None
            else []
        )
        return self.make(poses, real, boxes, step)

    def make(self, poses: list[Tensor], real: list[Tensor], boxes: list[Tensor], step: int) -> Roll:
        """The frames of a training step, each after the one made before, the first after zeros.

        Args:
            poses, real: N 3 H W each, at full size.
            boxes: N 4 each; not read before the face's stage.
            step: decides the size, and which parts take gradients.
        """
        stage, generator = self.stages.at(step), self.generator
        if stage == "global":
            poses, real = ([generator.body.coarse_size(x) for x in frames] for frames in (poses, real))
        made: list[Frame] = []
        before = torch.zeros_like(real[0])
        for k, pose in enumerate(poses):
            body = generator.frame(pose, before, "global" if stage == "global" else "joint", frozen=stage == "face")
            frame = generator.with_face(pose, body, boxes[k]) if stage == "face" else Frame(body, body)
            made.append(frame)
            before = frame.whole
        return Roll(poses, real, made, boxes)

    def generator_losses(self, roll: Roll, fake: Tensor, on_real: Judged, step: int) -> dict[str, Tensor]:
        """What the generator minimises, by name and weighted.

        Args:
            roll: of the step.
            fake: `pairs` of what it made.
            on_real: the discriminators on real pairs.
            step: decides which losses there are.
        """
        stage = self.stages.at(step)
        judged = self.discriminator(fake, self.skipped(step))
        losses = {"generator": gan_loss(judged, True)}
        if self.lambda_feat:
            losses["feature_matching"] = self.lambda_feat * feature_matching(judged, on_real)
        if self.lambda_vgg:
            # The sum over two frames; officially half of it in the global stage.
            weight = self.lambda_vgg * (1 if stage == "global" else 2)
            whole = torch.cat([frame.whole for frame in roll.made])
            losses["vgg"] = weight * perceptual(self._vgg[0], whole, torch.cat(roll.real))
        if stage == "face":
            assert self.face_discriminator is not None
            faces = faces_of(roll.made, roll.real, roll.boxes)
            losses["face"] = verdicts(self.face_discriminator, faces, fake=True, wanted=True)
            if self.lambda_vgg:
                losses["face_vgg"] = self.lambda_vgg * face_perceptual(self._vgg[0], faces)
        return losses

    def discriminator_losses(self, on_real: Judged, on_fake: Judged) -> dict[str, Tensor]:
        """What the discriminators of pairs minimise, by name: half of each."""
        return {
            "discriminator_real": 0.5 * gan_loss(on_real, True),
            "discriminator_fake": 0.5 * gan_loss(on_fake, False),
        }

    def face_discriminator_losses(self, roll: Roll) -> dict[str, Tensor]:
        """What the faces' discriminator minimises, by name: half of each."""
        judge = self.face_discriminator
        assert judge is not None
        faces = faces_of(roll.made, roll.real, roll.boxes)
        apart = [face._replace(fake=face.fake.detach()) for face in faces]
        return {
            "face_real": 0.5 * verdicts(judge, apart, fake=False, wanted=True),
            "face_fake": 0.5 * verdicts(judge, apart, fake=True, wanted=False),
        }

    def ranged(self, condition: Tensor) -> Tensor:
        """Drawn poses from [-1, 1] to what the networks are given."""
        return (condition + 1) / 2 if self.pose_range == "unit" else condition

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Sampling shows G1 alone in its stage, and faces from their stage on."""
        stage = self.stages.at(self.global_step)
        if self.generator.body.head is not None:
            self.generator.body.coarse_only.fill_(stage == "global")
        if self.generator.face is not None:
            self.generator.face_trained.fill_(stage == "face")

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Frame after frame, each from its pose and the frame made before; the first follows zeros."""
        self.condition.check(batch)
        poses = self.ranged(batch["condition"].to(self.device))  # B 3 T H W
        boxes = batch["face_box"].to(self.device) if self.generator.face is not None else None
        before = torch.zeros_like(poses[:, :, 0])
        made = []
        for t in range(poses.shape[2]):
            before = self.generator(poses[:, :, t], before, None if boxes is None else boxes[:, t])
            made.append(before.float())
        # The face's residual may lead beyond the range, where the next frame still sees it, as officially.
        return torch.stack(made, 2).clamp(-1, 1)

    def idle(self, step: int) -> frozenset[str]:
        """See `Method.idle`."""
        if self.stages.at(step) == "face":
            return frozenset({"generator.body"} | ({"discriminator"} if self.stages.face_alone(step) else set()))
        of_body = self.generator.body.idle("global" if self.stages.at(step) == "global" else "joint")
        of_pairs = self.discriminator.idle(self.skipped(step))
        return frozenset(
            ["generator.face", "face_discriminator"]
            + [f"generator.body.{part}" for part in of_body]
            + [f"discriminator.{part}" for part in of_pairs]
        )


def pairs(poses: list[Tensor], frames: list[Tensor]) -> Tensor:
    """What the discriminators judge: neighbouring frames with their poses, N 12 H W for each pair, joined over N."""
    neighbours = zip(pairwise(poses), pairwise(frames), strict=True)
    return torch.cat([torch.cat([*of_pose, *of_frame], 1) for of_pose, of_frame in neighbours])


def _check(size: Size, channels: int, rollout: int, halvings: int) -> None:
    """Raises `BenchError` for what the networks cannot make."""
    check_divisible(size, halvings)
    if channels != CHANNELS:
        raise BenchError(f"model.init_args.channels must be {CHANNELS}, found {channels}")
    if rollout < 2:
        raise BenchError(f"model.init_args.rollout must be at least 2, as pairs of frames are judged; found {rollout}")
