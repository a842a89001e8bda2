from pathlib import Path


def names_in(folder: Path) -> list[str]:
    """Everything in `folder`, hidden files too, sorted."""
    return sorted(path.name for path in folder.iterdir())
