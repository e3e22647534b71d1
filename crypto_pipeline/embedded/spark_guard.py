"""The process around the Spark server: it holds the lake's lease, and the server only with it.

The lease is taken before the server starts, renewed while it runs, and released after it has
ended. A server whose lease cannot be renewed is killed before anyone else may take it.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from crypto_pipeline import settings as settings_module
from crypto_pipeline.embedded import processes
from crypto_pipeline.embedded.launch import Launch
from crypto_pipeline.embedded.parent_death import kill_with_parent
from crypto_pipeline.errors import LeaseHeldError, PipelineError, StoreAwayError
from crypto_pipeline.lake.lease import (
    EPOCH_SETTING,
    Holder,
    Lease,
    Terms,
    now,
    refuse_if_held,
    take,
)
from crypto_pipeline.lake.lease_store import lease_store
from crypto_pipeline.settings import Settings

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_SPACE = Path("/proc/self/ns/pid")
# Between the last moment of a lease and the kill: what a signal takes on a busy machine.
KILL_MARGIN_SECONDS = 3.0
RETRY_SECONDS = 1.0
AWAY_SECONDS = 60.0
LOOK_SECONDS = 0.5
STOP_SECONDS = 4.0
LOST = 3


def command_file(settings: Settings) -> Path:
    return settings.home / "spark" / "server.json"


def prepare(settings: Settings, server: Launch) -> None:
    """Write the server's command, which is no argument of the guard: `ps` would show two."""
    command_file(settings).write_text(json.dumps(server.argv))


def launch(settings: Settings, server: Launch) -> Launch:
    """The guard, in the server's environment, with the settings that say where the lake is."""
    return Launch(
        argv=(sys.executable, "-m", __name__, str(command_file(settings))),
        env={**settings.environment(), **server.env},
        cwd=server.cwd,
    )


def main() -> int:
    """`python -m … FILE`: the file holds the server's command as JSON, without the lease."""
    argv = json.loads(Path(sys.argv[1]).read_text())
    stop = asked_to_stop()
    try:
        lease = patiently(settings_module.load(), stop)
    except PipelineError as error:
        _say(str(error))
        return 2
    return guard(lease, argv, stop)


def asked_to_stop() -> threading.Event:
    """Set by TERM or INT from here on, of which a container's first process hears only so."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def patiently(settings: Settings, stop: threading.Event) -> Lease:
    """Take the lease; a store that is away is asked again, since it may come back."""
    end = now() + AWAY_SECONDS
    store, holder = lease_store(settings), this_process()
    while True:
        try:
            return take(store, holder, terms=Terms(), is_dead=is_dead, say=_say)
        except StoreAwayError as error:
            if now() > end or stop.wait(RETRY_SECONDS):
                raise
            _say(str(error))


def guard(
    lease: Lease,
    argv: Sequence[str],
    stop: threading.Event,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> int:
    """Run the server for as long as the lease holds; its exit code, or LOST.

    Without `env` and `cwd` the server has those of this process.
    """
    with_epoch = [argv[0], f"-D{EPOCH_SETTING}={lease.epoch}", *argv[1:]]
    server = subprocess.Popen(
        with_epoch, stdin=subprocess.DEVNULL, preexec_fn=kill_with_parent, env=env, cwd=cwd
    )
    ended = threading.Event()
    threading.Thread(target=_renewing, args=(lease, ended), daemon=True).start()
    try:
        while server.poll() is None:
            if now() > lease.valid_until - KILL_MARGIN_SECONDS:
                server.kill()
                server.wait()
                _say(f"The lease {lease.epoch} could not be renewed, so this server was stopped.")
                return LOST
            if stop.wait(LOOK_SECONDS):
                _end(server)
        # As a shell says it: 137 for a server that was killed.
        return server.returncode if server.returncode >= 0 else 128 - server.returncode
    finally:
        ended.set()
        if server.poll() is not None:
            # Without it the next one waits, or finds that this process is gone.
            with suppress(PipelineError):
                lease.release()


def _renewing(lease: Lease, ended: threading.Event) -> None:
    pause = lease.terms.renew
    while not ended.wait(pause):
        try:
            lease.renew()
            pause = lease.terms.renew
        except LeaseHeldError as error:
            _say(str(error))
            lease.valid_until = 0.0
            return
        except StoreAwayError as error:
            _say(str(error))
            pause = RETRY_SECONDS


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def check_free(settings: Settings) -> None:
    """Raises LeaseHeldError when another stack writes this lake, before anything is started."""
    refuse_if_held(lease_store(settings), terms=Terms(), is_dead=is_dead)


def this_process() -> Holder:
    own = processes.running()[os.getpid()]
    return Holder(
        instance=str(uuid.uuid4()),
        host=platform.node(),
        pid=own.pid,
        started=own.started,
        machine=machine(),
        since=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
    )


def machine() -> str:
    """Where a process id means the same: one boot of one kernel, one space of process ids.

    Empty where that cannot be said; then no death is taken for certain.
    """
    if not BOOT_ID.exists():
        return ""
    return f"{BOOT_ID.read_text().strip()}/{PID_SPACE.readlink()}"


def is_dead(holder: Holder) -> bool:
    """Whether a holder on this very machine is gone, with everything in its process group."""
    if not holder.machine or holder.machine != machine():
        return False
    known = processes.running()
    return holder.pid not in known and not processes.family([holder.pid], known)


def _say(words: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {words}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
