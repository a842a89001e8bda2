from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch, main_stream
from datamodules.errors import BenchError
from datamodules.stream import StreamSpec
from lightning_modules.adversarial import Players
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.losses import bce_discriminator, bce_generator
from lightning_modules.mocogan.networks import (
    CategoricalVideoDiscriminator,
    Discriminator,
    ImageDiscriminator,
    PatchImageDiscriminator,
    PatchVideoDiscriminator,
    VideoDiscriminator,
    VideoGenerator,
    init_torch02,
    use_spectral_norm,
)

StepBatch = Mapping[str, VideoBatch]


def category_loss(logits: Tensor, category: Tensor) -> Tensor:
    """Cross entropy, mean over clips and over the places where a long clip has several logits.

    Args:
        logits: B categories ....
        category: B int64.
    """
    logits = logits.flatten(2).float()  # B categories places
    return F.cross_entropy(logits, category[:, None].expand(-1, logits.shape[2]))


def category_names(data: ClipData) -> list[str]:
    """Names of the attribute `category` in the order of their numbers; [] where a data set has none."""
    return list(getattr(data, "categories", ()))


class MoCoGAN(Method):
    """MoCoGAN (Tulyakov, Liu, Yang, Kautz, CVPR 2018, arXiv 1707.04993) as the official code trains it.

    Each step updates the image discriminator, the video discriminator, then the generator with its GRU, on four
    independent draws of fakes.

    Args:
        size: height and width of the frames, 64 (official) or 32.
        channels: C of the frames.
        frames: T of the training clips; sampled clips may be longer (`sample --frames`).
        dim_content: of the content code z_C, drawn once per clip.
        dim_category: number of categories of z_A; 0 for none.
        dim_motion: of the motion codes z_M and of the noise that drives the GRU.
        ngf: generator width.
        ndf: width of both discriminators.
        image_discriminator: `patch` judges 4 x 4 overlapping patches, `image` the whole frame, `none` leaves D_I out
            (the paper's ablation).
        video_discriminator: `patch`, `video` (one logit per clip), or `categorical` (the same with Q's logits).
        noise_sigma: standard deviation of the noise before the discriminators' layers; 0 for none.
        use_infogan: the generator is rewarded when Q reads the category out of its clips.
        use_categories: Q learns the labels of the real clips, `attributes["category"]`.
        q_loss: `official` trains Q on real labels only. With `use_infogan` and without `use_categories`, as in the
            authors' recommended command, Q then stays at its random start and the generator learns to be read by it.
            `infogan` also trains Q on the categories of generated clips, which maximises the paper's bound L_I.
        image_batch: real frames per step over all processes, drawn from all frames of all videos.
        lr: of all three Adam optimizers.
        betas: of Adam.
        weight_decay: of Adam, added to the gradient.
        init: `torch02` draws the weights as torch 0.2 did, on which the official code ran and the published results
            rest; `default` as torch does today. See `networks.init_torch02`.
        discriminator_norm: `batch` (official), or `spectral`, which keeps small networks from collapsing late in
            training. See `networks.use_spectral_norm`.
        category_input: `image` appends the category to the GRU's output, as the official code does; `gru` feeds it into
            the GRU, which is the paper's default and scored better there (Table 4).
    """

    generator: VideoGenerator
    size: int
    any_length = True

    def __init__(
        self,
        size: int = 64,
        channels: int = 3,
        frames: int = 16,
        dim_content: int = 50,
        dim_category: int = 0,
        dim_motion: int = 10,
        ngf: int = 64,
        ndf: int = 64,
        image_discriminator: Literal["patch", "image", "none"] = "patch",
        video_discriminator: Literal["patch", "video", "categorical"] = "patch",
        noise_sigma: float = 0.0,
        use_infogan: bool = False,
        use_categories: bool = False,
        q_loss: Literal["official", "infogan"] = "official",
        image_batch: int = 32,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-5,
        init: Literal["torch02", "default"] = "torch02",
        discriminator_norm: Literal["batch", "spectral"] = "batch",
        category_input: Literal["image", "gru"] = "image",
    ) -> None:
        super().__init__()
        categorical = video_discriminator == "categorical"
        if categorical and dim_category < 1:
            raise BenchError(
                "model.init_args.video_discriminator categorical needs dim_category of at least 1, found 0"
            )
        if (use_infogan or use_categories) and not categorical:
            flag = "use_infogan" if use_infogan else "use_categories"
            raise BenchError(
                f"model.init_args.{flag} needs Q's logits: set video_discriminator to categorical, "
                f"found {video_discriminator}"
            )
        if category_input == "gru" and dim_category < 1:
            raise BenchError("model.init_args.category_input gru needs dim_category of at least 1, found 0")
        if q_loss == "infogan" and not use_infogan:
            raise BenchError("model.init_args.q_loss infogan needs use_infogan: true")
        self.size, self.channels, self.frames = size, channels, frames
        self.use_infogan, self.use_categories, self.q_loss = use_infogan, use_categories, q_loss
        self.image_batch, self.lr, self.betas, self.weight_decay = image_batch, lr, betas, weight_decay

        self.category_names: list[str] = []  # of the data it was trained on, where they have names
        self.generator = VideoGenerator(channels, dim_content, dim_category, dim_motion, ngf, size, category_input)
        self.image_discriminator: Discriminator | None = None
        if image_discriminator != "none":
            image = PatchImageDiscriminator if image_discriminator == "patch" else ImageDiscriminator
            self.image_discriminator = image(channels, ndf, size, noise_sigma)
        self.video_discriminator: Discriminator
        if categorical:
            self.video_discriminator = CategoricalVideoDiscriminator(channels, dim_category, ndf, size, noise_sigma)
        else:
            video = PatchVideoDiscriminator if video_discriminator == "patch" else VideoDiscriminator
            self.video_discriminator = video(channels, ndf, size, noise_sigma)
        if frames < self.video_discriminator.min_frames:
            raise BenchError(
                f"model.init_args.frames must be at least {self.video_discriminator.min_frames} for "
                f"video_discriminator {video_discriminator} at size {size}, found {frames}"
            )
        if init == "torch02":
            init_torch02(self)
        judges = {"image_discriminator": self.image_discriminator, "video_discriminator": self.video_discriminator}
        present = {name: judge for name, judge in judges.items() if judge is not None}
        if discriminator_norm == "spectral":
            for judge in present.values():
                use_spectral_norm(judge)
        self.players = Players(self, [*present, "generator"], main="generator")

    @classmethod
    def needs(cls, **init_args: Any) -> frozenset[str]:
        """Labels only with `use_categories`."""
        return frozenset({"video", "attributes"} if init_args.get("use_categories") else {"video"})

    @property
    def streams(self) -> Mapping[str, StreamSpec]:
        """S_T, clips, and, for D_I, S_1, single frames of all videos."""
        clips = {"clips": StreamSpec()}
        if self.image_discriminator is None:
            return clips
        return {**clips, "frames": StreamSpec(batch=self.image_batch, frames=1)}

    def check_data(self, data: ClipData) -> None:
        """See `Method.check_data`; with `use_categories` also labels that do not fit."""
        super().check_data(data)
        if self.use_categories:
            self._check_labels(data)
            self.category_names = category_names(data)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each player, in the order of `players`."""
        return [
            torch.optim.Adam(getattr(self, name).parameters(), self.lr, self.betas, weight_decay=self.weight_decay)
            for name in self.players.names
        ]

    def training_step(self, batch: StepBatch | VideoBatch, batch_idx: int) -> None:
        """One update of each player, in the official order."""
        of_clip = main_stream(batch)
        clips = of_clip["video"]  # B C T H W
        labels = of_clip["attributes"]["category"] if self.use_categories else None
        of_frames: dict[str, Tensor] = {}
        frames = clips[:0, :, 0]  # B C H W
        if self.image_discriminator is not None:
            frames = batch["frames"]["video"].squeeze(2)  # type: ignore[typeddict-item]
            with self.players.turn("image_discriminator") as losses:
                of_frames = self.image_discriminator_losses(frames)
                losses += of_frames.values()
        with self.players.turn("video_discriminator") as losses:
            of_clips = self.video_discriminator_losses(clips, labels)
            losses += of_clips.values()
        with self.players.turn("generator") as losses:
            of_generator = self.generator_losses(len(frames), len(clips))
            losses += of_generator.values()
        every = {**of_frames, **of_clips, **of_generator}
        self.log_dict({f"train/{name}": loss.detach() for name, loss in every.items()})

    def image_discriminator_losses(self, real: Tensor) -> dict[str, Tensor]:
        """What D_I minimises, by name.

        Args:
            real: frames, B C H W.
        """
        assert self.image_discriminator is not None
        with torch.no_grad():
            fake = self.fake_frames(len(real))
        return {
            "image_discriminator": bce_discriminator(self.image_discriminator(real), self.image_discriminator(fake))
        }

    def video_discriminator_losses(self, real: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """What D_V and Q minimise, by name.

        Args:
            real: clips, B C T H W.
            labels: B int64, categories of the real clips; read with `use_categories` only.
        """
        with torch.no_grad():
            fake, category = self.fake_clips(len(real))
        on_real, q_real = self._judge_clips(real)
        on_fake, q_fake = self._judge_clips(fake)
        losses = {"video_discriminator": bce_discriminator(on_real, on_fake)}
        if labels is not None:
            losses["category_real"] = category_loss(q_real, labels)
        if self.q_loss == "infogan":
            losses["category_fake"] = category_loss(q_fake, category)
        return losses

    def generator_losses(self, n_frames: int, n_clips: int) -> dict[str, Tensor]:
        """What the generator and its GRU minimise, by name; all weights are 1."""
        on_frames = None if self.image_discriminator is None else self.image_discriminator(self.fake_frames(n_frames))
        fake, category = self.fake_clips(n_clips)
        on_clips, q = self._judge_clips(fake)
        losses = {"generator": bce_generator(on_clips) + (0 if on_frames is None else bce_generator(on_frames))}
        if self.use_infogan:
            losses["category"] = category_loss(q, category)
        return losses

    def fake_clips(self, n: int) -> tuple[Tensor, Tensor]:
        """Clips n C T H W and their categories, n int64."""
        codes, category = self._draw(n)
        return self.generator(*codes), category

    def fake_frames(self, n: int) -> Tensor:
        """Frames n C H W, each at a uniformly drawn time of a clip of its own.

        The official code draws 32 n clips and picks n of their frames without replacement, so that two given frames
        share a clip with probability of about 1 / (32 n). Here they never do; else the distributions are equal.
        """
        at = torch.randint(self.frames, (n,), device=self.device)
        return self.generator(*self._draw(n)[0], at)

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Clips of `self.frames` frames, whatever the batch holds; everything random comes from `noise`."""
        return self.generator(*self._codes(noise, self.frames)).float()

    @torch.no_grad()
    def swap(self, content: ClipNoise, motion: ClipNoise) -> Tensor:
        """Clips with z_C of one noise; h0, eps and the category of the other."""
        h0, e, _, category = self._codes(motion, self.frames)
        return self.generator(h0, e, self._codes(content, self.frames)[2], category).float()

    def requested(self, batch: VideoBatch, noise: ClipNoise) -> Mapping[str, Tensor]:
        """`category`, where Q learnt the data's labels; else z_A's numbers mean nothing to the data."""
        return {"category": self._drawn_first(noise)[2]} if self.use_categories else {}

    def _drawn_first(self, noise: ClipNoise) -> tuple[Tensor, Tensor, Tensor]:
        """Content codes, h0 and categories, in the order in which noise is drawn."""
        g = self.generator
        return noise.normal(g.dim_content), noise.normal(g.dim_motion), noise.integers(max(g.dim_category, 1))

    def _codes(self, noise: ClipNoise, steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What `VideoGenerator.forward` takes, from the clips' own noise."""
        content, h0, category = self._drawn_first(noise)
        e = noise.normal(steps, self.generator.dim_motion)
        h0, e, content = (code.to(self.device) for code in (h0, e, content))
        return h0, e, content, self.generator.one_hot(category).to(self.device)

    def _draw(self, n: int) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """What `VideoGenerator.forward` takes, for n training clips, and their categories, n int64."""
        g, normal = self.generator, partial(torch.randn, n, device=self.device)
        category = torch.randint(max(g.dim_category, 1), (n,), device=self.device)
        codes = normal(g.dim_motion), normal(self.frames, g.dim_motion), normal(g.dim_content), g.one_hot(category)
        return codes, category

    def _judge_clips(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """D_V's logits B 1 ... and Q's B dim_category ..., the latter empty without Q."""
        logits = self.video_discriminator(clips)
        return logits[:, :1], logits[:, 1:]

    def prepare(self, data: ClipData) -> None:
        """Refuses data whose categories are numbered otherwise than those that were learnt."""
        names = category_names(data)
        if self.use_categories and self.category_names and names and names != self.category_names:
            learnt = ", ".join(self.category_names)
            raise BenchError(
                f"the categories of {data.name} are {', '.join(names)}, this model learnt {learnt} under the same "
                "numbers: sample and score with data whose class folders are the same"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Names of the categories, by which data read later are checked."""
        checkpoint["category_names"] = self.category_names

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See `on_save_checkpoint`."""
        self.category_names = list(checkpoint.get("category_names", []))

    def _check_labels(self, data: ClipData) -> None:
        labels = data.store("train").attributes.get("category")
        if labels is None:
            raise BenchError(f"model.init_args.use_categories needs attributes['category'], which {data.name} lacks")
        if labels.min() < 0 or labels.max() >= self.generator.dim_category:
            raise BenchError(
                f"model.init_args.dim_category is {self.generator.dim_category}, but the categories of {data.name} "
                f"run from {labels.min()} to {labels.max()}; it must be at least {labels.max() + 1}"
            )
