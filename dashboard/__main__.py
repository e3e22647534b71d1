"""`python -m dashboard`: the page, with its metrics on a port beside it.

Arguments go on to `streamlit run`. Streamlit makes the feed at the first visit, in this very
process, so what the page reads can be watched from here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from streamlit.web import cli

from crypto_pipeline import settings
from crypto_pipeline.errors import PipelineError
from crypto_pipeline.observed.serving import serve
from dashboard.access import login_file
from dashboard.observing import WATCHED
from dashboard.process import current_watcher

PAGE = Path(__file__).with_name("streamlit_app.py")


def main() -> int:
    try:
        values = settings.load()
        host, port = values.metrics_host, values.dashboard_metrics_port
        with (
            serve(host, port, page=WATCHED.page, health=WATCHED.health),
            login_file(values.screen.login) as options,
        ):
            if values.screen.alert_webhook_url is not None:
                current_watcher()
            cli.main(["run", str(PAGE), *options, *sys.argv[1:]], prog_name="dashboard")
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
