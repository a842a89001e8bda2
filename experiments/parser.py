"""Config errors in one short message with the nearest accepted name."""

import difflib
import re
import sys
from typing import Any, NoReturn

import jsonargparse
from lightning.pytorch.cli import LightningArgumentParser

from experiments.classes import accepted_names

# Interpolation such as ${data.init_args.size} stays right after an override, under a subcommand too.
jsonargparse.set_parsing_settings(omegaconf_absolute_to_relative_paths=True)


def nearest(name: str, names: list[str]) -> str:
    """`, did you mean 'x'?`, or nothing where no name is near."""
    hit = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    return f", did you mean '{hit[0]}'?" if hit else ""


# Lines of a parser error that repeat the value, the types tried, or what the keys and classes already say.
NOISE = re.compile(
    r"Given value|Subtypes|Errors:|Parser key|Problem with|Does not validate|Expected a <class 'NoneType'>"
    r"|Expected a path but"
)


class SuiteParser(LightningArgumentParser):
    """LightningCLI's parser with short errors instead of fifty lines of usage."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints one message to stderr and exits with 2."""
        if not self.exit_on_error:  # the parser of a nested class: its caller adds which key it was
            super().error(message, ex)
        sys.stderr.write(f"reelbench: {self.explain(str(message))}\n")
        raise SystemExit(2)

    def explain(self, text: str) -> str:
        """`key (class): reason, did you mean 'x'?` from a parser's long error."""
        keys = re.findall(r'Parser key "([\w.]+)"', text)
        classes = re.findall(r"class_path '([\w.]+)'", text)
        lines = [line.strip(" -\t") for line in text.splitlines()]
        reasons = [line for line in lines if line and not NOISE.match(line)]
        reason = "; ".join(dict.fromkeys(reasons)) or text
        unknown = re.search(r"option '([\w.]+)'|nrecognized arguments?: --([\w.]+)", text, re.IGNORECASE)
        if unknown:
            bad = unknown[1] or unknown[2]
            reason += nearest(bad, self._names(classes, bad))
        where = ".init_args.".join(keys) + (f" ({classes[-1]})" if classes else "")
        return f"{where}: {reason}" if where else reason

    def _names(self, classes: list[str], bad: str) -> list[str]:
        if classes:
            return accepted_names(classes[-1])
        groups: list[Any] = list(self._subparsers._group_actions) if self._subparsers else []
        parsers = [self, *(p for group in groups for p in (group.choices or {}).values())]
        return [action.dest for parser in parsers for action in parser._actions]
