"""Who may see the page: nothing is drawn or read for a session that is not logged in."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from crypto_pipeline import settings
from crypto_pipeline.errors import SettingsError
from dashboard import feed as feed_module
from dashboard.access import is_allowed, login_file

PAGE = Path(feed_module.__file__).with_name("streamlit_app.py")
OIDC = {
    "OIDC_METADATA_URL": "http://127.0.0.1:9/.well-known/openid-configuration",
    "OIDC_CLIENT_ID": "dashboard",
    "OIDC_CLIENT_SECRET": 'quote " and \\ mark',
    "OIDC_COOKIE_SECRET": "c" * 32,
}


def load(tmp_path, **changes):
    given = {name: value for name, value in {**OIDC, **changes}.items() if value}
    return settings.load(given, env_file=tmp_path / "no.env")


def test_a_session_that_is_not_logged_in_gets_a_button_and_no_data(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(feed_module, "current_settings", lambda: load(tmp_path))
    monkeypatch.setattr(feed_module, "current_feed", lambda: asked.append(1))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.query_params["page"] = "pipeline"
    page.run()
    assert not page.exception
    assert [button.label for button in page.button] == ["Log in"]
    assert len(page.dataframe) == len(page.metric) == 0
    assert asked == [], "the feed was not even looked at"


def test_the_provider_reaches_streamlit_in_a_private_file_that_goes_again(tmp_path):
    login = load(tmp_path).screen.login
    with login_file(login) as (option, name):
        assert option == "--secrets.files"
        file = Path(name)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        auth = tomllib.loads(file.read_text())["auth"]
        assert auth["client_secret"] == OIDC["OIDC_CLIENT_SECRET"]
        assert auth["redirect_uri"] == "http://127.0.0.1:8501/oauth2callback"
    assert not file.exists()
    with login_file(None) as options:
        assert options == []


def test_half_a_provider_is_refused_and_no_secret_is_shown(tmp_path):
    with pytest.raises(SettingsError, match="OIDC_COOKIE_SECRET not"):
        load(tmp_path, OIDC_COOKIE_SECRET=None)
    with pytest.raises(SettingsError, match="32 random characters"):
        load(tmp_path, OIDC_COOKIE_SECRET="short")
    assert "quote" not in repr(load(tmp_path).screen.login)
    assert load(tmp_path, **dict.fromkeys(OIDC)).screen.login is None


@pytest.mark.parametrize(
    ("allowed", "address", "is_verified", "enters"),
    [
        ("", "anyone@x.example", True, True),
        ("ada@x.example", "ada@x.example", True, True),
        ("ada@x.example", "bob@x.example", True, False),
        ("@x.example", "bob@x.example", True, True),
        ("@x.example", "bob@evil-x.example", True, False),
        ("@x.example", "bob@x.example", False, False),
        ("@x.example", "", True, False),
        ("@", "nobody", True, False),
    ],
)
def test_who_may_enter(tmp_path, allowed, address, is_verified, enters):
    login = load(tmp_path, OIDC_ALLOWED=allowed or None).screen.login
    assert is_allowed(address, login, is_verified=is_verified) is enters
