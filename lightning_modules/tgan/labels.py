from datamodules.base import ClipData
from datamodules.errors import BenchError


def check_categories(data: ClipData, categories: int) -> None:
    """Raises `BenchError` unless the training clips' `attributes["category"]` run within 0..categories-1."""
    labels = data.store("train").attributes.get("category")
    if labels is None:
        raise BenchError(
            f"model.init_args.categories is {categories}, which needs attributes['category']; {data.name} lacks it. "
            "Set categories to 0, or take labelled data"
        )
    if labels.min() < 0 or labels.max() >= categories:
        raise BenchError(
            f"model.init_args.categories is {categories}, but the categories of {data.name} run from {labels.min()} "
            f"to {labels.max()}; it must be at least {labels.max() + 1}"
        )
