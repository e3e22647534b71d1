"""A real kube-apiserver on loopback, with an etcd: it admits or refuses, and no pod ever runs."""

from __future__ import annotations

import json
import secrets
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from crypto_pipeline_tests.conftest import free_port
from crypto_pipeline_tests.helm.rendering import (
    CHART,
    RELEASE,
    Manifest,
    helm,
    tools,
)
from crypto_pipeline_tests.helm.secured import authority, server_identity, write_certificate
from crypto_pipeline_tests.waiting import wait_until

CRDS = Path(__file__).parent / "crds"
ISSUER = "https://kubernetes.default.svc"


def etcd() -> str | None:
    return shutil.which("etcd", path=str(tools())) or shutil.which("etcd")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServer:
    """`client` may do everything, `folder` holds the kubeconfig."""

    client: httpx.Client
    folder: Path

    def helm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Hooks are left out: helm would wait for pods, and there is no node."""
        config = ("--kubeconfig", str(self.folder / "kubeconfig"))
        return helm(*arguments, *config, environment={"KUBECACHEDIR": str(self.folder / "cache")})

    def collection(self, manifest: Manifest, namespace: str) -> str:
        """The address of a manifest's kind, as the server itself lists it."""
        version = manifest["apiVersion"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        listed = self.client.get(root).raise_for_status().json()["resources"]
        (found,) = (
            one for one in listed if one["kind"] == manifest["kind"] and "/" not in one["name"]
        )
        within = f"/namespaces/{namespace}" if found["namespaced"] else ""
        return f"{root}{within}/{found['name']}"

    def address(self, manifest: Manifest, namespace: str) -> str:
        return f"{self.collection(manifest, namespace)}/{manifest['metadata']['name']}"

    def apply(self, manifest: Manifest, namespace: str = "default") -> httpx.Response:
        """Apply on the server, where an unknown field is an error."""
        return self.client.patch(
            self.address(manifest, namespace),
            params={"fieldManager": "tests", "fieldValidation": "Strict", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            content=json.dumps(manifest),
        )

    def create_pod(
        self, template: Manifest, namespace: str, *, account: str | None = None
    ) -> httpx.Response:
        """Create a pod of a template, as its controller or another account would."""
        metadata = {"generateName": "tried-", "labels": template["metadata"].get("labels", {})}
        return self.client.post(
            f"/api/v1/namespaces/{namespace}/pods",
            params={"fieldValidation": "Strict"},
            headers={"Impersonate-User": account} if account else {},
            json={"metadata": metadata, "spec": template["spec"]},
        )

    def open_namespace(self, name: str) -> None:
        """A namespace that takes restricted pods only, and warns of templates that are not."""
        level = "pod-security.kubernetes.io"
        labels = {f"{level}/enforce": "restricted", f"{level}/warn": "restricted"}
        metadata = {"name": name, "labels": labels}
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        self.apply(made).raise_for_status()
        # A controller makes this one in a whole cluster.
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self.apply(account, name).raise_for_status()

    def define(self) -> None:
        """Have Strimzi's and Prometheus' kinds, and await that they are served."""
        for file in sorted(CRDS.rglob("*.yaml")):
            definition = yaml.safe_load(file.read_text())
            self.apply(definition).raise_for_status()
            spec = definition["spec"]
            version = spec["versions"][0]["name"]
            path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
            wait_until(lambda path=path: self.client.get(path).is_success, seconds=30)  # type: ignore[misc]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A profile that helm has installed in a namespace of its own."""

    server: ApiServer
    profile: str
    namespace: str
    said: subprocess.CompletedProcess[str]

    def manifests(self) -> list[Manifest]:
        """What helm has made of the chart for this server, hooks last."""
        told = ("--namespace", self.namespace)
        made = [self.server.helm("get", part, RELEASE, *told) for part in ("manifest", "hooks")]
        return [found for part in made for found in yaml.safe_load_all(part.stdout) if found]


def install(server: ApiServer, profile: str) -> Installed:
    namespace = f"market-{profile}"
    server.open_namespace(namespace)
    values = str(CHART / "profiles" / f"{profile}.yaml")
    arguments = (RELEASE, str(CHART), "--namespace", namespace, "--values", values, "--no-hooks")
    said = server.helm("upgrade", "--install", *arguments)
    return Installed(server=server, profile=profile, namespace=namespace, said=said)


@contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """Start both on free ports; the token that may do everything is random."""
    store, port, token = f"http://127.0.0.1:{free_port()}", free_port(), secrets.token_urlsafe(24)
    ca, ca_key = authority("the API server's authority")
    identity = server_identity(folder, ca, ca_key, "localhost")
    trusted = write_certificate(folder / "ca.crt", ca)
    (folder / "tokens.csv").write_text(f"{token},owner,owner,system:masters\n")
    _write_kubeconfig(folder, f"https://localhost:{port}", token)
    with ExitStack() as stack:
        stack.enter_context(_running(folder, "etcd", [str(etcd()), *_store(folder, store)]))
        command = [str(tools() / "kube-apiserver"), *_options(folder, store, port, identity)]
        process = stack.enter_context(_running(folder, "kube-apiserver", command))
        client = httpx.Client(
            base_url=f"https://localhost:{port}",
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=str(trusted)),
            timeout=30,
        )
        stack.enter_context(client)
        wait_until(lambda: _is_ready(client, process, folder), seconds=60)
        yield ApiServer(client=client, folder=folder)


def _store(folder: Path, address: str) -> list[str]:
    peer = f"http://127.0.0.1:{free_port()}"
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={address}",
        f"--advertise-client-urls={address}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def _options(folder: Path, store: str, port: int, identity: Path) -> list[str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    accounts = folder / "accounts.pem"
    accounts.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return [
        f"--etcd-servers={store}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--service-cluster-ip-range=10.0.0.0/24",
        f"--tls-cert-file={identity}",
        f"--tls-private-key-file={identity}",
        f"--cert-dir={folder}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={accounts}",
        f"--service-account-signing-key-file={accounts}",
    ]


def _write_kubeconfig(folder: Path, address: str, token: str) -> None:
    authority_file = str(folder / "ca.crt")
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "owner"}}],
        "clusters": [
            {
                "name": "tests",
                "cluster": {"server": address, "certificate-authority": authority_file},
            }
        ],
        "users": [{"name": "owner", "user": {"token": token}}],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    file.chmod(0o600)


@contextmanager
def _running(folder: Path, name: str, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _is_ready(client: httpx.Client, process: subprocess.Popen[bytes], folder: Path) -> bool:
    assert process.poll() is None, (folder / "kube-apiserver.log").read_text()[-3_000:]
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False
