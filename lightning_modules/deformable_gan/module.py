from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.pose.maps import gaussian_maps
from datamodules.stream import StreamSpec
from lightning_modules.adversarial import Players
from lightning_modules.contract import ClipNoise
from lightning_modules.deformable_gan.content import Content, ContentLoss
from lightning_modules.deformable_gan.features import Means, Units
from lightning_modules.deformable_gan.losses import discriminator_loss, generator_loss
from lightning_modules.deformable_gan.networks import Discriminator, Generator, WarpSkip, channels
from lightning_modules.deformable_gan.poses import check_batch, check_training_data
from lightning_modules.deformable_gan.regions import Geometry, Regions, regions, whole_body, with_undeformed
from lightning_modules.deformable_gan.transformer import places
from lightning_modules.deformable_gan.warp import Sampling
from lightning_modules.pose_image import PoseImageMethod, Wanted, frames_of, wanted_of
from lightning_modules.sizes import Size, height_width
from lightning_modules.tf_adam import TFAdam

STREAMS = ("clips", "discriminator_real", "discriminator_fake")
BETAS = (0.5, 0.999)
SMALLEST = 34  # pixels that the discriminator halves five times


class DeformableGAN(PoseImageMethod):
    """Deformable GAN (Siarohin et al., CVPR 2018, arXiv 1801.00055): a person in another pose, limb by limb.

    Features of the given picture are moved, region by region of the body, to where the wanted pose has them, before
    the decoder sees them. Each step updates the discriminator, then the generator. Options where paper and code part:
    docs/methods/deformable_gan.md.

    Args:
        size: height and width of the frames, or (height, width): (128, 64) or 256 officially.
        warp_skip: how skip connections are deformed; `mask` is the method, `none` the paper's baseline, see
            `networks.Generator`.
        warp_agg: what of the regions' features counts at a pixel, the largest or the average.
        warp_sampling: `nearest` as officially, or `bilinear`.
        geometry: of the regions, see `regions.regions`.
        undeformed: whether the features as they are count as one region more, as in the paper.
        content: what is compared with the real picture beside the discriminator's verdict; see `content.ContentLoss`.
        content_weight: of it; None is the official one: l1 100, perceptual 0.5, nearest 0.01.
        features: of `nearest`: VGG-19's, or the colours themselves, which need no weights.
        nn_area: side of the neighbourhood of `nearest`: officially 3 for Market-1501, 5 for DeepFashion.
        nn_reduction: `mean` over the pixels as in the code, or the paper's `sum`.
        vgg_means, vgg_units: how pictures enter VGG-19, see `features.PictureFeatures`.
        heat_maps: `code`, exp(-d^2 / (2 sigma^2)), or `paper`, exp(-d / sigma^2) with the distance d.
        sigma: of the joints' heat maps, in pixels.
        test_dropout: whether the decoder drops out in sampling, too: the paper's rows "with dropout".
        fresh_batch: whether real pairs, fakes for the discriminator and the generator's turn have batches of their
            own, as in the official code; otherwise one serves all three.
        ngf: channels of the encoders' first level.
        ndf: channels of the discriminator's first layer.
        encoder: channels of the encoders' levels, in the place of those that size and `ngf` give.
        decoder: channels of the decoder's steps, one less than levels.
        lr: of both optimizers, which are Keras' Adam.
    """

    generator: Generator

    def __init__(
        self,
        size: Size = (128, 64),
        warp_skip: WarpSkip = "mask",
        warp_agg: Literal["max", "avg"] = "max",
        warp_sampling: Sampling = "nearest",
        geometry: Geometry = "code",
        undeformed: bool = False,
        content: Content = "nearest",
        content_weight: float | None = None,
        features: Literal["vgg19", "rgb"] = "vgg19",
        nn_area: int = 3,
        nn_reduction: Literal["mean", "sum"] = "mean",
        vgg_means: Means = "swapped",
        vgg_units: Units = "levels",
        heat_maps: Literal["code", "paper"] = "code",
        sigma: float = 6.0,
        test_dropout: bool = False,
        fresh_batch: bool = True,
        ngf: int = 64,
        ndf: int = 64,
        encoder: list[int] | None = None,
        decoder: list[int] | None = None,
        lr: float = 2e-4,
    ) -> None:
        super().__init__()
        self.size, self.height, self.width = size, *height_width(size)
        widths = channels((self.height, self.width), ngf)
        down, up = encoder or widths[0], decoder or widths[1]
        _check(self.height, self.width, down, up, sigma)
        self.geometry, self.undeformed = geometry, undeformed
        self.heat_maps, self.sigma, self.test_dropout = heat_maps, sigma, test_dropout
        self.fresh_batch, self.lr = fresh_batch, lr
        masks_of: Literal["target", "source"] = "target" if geometry == "code" else "source"
        self.generator = Generator(warp_skip, down, up, warp_agg, warp_sampling, masks_of)
        self.discriminator = Discriminator(ndf)
        self.content = ContentLoss(content, content_weight, features, nn_area, nn_reduction, vgg_means, vgg_units)
        self.players = Players(self, ["generator", "discriminator"], main="generator")

    @property
    def streams(self) -> Mapping[str, StreamSpec]:
        """Single frames; with `fresh_batch` as many again for each half of the discriminator's turn."""
        return dict.fromkeys(STREAMS if self.fresh_batch else STREAMS[:1], StreamSpec(frames=1))

    @property
    def measures(self) -> bool:
        """Whether regions of the body are measured from the poses."""
        return self.generator.warp_skip in ("full", "mask")

    def check_data(self, data: ClipData) -> None:
        """See `PoseImageMethod.check_data`; also training poses without shoulders or hips."""
        super().check_data(data)
        if self.measures:
            check_training_data(data)

    def setup(self, stage: str) -> None:
        """Also reads what the content loss needs, before training. Raises `MissingWeights`."""
        super().setup(stage)
        if stage == "fit":
            self.content.read()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One for each player, in the order of `players`."""
        return [TFAdam(net.parameters(), self.lr, BETAS) for net in (self.generator, self.discriminator)]

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """One update of the discriminator, then one of the generator."""
        mine, real, fake = (batch[name] if self.fresh_batch else batch for name in STREAMS)
        with self.players.turn("discriminator") as losses:
            with torch.no_grad():
                wanted = wanted_of(fake)
                drawn = self.draw(wanted)
            on_fake = self.judge(wanted, drawn)
            on_real = self.judge(wanted_of(real), frames_of(real["video"]))
            losses.append(discriminator_loss(on_real, on_fake))
        found = {"discriminator": losses[0]}
        with self.players.turn("generator") as losses:
            wanted, target = wanted_of(mine), frames_of(mine["video"])
            drawn = self.draw(wanted)
            of_generator = self.generator_losses(wanted, drawn, target)
            losses += of_generator.values()
        found |= of_generator
        self.log_dict({f"train/{name}": loss.detach() for name, loss in found.items()})

    def generator_losses(self, wanted: Wanted, drawn: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What the generator minimises, by name, weighted. Images N 3 H W."""
        return {"adversarial": generator_loss(self.judge(wanted, drawn)), "content": self.content(drawn, target)}

    def judge(self, wanted: Wanted, shown: Tensor) -> Tensor:
        """The discriminator's logits N 1 h w of pictures N 3 H W."""
        return self.discriminator(wanted.source, self.maps(wanted.source_pose), shown, self.maps(wanted.pose))

    def draw(self, wanted: Wanted, kept: Sequence[Tensor] | None = None) -> Tensor:
        """N 3 H W in [-1, 1]."""
        given, pose = wanted.source_pose, wanted.pose
        where = places(given, pose) if self.generator.warp_skip == "stn" else None
        own, asked = self.maps(given), self.maps(pose)
        return self.generator(wanted.source, own, asked, self.regions(given, pose), where, kept)

    def maps(self, pose: Tensor) -> Tensor:
        """Heat maps N 18 H W of poses N 18 3."""
        if self.heat_maps == "code":
            return gaussian_maps(pose, self.height, self.width, self.sigma)
        ys = torch.arange(self.height, device=pose.device)[:, None] - pose[..., 1, None, None]
        xs = torch.arange(self.width, device=pose.device) - pose[..., 0, None, None]
        return torch.exp(-torch.hypot(*torch.broadcast_tensors(xs, ys)) / self.sigma**2) * (
            pose[..., 2, None, None] > 0
        )

    def regions(self, given: Tensor, wanted: Tensor) -> Regions | None:
        """What the deformable skip connections need of poses N 18 3."""
        if self.generator.warp_skip == "full":
            found = whole_body(given, wanted, self.height, self.width)
        elif self.generator.warp_skip == "mask":
            found = regions(given, wanted, self.height, self.width, self.geometry)
        else:
            return None
        return with_undeformed(found) if self.undeformed else found

    def images(self, wanted: Wanted) -> Tensor:
        """See `PoseImageMethod.images`."""
        return self.draw(wanted)

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """B C T H W: the batch's sources in each of its poses. With `test_dropout` every frame has noise of its own.

        Raises:
            BenchError: a pose without shoulders or hips, from which regions are measured.
        """
        if self.measures:
            check_batch(batch)
        if not self.test_dropout:
            return super().sample(batch, noise)
        wanted, frames = wanted_of(batch), batch["pose"].shape[2]
        shapes = self.generator.dropped(self.height, self.width)
        kept = [2 * (noise.uniform(frames, *shape) >= 0.5).float().flatten(0, 1).to(self.device) for shape in shapes]
        parts = zip(*(part.split(self.images_at_once) for part in (*wanted, *kept)), strict=True)
        drawn = torch.cat([self.draw(Wanted(*part[:3]), part[3:]) for part in parts]).float()
        return drawn.unflatten(0, (-1, frames)).transpose(1, 2).contiguous()  # B C T H W


def _check(height: int, width: int, encoder: Sequence[int], decoder: Sequence[int], sigma: float) -> None:
    """Raises `BenchError` for what the architecture cannot make."""
    if len(encoder) < 5 or len(decoder) != len(encoder) - 1:
        raise BenchError(
            f"model.init_args.encoder has {len(encoder)} levels and decoder {len(decoder)} steps; expected at least 5 "
            "levels and one step less"
        )
    times = 2 ** (len(encoder) - 1)
    if height % times or width % times or height < times or width < times:
        raise BenchError(
            f"model.init_args.size is {height} x {width}; {len(encoder)} levels need multiples of {times} in both"
        )
    if min(height, width) < SMALLEST:
        raise BenchError(
            f"model.init_args.size is {height} x {width}; the discriminator's five halvings need {SMALLEST} in both"
        )
    if sigma <= 0:
        raise BenchError(f"model.init_args.sigma must be above 0, found {sigma}")
