from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.bad_files import BadFile
from datamodules.frame_sets.listing import FrameSource
from datamodules.frame_sets.maps import FeatureMap, InstanceMap, LabelMap, Part, read_rgb
from datamodules.frame_sets.view import Box, View
from datamodules.reading.scaling import Scaler
from tests.datamodules.frame_files import instances, labels, noise, save

SIZE = (16, 32)


def read(part: Part, path: Path, role: str) -> np.ndarray:
    view = View(Scaler(*SIZE, 3, "squash", "drop", Fraction(1)), SIZE, Box.whole(SIZE))
    value = part.read(FrameSource("v", ["f"], [{role: path}], {}), 0, view)
    track = part.track(*SIZE)
    assert value.dtype == np.dtype(track.dtype) and value.shape == track.shape
    return value


def test_labels_come_as_they_are(tmp_path: Path) -> None:
    values = labels(0)
    np.testing.assert_array_equal(read(LabelMap(35), save(tmp_path / "a.png", values), "label"), values)


def test_a_palette_gives_its_indices_and_not_its_colours(tmp_path: Path) -> None:
    values = labels(1, classes=20)
    image = Image.fromarray(values).convert("L")
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    image.save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "P"
    np.testing.assert_array_equal(read(LabelMap(35), tmp_path / "a.png", "label"), values)


def test_labels_beyond_the_classes_are_named_or_mapped(tmp_path: Path) -> None:
    values = labels(2)
    values[3, 4:6] = 255, 40
    path = save(tmp_path / "a.png", values)
    with pytest.raises(BadFile, match=r"a\.png: labels 40, 255 found, expected 0 to 34.*classes.*unlisted"):
        read(LabelMap(35), path, "label")
    mapped = read(LabelMap(35, unlisted=0), path, "label")
    np.testing.assert_array_equal(mapped, np.where(values > 34, 0, values))


def test_coloured_label_maps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"a\.png: mode RGB: a map has one whole number a pixel"):
        read(LabelMap(35), save(tmp_path / "a.png", noise(0)), "label")


def test_instances_keep_16_bits(tmp_path: Path) -> None:
    values = instances(labels(3))
    assert values.max() > 30000
    path = save(tmp_path / "a.png", values)
    assert Image.open(path).mode == "I;16"
    np.testing.assert_array_equal(read(InstanceMap(deep=True), path, "instance"), values)


def test_instances_of_8_bits_have_lost_their_numbers(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", labels(4))
    with pytest.raises(BadFile, match=r"a\.png: 8 bits a pixel"):
        read(InstanceMap(deep=True), path, "instance")
    np.testing.assert_array_equal(read(InstanceMap(), path, "instance"), labels(4))


def test_features_are_not_averaged(tmp_path: Path) -> None:
    pixels = noise(5, 32, 64)
    view = View(Scaler(*SIZE, 3, "squash", "drop", Fraction(1)), (32, 64), Box(0, 32, 0, 64))
    source = FrameSource("v", ["f"], [{"condition": save(tmp_path / "a.png", pixels)}], {})
    np.testing.assert_array_equal(FeatureMap().read(source, 0, view).transpose(1, 2, 0), pixels[1::2, 1::2])


def test_broken_pictures_are_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", noise(6))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadFile, match=r"a\.png: not a readable image"):
        read_rgb(path)
    deep = save(tmp_path / "b.png", instances(labels(0)))
    with pytest.raises(BadFile, match=r"b\.png: mode I;16 has more than 8 bits"):
        read_rgb(deep)
