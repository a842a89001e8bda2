"""Under REELBENCH_CI=1 a test is skipped, or expected to fail, only where a list says so and why."""

import os
import re
from pathlib import Path

import pytest


class ExpectedSkips:
    """Turns a session with an unlisted skip into a failed one.

    A line of the list is `node id # reason`; an id may end in `*`. A reason that names a variable, such as
    REELBENCH_DATA, holds only while that variable is not set: where the files are there, the test must run.

    Args:
        path: the list; empty lines and lines that start with `#` are left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.expected: dict[str, str] = {}
        self.unexpected: list[str] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            node, _, reason = (part.strip() for part in line.partition(" # "))
            if not reason:
                raise pytest.UsageError(f"{path}: a line is `node id # reason`, found {line!r}")
            self.expected[node] = reason

    def allows(self, node: str, said: str) -> bool:
        """Whether the list lets `node` be skipped with the reason `said`."""
        reasons = [
            reason
            for line, reason in self.expected.items()
            if line == node or (line.endswith("*") and node.startswith(line[:-1]))
        ]
        return any(not _set_in(reason) for reason in reasons) and not _set_in(said)

    def look(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Notes a skip that is not allowed."""
        if not report.skipped:
            return
        said = str(getattr(report, "wasxfail", "") or (report.longrepr or ("", 0, ""))[2])  # type: ignore[index]
        kind = "expected to fail" if hasattr(report, "wasxfail") else "skipped"
        if not self.allows(report.nodeid, said):
            self.unexpected.append(f"{report.nodeid}: {kind}: {said}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Also for what workers of pytest-xdist report."""
        self.look(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that skips itself as a whole."""
        self.look(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Only a session that would have passed needs another exit status."""
        if self.unexpected and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Says which, and what to do."""
        if self.unexpected:
            terminalreporter.section("skips that are not expected", sep="=", red=True)
            for line in sorted(set(self.unexpected)):
                terminalreporter.write_line(line)
            terminalreporter.write_line(f"Make them run, or name them with the reason in {self.path}.")


def _set_in(reason: str) -> bool:
    """Whether `reason` names a variable that is set."""
    return any(os.environ.get(name) for name in re.findall(r"\bREELBENCH_[A-Z_]+\b", reason))
