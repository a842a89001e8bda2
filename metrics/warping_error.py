from typing import Literal

import torch
from torch import Tensor

from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from metrics.estimates import MeanOfClips
from metrics.flow_estimator import FlowEstimator
from metrics.informed import check_shape
from metrics.warp import in_frame, occluded, warp

Occlusion = Literal["lai2018", "valid"]


class WarpingError(MeanOfClips):
    """Warping error (Lai et al. 2018, Learning Blind Video Temporal Consistency): frame t + 1, warped along the flow to
    frame t, against frame t, at pixels that both frames show.

    For each pair of frames the mean squared difference of channels in [0, 1] over the pixels that are not occluded;
    then the mean over pairs, then over clips. Pixels that land outside of the frame are compared with nothing. Pairs
    without a pixel to compare are left out and counted, unless `all_occluded: zero` counts them as 0, as the authors'
    code does.

    Args:
        flow: finds the flow in each clip itself. None takes the batch's, which is the real clip's, as the paper does
            for methods that re-draw a video frame by frame; it says nothing of methods whose motion is their own. By
            its own flow a clip that stands still has error 0: read it beside `DynamicDegree`.
        occlusion: `lai2018` is the paper's rule (`metrics.warp.occluded`), from the flow in both directions; `valid`
            is the batch's `flow_valid`, exact on embedded data.
        region: `visible` scores what both frames show. `occluded` scores, under the name `warping_error_occluded`,
            what the flow says is hidden in frame t + 1 yet lands in the frame: how far frames differ where they may.
        all_occluded: `left_out`, or `zero`.
    """

    higher_is_better = False
    min_frames = 2
    absent = "have no pair of frames with a pixel to compare"

    def __init__(
        self,
        flow: FlowEstimator | None = None,
        occlusion: Occlusion = "lai2018",
        region: Literal["visible", "occluded"] = "visible",
        all_occluded: Literal["left_out", "zero"] = "left_out",
    ) -> None:
        super().__init__(width=5)
        self.name = "warping_error" if region == "visible" else "warping_error_occluded"
        for key, value, known in (
            ("occlusion", occlusion, ("lai2018", "valid")),
            ("region", region, ("visible", "occluded")),
            ("all_occluded", all_occluded, ("left_out", "zero")),
        ):
            if value not in known:
                raise BenchError(f"{self.name}: {key} must be {' or '.join(known)}, found {value!r}")
        if flow is not None and occlusion == "valid":
            raise BenchError(
                f"{self.name}: occlusion: valid is the data's and goes with the data's flow; an estimated flow takes "
                "occlusion: lai2018"
            )
        self.flow, self.occlusion, self.region, self.all_occluded = flow, occlusion, region, all_occluded
        if flow is None:
            self.needs = frozenset({"flow", "flow_back" if occlusion == "lai2018" else "flow_valid"})

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        flow = "flow of the data" if self.flow is None else f"flow of the clip itself by {self.flow.fingerprint}"
        return (
            f"warping error, squared, channels in [0, 1], {self.region} pixels by {self.occlusion}, pairs without any "
            f"{self.all_occluded.replace('_', ' ')}, mean over pairs then clips; {flow}"
        )

    def describe(self, clips: Tensor, batch: VideoBatch) -> Tensor:
        """B 5: error in the region, pairs without a pixel of it, error in the other region, its share, mean motion."""
        there, hidden = self._flow(clips, batch)  # B 2 T-1 H W, B T-1 H W
        frames = clips.float() / 255
        b, c, t, height, width = clips.shape
        onto = frames[:, :, 1:].transpose(1, 2).reshape(-1, c, height, width)
        warped = warp(onto, there.transpose(1, 2).reshape(-1, 2, height, width))
        warped = warped.reshape(b, t - 1, c, height, width).transpose(1, 2)
        error = (frames[:, :, :-1] - warped).square().mean(dim=1, dtype=torch.float64)  # B T-1 H W
        inside = in_frame(there.transpose(1, 2))
        regions = {"visible": inside & ~hidden, "occluded": inside & hidden}
        scored, other = regions.pop(self.region), next(iter(regions.values()))
        pairs = self._mean_inside(error, scored)  # B T-1
        without = pairs.isnan().sum(dim=1)
        if self.all_occluded == "zero":
            pairs = pairs.nan_to_num(0)
        numbers = (
            pairs.nanmean(dim=1),
            without,
            self._mean_inside(error, other).nanmean(dim=1),
            other.double().mean(dim=(1, 2, 3)),
            there.double().square().sum(dim=1).sqrt().mean(dim=(1, 2, 3)),
        )
        return torch.stack(numbers, dim=1)

    @staticmethod
    def _mean_inside(error: Tensor, region: Tensor) -> Tensor:
        return (error * region).sum(dim=(2, 3)) / region.sum(dim=(2, 3))  # NaN where the region is empty

    def _flow(self, clips: Tensor, batch: VideoBatch) -> tuple[Tensor, Tensor]:
        """Flow t -> t + 1, and bool B T-1 H W: what frame t + 1 hides."""
        b, _, t, height, width = clips.shape
        shape = (b, 2, t - 1, height, width)
        if self.flow is not None:
            there, back = self.flow.flow(clips)
        else:
            there = batch["flow"]
            check_shape(self.name, "flow", there, shape)
            if not there.is_floating_point():
                raise BenchError(
                    f"{self.name}: batch['flow'] must be float, in pixels, got {there.dtype}; "
                    "datamodules.batch.to_float widens it"
                )
            if self.occlusion == "valid":
                check_shape(self.name, "flow_valid", batch["flow_valid"], (b, 1, *shape[2:]))
                return there.float(), batch["flow_valid"][:, 0] == 0
            back = batch["flow_back"]
        check_shape(self.name, "flow_back", back, shape)
        if not (there.isfinite().all() and back.isfinite().all()):
            raise BenchError(f"{self.name}: the flow holds NaN or infinity")
        pairs = (flow.float().transpose(1, 2).reshape(-1, 2, height, width) for flow in (there, back))
        return there.float(), occluded(*pairs).reshape(b, t - 1, height, width)

    def note(self, rows: Tensor) -> str:
        """The other region, the motion, and what could not be compared."""
        other = "occluded" if self.region == "visible" else "visible"
        without = int(rows[:, 1].sum())
        counted = "count as 0" if self.all_occluded == "zero" else "are left out"
        there = rows[:, 2][~rows[:, 2].isnan()]
        notes = (
            super().note(rows),
            f"{without} pairs of frames without a pixel to compare {counted}" if without else "",
            f"{other}: {float(there.mean()):.4g} over {float(rows[:, 3].mean()):.1%} of the pixels"
            if len(there)
            else "",
            f"the flow moves {float(rows[:, 4].mean()):.3g} pixels a frame",
        )
        return "; ".join(filter(None, notes))
