import errno
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from datamodules.errors import BenchError
from experiments import cli
from lightning_modules import preempt

ROOT = Path(__file__).parents[2]


def reelbench(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "experiments", *args], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_help_names_every_command_in_one_line() -> None:
    done = reelbench("--help")
    assert done.returncode == 0
    for name, command in cli.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.help)}$", done.stdout, re.M)
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_version() -> None:
    done = reelbench("--version")
    assert (done.returncode, done.stdout) == (0, f"reelbench {cli.VERSION}\n")


@pytest.mark.parametrize("argument", ["--help", "--version", "nonsense"])
def test_no_heavy_import_and_no_wait(argument: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "experiments", argument], cwd=ROOT, capture_output=True, text=True
    )
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.M))
    assert "experiments.cli" in imported
    assert not {"torch", "lightning", "numpy", "av", "yaml", "jsonargparse"} & imported
    best = float("inf")
    for _ in range(3):  # processor time, since other processes share the machine
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        reelbench(argument)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert best < 0.5


def test_without_a_command() -> None:
    done = reelbench()
    assert done.returncode == 2
    assert "usage: reelbench COMMAND" in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fitt", "no command 'fitt', did you mean 'fit'?"),
        ("leader", "no command 'leader', did you mean 'leaderboard'?"),
        ("xyz", "no command 'xyz'; there are fit, validate, "),
        ("--config", "the command comes first, found --config: "),
    ],
)
def test_unknown_command_is_one_line(name: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"reelbench: {text}")
    assert shown.err.count("\n") == 1
    assert not shown.out


class Calls:
    """A module in the place of a command's, which records how it was called and does as told."""

    def __init__(self, do: Callable[[], int] = lambda: 0) -> None:
        self.do, self.seen = do, list[tuple[object, ...]]()

    def main(self, *args: object) -> int:
        self.seen.append(args)
        return self.do()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    found = Calls()
    for command in cli.COMMANDS.values():
        monkeypatch.setitem(sys.modules, command.module, found)
    return found


def test_every_command_reaches_its_module(calls: Calls) -> None:
    for name in ("fit", "validate", "test", "sample"):
        assert cli.main([name, "--a", "1"]) == 0
        assert calls.seen.pop() == (name, ["--a", "1"])
    for name in ("export", "leaderboard", "report", "zoo", "demo"):
        assert cli.main([name, "--help"]) == 0
        assert calls.seen.pop() == (["--help"],)


def test_commands_live_where_they_say() -> None:
    for command in cli.COMMANDS.values():
        path = ROOT / command.module.replace(".", "/")
        assert path.with_suffix(".py").is_file(), command.module


def test_exit_code_is_handed_on(calls: Calls) -> None:
    calls.do = lambda: preempt.EXIT_PREEMPTED
    assert cli.main(["fit"]) == 75


def raises(error: BaseException) -> Callable[[], int]:
    def do() -> int:
        raise error

    return do


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            BenchError("data.init_args.size must be 32 or 64, found 7"),
            2,
            "data.init_args.size must be 32 or 64, found 7",
        ),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 2, "runs/x: the disk is full; free some space"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_a_user_can_mend_is_one_line(
    calls: Calls, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, text: str
) -> None:
    calls.do = raises(error)
    assert cli.main(["demo"]) == code
    shown = capsys.readouterr().err
    assert shown.startswith(f"reelbench: {text}")
    assert shown.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("a fault of ours"), FileNotFoundError(errno.ENOENT, "no", "x")])
def test_a_fault_of_ours_keeps_its_traceback(calls: Calls, error: Exception) -> None:
    calls.do = raises(error)
    with pytest.raises(type(error)):
        cli.main(["demo"])


def test_main_in_process_leaves_the_signals_alone(calls: Calls) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)
    cli.main(["fit"])
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)) == before


# ---- real processes ----

LOOP = """
import time
from lightning_modules import preempt

def main(*args):
    print("ready", flush=True)
    for _ in range(600):
        if preempt.requested():
            print("saved", flush=True)
            return preempt.EXIT_PREEMPTED
        time.sleep(0.02)
    return 1
"""
DEAF = """
import time

def main(*args):
    print("ready", flush=True)
    for _ in range(600):
        time.sleep(0.02)
    return 1
"""


