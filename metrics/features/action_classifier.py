import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from datamodules.errors import BenchError
from metrics.features.action_network import SHORTEST, ActionNetwork, shown
from metrics.features.base import Extractor

VARIABLE = "REELBENCH_WEIGHTS"
HOW = "`reelbench classifier DATA --out FILE` trains one on the labels of a data set"


class ActionClassifier(Extractor):
    """Logits of the categories of a data set, from a network that `reelbench classifier` trained on it.

    No weights of such a classifier were published with MoCoGAN, VideoVAE or TwoStreamVAN: numbers compare where the
    file is the same, and its digest is in their fingerprint.

    Args:
        file: .safetensors; a relative path is looked for below `REELBENCH_WEIGHTS` where that is set.

    Raises:
        BenchError: there is no such file, or it is something else.
    """

    name = "action"
    level = "clip"
    min_frames = SHORTEST
    preprocessing = "x/127.5-1, bilinear with antialiasing to 64x64"

    def __init__(self, file: str) -> None:
        super().__init__()
        path = Path(os.environ.get(VARIABLE, "."), file)
        if not path.is_file():
            raise BenchError(f"there is no classifier {path} ({VARIABLE}={os.environ.get(VARIABLE)}); {HOW}")
        try:
            with safe_open(path, "pt") as opened:
                self.about = dict(opened.metadata() or {})
                weights = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            self.num_features = int(self.about["classes"])
            self.network = ActionNetwork(self.num_features, int(self.about["width"]))
            self.network.load_state_dict(weights)
            self.crop = int(self.about.get("crop", 0))
        except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise BenchError(f"{path} is not what `reelbench classifier` writes: {reason}; {HOW}") from error
        if self.crop:
            self.preprocessing = f"the middle without {self.crop} rows and columns, {self.preprocessing}"
        self.freeze()

    def features(self, clips: Tensor) -> Tensor:
        """See `Extractor.features`."""
        return self.network(shown(clips, self.crop))


def save_classifier(network: ActionNetwork, path: Path, **about: str) -> None:
    """Writes what `ActionClassifier` reads; `about` holds `classes`, `width` and what else is to be known."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, draft, about)
    draft.replace(path)
