"""What VGAN's discriminator learnt of motion, measured by the actions it can be taught (the paper's Table 2)."""

from collections.abc import Callable
from typing import Literal, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.base import ClipData, TrainSteps
from datamodules.batch import to_float
from datamodules.errors import BenchError
from datamodules.stream import StreamSpec
from lightning_modules.vgan.networks import Discriminator

AT_ONCE = 32
Average = Literal["probabilities", "logits", "votes"]


class ActionNetwork(nn.Module):
    """A discriminator whose last layer is another: B C T H W in [-1, 1] -> B classes.

    Args:
        discriminator: of a trained or fresh VGAN; its own last layer is not used.
        classes: number of actions.
        bottom: frames of the map at the bottom, which the new kernel spans.
        dropout: share of channels before the new layer that are left out while training (official: 0.5).
        frozen: train the new layer alone, on features that stay: the paper's logistic regression.
    """

    def __init__(
        self, discriminator: Discriminator, classes: int, bottom: int, dropout: float = 0.5, frozen: bool = False
    ) -> None:
        super().__init__()
        self.discriminator, self.frozen = discriminator, frozen
        last = discriminator.get_submodule(f"conv{discriminator.depth}")
        assert isinstance(last, nn.Conv3d)
        self.dropout = nn.Dropout3d(dropout)
        self.head = nn.Conv3d(last.in_channels, classes, (bottom, 4, 4))
        nn.init.normal_(self.head.weight, 0, 0.01)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def train(self, mode: bool = True) -> "ActionNetwork":
        """Frozen features keep their BatchNorm statistics."""
        super().train(mode)
        if self.frozen:
            self.discriminator.eval()
        return self

    def forward(self, clips: Tensor) -> Tensor:
        """Logits."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.discriminator.features(clips)
        return self.head(self.dropout(features)).flatten(1)


def classes_of(data: ClipData, attribute: str) -> int:
    """How many classes the training clips have.

    Raises:
        BenchError: no such labels, or one class.
    """
    labels = data.store("train").attributes.get(attribute)
    if labels is None or int(labels.min()) < 0 or int(labels.max()) < 1:
        known = ", ".join(sorted(data.store("train").attributes)) or "none"
        raise BenchError(f"actions need two classes of {attribute} or more; {data.name} has the attributes {known}")
    return int(labels.max()) + 1


def fine_tune(
    network: ActionNetwork,
    data: ClipData,
    attribute: str,
    steps: int,
    batch: int,
    seed: int,
    lr: float = 2e-4,
    betas: tuple[float, float] = (0.5, 0.999),
    progress: Callable[[int, int, float], None] | None = None,
) -> None:
    """Cross entropy on random windows of the training videos; official: 1,000 steps of 256 clips, all layers.

    Args:
        network: changed in place; left in eval mode.
        data: whose `attributes[attribute]` names the actions.
        steps, batch, seed: how long, on how many clips at a time, and of which order and dropout.
        lr, betas: of Adam (official).
        progress: called with (step, steps, loss).
    """
    device = next(network.parameters()).device
    stream = TrainSteps(data, {"clips": StreamSpec(batch=batch)}, seed, 0, 1)
    trained = network.head.parameters() if network.frozen else network.parameters()
    optimizer = torch.optim.Adam(trained, lr, betas)
    network.train()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for step in range(steps):
            drawn = to_float(stream[step])
            loss = F.cross_entropy(network(drawn["video"].to(device)), drawn["attributes"][attribute].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if progress:
                progress(step + 1, steps, float(loss.detach()))
    network.eval()


@torch.no_grad()
def accuracy(
    network: ActionNetwork,
    data: ClipData,
    attribute: str,
    split: str,
    clips: int = 1,
    average: Average = "probabilities",
    seed: int = 0,
) -> tuple[float, int]:
    """Share of a split's videos whose action is told right, and their number.

    Args:
        clips: windows of each video, drawn by `seed`.
        average: what is averaged over a video's clips before the largest class is taken: the softmax's
            `probabilities`, its `logits`, or the clips' own choices (`votes`; of equal ones the first class).
    """
    device = next(network.parameters()).device
    videos = len(data.store(split).lengths)
    summed, truth = torch.zeros(videos, network.head.out_channels), torch.zeros(videos, dtype=torch.int64)
    # Evaluation clip i shows the (i mod videos)-th video of a fixed order, in a window of its own.
    for start in range(0, videos * clips, AT_ONCE):
        chosen = torch.arange(start, min(start + AT_ONCE, videos * clips))
        batch = to_float(data.eval_batch(split, chosen.tolist(), data.frames, data.stride, seed))
        summed.index_add_(0, chosen % videos, _share(network(batch["video"].to(device)), average).cpu())
        truth[chosen % videos] = batch["attributes"][attribute]
    return int((summed.argmax(1) == truth).sum()) / videos, videos


def _share(logits: Tensor, average: Average) -> Tensor:
    """What a clip adds to its video's classes, B classes."""
    match average:
        case "logits":
            return logits
        case "probabilities":
            return logits.softmax(1)
        case "votes":
            return F.one_hot(logits.argmax(1), logits.shape[1]).to(logits.dtype)
        case _:
            assert_never(average)
