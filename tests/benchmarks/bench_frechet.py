"""The Frechet distance's time as a share of torchmetrics', and both errors: `python -m tests.benchmarks.bench_frechet`.

Features are normal with a falling spectrum; the reference is the nuclear norm of centred features.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics.image.fid import _compute_fid

from metrics.frechet import fit, frechet_distance

CASES = {"d = 400, N = 2048": (400, 2048), "d = 400, N = 256": (400, 256)}
LARGE = {"d = 2048, N = 2048": (2048, 2048), "d = 2048, N = 512": (2048, 512)}


def features(dims: int, count: int) -> tuple[Tensor, Tensor]:
    """Two sets, N x d float64."""
    rng = torch.Generator().manual_seed(0)
    spread = torch.arange(1, dims + 1, dtype=torch.float64) ** -0.7
    a, b = torch.randn(2, count, dims, generator=rng, dtype=torch.float64)
    return a * spread, 1.2 * b * spread + 0.1


def ours(a: Tensor, b: Tensor) -> float:
    """From features to distance."""
    return frechet_distance(fit(a), fit(b))


def theirs(a: Tensor, b: Tensor) -> float:
    """Moments as torchmetrics' metric takes them, then its root."""
    return float(_compute_fid(a.mean(0), a.T.cov(), b.mean(0), b.T.cov()))


def reference(a: Tensor, b: Tensor) -> float:
    """The definition by centred features alone."""
    x, y = ((f - f.mean(0)) / (len(f) - 1) ** 0.5 for f in (a, b))
    root = torch.linalg.svdvals(x @ y.T).sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + x.square().sum() + y.square().sum() - 2 * root)


def timed(action: Callable[[Tensor, Tensor], float], a: Tensor, b: Tensor) -> tuple[float, float]:
    """CPU seconds and value."""
    start = time.process_time()
    value = action(a, b)
    return time.process_time() - start, value


def main(rounds: int) -> None:
    """Prints a row for each size; the large ones are measured once a round, in turns."""
    torch.set_num_threads(1)
    print("| features | torchmetrics, s | ours, s | ratio | torchmetrics' error | our error |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for label, (dims, count) in {**CASES, **LARGE}.items():
        a, b = features(dims, count)
        true = reference(a, b)
        seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
        errors = {}
        for _ in range(rounds):
            for name, action in (("theirs", theirs), ("ours", ours)):
                took, value = timed(action, a, b)
                seconds[name].append(took)
                errors[name] = abs(value - true)
        t, o = (statistics.median(seconds[name]) for name in ("theirs", "ours"))
        print(
            f"| {label} | {t:.3f} | {o:.3f} | {o / t:.3f} | {errors['theirs']:.1e} | {errors['ours']:.1e} |", flush=True
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
