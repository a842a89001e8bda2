from typing import Any

import lightning as L

from datamodules.base import ClipData
from lightning_modules.contract import Method


class SuiteTrainer(L.Trainer):
    """Lightning's trainer with a `sample` command; its signature is the command's options."""

    def sample(
        self,
        model: Method | None = None,
        datamodule: ClipData | None = None,
        n: int = 16,
        out: str | None = None,
        seed: int = 0,
        lossless: bool = False,
        frames: int | None = None,
        swap: bool = False,
        attribute: str | None = None,
        grid: str | None = None,
        source: str | None = None,
        poses: str | None = None,
        source_pose: str | None = None,
        pose_size: tuple[int, int] | None = None,
    ) -> Any:
        """Write clips of a trained generator.

        Args:
            n: how many.
            out: folder; by default samples/ in the run's folder.
            seed: keys the noise, clip by clip.
            lossless: FFV1 in mkv beside H.264 in mp4.
            swap: instead, n contents with n motions each: a picture, a video and shares of variance.
            frames: of each clip, where the method makes other lengths than it was trained on.
            attribute: sets attributes of all clips, NAME=VALUE, or NAME=VALUE@FRAME from a frame on; several with
                commas between: category=0,category=3@8.
            grid: instead, one clip for each value of an attribute, or of two (ROWS,COLUMNS), all of the same noise: a
                picture and a video. At most n values of each.
            source: instead, a picture of a person who is to be drawn in poses, by a method that does so. Ask the
                person first: moving pictures of people need their consent.
            poses: with source: a video of somebody who moves, or key-points (OpenPose's JSON, OpenCV's YAML, CSV).
            source_pose: key-points of the source, where the method reads them; without, they are looked for.
            pose_size: height and width of the frames that the key-points are in; by default the source's.
        """
        raise RuntimeError("run through `reelbench sample`")


# Trainer arguments that would break a contract, with the way to say the same.
REFUSED = {
    "accumulate_grad_batches": (1, "one step is one stream batch; use a larger data.init_args.batch_size"),
    "gradient_clip_val": (None, "clipping is an argument of the method"),
    "max_epochs": (None, "budgets are in steps: trainer.max_steps"),
    "min_epochs": (None, "budgets are in steps: trainer.max_steps"),
    "logger": (None, "the run folder keeps the log, and W&B is set under wandb"),
    "default_root_dir": (None, "the run folder follows from the config: --runs"),
}


def refusals(trainer: dict[str, Any]) -> list[str]:
    """What in a trainer config would break a contract, one line each."""
    found = [
        f"trainer.{key}: {trainer[key]!r} is refused, {why}"
        for key, (allowed, why) in REFUSED.items()
        if trainer.get(key) not in (allowed, None)
    ]
    if trainer.get("precision") in ("bf16-true", "16-true", "64-true", "bf16", "16", "64"):
        found.append(f"trainer.precision: {trainer['precision']!r} is refused, use 32-true or bf16-mixed")
    steps = trainer.get("max_steps")
    if not isinstance(steps, int) or steps < 1:
        found.append(f"trainer.max_steps must be the budget in steps, found {steps!r}")
    return found
