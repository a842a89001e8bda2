"""Refuses every connection that leaves this machine, and notes the attempt.

Python imports a module of this name at start, so on PYTHONPATH it guards the commands that tests start, too.
"""

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

LOG = "REELBENCH_TEST_CONNECTIONS"  # file that attempts are noted in: the code under test may swallow the error


class OfflineError(OSError):
    """A test reached for the network."""


def _local(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name in ("", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(str(name).partition("%")[0])
    except ValueError:
        return False  # a name to look up
    return address.is_loopback or address.is_unspecified


def _refuse(what: str) -> None:
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
        file.write(what + "\n")
    raise OfflineError(f"tests are offline, but this one tried to {what}")


def _guarded(name: str) -> Any:
    original = getattr(socket.socket, name)

    def call(self: socket.socket, *args: Any) -> Any:
        address = args[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _local(address[0]):
            _refuse(f"{name} to {address[0]}")
        return original(self, *args)

    return call


def install() -> None:
    """Guards this process."""
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, _guarded(name))
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _local(host):
            _refuse(f"look up {host}")
        return resolve(host, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


if LOG in os.environ:
    install()
