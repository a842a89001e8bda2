"""pix2pixHD's training step as the official loop orders it, written plainly, and small batches to train on."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lightning_modules.pix2pixhd.losses import feature_matching, gan_loss, perceptual
from lightning_modules.pix2pixhd.module import Pix2PixHD

SMALL: dict[str, Any] = {
    "size": 32,
    "label_nc": 4,
    "ngf": 4,
    "n_downsample_global": 2,
    "n_blocks_global": 1,
    "ndf": 4,
    "lambda_vgg": 0,
}


def small(**arguments: Any) -> Pix2PixHD:
    """A narrow method, its weights drawn by a fixed seed."""
    torch.manual_seed(0)
    return Pix2PixHD(**{**SMALL, **arguments})


def a_batch(step: int = 0, clips: int = 2, frames: int = 1, size: int = 32, classes: int = 4) -> dict[str, Any]:
    """A batch as it travels to the networks, of a training step."""
    rng = torch.Generator().manual_seed(step)
    instances = torch.randint(0, 3, (clips, frames, size // 8, size // 8), generator=rng)
    return {
        "video": torch.rand(clips, 3, frames, size, size, generator=rng) * 2 - 1,
        "condition": torch.rand(clips, 3, frames, size, size, generator=rng) * 2 - 1,
        "labels": torch.randint(0, classes, (clips, frames, size, size), generator=rng),
        "instances": instances.repeat_interleave(8, 2).repeat_interleave(8, 3) * 1000 + 5,
        "index": torch.arange(clips),
        "name": [f"video{i}[0:{frames}]" for i in range(clips)],
        "step": step,
    }


class Steps(Dataset[Any]):
    """`a_batch` of each step."""

    def __init__(self, steps: int, **arguments: Any) -> None:
        self.steps, self.arguments = steps, arguments

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> dict[str, Any]:
        return a_batch(step, **self.arguments)


def train(method: L.LightningModule, steps: int, *callbacks: L.Callback, ckpt: Any = None, **arguments: Any) -> Any:
    """Lightning's trainer after `steps` steps on the CPU, without folders."""
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )
    trainer.fit(method, DataLoader(Steps(steps, **arguments), batch_size=None), ckpt_path=ckpt)
    return trainer


def official_step(
    method: Pix2PixHD, images: dict[str, Tensor], players: Sequence[torch.optim.Optimizer]
) -> dict[str, Tensor]:
    """One step: three passes of the discriminators, all gradients of every backward pass.

    Args:
        method: whose networks and weights of losses are taken.
        images: see `condition.one_frame`.
        players: the generator's and the discriminators' optimizers.

    Returns:
        The parameters' gradients as the optimizers saw them, by name.
    """
    shown = method.condition(images)
    real, judge = images["video"], method.discriminator
    x = shown
    if method.generator.encoder is not None:
        x = torch.cat([shown, method.generator.features(real, images["instances"])], 1)
    fake = method.generator.net(x)
    on_fake = gan_loss(judge(torch.cat([shown, fake.detach()], 1)), False, method.gan)
    judged_real = judge(torch.cat([shown, real], 1))
    on_real = gan_loss(judged_real, True, method.gan)
    judged = judge(torch.cat([shown, fake], 1))
    of_generator = gan_loss(judged, True, method.gan)
    if method.lambda_feat:
        of_generator = of_generator + method.lambda_feat * feature_matching(judged, judged_real)
    if method.lambda_vgg:
        of_generator = of_generator + method.lambda_vgg * perceptual(method._vgg[0], fake, real)
    seen: dict[str, Tensor] = {}
    for optimizer, name, loss in zip(
        players, ("generator", "discriminator"), (of_generator, 0.5 * (on_fake + on_real)), strict=True
    ):
        optimizer.zero_grad()
        loss.backward()
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        seen |= {
            f"{name}.{key}": p.grad.clone()
            for key, p in method.get_submodule(name).named_parameters()
            if p.grad is not None and id(p) in own
        }
        optimizer.step()
    return seen
