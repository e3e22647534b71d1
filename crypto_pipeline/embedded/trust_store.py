"""The system's CA certificates as a Java trust store.

Behind a proxy that inspects TLS, Python trusts the proxy's certificate (it is in the system's
bundle) and the wheel's Java does not. `java_options` makes them agree.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate

from crypto_pipeline.errors import MachineError

# Not a secret: the store holds public certificates, and Java insists on a password.
PASSWORD = "changeit"
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def java_options(folder: Path, *, bundle: Path | None = None) -> tuple[str, ...]:
    """Options that point Java at the store, made on first use; none when there is no bundle."""
    known = ssl.get_default_verify_paths().cafile
    source = bundle or (Path(known) if known else None)
    if source is None:
        return ()
    store = _store(folder, source)
    return (
        f"-Djavax.net.ssl.trustStore={store}",
        "-Djavax.net.ssl.trustStoreType=PKCS12",
        f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
    )


def _store(folder: Path, bundle: Path) -> Path:
    """The store's name carries the bundle's hash, so a changed bundle makes a new store."""
    content = bundle.read_bytes()
    store = folder / f"trust-{hashlib.sha256(content).hexdigest()[:16]}.p12"
    if not store.exists():
        certificates = [
            PKCS12Certificate(certificate, f"ca-{number}".encode())
            for number, certificate in enumerate(_certificates(content))
        ]
        if not certificates:
            raise MachineError(
                f"{bundle} holds no certificate. Set SSL_CERT_FILE to your system's CA bundle."
            )
        encryption = BestAvailableEncryption(PASSWORD.encode())
        folder.mkdir(parents=True, exist_ok=True)
        partial = store.with_suffix(".part")
        partial.write_bytes(pkcs12.serialize_java_truststore(certificates, encryption))
        partial.rename(store)
    return store


def _certificates(bundle: bytes) -> Iterator[x509.Certificate]:
    """Some roots in use break RFC 5280 (a serial number of zero); `cryptography` warns of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in CERTIFICATE.findall(bundle):
            yield x509.load_pem_x509_certificate(block)
