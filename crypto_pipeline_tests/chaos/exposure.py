"""What a stack shows to others: its listeners, its files' modes, its secrets."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.canaries import MARK, command_lines, files_with, without_login
from crypto_pipeline_tests.chaos.stack import Stack
from crypto_pipeline_tests.conftest import free_port

LISTENING = "0A"
TABLES = ("tcp", "tcp6")
# The one file that starts Spark again after a crash (docs/security.md).
HOLDS_A_SECRET = Path("supervisor") / "spark.json"


def canaries() -> dict[str, str]:
    """A value in every secret setting; nobody takes the webhook's messages, so it is spoken of."""
    return without_login(webhook_port=free_port())


def beyond_loopback(pids: Iterable[int]) -> list[str]:
    """Addresses on which a process listens and that others can reach."""
    found: set[str] = set()
    for pid in pids:
        sockets = set(_sockets(pid))
        for table in TABLES:
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                    fields = line.split()
                    if fields[3] == LISTENING and fields[9] in sockets:
                        address = _address(fields[1].partition(":")[0])
                        if not _is_loopback(address):
                            found.add(str(address))
    return sorted(found)


def open_to_others(settings: Settings) -> list[str]:
    """What someone else on the machine could read: nothing, as the folder itself is closed."""
    if not settings.state_dir.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    return [str(settings.state_dir)]


def leaks(stack: Stack, pids: Iterable[int]) -> list[str]:
    """Files and command lines that hold a canary, but for the one that has to."""
    held = settings_file(stack.settings)
    found = [str(file) for file, _ in files_with(MARK, stack.settings.state_dir) if file != held]
    if held.exists() and stat.S_IMODE(held.stat().st_mode) != 0o600:
        found.append(f"{held} can be read by others")
    if MARK in stack.text():
        found.append(str(stack.output))
    return found + (["a command line"] if MARK in command_lines(pids) else [])


def settings_file(settings: Settings) -> Path:
    return settings.home / HOLDS_A_SECRET


def _sockets(pid: int) -> Iterator[str]:
    """Inodes of the sockets that a process has open."""
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = str(link.readlink())
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The kernel writes words of four bytes, each in the machine's order."""
    words = [bytes.fromhex(text[n : n + 8])[::-1] for n in range(0, len(text), 8)]
    return ipaddress.ip_address(b"".join(words))


def _is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
