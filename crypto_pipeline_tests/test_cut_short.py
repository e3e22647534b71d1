"""What a command of hours does when it is told to end."""

from __future__ import annotations

import signal
import subprocess
import sys

COMMAND = """
import signal
from crypto_pipeline_tests.cut_short import end_in_order

end_in_order()
try:
    print("begun", flush=True)
    signal.pause()
finally:
    signal.raise_signal(signal.SIGTERM)
    print("stopped in order", flush=True)
"""


def test_sigterm_ends_a_command_in_order_and_a_second_one_does_not_disturb_it() -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "begun\n"
    command.send_signal(signal.SIGTERM)
    out, err = command.communicate(timeout=30)
    assert out == "stopped in order\n"
    assert "KeyboardInterrupt" in err
