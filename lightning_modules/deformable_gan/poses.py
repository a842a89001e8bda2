"""Poses that cannot be measured: Deformable GAN takes the size of every region of the body from the torso."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from datamodules.base import ClipData, TrackStore
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from lightning_modules.deformable_gan.regions import has_torso

KEYS = frozenset({"pose", "source_pose"})
AT_ONCE = 8192  # frames


def check_batch(batch: VideoBatch) -> None:
    """Refuses clips with a pose, wanted or given, that has no torso.

    Raises:
        BenchError: names the clips.
    """
    for key in sorted(KEYS & set(batch)):
        bad = ~has_torso(cast(Tensor, batch[key])).flatten(1).all(1)  # type: ignore[literal-required]
        if bad.any():
            _refuse(key, [batch["name"][i] for i in bad.nonzero()[:, 0].tolist()], "clips")


def check_training_data(data: ClipData) -> None:
    """Looks at every pose of the training frames: once before the first step, so that no step has to wait for it.

    Raises:
        BenchError: names the videos.
    """
    keys = data.tracks & KEYS
    if not keys:
        return
    store = cast(TrackStore, data.store("train"))
    videos = np.repeat(np.arange(len(store.lengths)), store.lengths)
    starts = np.cumsum(store.lengths) - store.lengths
    frames = np.arange(len(videos)) - starts[videos]
    bad: dict[str, set[int]] = {key: set() for key in keys}
    for at in range(0, len(videos), AT_ONCE):
        part = slice(at, at + AT_ONCE)
        for key, poses in store.tracks(videos[part], frames[part, None], keys).items():
            there = has_torso(torch.from_numpy(np.asarray(poses))).flatten(1).all(1).numpy()
            bad[key] |= set(videos[part][~there].tolist())
    for key, which in sorted(bad.items()):
        if which:
            _refuse(key, [store.names[video] for video in sorted(which)], f"training videos of {data.name}")


def _refuse(key: str, names: Sequence[str], what: str) -> None:
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    raise BenchError(
        f"{key}: shoulders or hips are missing in {len(names)} {what} ({shown}); Deformable GAN measures the body's "
        "regions from them: leave such poses out, as the published pair lists do, or set model.init_args.warp_skip to "
        "none or stn"
    )
