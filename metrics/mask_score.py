from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.pose.maps import pg2_mask
from datamodules.pose.skeletons import COCO_18
from metrics.estimates import MeanOfClips
from metrics.masked import masked
from metrics.uniform_ssim import WINDOW, uniform_ssim_map

if TYPE_CHECKING:
    from datamodules.base import ClipData
    from metrics.protocol import Protocol

MARGIN = WINDOW // 2


class MaskSSIM(MeanOfClips):
    """mask-SSIM as PG2's code computes it (Ma et al. 2017): similarity of frames of which a mask leaves the person.

    Both frames times the mask, cast to uint8, then SSIM with scikit-image's default settings (`uniform_ssim_map`), mean
    over channels, frames and clips. Deformable GAN's and PATN's other window is `metrics.masked.Masked` around
    `metrics.pixel.SSIM`.

    Args:
        region: `frame` averages over the whole frame, as all papers do: black background counts as agreement, and a
            frame with an empty mask counts as 1 (those are counted in the note). `mask` averages inside the mask only;
            a frame without a pixel there is left out and counted.
        of: `target` takes the batch's mask, of the frame that is to be made. `source` takes PG2's mask of the source
            picture's pose instead, as PG2's scoring code did by mistake; its published numbers rest on it.
    """

    higher_is_better = True
    absent = "have an empty mask in all frames"

    def __init__(self, region: Literal["frame", "mask"] = "frame", of: Literal["target", "source"] = "target") -> None:
        super().__init__(width=2, paired=True)
        for key, value, known in (("region", region, ("frame", "mask")), ("of", of, ("target", "source"))):
            if value not in known:
                raise BenchError(f"mask_ssim: {key} must be {' or '.join(known)}, found {value!r}")
        self.region, self.of = region, of
        self.name = "mask_ssim" if region == "frame" else "mask_ssim_inside"
        self.needs = frozenset({"mask" if of == "target" else "source_pose"})

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return (
            f"mask-ssim, frames times the {self.of}'s mask cast to uint8, 7x7 uniform window, sample covariance, "
            f"K 0.01 0.03, range 255, valid region, mean over the {self.region}, float64"
        )

    def prepare(self, data: "ClipData", protocol: "Protocol") -> None:
        """Refuses frames smaller than the window, and poses that PG2's mask cannot be drawn from."""
        super().prepare(data, protocol)
        if min(protocol.height, protocol.width) < WINDOW:
            raise BenchError(
                f"{self.name} needs frames of at least {WINDOW}x{WINDOW} pixels, the data give "
                f"{protocol.height}x{protocol.width} (H x W); raise data.init_args.size or leave {self.name} out"
            )

    def compare(self, fake: Tensor, real: Tensor, batch: VideoBatch) -> Tensor:
        """B 2: similarity (NaN: no frame has a mask), number of frames with an empty mask."""
        mask = batch["mask"] if self.of == "target" else self._of_source(real, batch["source_pose"])  # B 1 T H W
        similarity = uniform_ssim_map(masked(self.name, fake, mask), masked(self.name, real, mask)).mean(dim=1)
        inside = mask[:, 0].double()  # B T H W
        if self.region == "mask":
            inside = inside[..., MARGIN:-MARGIN, MARGIN:-MARGIN]  # where the map has a value
            frames = (similarity * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3))  # B T, NaN where there is no mask
            value = frames.nanmean(dim=1)
        else:
            value = similarity.mean(dim=(1, 2, 3))
        return torch.stack([value, (inside.amax(dim=(2, 3)) == 0).sum(dim=1)], dim=1)

    def _of_source(self, clips: Tensor, pose: Tensor) -> Tensor:
        """PG2's mask of the persons in B P 18 3, the same for all frames: B 1 T H W."""
        if pose.ndim != 4 or pose.shape[2:] != (len(COCO_18), 3):
            raise BenchError(
                f"{self.name}: of: source draws PG2's mask, which is of coco_18: batch['source_pose'] must be "
                f"B P 18 3, found {tuple(pose.shape)}"
            )
        frames, height, width = clips.shape[2:]
        drawn = pg2_mask(pose, height, width).amax(dim=1)  # B H W
        return drawn[:, None, None].float().expand(-1, 1, frames, -1, -1)

    def note(self, rows: Tensor) -> str:
        """Counts frames whose mask is empty."""
        empty = int(rows[:, 1].sum())
        counted = "count as 1" if self.region == "frame" else "are left out"
        said = f"{empty} frames with an empty mask {counted}" if empty else ""
        return "; ".join(filter(None, (super().note(rows), said)))
