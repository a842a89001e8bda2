from collections.abc import Sequence
from typing import Any, NamedTuple

from datamodules.base import ClipData
from datamodules.errors import BenchError
from lightning_modules.contract import Method


class Learnt(NamedTuple):
    """The argument that counts the categories, their number, and what to set where no labels are to be learnt."""

    argument: str
    number: int
    without: str


class LearnsCategories(Method):
    """A method that may learn the data's `attributes["category"]`: it checks them, and keeps their names.

    Categories are numbers to the method, and data number them by the order of their class folders; so the names are
    compared when clips are sampled for other data, or the same after a folder was added.
    """

    category_names: Sequence[str] = ()  # of the data it was trained on, where they have names

    @property
    def learnt(self) -> Learnt | None:
        """None where labels are not learnt."""
        return None

    def check_data(self, data: ClipData) -> None:
        """See `Method.check_data`; also labels that do not fit."""
        super().check_data(data)
        if self.learnt is None:
            return
        argument, number, without = self.learnt
        labels = data.store("train").attributes.get("category")
        if labels is None:
            raise BenchError(
                f"model.init_args.{argument} is {number}: the method learns attributes['category'], which {data.name} "
                f"lacks; take labelled data, or set {without}"
            )
        if labels.min() < 0 or labels.max() >= number:
            raise BenchError(
                f"model.init_args.{argument} is {number}, but the categories of {data.name} run from {labels.min()} to "
                f"{labels.max()}; it must be at least {labels.max() + 1}"
            )
        self.category_names = _names(data)

    def prepare(self, data: ClipData) -> None:
        """Refuses data whose categories are numbered otherwise than those that were learnt."""
        names = _names(data)
        if self.learnt and self.category_names and names and names != self.category_names:
            learnt = ", ".join(self.category_names)
            raise BenchError(
                f"the categories of {data.name} are {', '.join(names)}, this model learnt {learnt} under the same "
                "numbers: sample and score with data whose class folders are the same"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Names of the categories, by which data read later are checked; exports take them over."""
        checkpoint["category_names"] = list(self.category_names)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See `on_save_checkpoint`."""
        self.category_names = list(checkpoint.get("category_names", []))


def _names(data: ClipData) -> list[str]:
    """Names of the attribute `category` in the order of their numbers; [] where a data set has none."""
    return list(getattr(data, "categories", ()))
