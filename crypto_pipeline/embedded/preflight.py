"""What the machine has to offer before anything is started; each lack is one sentence."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from crypto_pipeline.embedded.launch import PROJECT_ROOT
from crypto_pipeline.embedded.services import Service
from crypto_pipeline.errors import LakeError, MachineError
from crypto_pipeline.settings import Settings, process_environment
from crypto_pipeline.state_format import refuse_other_state

FREE_GB = 3


def check_folder(settings: Settings) -> None:
    """The state folder can be made and written, and its disk has room."""
    check_writable(settings)
    free = shutil.disk_usage(settings.state_dir).free / 1e9
    if free < FREE_GB:
        raise MachineError(
            f"The disk of {settings.state_dir} has {free:.1f} GB free and the stack needs "
            f"{FREE_GB} GB. Free some, or set STATE_DIR to a folder on another disk."
        )


def check_writable(settings: Settings) -> None:
    """The state folder can be made, by us alone, and written."""
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        settings.state_dir.chmod(0o700)
        probe = settings.state_dir / ".write-probe"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise MachineError(
            f"Cannot write to the state folder {settings.state_dir}: {reason}. "
            "Make it writable, or set STATE_DIR to another folder."
        ) from error


def check_formats(settings: Settings) -> None:
    """State folder and tables are of today's format; FormatError or LakeError say what is not.

    A child looks at the tables: the libraries that read them would keep 110 MB in this process.
    """
    refuse_other_state(settings)
    if not settings.is_lake_in_store and not Path(settings.lake_root).is_dir():
        return
    looked = subprocess.run(
        [sys.executable, "-m", "crypto_pipeline.migrate.found"],
        env={
            **process_environment(),
            **settings.environment(),
            "PYTHONPATH": str(PROJECT_ROOT),
        },
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if looked.returncode != 0:
        raise LakeError(looked.stderr.strip())


def check_ports(services: Iterable[Service]) -> None:
    """Every port is free, and no two services were given the same one."""
    taken: dict[int, str] = {}
    for service in services:
        for setting, port in service.ports.items():
            if port in taken:
                raise MachineError(
                    f"{setting} and {taken[port]} are both {port}. Give one another port."
                )
            taken[port] = setting
            if not _is_free(port):
                raise MachineError(
                    f"Port {port}, for the {service.name}, is in use by another program. Stop "
                    f"that program, or set {setting} to a free port."
                )


def _is_free(port: int) -> bool:
    """Bound the way servers do, so that connections in TIME_WAIT do not count as use."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise MachineError(
                f"Port {port} cannot be opened: {error.strerror}. Set a port above 1023."
            ) from error
    return True
