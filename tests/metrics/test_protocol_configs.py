from dataclasses import replace
from pathlib import Path

import jsonargparse
import pytest

from datamodules.errors import BenchError
from metrics.base import VideoMetric
from metrics.features.i3d import I3D
from metrics.features.random import RandomFeatures
from metrics.frechet import FrechetDistance
from metrics.protocol import Protocol, ProtocolSettings
from metrics.suite import MetricSuite
from metrics.weights import CATALOGUE, folder
from tests.metrics.array_data import ArrayData, noise_clips, numbered

FOLDER = Path(__file__).parents[2] / "experiments" / "configs" / "protocol"
OF_PERSONS = {"edn", "patn", "pg2", "pose_image128"}  # need poses, masks or networks: see test_person_protocols
OF_CLASSES = {"pg2_is"}  # also of persons, and asks Inception: see there
OF_CATEGORIES = {"mocogan_mcs", "tsv_entropy"}  # need a trained classifier: see test_action_classifier
OF_ATTRIBUTES = {"attribute_control"}  # two of them, and a method that is asked: see test_videovae_commands
ELSEWHERE = OF_PERSONS | OF_CLASSES | OF_CATEGORIES | OF_ATTRIBUTES
FILES = sorted(file for file in FOLDER.glob("*.yaml") if file.stem not in ELSEWHERE)


def evaluate(protocol: ProtocolSettings, metrics: dict[str, VideoMetric]) -> None:
    """The arguments that a protocol file fills in."""


def load(file: Path, *overrides: str) -> tuple[ProtocolSettings, dict[str, VideoMetric]]:
    parser = jsonargparse.ArgumentParser(parser_mode="omegaconf+", exit_on_error=False)
    parser.add_function_arguments(evaluate, "evaluate")
    parser.add_argument("--config", action="config")
    built = parser.instantiate(parser.parse_args([f"--config={file}", *overrides]))
    return built.evaluate.protocol, built.evaluate.metrics


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_every_protocol_file_scores_clips(file: Path) -> None:
    settings, metrics = load(file, "--evaluate.protocol.n_real=3", "--evaluate.protocol.n_fake=4")
    assert settings.label == file.stem
    settings = replace(settings, samples=min(settings.samples, 2))
    suite = MetricSuite(metrics)
    frames = settings.frames or 8
    side = 64 if "lpips[alex]" in metrics else 16  # what its backbone can take, where the weights are at hand
    real, fake = noise_clips(0, 4, 3, frames, side, side), noise_clips(1, 4, 3, frames, side, side)
    data = ArrayData(context=min(2, frames - 1), train=real, val=real, test=real)
    protocol = settings.resolve(data)
    suite.prepare(data, protocol)
    for sample in range(settings.samples):
        suite.update(fake, real, numbered(0, 1, 2, 3), sample)
    for column, result in suite.results().items():
        if result.value is None:  # the weights come from REELBENCH_WEIGHTS
            missing = result.note.removeprefix("weights missing: reelbench weights fetch ")
            few = result.note.startswith("needs at least ") and "clips of each kind, got" in result.note
            assert few or not (folder() / CATALOGUE[missing].file).exists()
        assert protocol.key(column, result.fingerprint).startswith(f"{settings.split}/{column}/{file.stem}-")


def test_what_the_files_promise() -> None:
    loaded = {file.stem: load(file) for file in FILES}
    quick, cpu = loaded["quick"], loaded["cpu256"]
    assert (quick[0].split, quick[0].n_real, quick[0].n_fake) == ("val", 64, 64)
    assert (cpu[0].split, cpu[0].n_real, cpu[0].n_fake, cpu[0].frames) == ("test", 256, 256, 16)
    names = ["acd_color", "frechet[random]", "frechet_frame[random]", "nearest_train", "diversity"]
    assert list(cpu[1]) == names
    assert not any(m.paired for name in ("quick", "cpu256", "paper_shapes") for m in loaded[name][1].values())
    assert {"ssim", "psnr"} <= set(loaded["prediction256"][1])
    reference, small = loaded["tfgan_reference"], loaded["fvd256"]
    assert (reference[0].n_real, reference[0].n_fake, reference[0].frames) == (2048, 2048, 16)
    assert (small[0].n_real, small[0].n_fake, small[0].frames) == (256, 256, 16)
    assert reference[1]["fvd"].fingerprint == small[1]["fvd"].fingerprint == FrechetDistance(I3D()).fingerprint
    for _, metrics in loaded.values():
        for metric in metrics.values():
            if isinstance(metric, FrechetDistance) and cpu[1].get(metric.name) is metric:
                assert isinstance(metric.extractor, RandomFeatures)
                assert metric.extractor.num_features < cpu[0].n_fake  # not "fewer than D dims"


def protocol(**changes: object) -> Protocol:
    return Protocol(**{"frames": 16, "stride": 1, "height": 64, "width": 64, **changes})  # type: ignore[arg-type]


def test_hash_follows_the_conditions_and_not_the_label() -> None:
    assert protocol(label="a").hash == protocol(label="b").hash
    changes: list[dict[str, object]] = [
        {"split": "test"},
        {"frames": 8},
        {"stride": 2},
        {"n_real": 3},
        {"n_fake": 3},
        {"seed": 1},
        {"score_context": False},
        {"split_digest": "x"},
        {"height": 32},
        {"resize": "area"},
        {"data": "x"},
        {"samples": 2},
    ]
    assert len({protocol().hash, *(protocol(**c).hash for c in changes)}) == len(changes) + 1
    # Recorded before there was `samples`: one sample must not move what is on disk.
    assert (protocol().hash, protocol().number_hash("a")) == ("91e0d1", "989e02")
    assert protocol().number_hash("a") != protocol().number_hash("b")
    assert protocol().key("ssim", "a") == f"val/ssim/quick-{protocol().number_hash('a')}"


@pytest.mark.parametrize(
    ("key", "value"), [("split", "train"), ("n_real", 1), ("n_fake", 0), ("frames", 0), ("stride", -1), ("samples", 0)]
)
def test_impossible_conditions_are_named(key: str, value: object) -> None:
    with pytest.raises(BenchError, match=f"protocol.{key} must be .*{value}"):
        protocol(**{key: value})
