"""Who may see the page: everybody, or whom an OpenID Connect provider knows.

The check comes before anything is read or drawn, in every run of the script. A session that
is not admitted has no live part, so a client that speaks to the socket itself gets nothing
either.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from crypto_pipeline.screen_settings import Login
from dashboard.words import safe_markdown_long


def admit(login: Login | None) -> bool:
    """Draw the log-in and give False, unless this session may see the page."""
    if login is None:
        return True
    if not getattr(st.user, "is_logged_in", False):
        st.title("Crypto market", anchor=False)
        st.info("**Log in to see the market.**", icon=":material/lock:")
        st.button("Log in", type="primary", on_click=st.login)
        return False
    address = str(st.user.get("email") or "").lower()
    if is_allowed(address, login, is_verified=st.user.get("email_verified") is not False):
        return True
    st.error(
        f"**{safe_markdown_long(address[:200]) or 'This account'} may not see this page.** Ask "
        "whoever runs it.",
        icon=":material/block:",
    )
    st.button("Log out", on_click=st.logout)
    return False


def is_allowed(address: str, login: Login, *, is_verified: bool) -> bool:
    """By address or by its domain; an address that the provider has not verified is nobody's."""
    if not login.allowed:
        return True
    domain = "@" + address.rpartition("@")[2]
    return is_verified and "@" in address and bool({address, domain} & set(login.allowed))


@contextmanager
def login_file(login: Login | None) -> Iterator[list[str]]:
    """Options that give Streamlit the provider, in a file that only this user can read."""
    if login is None:
        yield []
        return
    lines = {
        "redirect_uri": login.redirect_url,
        "cookie_secret": login.cookie_secret.reveal(),
        "client_id": login.client_id,
        "client_secret": login.client_secret.reveal(),
        "server_metadata_url": login.metadata_url,
    }
    with tempfile.TemporaryDirectory(prefix="dashboard-") as folder:
        file = Path(folder) / "secrets.toml"
        # A JSON string is a TOML string.
        text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in lines.items())
        file.touch(mode=0o600)
        file.write_text(f"[auth]\n{text}\n")
        yield ["--secrets.files", str(file)]
