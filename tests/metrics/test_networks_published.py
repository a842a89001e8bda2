"""The published files that can be had from package registries, on pictures that a package carries."""

from pathlib import Path

import pytest
import skimage
import torch
from PIL import Image
from torch import Tensor

from metrics.features.efficientnet_lite0 import EfficientNetLite0
from metrics.features.face_embedding import FaceEmbedding
from metrics.weights import CATALOGUE, folder

PICTURES = Path(skimage.__file__).parent / "data"
pytestmark = pytest.mark.slow


def needs(name: str, reason: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (folder() / CATALOGUE[name].file).is_file(), reason=reason)


def picture(name: str, box: tuple[int, int, int, int] | None = None) -> Tensor:
    """uint8 1 3 1 H W."""
    image = Image.open(PICTURES / name).convert("RGB")
    image = image.crop(box) if box else image
    return (
        torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        .view(1, image.height, image.width, 3)
        .permute(0, 3, 1, 2)[:, :, None]
    )


@needs("efficientnet_lite0", "REELBENCH_WEIGHTS is not set to a folder with efficientnet_lite0")
@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("coffee.png", {967, 968, 504}),  # espresso, cup, coffee mug
        ("chelsea.png", {281, 282, 285}),  # tabby, tiger cat, Egyptian cat
        ("motorcycle_left.png", {665, 670}),  # moped, motor scooter
    ],
)
def test_efficientnet_knows_what_is_shown(name: str, classes: set[int]) -> None:
    """Scaling, colours, padding and order of the classes at once: a mistake in one of them loses the picture."""
    probabilities = EfficientNetLite0(output="probabilities")(picture(name))[0, 0]
    assert int(probabilities.argmax()) in classes
    assert EfficientNetLite0()(picture(name)).shape == (1, 1, 1280)


@needs("face_embedding", "`reelbench weights fetch face_embedding` was not run: its files come through npm")
def test_face_embedding_tells_a_face_from_others() -> None:
    """A mirrored or darker picture of one face lies nearer than another face does."""
    box = (165, 10, 285, 130)
    astronaut, other = picture("astronaut.png", box), picture("chelsea.png", (100, 60, 260, 220))
    network = FaceEmbedding()
    face, mirrored, darker, cat = (
        network(frames)[0, 0] for frames in (astronaut, astronaut.flip(4), astronaut // 4 * 3, other)
    )
    near = max(float((face - alike).norm()) for alike in (mirrored, darker))
    assert near < 0.4 < float((face - cat).norm())
    assert 1.2 < float(face.norm()) < 1.6