@contextmanager
def process(tmp_path: Path, body: str, command: str = "fit", **environment: str) -> Iterator[SimpleNamespace]:
    """`reelbench COMMAND` with `body` as its module, once it has printed `ready`."""
    (tmp_path / "stub.py").write_text(body, encoding="utf-8")
    start = (
        "import sys; from experiments import cli; "
        f"c = cli.COMMANDS[{command!r}]; cli.COMMANDS[{command!r}] = c._replace(module='stub'); "
        f"sys.argv = ['reelbench', {command!r}]; cli.entry()"
    )
    env = os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"} | environment
    child = subprocess.Popen(
        [sys.executable, "-c", start], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        first = child.stdout.readline()
        yield SimpleNamespace(child=child, first=first, send=child.send_signal)
    finally:
        child.kill()
        child.communicate()


def end(run: SimpleNamespace) -> tuple[int, str, str]:
    out, err = run.child.communicate(timeout=300)
    return run.child.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_asked_to_stop_a_run_saves_and_says_so(tmp_path: Path, number: signal.Signals) -> None:
    with process(tmp_path, LOOP) as run:
        run.send(number)
        assert end(run) == (75, "saved\n", "")


def test_the_signal_can_be_chosen(tmp_path: Path) -> None:
    with process(tmp_path, LOOP, REELBENCH_PREEMPT_SIGNAL="SIGUSR2") as run:
        run.send(signal.SIGUSR2)
        assert end(run)[0] == 75


def test_a_wrong_signal_name_is_one_line(tmp_path: Path) -> None:
    with process(tmp_path, LOOP, REELBENCH_PREEMPT_SIGNAL="SIGKILL") as run:
        code, _, err = end(run)
        assert (run.first, code) == ("", 2)
        assert err == "reelbench: REELBENCH_PREEMPT_SIGNAL must be SIGUSR1 or SIGUSR2, found 'SIGKILL'\n"


def test_a_second_sigterm_kills(tmp_path: Path) -> None:
    with process(tmp_path, DEAF) as run:
        run.send(signal.SIGTERM)
        time.sleep(0.3)  # two pending signals of one kind are one
        assert run.child.poll() is None
        run.send(signal.SIGTERM)
        assert end(run)[0] == -signal.SIGTERM


def test_commands_that_save_nothing_end_on_sigterm_alone(tmp_path: Path) -> None:
    with process(tmp_path, DEAF, "report") as run:
        run.send(signal.SIGUSR1)
        time.sleep(0.3)
        assert run.child.poll() is None
        run.send(signal.SIGTERM)
        assert end(run)[0] == -signal.SIGTERM


def test_a_signal_while_the_process_ends_does_not_kill_it(tmp_path: Path) -> None:
    late = "import atexit, os, signal\ndef main(*args):\n    atexit.register(os.kill, os.getpid(), signal.SIGUSR1)\n"
    with process(tmp_path, late + "    print('ready')\n    return 3\n") as run:
        assert end(run)[0] == 3


def test_forked_workers_neither_swallow_nor_forward(tmp_path: Path) -> None:
    fork = """
import os, signal, time
from lightning_modules import preempt

def main(*args):
    print("ready", flush=True)
    child = os.fork()
    if child == 0:
        time.sleep(20)
        os._exit(9)
    time.sleep(0.3)
    os.kill(child, signal.SIGUSR1)
    time.sleep(0.3)
    print(os.waitpid(child, os.WNOHANG)[0], flush=True)
    os.kill(child, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), preempt.requested(), flush=True)
    return 0
"""
    with process(tmp_path, fork) as run:
        assert end(run) == (0, "0\n-15 False\n", "")


def test_lightning_does_not_get_sigterm_back(tmp_path: Path) -> None:
    fit = """
import os, signal, sys
import lightning as L
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning_modules import preempt

class Stop(L.Callback):
    def on_train_start(self, trainer, module):
        preempt.reclaim()

    def on_train_batch_start(self, trainer, module, batch, index):
        if index == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        if index == 4:
            print(preempt.requested(), trainer.received_sigterm, flush=True)
            trainer.should_stop = True

def main(*args):
    print("ready", flush=True)
    trainer = L.Trainer(max_steps=8, callbacks=[Stop()], logger=False, enable_checkpointing=False, accelerator="cpu",
                        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0)
    trainer.fit(BoringModel())
    print(trainer.global_step, flush=True)
    return 0
"""
    with process(tmp_path, fit) as run:
        code, out, _ = end(run)
        assert (code, out) == (0, "True False\n5\n")


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    talk = "def main(*args):\n    print('ready', flush=True)\n    input()\n    print('x' * 100000)\n    return 0\n"
    (tmp_path / "stub.py").write_text(talk, encoding="utf-8")
    start = "import sys; from experiments import cli; cli.COMMANDS['report'] = cli.Command('stub', ''); "
    start += "sys.argv = ['reelbench', 'report']; cli.entry()"
    child = subprocess.Popen(
        [sys.executable, "-c", start],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    child.stdin.write("\n")
    child.stdin.close()
    assert child.wait(timeout=300) == 141
    assert child.stderr.read() == ""
    child.stderr.close()


def test_another_broken_pipe_is_not_hidden(tmp_path: Path) -> None:
    other = "import os\ndef main(*args):\n    print('ready', flush=True)\n    r, w = os.pipe()\n    os.close(r)\n"
    with process(tmp_path, other + "    os.write(w, b'x')\n", "report") as run:
        code, _, err = end(run)
        assert code == 1
        assert "BrokenPipeError" in err


@pytest.fixture
def flag() -> Iterator[None]:
    preempt.clear()
    yield
    preempt.clear()


def test_the_flag_by_hand(flag: None) -> None:
    assert not preempt.requested()
    preempt.request()
    assert preempt.requested()
    preempt.clear()
    assert not preempt.requested()


def test_reclaim_does_nothing_where_nothing_was_installed() -> None:
    before = signal.getsignal(signal.SIGTERM)
    preempt.reclaim()
    assert signal.getsignal(signal.SIGTERM) == before
