"""The watch over a running stack goes on where its own note cannot be written."""

from __future__ import annotations

import io
import os
from collections.abc import Callable

from rich.console import Console

from crypto_pipeline.embedded import running_file
from crypto_pipeline.embedded.supervision import State, Supervisor
from crypto_pipeline.embedded.watching import Watch
from crypto_pipeline.settings import Settings


class Steady(Supervisor):
    """A supervisor without services, which is this very process."""

    @property
    def pid(self) -> int:
        return os.getpid()

    def states(self) -> dict[str, State]:
        return {}


def test_a_note_that_cannot_be_written_is_said_once_and_ends_nothing(
    make_settings: Callable[..., Settings],
) -> None:
    """As on a full disk, where a second without room ended everything."""
    settings, out = make_settings(), io.StringIO()
    watch = Watch(Steady(settings, ()), (), settings, console=Console(file=out, width=200))
    in_the_way = running_file.path(settings).with_suffix(".part")
    in_the_way.mkdir()

    watch.look()
    watch.look()
    assert out.getvalue().count("cannot be noted") == 1

    in_the_way.rmdir()
    watch.look()
    assert os.getpid() in {one.pid for one in running_file.read(settings)}
