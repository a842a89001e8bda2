import importlib
import inspect

from datamodules.errors import BenchError


def load_class(path: str) -> type:
    """The class at `module.Class`.

    Raises:
        BenchError: no such module or class.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BenchError(f"class_path: cannot import '{path}' ({error})") from error
    if not isinstance(found, type):
        raise BenchError(f"class_path: '{path}' is not a class")
    return found


def accepted_names(path: str) -> list[str]:
    """Arguments of the class at `path` and of the bases that it hands keywords on to."""
    names: list[str] = []
    for cls in load_class(path).__mro__:
        if "__init__" not in vars(cls):
            continue
        parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
        names += [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return [name for name in names if name != "self"]


def short_name(class_path: str) -> str:
    """`lightning_modules.mocogan.module.MoCoGAN` -> `mocogan`; a method in one file goes by the file's name."""
    parts = class_path.split(".")
    return parts[-3] if len(parts) > 2 and parts[-2] == "module" else parts[-2]
