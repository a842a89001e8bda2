from datamodules.base import ClipData
from datamodules.errors import BenchError

Size = int | tuple[int, int]  # of square frames, or (height, width)


def height_width(size: Size) -> tuple[int, int]:
    """Height and width of frames."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def check_sizes(data: ClipData, *, size: Size, frames: int, channels: int) -> None:
    """Raises `BenchError` unless the data's clips have the shape that a method was built for.

    Args:
        data: what the method reads.
        size, frames, channels: the method's `init_args`.
    """
    check_frame_size(data, size=size, channels=channels)
    _check("frames", frames, data.frames, "frames", data)


def check_frame_size(data: ClipData, *, size: Size, channels: int) -> None:
    """`check_sizes` of clips of any length."""
    height, width = height_width(size)
    _check("size", height, data.height, "height", data)
    _check("size", width, data.width, "width", data)
    _check("channels", channels, data.channels, "channels", data)


def _check(argument: str, expected: int, found: int, key: str, data: ClipData) -> None:
    if found != expected:
        raise BenchError(
            f"model.init_args.{argument} is {expected}, but the clips of {data.name} have {key} {found}; "
            f"make them agree, for example by size: ${{data.init_args.size}} and frames: "
            f"${{data.init_args.frames}} in the model's config"
        )
