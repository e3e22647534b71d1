"""The JVM jars of the laptop stack: what `jars.lock` names, fetched, checked and laid out.

A lock line is `group path sha256 size`; the path is the one inside a Maven repository, so the
lock names no host. A jar that was fetched before is linked from the user's cache, by its sum.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from crypto_pipeline.embedded.launch import PROJECT_ROOT
from crypto_pipeline.errors import MachineError
from crypto_pipeline.settings import Settings
from crypto_pipeline.store_settings import is_in_store

REPOSITORY = "https://repo1.maven.org/maven2"
LOCK_FILE = PROJECT_ROOT / "jars.lock"
LAPTOP_GROUPS = ("broker", "spark")
# Only a lake in an object store needs these.
STORE_GROUP = "s3"
CONNECTIONS = 6
ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One locked jar; `path` is its place inside a Maven repository."""

    group: str
    path: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def user_cache() -> Path:
    return Path.home() / ".cache" / "crypto-pipeline" / "jars"


def folder(settings: Settings) -> Path:
    return settings.state_dir / "jars"


def needed(settings: Settings) -> tuple[Jar, ...]:
    """What the laptop's broker and Spark need, and a lake in an object store beyond that."""
    groups = (*LAPTOP_GROUPS, STORE_GROUP) if is_in_store(settings.lake_root) else LAPTOP_GROUPS
    return tuple(jar for jar in read_lock() if jar.group in groups)


def install_laptop(settings: Settings, *, console: Console) -> None:
    """Everything that the broker and the Spark server need, in their folders."""
    install(needed(settings), folder(settings), console=console)


def read_lock(file: Path = LOCK_FILE) -> tuple[Jar, ...]:
    if not file.exists():
        raise MachineError(f"{file} is missing. Take it from the repository: git checkout {file}.")
    lines = file.read_text().splitlines()
    return tuple(_parse(line) for line in lines if line and not line.startswith("#"))


def _parse(line: str) -> Jar:
    """
    >>> _parse("broker a/b/1/b-1.jar " + "0" * 64 + " 12").name
    'b-1.jar'
    """
    fields = line.split()
    if len(fields) != 4 or len(fields[2]) != 64 or not fields[3].isdigit():
        raise MachineError(
            f"jars.lock has the line {line!r}, which is not `group path sha256 size`. Make it "
            "again with `make jars`."
        )
    return Jar(group=fields[0], path=fields[1], sha256=fields[2], size=int(fields[3]))


def write_lock(jars: Iterable[Jar], file: Path = LOCK_FILE) -> None:
    lines = sorted(f"{jar.group} {jar.path} {jar.sha256} {jar.size}" for jar in jars)
    file.write_text("# group, path in a Maven repository, SHA-256, bytes. Made by `make jars`.\n")
    with file.open("a") as out:
        out.writelines(f"{line}\n" for line in lines)


def missing(jars: Sequence[Jar], folder: Path, *, cache: Path | None = None) -> tuple[Jar, ...]:
    """What has to come over the network: neither in `folder` nor in the user's cache."""
    places = (folder, cache or user_cache())
    return tuple(
        jar
        for jar in jars
        if not _is_right(places[0] / jar.group / jar.name, jar)
        and not _is_right(_cached(jar, places[1]), jar)
    )


def install(
    jars: Sequence[Jar],
    folder: Path,
    *,
    console: Console,
    cache: Path | None = None,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Make `folder/<group>` hold exactly these jars; a jar with a wrong sum is refused."""
    store = cache or user_cache()
    wanted = missing(jars, folder, cache=store)
    if wanted:
        _download(wanted, store, console=console, transport=transport)
    for jar in jars:
        _place(jar, folder / jar.group / jar.name, _cached(jar, store))
    expected = {(jar.group, jar.name) for jar in jars}
    for group in {jar.group for jar in jars}:
        for file in (folder / group).glob("*.jar"):
            if (group, file.name) not in expected:
                file.unlink()


def fill_cache(jars: Sequence[Jar], *, console: Console) -> None:
    """Fetch what the user's cache does not have."""
    wanted = [jar for jar in jars if not _is_right(_cached(jar, user_cache()), jar)]
    if wanted:
        _download(wanted, user_cache(), console=console, transport=None)


def _download(
    jars: Sequence[Jar], store: Path, *, console: Console, transport: httpx.BaseTransport | None
) -> None:
    store.mkdir(parents=True, exist_ok=True)
    limits = httpx.Limits(max_connections=CONNECTIONS)
    columns = (TextColumn("jars"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with (
        httpx.Client(timeout=60, limits=limits, transport=transport) as client,
        Progress(*columns, console=console) as progress,
        ThreadPoolExecutor(CONNECTIONS) as pool,
    ):
        bar = progress.add_task("jars", total=sum(jar.size for jar in jars))
        work = [pool.submit(_fetch, client, jar, store) for jar in jars]
        try:
            for jar, future in zip(jars, work, strict=True):
                future.result()
                progress.advance(bar, jar.size)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch(client: httpx.Client, jar: Jar, store: Path) -> None:
    """One jar into the cache; whatever arrives is checked before it gets its final name."""
    address = f"{REPOSITORY}/{jar.path}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            content = client.get(address).raise_for_status().content
            break
        except httpx.HTTPError as error:
            if attempt == ATTEMPTS:
                raise MachineError(
                    f"Could not fetch {jar.name} from {REPOSITORY}: {error}. Check the network "
                    "(or HTTPS_PROXY and SSL_CERT_FILE behind a company proxy) and start again; "
                    "the jars that arrived are kept."
                ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != jar.sha256:
        raise MachineError(
            f"{jar.name} arrived with SHA-256 {found}, but jars.lock says {jar.sha256}. It was "
            "thrown away. Try again; if it stays so, do not trust the network path to Maven "
            "Central."
        )
    partial = store / f"{jar.sha256}.{id(content)}.part"
    partial.write_bytes(content)
    partial.rename(_cached(jar, store))


def _place(jar: Jar, target: Path, cached: Path) -> None:
    """A hard link costs no disk; across file systems it has to be a copy."""
    if _is_right(target, jar):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(cached)
    except OSError:
        shutil.copyfile(cached, target)


def _cached(jar: Jar, store: Path) -> Path:
    return store / f"{jar.sha256}.jar"


def _is_right(file: Path, jar: Jar) -> bool:
    if not file.exists() or file.stat().st_size != jar.size:
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == jar.sha256
