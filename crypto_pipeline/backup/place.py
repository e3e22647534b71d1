"""Where a lake's files are fetched from and put back: a folder, or a bucket through S3's own API.

Names are relative to the lake's root, with slashes.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any, Protocol

from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake.lease_store import answering, client
from crypto_pipeline.settings import Settings
from crypto_pipeline.store_settings import bucket_and_prefix, is_in_store

CHUNK = 1024 * 1024
# A copy takes its time; a lease does not have it.
ATTEMPTS = 6
READ_SECONDS = 60


class Place(Protocol):
    """`is_empty` is for who puts a lake there; `names` are those of a folder's own files."""

    def is_empty(self) -> bool: ...

    def names(self, folder: str) -> list[str]: ...

    def fetch(self, name: str, target: Path) -> str:
        """Copy into a file and return the SHA-256 of what was read; raises LakeError."""
        ...

    def put(self, name: str, source: Path) -> None: ...


def place(settings: Settings) -> Place:
    if is_in_store(settings.lake_root):
        return BucketPlace(settings)
    return FolderPlace(Path(settings.lake_root))


class FolderPlace:
    def __init__(self, root: Path) -> None:
        self._root = root

    def is_empty(self) -> bool:
        return not (self._root.exists() and any(self._root.iterdir()))

    def names(self, folder: str) -> list[str]:
        return [file.name for file in (self._root / folder).iterdir() if file.is_file()]

    def fetch(self, name: str, target: Path) -> str:
        return copy(self._root / name, target)

    def put(self, name: str, source: Path) -> None:
        copy(source, self._root / name)


class BucketPlace:
    def __init__(self, settings: Settings) -> None:
        store = settings.store
        self._bucket, prefix = bucket_and_prefix(settings.lake_root)
        self._prefix = f"{prefix}/".lstrip("/")
        self._client: Any = client(store, attempts=ATTEMPTS, read_seconds=READ_SECONDS)
        self._where = f"{store.endpoint or 'AWS'}, bucket {self._bucket}"

    def is_empty(self) -> bool:
        with answering(self._where):
            listing = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1
            )
        return not listing["KeyCount"]

    def names(self, folder: str) -> list[str]:
        prefix = f"{self._prefix}{folder}/"
        with answering(self._where):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, Delimiter="/"
            )
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return [key.removeprefix(prefix) for key in keys]

    def fetch(self, name: str, target: Path) -> str:
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with answering(self._where), target.open("wb") as file:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            for chunk in answer["Body"].iter_chunks(CHUNK):
                digest.update(chunk)
                file.write(chunk)
        return _compared(name, digest.hexdigest(), target)

    def put(self, name: str, source: Path) -> None:
        """The client sends a checksum along, which the store compares."""
        with answering(self._where), source.open("rb") as file:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=file)


def copy(source: Path, target: Path) -> str:
    """Copy a file and return the sum of what was read; the copy is compared with it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return _compared(str(source), sum_of(source), target)


def sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _compared(name: str, total: str, target: Path) -> str:
    if sum_of(target) != total:
        raise LakeError(f"The copy of {name} differs from it. Check the disk of {target.parent}.")
    return total
