"""vid2vid's generators (Wang et al., NeurIPS 2018, arXiv 1808.06601, section 3), with the official layers' names.

A frame is blended from a new picture and from the frame before, moved by a flow that the network estimates itself.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lightning_modules.pix2pixhd.networks import Norm, seven
from lightning_modules.vid2vid.blocks import decoder, encoder, residuals
from lightning_modules.vid2vid.warp import warp

FLOW_UNIT = 20.0  # pixels of flow that the last convolution's 1 stands for


class Made(NamedTuple):
    """A frame and what it was made from.

    Attributes:
        frame: N 3 H W in [-1, 1].
        flow: N 2 H W in pixels, back to the frame before; None without flow.
        weight: N 1 H W, 1 where the frame is `raw`, 0 where it is the frame before, moved; None without flow.
        raw: the new picture, N 3 H W.
        maps, flow_maps, foreground_maps: N ngf H W, for the next finer network; None where there are none.
    """

    frame: Tensor
    flow: Tensor | None
    weight: Tensor | None
    raw: Tensor
    maps: Tensor
    flow_maps: Tensor | None
    foreground_maps: Tensor | None


class Composer(nn.Module):
    """What both generators share: heads for picture, flow, weight and foreground, and how these make a frame."""

    model_down_seg: nn.Sequential
    model_down_img: nn.Sequential
    model_up_img: nn.Sequential
    model_up_flow: nn.Sequential

    def __init__(self, output_nc: int, ngf: int, use_fg_model: bool, no_flow: bool, flow_unit: float) -> None:
        super().__init__()
        self.output_nc, self.fg, self.no_flow, self.flow_unit = output_nc, use_fg_model, no_flow, flow_unit
        self.model_final_img = nn.Sequential(*seven(ngf, output_nc), nn.Tanh())
        if not no_flow:
            self.model_final_flow = nn.Sequential(*seven(ngf, 2))
            self.model_final_w = nn.Sequential(*seven(ngf, 1), nn.Sigmoid())

    def compose(
        self,
        maps: Tensor,
        flow_maps: Tensor | None,
        foreground_maps: Tensor | None,
        before: Tensor,
        mask: Tensor | None,
        raw_only: bool,
    ) -> Made:
        """The frame (section 3.1, equation 2), and the foreground over it (section 3.2).

        Args:
            maps, flow_maps, foreground_maps: N ngf H W, of the heads.
            before: N K H W, frames made before, the latest last.
            mask: N 1 H W, 1 where the foreground is.
            raw_only: the frame is the new picture.
        """
        raw = self.model_final_img(maps)
        frame, flow, weight = raw, None, None
        if flow_maps is not None:
            flow = self.model_final_flow(flow_maps) * self.flow_unit
            weight = self.model_final_w(flow_maps)
            if not raw_only:
                frame = raw * weight + warp(before[:, -self.output_nc :], flow) * (1 - weight)
        if foreground_maps is not None:
            assert mask is not None
            over = self.foreground_final(foreground_maps) * mask
            frame, raw = frame * (1 - mask) + over, raw * (1 - mask) + over
        return Made(frame, flow, weight, raw, maps, flow_maps, foreground_maps)

    def _add_foreground(self, own: int, output_nc: int, layers: list[nn.Module], into: list[nn.Module]) -> None:
        self.foreground_down = nn.Sequential(*into)
        self.foreground_up = nn.Sequential(*layers)
        self.foreground_final = nn.Sequential(*seven(own, output_nc), nn.Tanh())


def foreground_width(ngf: int, n_downsampling: int) -> int:
    """Width of the foreground's branch."""
    return ngf // 2 if n_downsampling > 2 else ngf


