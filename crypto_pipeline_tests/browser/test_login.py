"""The page with a login, running: what the provider's secrets are is seen nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from crypto_pipeline_tests.browser.test_screens import DRAWN_MS, keep
from crypto_pipeline_tests.canaries import BESIDE, CANARIES, MARK, command_lines, files_with
from crypto_pipeline_tests.conftest import ROOT, free_port
from crypto_pipeline_tests.embedded.stack import await_port

pytestmark = [pytest.mark.browser, pytest.mark.integration]

LOGIN = {k: v for k, v in {**CANARIES, **BESIDE}.items() if k.startswith("OIDC_")}


def test_a_login_that_fails_tells_no_secret(browser: Browser, tmp_path: Path) -> None:
    """Nobody answers at the provider's address, so the click is refused and spoken of."""
    port, state, log = free_port(), tmp_path / "state", tmp_path / "page.log"
    own = {"STATE_DIR": str(state), "MARKET": "simulated", "TMPDIR": str(tmp_path)}
    ports = {"DASHBOARD_PORT": str(port), "DASHBOARD_METRICS_PORT": str(free_port())}
    state.mkdir()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard", "--server.port", str(port)],
            cwd=ROOT,
            env={**os.environ, **own, **ports, **LOGIN},
            stdout=output,
            stderr=output,
        )
    try:
        await_port(port, process)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("button", name="Log in").click(timeout=DRAWN_MS)
        expect(page.get_by_role("button", name="Log in")).to_have_count(0, timeout=DRAWN_MS)
        shown = page.content()
        keep(page, "login-refused")
        page.close()
        assert MARK not in shown
        assert MARK not in command_lines([process.pid])
        # While it runs its secrets are in one private file, which Streamlit reads.
        held = dict(files_with(MARK, tmp_path))
        assert [file.stat().st_mode & 0o777 for file in held] == [0o600], held
    finally:
        process.terminate()
        process.wait(20)
    assert log.stat().st_size > 0
    assert dict(files_with(MARK, tmp_path)) == {}
