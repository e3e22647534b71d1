"""What the laptop's Spark server holds of the machine's memory, sampled while it works."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from crypto_pipeline.settings import Settings

# Heap and metaspace of the laptop's server are bounded by its launch; the rest is buffers.
LIMIT_MEBIBYTES = 3_400


@dataclass
class Memory:
    """Resident mebibytes of one process."""

    pid: int
    samples: list[float] = field(default_factory=list)

    def sample(self) -> None:
        words = Path(f"/proc/{self.pid}/status").read_text().split()
        self.samples.append(int(words[words.index("VmRSS:") + 1]) / 1024)


@contextmanager
def watched(pid: int) -> Iterator[Memory]:
    """Twice a second, and once more at the end."""
    memory, is_over = Memory(pid), threading.Event()

    def watch() -> None:
        while not is_over.wait(0.5):
            memory.sample()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        is_over.set()
        thread.join()
        memory.sample()


def pid_of_spark(settings: Settings) -> int:
    """Raises AssertionError when no Spark server of these settings runs."""
    mark = f"-Dspark.connect.grpc.binding.port={settings.spark_port}".encode()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in words:
            return int(file.parent.name)
    raise AssertionError("the Spark server is not among the processes")
