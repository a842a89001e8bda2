"""Options that came after runs had been made: at their default they leave a run's identity as it was."""

from collections.abc import Mapping
from typing import Any

# class path: {option: the default, under which the class does what it did before it had the option}
LATER: Mapping[str, Mapping[str, Any]] = {
    "lightning_modules.mocogan.module.MoCoGAN": {"category_input": "image"},
}


def without_later(class_path: str, init_args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without later options that stand at their default."""
    later = LATER.get(class_path, {})
    return {k: v for k, v in init_args.items() if k not in later or v != later[k]}
