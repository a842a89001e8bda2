"""pix2pixHD's training step against the official loop's order: `python -m tests.benchmarks.bench_pix2pixhd`.

CPU seconds on one thread, medians; the two take turns. Both give the same gradients, see
`tests/lightning_modules/pix2pixhd/test_pix2pixhd_step.py`. The perceptual network's weights
are random, which moves no time.
"""

import statistics
import time
from typing import Any

import lightning as L
import torch

from lightning_modules.pix2pixhd.condition import one_frame
from lightning_modules.pix2pixhd.module import Pix2PixHD
from metrics.features.vgg import Vgg19Features
from tests.helpers.pix2pixhd_step import official_step, train

STEPS = 6
NARROW = {"size": 64, "ngf": 16, "n_downsample_global": 3, "n_blocks_global": 3, "ndf": 16, "lambda_vgg": 0}
WIDE = {"size": 128, "ngf": 64, "n_downsample_global": 4, "n_blocks_global": 9, "ndf": 64, "lambda_vgg": 0}
ENHANCER = {**WIDE, "ngf": 32, "n_local_enhancers": 1, "num_D": 3}
SETTINGS: dict[str, tuple[dict[str, Any], int]] = {
    "64 pixels, a quarter of the width, 4 pictures": (NARROW, 4),
    "128 pixels, official width, 1 picture": (WIDE, 1),
    "the same with the perceptual loss": ({**WIDE, "lambda_vgg": 10.0}, 1),
    "with enhancer, all trained": (ENHANCER, 1),
    "with enhancer, G1 frozen": ({**ENHANCER, "fix_global_steps": 1000}, 1),
}


class Clock(L.Callback):
    """A step of the other loop after each of ours, and the seconds of both."""

    def __init__(self, plain: Pix2PixHD) -> None:
        self.plain, self.ours, self.theirs = plain, list[float](), list[float]()
        trained = plain.generator.parameters()
        if plain.fix_global_steps:
            trained = (p for name, p in plain.generator.named_parameters() if not name.startswith("net.model."))
        self.players = [torch.optim.Adam(p, 2e-4, (0.5, 0.999)) for p in (trained, plain.discriminator.parameters())]

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.start = time.process_time()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.ours.append(time.process_time() - self.start)
        images = one_frame(batch, torch.zeros(len(batch["video"]), dtype=torch.int64))
        start = time.process_time()
        official_step(self.plain, images, self.players)
        self.theirs.append(time.process_time() - start)


def main() -> None:
    """Prints a row for each setting."""
    torch.set_num_threads(1)
    print("| setting | official order | here | ratio |\n| --- | --- | --- | --- |")
    for name, (arguments, pictures) in SETTINGS.items():
        ours, plain = Pix2PixHD(label_nc=35, **arguments), Pix2PixHD(label_nc=35, **arguments)
        if ours.lambda_vgg:
            ours._vgg = plain._vgg = [Vgg19Features()]
        clock = Clock(plain)
        train(ours, STEPS, clock, size=arguments["size"], clips=pictures, classes=35)
        theirs, here = (statistics.median(seconds[1:]) for seconds in (clock.theirs, clock.ours))
        print(f"| {name} | {theirs:.3f} | {here:.3f} | {here / theirs:.2f} |", flush=True)


if __name__ == "__main__":
    main()
