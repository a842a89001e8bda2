"""generator_<step>.pytorch, the generator as a whole pickled module, of old or new PyTorch."""

from collections.abc import Sequence
from typing import Any

from datamodules.errors import BenchError
from lightning_modules.formats.content import Instance, WeightFile, module_state
from lightning_modules.formats.conversion import Conversion, check_layers, field_of
from lightning_modules.mocogan.networks import VideoGenerator

CLASSES = frozenset({"models.VideoGenerator"})
SIZE = 64  # the official network has no other
WIDEST = 8  # times ngf


def convert(files: Sequence[WeightFile]) -> Conversion:
    """The generator under our names, which are the official ones.

    Raises:
        BenchError: not one file, or not a VideoGenerator with the official layers.
    """
    if len(files) != 1:
        raise BenchError(f"mocogan takes one file, generator_<step>.pytorch; found {len(files)}")
    (file,) = files
    module = file.content
    if not isinstance(module, Instance) or module.class_name != "models.VideoGenerator":
        raise file.error(f"holds {module!r:.80}, expected the pickled module models.VideoGenerator")
    state = module_state(module)
    first = state.get("main.0.weight")
    if first is None or first.ndim != 4 or first.shape[1] % WIDEST:
        shape = None if first is None else tuple(first.shape)
        raise file.error(f"main.0.weight has shape {shape}, expected (codes, {WIDEST} x ngf, 4, 4)")
    network: dict[str, Any] = {
        "channels": field_of(module, "n_channels", file),
        "dim_content": field_of(module, "dim_z_content", file),
        "dim_category": field_of(module, "dim_z_category", file),
        "dim_motion": field_of(module, "dim_z_motion", file),
        "ngf": first.shape[1] // WIDEST,
    }
    check_layers(module, VideoGenerator(size=SIZE, **network), "generator", file)
    init_args = {"size": SIZE, "frames": field_of(module, "video_length", file), **network}
    conversion = Conversion("lightning_modules.mocogan.module.MoCoGAN", init_args)
    conversion.states["generator"], conversion.files["generator"] = state, file
    return conversion
