"""Which attributes the data have, and which training clips show theirs."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from datamodules.base import ClipData
from datamodules.batch import VideoBatch
from datamodules.errors import BenchError
from datamodules.stream import keyed_rng


def check_classes(data: ClipData, classes: Mapping[str, int]) -> None:
    """Raises `BenchError` unless the training clips have the attributes, with labels 0..classes-1 of each."""
    known = data.store("train").attributes
    for name, count in classes.items():
        if name not in known:
            given = ", ".join(sorted(known)) or "none"
            raise BenchError(
                f"model.init_args.attributes names {name}, which {data.name} lacks; it gives {given}. Name those, or "
                "set attributes to {} for a model without"
            )
        labels = known[name]
        if labels.min() < 0 or labels.max() != count - 1:
            raise BenchError(
                f"model.init_args.attributes says that {name} has {count} classes, but the labels of {data.name} run "
                f"from {labels.min()} to {labels.max()}; expected 0 to {count - 1}: set {name} to {labels.max() + 1}"
            )


def labelled_clips(data: ClipData, classes: Mapping[str, int], share: float, seed: int) -> Tensor:
    """Which training clips show their labels: a float32 1 or 0 for each, by the clip's number.

    A clip's place follows from the number of clips and the seed alone, so it is the same in every pass over the data,
    on every device and after a resume; clips that are labelled at one share are so at all larger ones.

    Args:
        share: of the clips, above 0 and at most 1; at least one clip is labelled.
        seed: of the choice, whatever the run's.

    Raises:
        BenchError: a class that training clips show, but no labelled one.
    """
    known = data.store("train").attributes
    clips = len(data.store("train").lengths)
    order = keyed_rng("videovae labels", seed).permutation(clips)
    chosen = order[: max(1, round(share * clips))]
    for name in classes:
        absent = sorted(set(known[name].tolist()) - set(known[name][chosen].tolist()))
        if absent:
            others = f" (nor {len(absent) - 1} others)" if absent[1:] else ""
            raise BenchError(
                f"model.init_args.labelled is {share}: among the {len(chosen)} labelled clips of {data.name} none "
                f"shows {name} {absent[0]}{others}; raise it"
            )
    mask = np.zeros(clips, dtype=np.float32)
    mask[chosen] = 1
    return torch.from_numpy(mask)


def check_known(batch: VideoBatch, classes: Mapping[str, int]) -> None:
    """Raises `BenchError` unless the batch gives each attribute, within its classes. Waits for the device."""
    labels = batch.get("attributes", {})
    absent = sorted(set(classes) - set(labels))
    if absent:
        raise BenchError(
            f"VideoVAE was trained on the attributes {', '.join(classes)}; the clips to sample for give no "
            f"{', '.join(absent)}. Sample with data that do, or set model.init_args.attributes_from to inferred"
        )
    for name, count in classes.items():
        low, high = int(labels[name].min()), int(labels[name].max())
        if low < 0 or high >= count:
            raise BenchError(
                f"VideoVAE was trained on {name} 0 to {count - 1}; the clips to sample for show {name} "
                f"{low if low < 0 else high}. Take data whose splits share their classes (puppet: identity_split "
                "shared), leave that attribute out, or set model.init_args.attributes_from to inferred"
            )
