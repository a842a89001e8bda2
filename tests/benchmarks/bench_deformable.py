"""Deformable GAN's own parts against their plain forms: body regions, deformable skips, nearest-neighbour loss.

    python tests/benchmarks/bench_deformable.py

One thread; the fastest of several rounds, since other work on the machine only ever adds. That the values are equal is
tested in `tests/lightning_modules/deformable_gan`.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lightning_modules.deformable_gan.losses import nearest_neighbour
from lightning_modules.deformable_gan.networks import Generator, channels
from lightning_modules.deformable_gan.regions import regions
from lightning_modules.deformable_gan.warp import warp
from tests.helpers.peak_memory import peak_memory
from tests.lightning_modules.deformable_gan.naive import all_offsets, naive_regions, ten_warps
from tests.lightning_modules.deformable_gan.people import scattered


def fastest(call: Callable[[], Any], rounds: int = 7) -> float:
    """Milliseconds."""
    call()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1000 * min(times)


def of_regions() -> None:
    """Masks and maps of 16 pairs of poses."""
    given, wanted = scattered(16, 1), scattered(16, 2)
    for height, width, scale in ((128, 64, 1), (256, 256, 2)):
        a, b = (torch.cat([pose[..., :2] * scale, pose[..., 2:]], -1) for pose in (given, wanted))
        ours = fastest(partial(regions, a, b, height, width), 20)
        naive = fastest(partial(naive_regions, a, b, height, width), 5)
        print(
            f"regions of 16 pairs, {height}x{width}: {ours:.2f} ms, one by one {naive:.1f} ms: {naive / ours:.1f} times"
        )


def of_skips() -> None:
    """The four deformed levels of the Market-1501 generator, batch 4."""
    size = (128, 64)
    found = regions(scattered(4, 1), scattered(4, 2), *size)
    levels = [torch.randn(4, c, size[0] >> i, size[1] >> i) for i, c in enumerate(channels(size, 64)[0][:4])]
    network = Generator("mask", *channels(size, 64)).eval()
    network._deformed = lambda features, regions, places: features  # type: ignore[method-assign]
    image, pose = torch.randn(4, 3, *size), torch.rand(4, 18, *size)
    with torch.no_grad():
        plain = fastest(lambda: network(image, pose, pose, found), 3)
        ours = fastest(lambda: [warp(x, found) for x in levels])
        naive = fastest(lambda: [ten_warps(x, found) for x in levels])
    print(f"four skips, batch 4: {ours:.1f} ms, {ours / plain:.3f} of the generator without them ({plain:.0f} ms)")
    print(f"  ten warps a level {naive:.1f} ms: {naive / ours:.1f} times")
    for x in levels:
        x.requires_grad_()
    ours = fastest(lambda: torch.autograd.grad([warp(x, found).sum() for x in levels], levels))
    naive = fastest(lambda: torch.autograd.grad([ten_warps(x, found).sum() for x in levels], levels))
    print(f"  with gradients {ours:.1f} ms, ten warps {naive:.1f} ms: {naive / ours:.1f} times")


def of_loss() -> None:
    """The 5x5 nearest-neighbour loss on 64 channels at 256x256."""
    drawn, real = torch.randn(1, 64, 256, 256, requires_grad=True), torch.randn(1, 64, 256, 256)
    maps = real.numel() * 4
    for name, loss in (
        ("ours", lambda: nearest_neighbour(drawn, real, 5)),
        ("all offsets", lambda: all_offsets(drawn, real, 5).mean()),
    ):
        with_gradient = partial(_gradient, loss, drawn)
        forward, both = peak_memory(loss) / maps, peak_memory(with_gradient) / maps
        took = fastest(with_gradient, 2)
        print(f"5x5 loss at 256x256, {name}: {forward:.2f} feature maps, with gradient {both:.2f}, {took:.0f} ms")


def _gradient(loss: Callable[[], Tensor], of: Tensor) -> Tensor:
    return torch.autograd.grad(loss(), of)[0]


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    of_regions()
    of_skips()
    of_loss()
