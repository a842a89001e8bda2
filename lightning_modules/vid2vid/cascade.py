"""Generators from coarse to fine (section 3.3), and rolling them along a clip."""

import torch
from torch import Tensor, nn

from lightning_modules.pix2pixhd.networks import Norm, reduce
from lightning_modules.vid2vid.networks import CompositeGenerator, CompositeLocalGenerator, Made


class Cascade(nn.Module):
    """Makes one frame of each clip: at the smallest size, then at each doubled size on top of it.

    Args:
        input_nc, output_nc, prev_output_nc: see `CompositeGenerator`.
        ngf: width of the coarsest network; each finer one has half.
        n_scales_spatial: networks.
        n_downsampling, n_blocks: of the coarsest.
        n_blocks_local: of the others.
        use_fg_model, no_flow, norm: see `CompositeGenerator`.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        prev_output_nc: int,
        ngf: int,
        n_scales_spatial: int,
        n_downsampling: int,
        n_blocks: int,
        n_blocks_local: int,
        use_fg_model: bool,
        no_flow: bool,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.scales, self.channels = n_scales_spatial, output_nc
        ends = (use_fg_model, no_flow, norm)
        sizes = (input_nc, output_nc, prev_output_nc)
        self.G0 = CompositeGenerator(*sizes, ngf, n_downsampling, n_blocks, *ends)
        for s in range(1, n_scales_spatial):
            self.add_module(
                f"G{s}", CompositeLocalGenerator(*sizes, ngf >> s, n_downsampling, n_blocks_local, *ends, s)
            )

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """N C H W at every size, the smallest first."""
        sizes = [x]
        for _ in range(self.scales - 1):
            sizes.append(reduce(sizes[-1]))
        return sizes[::-1]

    def forward(
        self,
        x: Tensor,
        before: list[Tensor],
        mask: Tensor | None = None,
        raw_only: bool = False,
        fixed_coarse: bool = False,
    ) -> list[Made]:
        """The frame at every size, the smallest first; each size has a history of its own.

        Args:
            x: N input_nc H W, the window of conditions at full size.
            before: N prev_output_nc h w for each size.
            mask: N 1 H W, 1 where the foreground is.
            raw_only: see `Composer.compose`.
            fixed_coarse: only the finest network takes gradients.
        """
        windows = self.pyramid(x)
        masks: list[Tensor] | list[None] = [None] * self.scales if mask is None else self.pyramid(mask)
        made: list[Made] = []
        for s in range(self.scales):
            learns = s == self.scales - 1 or not fixed_coarse
            with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
                network = self.get_submodule(f"G{s}")
                made.append(network(windows[s], before[s], masks[s], made[-1] if made else None, raw_only))
        return made

    def remember(self, before: list[Tensor], made: list[Made]) -> list[Tensor]:
        """The histories with the newest frames at their end, the oldest gone."""
        return [torch.cat([h[:, self.channels :], m.frame.to(h.dtype)], 1) for h, m in zip(before, made, strict=True)]
