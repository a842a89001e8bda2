import torch
from torch import Tensor, nn

from datamodules.base import ClipData
from datamodules.batch import VideoBatch, to_float
from datamodules.errors import BenchError
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.sizes import Size, check_sizes

# Clip i is a window of video i modulo their number, keyed by i: this many windows of each video can be drawn.
WINDOWS = 1 << 20


class CopyClip(Method):
    """Reference row: a clip of the training set, drawn at random. What a perfect memory would score.

    Args:
        size: height and width of the frames, or (height, width), the data's.
        frames: T of the clips, the data's.
        channels: C of the frames, the data's.
    """

    trains = False

    def __init__(self, size: Size = 64, frames: int = 16, channels: int = 3) -> None:
        super().__init__()
        self.size, self.frames, self.channels = size, frames, channels
        self.generator = nn.Module()  # nothing to average, compile or export
        self._data: ClipData | None = None

    def prepare(self, data: ClipData) -> None:
        """Keeps the data whose training clips `sample` copies."""
        check_sizes(data, size=self.size, frames=self.frames, channels=self.channels)
        self._data = data

    @torch.no_grad()
    def sample(self, batch: VideoBatch, noise: ClipNoise) -> Tensor:
        """Training clips whose video and window `noise` chooses, whatever the batch holds."""
        if self._data is None:
            raise BenchError("CopyClip.sample copies training clips: call prepare(data) before it")
        videos = len(self._data.store("train").lengths)
        chosen = noise.integers(videos * WINDOWS).tolist()
        clips = self._data.eval_batch("train", chosen, self.frames, self._data.stride, seed=0)
        return to_float(clips)["video"].to(self.device)
