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
METRICS: dict[str, Mapping[str, Any]] = {
    "fvd": _of("metrics.frechet.FrechetDistance", extractor=_of("metrics.features.i3d.I3D")),
    "frechet[random]": _of("metrics.frechet.FrechetDistance", extractor=_of("metrics.features.random.RandomFeatures")),
    "frechet_frame[random]": _of(
        "metrics.frechet.FrechetDistance", extractor=_of("metrics.features.random.RandomFeatures", level="frame")
    ),
    "ssim": _of("metrics.pixel.SSIM"),
    "psnr": _of("metrics.pixel.PSNR"),
    "ms_ssim": _of("metrics.ms_ssim.MSSSIM"),
    "l1": _of("metrics.pixel.L1"),
    "diversity": _of("metrics.novelty.Diversity"),
    "acd_color": _of("metrics.content.AverageContentDistance"),
    "temporal_flickering": _of("metrics.temporal.TemporalFlickering"),
}
# Names that people ask for, and why there is no number yet: an entry without a value says so.
UNAVAILABLE = {
    "lpips": "LPIPS needs its backbone's weights, which no command fetches yet; a protocol file can name a loader of "
    "your own under evaluate.metrics (metrics.perceptual.Lpips, init_args.network)"
}


def plain(name: str) -> str:
    """A name that no shell takes apart: `frechet_random` for `frechet[random]`."""
    return name.replace("[", "_").replace("]", "")


def choose(asked: list[str], protocol: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any] | str]:
    """What to measure, in the order asked for: the metric as in a config, or why there is none.

    Args:
        asked: names, with brackets or plain.
        protocol: a protocol's own metrics; its settings come before those of this file.

    Raises:
        BenchError: no such metric; says which is near.
    """
    known: dict[str, Mapping[str, Any] | str] = {**UNAVAILABLE, **METRICS, **protocol}
    full = {plain(name): name for name in known}
    chosen: dict[str, Mapping[str, Any] | str] = {}
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
    return _made(spec) if spec is METRICS.get(name) else _parsed(name, spec)


def _made(spec: Any) -> Any:
    """As this file says it, without the checks that a person's file needs."""
    if not (isinstance(spec, Mapping) and "class_path" in spec):
        return spec
    return load_class(spec["class_path"])(**{key: _made(value) for key, value in spec["init_args"].items()})


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
