"""Entropies of what a classifier says of generated clips (VideoVAE, He et al. 2018; TwoStreamVAN, Sun et al. 2020).

Papers on sequential disentanglement exchange the two words, so names mean little: each class prints its formula, and so
does its fingerprint. With y the class and v a clip, ln(inception score of one split) = H(mean p(y|v)) - mean H(p(y|v)).
"""

from torch import Tensor

from metrics.bank import DescribingMetric, mean_and_error
from metrics.base import MetricResult
from metrics.class_probabilities import Outputs, check_classifier, class_probabilities, entropy
from metrics.features.base import Extractor


def entropy_of_mean(probabilities: Tensor) -> tuple[float, float | None]:
    """H(mean_v p(y|v)) of N classes-long rows, and its standard error by leaving out one clip at a time (N > 2)."""
    count = len(probabilities)
    total = probabilities.sum(dim=0)
    error = None
    if count > 2:
        left_out = entropy((total - probabilities).clamp_min(0) / (count - 1))  # N
        error = float(((count - 1) * left_out.var(correction=0)).sqrt())
    return float(entropy(total / count)), error


class _Entropy(DescribingMetric):
    formula: str
    title: str

    def __init__(self, classifier: Extractor, outputs: Outputs = "logits") -> None:
        super().__init__(fake=classifier.num_features, real=classifier.num_features)
        self.name = f"{self.title}[{classifier.name}]"
        check_classifier(self.name, classifier, outputs)
        self.classifier, self.outputs = classifier, outputs

    @property
    def fingerprint(self) -> str:
        """See `VideoMetric`."""
        return f"{self.formula}, natural logarithm, {self.outputs}; {self.classifier.fingerprint}"

    def describe(self, clips: Tensor) -> Tensor:
        """B classes."""
        return class_probabilities(self.name, self.classifier, clips, self.outputs)

    def estimate(self, probabilities: Tensor) -> tuple[float, float | None]:
        """Value and standard error from the rows of all clips."""
        raise NotImplementedError(f"{type(self).__name__}.estimate")

    def measure(self) -> MetricResult:
        """See `VideoMetric.result`; the note holds the value of real clips."""
        fake, real = self.rows("fake"), self.rows("real")
        if not fake.clips:
            return MetricResult(None, None, real.clips, 0, self.fingerprint, "no generated clips were seen")
        value, error = self.estimate(fake.values.double())
        note = f"real clips: {self.estimate(real.values.double())[0]:.4g}" if real.clips else ""
        return MetricResult(value, error, real.clips, fake.clips, self.fingerprint, note)


class IntraEntropy(_Entropy):
    """Mean over clips v of H(p(y|v)) = mean_v[-sum_y p(y|v) ln p(y|v)], in nats: how unsure the classifier is.

    From 0 to ln(classes); lower is better. Called Intra-Entropy by He et al. 2018 and Sun et al. 2020.

    Args:
        classifier: of level `clip`, trained on the data's categories; `num_features` classes.
        outputs: whether it gives `logits` or `probabilities`.
    """

    higher_is_better = False
    title = "intra_entropy"
    formula = "mean_v H(p(y|v))"

    def estimate(self, probabilities: Tensor) -> tuple[float, float | None]:
        """Mean and error over clips."""
        return mean_and_error(entropy(probabilities))


class InterEntropy(_Entropy):
    """H(mean over clips v of p(y|v)) = -sum_y p(y) ln p(y), in nats: how evenly the clips spread over the classes.

    From 0 to ln(classes), 2.3026 for the ten actions of Weizmann; higher is better. Called Inter-Entropy by He et al.
    2018 and Sun et al. 2020. Few clips cannot spread over many classes: compare at equal counts only.

    Args:
        classifier: of level `clip`, trained on the data's categories; `num_features` classes.
        outputs: whether it gives `logits` or `probabilities`.
    """

    higher_is_better = True
    title = "inter_entropy"
    formula = "H(mean_v p(y|v))"

    def estimate(self, probabilities: Tensor) -> tuple[float, float | None]:
        """See `entropy_of_mean`."""
        return entropy_of_mean(probabilities)
