from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.errors import BenchError
from metrics.bank import DescribingMetric
from metrics.base import MetricResult
from metrics.class_probabilities import Outputs, check_classifier, class_probabilities, entropy
from metrics.features.base import Extractor


class Score(NamedTuple):
    """An Inception Score.

    Attributes:
        mean: over the splits.
        deviation: population standard deviation over the splits, which papers print behind "+-".
        error: standard error of the mean by leaving out one row at a time; None where a split has fewer than 3.
    """

    mean: float
    deviation: float
    error: float | None


def inception_score(probabilities: Tensor, splits: int = 1) -> Score:
    """exp(mean KL(p(y|x) || p(y))) in each of `splits` consecutive parts (Salimans et al. 2016, section 4).

    Split i holds rows i*N//splits to (i+1)*N//splits, as in the authors' code.

    Args:
        probabilities: N classes float64, rows sum to 1.
        splits: at most N.

    Raises:
        BenchError: fewer rows than splits.

    >>> inception_score(torch.eye(5, dtype=torch.float64)).mean  # doctest: +ELLIPSIS
    5.0...
    """
    count = len(probabilities)
    if not 1 <= splits <= count:
        raise BenchError(f"an inception score of {splits} splits needs at least as many rows, found {count}")
    scores, variances = [], []
    for i in range(splits):
        part = probabilities[i * count // splits : (i + 1) * count // splits]
        of_row, total, n = entropy(part), part.sum(0), len(part)
        scores.append((entropy(total / n) - of_row.mean()).exp())
        if n > 2:
            of_mean = entropy((total - part).clamp_min(0) / (n - 1))  # n, each without one row
            left_out = (of_mean - (of_row.sum() - of_row) / (n - 1)).exp()
            variances.append((n - 1) * left_out.var(correction=0))
    found = torch.stack(scores)
    error = float(torch.stack(variances).sum().sqrt() / splits) if len(variances) == splits else None
    return Score(float(found.mean()), float(found.std(correction=0)), error)


class InceptionScore(DescribingMetric):
    """Inception Score of generated clips (by C3D: Saito et al. 2017, TGAN) or of their frames (Salimans et al. 2016).

    The number of splits and of clips moves it by half its size, so that splits stand in its name: `is10[inception]`.
    With a perfect classifier of 101 classes 2,048 clips give 76.5 in 10 splits and 98.5 in one.

    Args:
        classifier: of level `clip` or `frame`.
        splits: consecutive parts, in the order of the clips.
        outputs: what the classifier gives; `metrics.features.inception.Inception(output="probabilities")` and
            `metrics.features.c3d.C3D` give probabilities.
    """

    higher_is_better = True
    uses_real = False

    def __init__(self, classifier: Extractor, splits: int = 10, outputs: Outputs = "probabilities") -> None:
        super().__init__(fake=classifier.num_features)
        if splits < 1:
            raise BenchError(f"inception score: splits must be at least 1, found {splits}")
        self.name = f"is{splits}[{classifier.name}]"
        check_classifier(self.name, classifier, outputs, ("clip", "frame"))
        self.classifier, self.splits, self.outputs = classifier, splits, outputs

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return (
            f"exp(mean KL(p(y|x) || p(y))), mean over {self.splits} consecutive splits, {self.outputs}; "
            f"{self.classifier.fingerprint}"
        )

    def describe(self, clips: Tensor) -> Tensor:
        """B classes, or B T classes."""
        return class_probabilities(self.name, self.classifier, clips, self.outputs)

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`."""
        rows = self.rows("fake")
        if rows.clips < max(2, self.splits):
            raise BenchError(f"{self.name} needs at least {max(2, self.splits)} clips, found {rows.clips}")
        values = rows.values.double()
        score = inception_score(values / values.sum(1, keepdim=True), self.splits)  # kept as float32
        note = f"deviation over splits: {score.deviation:.4g}" if self.splits > 1 else ""
        if self.classifier.level == "frame":
            note = f"{note}; " * bool(note) + "the standard error takes frames of a clip for independent"
        return MetricResult(score.mean, score.error, 0, rows.clips, self.fingerprint, note)
