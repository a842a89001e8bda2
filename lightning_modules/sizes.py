from datamodules.base import ClipData
from datamodules.errors import BenchError


def check_sizes(data: ClipData, *, size: int, frames: int, channels: int) -> None:
    """Raises `BenchError` unless the data's clips have the shape that a method was built for.

    Args:
        data: what the method reads.
        size, frames, channels: the method's `init_args`; frames are square.
    """
    own = {"height": size, "width": size, "frames": frames, "channels": channels}
    for key, expected in own.items():
        found = getattr(data, key)
        if found != expected:
            argument = "size" if key in ("height", "width") else key
            raise BenchError(
                f"model.init_args.{argument} is {expected}, but the clips of {data.name} have {key} {found}; "
                f"make them agree, for example by size: ${{data.init_args.size}} and frames: "
                f"${{data.init_args.frames}} in the model's config"
            )
