"""How a command ends: its own code, or 2 and a sentence when its user can act on an error."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console

from crypto_pipeline import settings as settings_module
from crypto_pipeline.errors import PipelineError
from crypto_pipeline.settings import Settings

USER_ERROR = 2
INTERRUPTED = 130


def exit_with(action: Callable[[Settings, Console], int], *, traceback: bool) -> None:
    """Run an action with the settings; `traceback` lets an error show where it came from."""
    try:
        code = action(settings_module.load(), Console())
    except PipelineError as error:
        if traceback:
            raise
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        code = USER_ERROR
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped before the end.")
        code = INTERRUPTED
    sys.exit(code)