class CompositeGenerator(Composer):
    """The coarsest network: encoders of conditions and of frames, summed; a picture's and a flow's decoder.

    Args:
        input_nc: channels of the window of conditions.
        output_nc: of a frame.
        prev_output_nc: of the frames before.
        ngf: width at full size.
        n_downsampling: halvings.
        n_blocks: residual blocks, half of them behind the sum.
        use_fg_model: whether the foreground has a branch, from conditions alone.
        no_flow: frames are new pictures.
        norm: see `pix2pixhd.networks.norm_layer`.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        prev_output_nc: int,
        ngf: int,
        n_downsampling: int,
        n_blocks: int,
        use_fg_model: bool = False,
        no_flow: bool = False,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(output_nc, ngf, use_fg_model, no_flow, FLOW_UNIT)
        deep, late = ngf << n_downsampling, n_blocks // 2
        for name, inputs in (("model_down_seg", input_nc), ("model_down_img", prev_output_nc)):
            layers = encoder(inputs, ngf, n_downsampling, norm) + residuals(deep, n_blocks - late, norm)
            self.add_module(name, nn.Sequential(*layers))
        self.model_res_img = nn.Sequential(*residuals(deep, late, norm))
        self.model_up_img = nn.Sequential(*decoder(ngf, n_downsampling, norm))
        if not no_flow:
            self.model_res_flow = nn.Sequential(*residuals(deep, late, norm))
            self.model_up_flow = nn.Sequential(*decoder(ngf, n_downsampling, norm))
        if use_fg_model:
            own = foreground_width(ngf, n_downsampling)
            through = residuals(own << n_downsampling, n_blocks, norm) + decoder(own, n_downsampling, norm)
            self._add_foreground(own, output_nc, through, encoder(input_nc, own, n_downsampling, norm))

    def forward(
        self, x: Tensor, before: Tensor, mask: Tensor | None = None, coarse: Made | None = None, raw_only: bool = False
    ) -> Made:
        """N input_nc H W, N prev_output_nc H W, see `Composer.compose`; `coarse` is of the local generators alone."""
        both = self.model_down_seg(x) + self.model_down_img(before)
        maps = self.model_up_img(self.model_res_img(both))
        flow_maps = None if self.no_flow else self.model_up_flow(self.model_res_flow(both))
        over = self.foreground_up(self.foreground_down(x)) if self.fg else None
        return self.compose(maps, flow_maps, over, before, mask, raw_only)


class CompositeLocalGenerator(Composer):
    """A finer network: one halving, plus the coarser network's maps, a few residual blocks, one doubling.

    Args:
        ngf: width at full size, half of the coarser network's.
        n_blocks_local: residual blocks.
        scale: how often the size was doubled; the flow's unit doubles with it.

    Others as of `CompositeGenerator`.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        prev_output_nc: int,
        ngf: int,
        n_downsampling: int,
        n_blocks_local: int,
        use_fg_model: bool = False,
        no_flow: bool = False,
        norm: Norm = "batch",
        scale: int = 1,
    ) -> None:
        super().__init__(output_nc, ngf, use_fg_model, no_flow, FLOW_UNIT * 2**scale)
        self.model_down_seg = nn.Sequential(*encoder(input_nc, ngf, 1, norm))
        self.model_down_img = nn.Sequential(*encoder(prev_output_nc, ngf, 1, norm))
        self.model_up_img = nn.Sequential(*residuals(2 * ngf, n_blocks_local, norm), *decoder(ngf, 1, norm))
        if not no_flow:
            self.model_up_flow = nn.Sequential(*residuals(2 * ngf, n_blocks_local, norm), *decoder(ngf, 1, norm))
        if use_fg_model:
            own = foreground_width(ngf, n_downsampling)
            through = residuals(2 * own, n_blocks_local, norm) + decoder(own, 1, norm)
            self._add_foreground(own, output_nc, through, encoder(input_nc, own, 1, norm))

    def forward(
        self, x: Tensor, before: Tensor, mask: Tensor | None = None, coarse: Made | None = None, raw_only: bool = False
    ) -> Made:
        """N input_nc H W, N prev_output_nc H W and the coarser network's frame of half the size."""
        assert coarse is not None
        both = self.model_down_seg(x) + self.model_down_img(before)
        maps = self.model_up_img(both + coarse.maps)
        flow_maps = None if coarse.flow_maps is None else self.model_up_flow(both + coarse.flow_maps)
        over = None
        if coarse.foreground_maps is not None:
            over = self.foreground_up(self.foreground_down(x) + coarse.foreground_maps)
        return self.compose(maps, flow_maps, over, before, mask, raw_only)


def stacked(made: list[Made], name: str) -> Tensor:
    """One part of frames made one after another: N T C H W."""
    return torch.stack([getattr(one, name) for one in made], 1)
