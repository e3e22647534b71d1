"""Become the process that a launch file describes. The supervisor runs this for each service.

A file rather than the supervisor's own syntax: that has no way to quote every path, and it would
show a secret to whoever reads the configuration.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from crypto_pipeline.embedded.parent_death import end_with_parent
from crypto_pipeline.settings import process_environment


def main() -> None:
    launch = json.loads(Path(sys.argv[1]).read_text())
    end_with_parent()
    os.chdir(launch["cwd"])
    argv = launch["argv"]
    os.execve(argv[0], argv, {**process_environment(), **launch["env"]})


if __name__ == "__main__":
    main()
