"""The two places of a lease's records: beside a lake in a folder, and in a bucket."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from crypto_pipeline.errors import StoreAwayError, UnfitStoreError
from crypto_pipeline.lake.lease import FOLDER, Found, LeaseStore, Record, file_name
from crypto_pipeline.settings import Settings
from crypto_pipeline.store_settings import StoreSettings, bucket_and_prefix, is_in_store

# The object is there, or a second write of it is on its way at the same moment.
REFUSED = ("PreconditionFailed", "ConditionalRequestConflict")
UNKNOWN_CONDITION = ("NotImplemented", "InvalidArgument", "InvalidRequest")


def lease_store(settings: Settings) -> LeaseStore:
    if is_in_store(settings.lake_root):
        return BucketStore(settings.lake_root, settings.store)
    return FolderStore(Path(settings.lake_root) / FOLDER)


class FolderStore:
    """Files; one with a number that is taken is not made again, and one is replaced whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self) -> Found | None:
        with self._answering():
            names = sorted(file.name for file in self._folder.glob("*.json"))
            if not names:
                return None
            file = self._folder / names[-1]
            written = file.stat().st_mtime
            record = Record.parse(file.read_text())
            return Found(record=record, age=self._clock() - written)

    def has(self, epoch: int) -> bool:
        with self._answering():
            return (self._folder / file_name(epoch)).exists()

    def create(self, record: Record) -> bool:
        with self._answering(), self._written(record) as file:
            try:
                (self._folder / file_name(record.epoch)).hardlink_to(file)
            except FileExistsError:
                return False
        return True

    def replace(self, record: Record) -> None:
        with self._answering(), self._written(record) as file:
            file.replace(self._folder / file_name(record.epoch))

    def _clock(self) -> float:
        """What the file system says of a file that is written now."""
        with tempfile.TemporaryFile(dir=self._folder) as probe:
            probe.write(b"now")
            probe.flush()
            return os.fstat(probe.fileno()).st_mtime

    @contextmanager
    def _written(self, record: Record) -> Iterator[Path]:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{record.epoch}.{record.holder.instance}.part"
        file.write_text(record.text())
        try:
            yield file
        finally:
            file.unlink(missing_ok=True)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreAwayError(
                f"The lease in {self._folder} cannot be read or written: {error.strerror}. Check "
                "the folder, its rights and the disk."
            ) from error


class BucketStore:
    """Objects; ages are the answer's date less the object's."""

    def __init__(self, root: str, store: StoreSettings) -> None:
        self._bucket, prefix = bucket_and_prefix(root)
        self._prefix = f"{prefix}/{FOLDER}/".lstrip("/")
        self._client = client(store)
        self._where = f"{store.endpoint or 'AWS'}, bucket {self._bucket}"

    def newest(self) -> Found | None:
        with answering(self._where):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
            if not keys:
                return None
            answer = self._client.get_object(Bucket=self._bucket, Key=max(keys))
            text = answer["Body"].read().decode()
        said = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        age = (said - answer["LastModified"]).total_seconds()
        return Found(record=Record.parse(text), age=age)

    def has(self, epoch: int) -> bool:
        with answering(self._where):
            listing = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._prefix + file_name(epoch), MaxKeys=1
            )
        return bool(listing["KeyCount"])

    def create(self, record: Record) -> bool:
        from botocore.exceptions import ClientError

        with answering(self._where):
            try:
                self._put(record, IfNoneMatch="*")
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in REFUSED:
                    return False
                if code in UNKNOWN_CONDITION:
                    raise UnfitStoreError(
                        f"The object store at {self._where} does not know `If-None-Match: *` "
                        f"({code}), so it cannot keep a second writer out. Use one that honours "
                        "conditional writes, or a folder."
                    ) from error
                raise
        return True

    def replace(self, record: Record) -> None:
        with answering(self._where):
            self._put(record)

    def _put(self, record: Record, **condition: str) -> None:
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._prefix + file_name(record.epoch),
            Body=record.text().encode(),
            **condition,
        )


@contextmanager
def answering(where: str) -> Iterator[None]:
    """What the client raises, as a sentence that names the store."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise StoreAwayError(
            f"The object store at {where} refuses or does not answer: {error}. Check the bucket, "
            "its rights and the AWS_ settings (docs/s3.md)."
        ) from error


def client(store: StoreSettings, *, attempts: int = 2, read_seconds: int = 5) -> Any:
    """As it is given, a client of little patience: a lease is lost while one waits."""
    import boto3
    from botocore.config import Config

    keys = store.environment()
    style = {} if store.endpoint is None else {"s3": {"addressing_style": "path"}}
    return boto3.client(
        "s3",
        region_name=store.region,
        endpoint_url=store.endpoint,
        aws_access_key_id=keys.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=keys.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=keys.get("AWS_SESSION_TOKEN"),
        config=Config(
            connect_timeout=3,
            read_timeout=read_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
            **style,
        ),
    )
