from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from lightning_modules.mocogan.module import MoCoGAN
from lightning_modules.mocogan.networks import CategoricalVideoDiscriminator, Noise, PatchVideoDiscriminator

FOLDER = Path(__file__).parents[3] / "experiments" / "configs" / "method"


def built(name: str, size: int = 64) -> tuple[MoCoGAN, dict[str, Any]]:
    """The model on the meta device, over data of `size` pixels and 16 frames, and the whole config."""
    data = {"data": {"init_args": {"size": size, "frames": 16}}}
    config: Any = OmegaConf.to_container(OmegaConf.merge(data, OmegaConf.load(FOLDER / f"{name}.yaml")), resolve=True)
    with torch.device("meta"):
        return MoCoGAN(**config["model"]["init_args"]), config


def counts(model: MoCoGAN) -> dict[str, int]:
    return {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}


def test_the_authors_recommended_command() -> None:
    model, config = built("mocogan")
    assert counts(model) == {
        "generator": 3_249_684 + 4 * 8_192,  # four categories
        "image_discriminator": 663_296,
        "video_discriminator": 11_056_896 + 4 * 32_768,
    }
    assert isinstance(model.video_discriminator, CategoricalVideoDiscriminator)
    assert (model.use_infogan, model.use_categories, model.q_loss) == (True, False, "official")
    assert model.image_batch == 32 and config["trainer"]["max_steps"] == 100_000
    assert {layer.sigma for layer in model.modules() if isinstance(layer, Noise)} == {0.1}


def test_unlabelled_variant() -> None:
    model, _ = built("mocogan_shapes")
    assert counts(model) == {
        "generator": 3_249_684,
        "image_discriminator": 663_296,
        "video_discriminator": 2_650_880,
    }
    assert not model.use_infogan and model.image_batch == 32


def test_cpu_variant_is_complete() -> None:
    model, config = built("mocogan_cpu", size=0)  # its own data decide
    assert (model.size, model.frames, config["data"]["init_args"]["size"]) == (32, 16, 32)
    assert isinstance(model.video_discriminator, PatchVideoDiscriminator)
    assert sum(counts(model).values()) < 500_000
    assert config["trainer"]["max_steps"] <= 2_000


@pytest.mark.parametrize("path", sorted(FOLDER.glob("mocogan*.yaml")), ids=lambda path: path.stem)
def test_name_is_the_file_s(path: Path) -> None:
    config: Any = OmegaConf.load(path)
    assert config.name == path.stem
