"""Metrics by the short names that `reelbench score --metrics` takes: one line each, as a config would name them."""

import difflib
from collections.abc import Mapping
from typing import Any

from datamodules.errors import BenchError
from experiments.classes import load_class


def _of(class_path: str, **init_args: Any) -> Mapping[str, Any]:
    return {"class_path": class_path, "init_args": init_args}


# Keys are the metrics' own names. Any `metrics.bank.ClipMetric` that reads nothing but clips can stand here; two whose
# `describe` is the same over the same extractor read each clip once.
_I3D = _of("metrics.features.i3d.I3D")
_INCEPTION = _of("metrics.features.inception.Inception")
_LITE = _of("metrics.features.efficientnet_lite0.EfficientNetLite0")
METRICS: dict[str, Mapping[str, Any]] = {
    "fvd": _of("metrics.frechet.FrechetDistance", extractor=_I3D),
    "fvd_infinity": _of("metrics.frechet_infinity.FrechetInfinity", extractor=_I3D),
    "kvd": _of("metrics.kernel_distance.KernelDistance", extractor=_I3D),
    "precision[i3d]": _of("metrics.precision_recall.Precision", extractor=_I3D),
    "recall[i3d]": _of("metrics.precision_recall.Recall", extractor=_I3D),
    "fid": _of("metrics.frechet.FrechetDistance", extractor=_INCEPTION),
    "kid": _of("metrics.kernel_distance.KernelDistance", extractor=_INCEPTION, subsets=100),
    "is10[inception]": _of(
        "metrics.inception_score.InceptionScore",
        classifier=_of("metrics.features.inception.Inception", output="probabilities"),
    ),
    "is1[c3d]": _of("metrics.inception_score.InceptionScore", classifier=_of("metrics.features.c3d.C3D"), splits=1),
    "frechet_frame[efficientnet_lite0]": _of("metrics.frechet.FrechetDistance", extractor=_LITE),
    "frechet[random]": _of("metrics.frechet.FrechetDistance", extractor=_of("metrics.features.random.RandomFeatures")),
    "frechet_frame[random]": _of(
        "metrics.frechet.FrechetDistance", extractor=_of("metrics.features.random.RandomFeatures", level="frame")
    ),
    "ssim": _of("metrics.pixel.SSIM"),
    "psnr": _of("metrics.pixel.PSNR"),
    "ms_ssim": _of("metrics.ms_ssim.MSSSIM"),
    "l1": _of("metrics.pixel.L1"),
    "lpips[alex]": _of("metrics.perceptual.Lpips", network="metrics.features.lpips.load", net="alex"),
    "lpips[vgg]": _of("metrics.perceptual.Lpips", network="metrics.features.lpips.load", net="vgg"),
    "diversity": _of("metrics.novelty.Diversity"),
    "acd_color": _of("metrics.content.AverageContentDistance"),
    "temporal_flickering": _of("metrics.temporal.TemporalFlickering"),
}
# What people type for the one that is reported.
ALIASES = {"lpips": "lpips[alex]"}


def plain(name: str) -> str:
    """A name that no shell takes apart: `frechet_random` for `frechet[random]`."""
    return name.replace("[", "_").replace("]", "")


def choose(asked: list[str], protocol: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """What to measure, in the order asked for: each metric as in a config.

    Args:
        asked: names, with brackets or plain.
        protocol: a protocol's own metrics; its settings come before those of this file.

    Raises:
        BenchError: no such metric; says which is near.
    """
    known = {**METRICS, **protocol}
    full = {**ALIASES, **{plain(name): name for name in known}}
    chosen: dict[str, Mapping[str, Any]] = {}
    for word in asked:
        name = full.get(plain(word.strip()))
        if name is None:
            near = difflib.get_close_matches(plain(word.strip()), full, 1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(full)}"
            raise BenchError(f"--metrics: there is no metric {word.strip()!r}; {hint}")
        chosen[name] = known[name]
    return chosen


def build(name: str, spec: Mapping[str, Any]) -> Any:
    """The metric that a config's `class_path` and `init_args` name.

    Args:
        name: its key.

    Raises:
        BenchError: no such class, or arguments that it does not take.
    """
    functions = "network" in spec.get("init_args", {})  # named by their path, which only the parser resolves
    return _made(spec) if spec is METRICS.get(name) and not functions else _parsed(name, spec)


def _made(spec: Any) -> Any:
    """As this file says it, without the checks that a person's file needs."""
    if not (isinstance(spec, Mapping) and "class_path" in spec):
        return spec
    return load_class(spec["class_path"])(**{key: _made(value) for key, value in spec.get("init_args", {}).items()})


def _parsed(name: str, spec: Mapping[str, Any]) -> Any:
    """Types checked and converted, as in a training config."""
    import jsonargparse

    from metrics.base import VideoMetric

    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(VideoMetric, "metric", required=True)
    try:
        return parser.instantiate(parser.parse_object({"metric": dict(spec)})).metric
    except (jsonargparse.ArgumentError, TypeError, ValueError) as error:
        raise BenchError(f"evaluate.metrics.{name}: {' '.join(str(error).split())}") from error
