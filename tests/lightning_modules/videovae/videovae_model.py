"""Small models and labelled clips for the tests of VideoVAE."""

from typing import Any

import torch

from lightning_modules.videovae.module import VideoVAE

SIZES: dict[str, Any] = {"widths": (2, 3, 4, 5), "dim_z": 6, "dim_features": 7, "dim_state": 8, "dim_frame": 9}


def tiny(**options: Any) -> VideoVAE:
    """At 32 pixels, 5 frames, three categories."""
    torch.manual_seed(0)
    arguments = {"size": 32, "frames": 5, "attributes": {"category": 3}, "dim_hidden": 10, "dropout": 0.0, **SIZES}
    return VideoVAE(**{**arguments, **options})


def lively(**options: Any) -> VideoVAE:
    """In eval mode, with weights so large that every input is seen in what comes out."""
    model = tiny(**options).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim > 1:
                p.normal_(0, 1.5 / (p[0].numel() ** 0.5))
    return model


def labelled(*category: int) -> Any:
    """A batch that holds the categories of its clips and nothing else."""
    return {"attributes": {"category": torch.tensor(category)}}
