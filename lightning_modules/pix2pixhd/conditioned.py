"""What methods share that make pictures from label maps or drawn conditions."""

from typing import Any

from torch import nn

from datamodules.base import ClipData
from datamodules.batch import main_stream
from datamodules.errors import BenchError
from lightning_modules.along_clip import AlongClipMethod
from lightning_modules.pix2pixhd.condition import Condition
from lightning_modules.sizes import check_frame_size


class ConditionedMethod(AlongClipMethod):
    """Base that checks what batches show, and holds the network of the perceptual loss.

    Attributes:
        condition: what the networks are shown.
        lambda_vgg: weight of the perceptual loss, whose network's weights must be on this machine; 0 leaves it out.
    """

    condition: Condition
    lambda_vgg: float

    def __init__(self) -> None:
        super().__init__()
        self._vgg: list[nn.Module] = []  # in a list: its weights belong to no checkpoint

    def check_data(self, data: ClipData) -> None:
        """Refuses frames of another size, and more classes than were expected; clips may have any length.

        Raises:
            BenchError: names what was found.
        """
        check_frame_size(data, size=self.size, channels=self.channels)
        classes = getattr(data, "classes", 0)
        if self.condition.label_nc and classes > self.condition.label_nc:
            raise BenchError(
                f"model.init_args.label_nc is {self.condition.label_nc}, but {data.name} has {classes} classes: set it "
                "to that number, for example by label_nc: ${data.init_args.classes}"
            )

    def setup(self, stage: str) -> None:
        """See `Method.setup`; loads the perceptual loss's network before the first step.

        Raises:
            BenchError: `MissingWeights`, which tells how to get them.
        """
        super().setup(stage)
        if stage == "fit" and self.lambda_vgg and not self._vgg:
            from metrics.features.vgg import load

            self._vgg.append(load())

    def on_fit_start(self) -> None:
        """The perceptual loss's network moves to the device."""
        for network in self._vgg:
            network.to(self.device)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Refuses what does not fit the networks while it lies on the CPU: on a GPU a wrong class has no name."""
        if batch:
            self.condition.check(main_stream(batch))
        return batch
