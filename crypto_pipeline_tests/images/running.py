"""A container without an engine: namespaces, a root that nothing can write, a user by number.

As the chart's pods: no capability, no new privilege, the image's own user, volumes the only
folders that can be written. Its network has loopback alone.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crypto_pipeline_tests.images.building import PSEUDO, mount_read_only
from crypto_pipeline_tests.images.dockerfile import Config

NAMESPACES = ("--mount", "--pid", "--net", "--ipc", "--uts")
WITHOUT_RIGHTS = (
    "setpriv", "--reuid={user}", "--regid={group}", "--clear-groups", "--no-new-privs",
    "--bounding-set=-all", "--inh-caps=-all",
)  # fmt: skip
DEAD = -1


@dataclass(frozen=True, kw_only=True)
class Container:
    """`pid` is its first process as this machine sees it; `log` what it printed."""

    settings: Config
    env: Mapping[str, str]
    pid: int
    outer: subprocess.Popen[bytes]
    log: Path
    root: str

    def call(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A command inside, with the container's own user and environment."""
        inside = ("nsenter", f"--target={self.pid}", "--all", f"--root=/proc/{self.pid}/root")
        command = (*inside, *_as_user(self.settings, self.env), *argv)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def is_healthy(self) -> bool:
        return self.call(*self.settings.health).returncode == 0

    def wait_until_healthy(self, *, seconds: float) -> float:
        """Seconds until the image's own health check answered."""
        begun = time.monotonic()
        while not self.is_healthy():
            assert self.outer.poll() is None, f"it ended:\n{self.log.read_text()[-3000:]}"
            assert time.monotonic() - begun < seconds, self.log.read_text()[-3000:]
            time.sleep(0.5)
        return time.monotonic() - begun

    def stop(self, *, seconds: float) -> float:
        """Send the image's stop signal as an engine does; seconds until it was gone."""
        begun = time.monotonic()
        subprocess.run(
            ("kill", f"-{signal.Signals[self.settings.stop_signal].value}", str(self.pid)),
            check=True,
        )
        self.outer.wait(timeout=seconds)
        return time.monotonic() - begun

    def status(self) -> dict[str, str]:
        """/proc/PID/status of its first process."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@contextmanager
def container(
    folders: list[Path],
    settings: Config,
    *,
    folder: Path,
    env: Mapping[str, str],
    command: tuple[str, ...] | None = None,
    volumes: tuple[str, ...] = ("/state", "/lake", "/dagster"),
) -> Iterator[Container]:
    """Run the image's command, or `command` in its place, until the block ends."""
    merged = {**settings.env, "LC_ALL": "C.UTF-8", **env}
    argv = (*settings.entrypoint, *(settings.command if command is None else command))
    log = folder / "log"
    with log.open("wb") as out:
        outer = subprocess.Popen(
            ("unshare", *NAMESPACES, "--fork", "--kill-child", "sh", "-euc",
             _script(folders, settings, folder, volumes), "sh", *_as_user(settings, merged), *argv),
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        found = _first_process(outer, log)
        yield Container(
            settings=settings, env=merged, pid=found, outer=outer, log=log, root=str(folder)
        )
    finally:
        outer.kill()
        outer.wait()


def _script(folders: list[Path], settings: Config, folder: Path, volumes: tuple[str, ...]) -> str:
    user, _, group = settings.user.partition(":")
    lines = [f"root={folder / 'root'}", 'mkdir -p "$root"', "ip link set lo up"]
    lines += ["echo pod > /proc/sys/kernel/hostname"]
    lines += [mount_read_only(folders, "$root"), PSEUDO]
    for volume in volumes:
        kept = folder / volume.strip("/")
        kept.mkdir(parents=True, exist_ok=True)
        lines += [f"chown {user}:{group} {kept}", f'mount --bind {kept} "$root{volume}"']
    lines += ['mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"', 'exec chroot "$root" "$@"']
    return "\n".join(lines)


def _as_user(settings: Config, env: Mapping[str, str]) -> tuple[str, ...]:
    user, _, group = settings.user.partition(":")
    drop = (part.format(user=user, group=group) for part in WITHOUT_RIGHTS)
    pairs = (f"{key}={value}" for key, value in env.items())
    return ("/usr/bin/env", "-i", "-C", settings.workdir, *pairs, *drop)


def _first_process(outer: subprocess.Popen[bytes], log: Path) -> int:
    """The child of `unshare`, once it has become the container's command."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    for _ in range(200):
        assert outer.poll() is None, log.read_text()
        for pid in children.read_text().split():
            status = Path(f"/proc/{pid}/status").read_text()
            if "\nNoNewPrivs:\t1" in status:
                return int(pid)
        time.sleep(0.05)
    raise AssertionError(log.read_text())
