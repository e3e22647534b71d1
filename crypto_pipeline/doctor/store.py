"""The lake in a bucket: who we are there, where it is, what we may do, what the store can do.

What is tried needs no more than the policies of deploy/aws: objects are written beside the tables
under names that no table has, and removed again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crypto_pipeline.doctor.finding import Finding, tried, wrong
from crypto_pipeline.doctor.store_errors import DENIED, POLICY, explained
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.keeping_settings import LAYER_DAYS
from crypto_pipeline.lake.lease_store import REFUSED, client, lease_store
from crypto_pipeline.settings import Settings
from crypto_pipeline.store_settings import bucket_and_prefix

# Of raw, only what lies in a table's log may be deleted, so a trial lies in one.
TRIAL = "_doctor/_delta_log"
REGION_HEADER = "x-amz-bucket-region"


def look(settings: Settings, *, writes: bool) -> Iterator[Finding]:
    """Where one thing fails, what could only fail with it is not tried."""
    if not settings.is_lake_in_store:
        yield tried("Lake", lambda: _folder(Path(settings.lake_root)))
        return
    try:
        keys = settings.store.environment()
    except SettingsError as error:
        yield wrong("S3 keys", str(error))
        return
    who = "our keys" if "AWS_ACCESS_KEY_ID" in keys else "the role of this machine"
    bucket, prefix = bucket_and_prefix(settings.lake_root)
    place = _Place(client(settings.store), bucket, prefix, settings.store.endpoint)
    steps: list[tuple[str, Callable[[], str]]] = [
        (f"S3 bucket, with {who}", place.list),
        ("S3 region", lambda: place.region(settings.store.region)),
        ("S3 missing objects", place.look_for_nothing),
    ]
    if writes:
        steps.append(("S3 lease", lambda: _lease(settings)))
        steps += [(f"S3 {layer}/", lambda at=layer: place.write(at)) for layer in LAYER_DAYS]  # type: ignore[misc]
        if settings.keeping.raw_vacuum:
            steps.append(("S3 vacuum of raw", place.delete_of_raw))
        steps.append(("S3 conditional writes", place.write_conditionally))
    for subject, step in steps:
        found = _tried(subject, step, place=place)
        yield found
        if found.verdict == "wrong" and step == place.list:
            return


@dataclass(frozen=True)
class _Place:
    """One prefix of a bucket; each method is one check and returns what it saw."""

    client: Any
    bucket: str
    prefix: str
    endpoint: str | None

    def list(self) -> str:
        prefix = f"{self.prefix}/".lstrip("/")
        self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, MaxKeys=1)
        return f"{self.bucket}/{self.prefix} can be listed."

    def region(self, region: str) -> str:
        """A bucket says where it is to everyone, also with a refusal."""
        from botocore.exceptions import ClientError

        try:
            answer = self.client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            answer = error.response
        said = answer["ResponseMetadata"]["HTTPHeaders"].get(REGION_HEADER)
        if said is not None and said != region:
            raise SettingsError(
                f"The bucket {self.bucket} is in {said}, but AWS_REGION is {region}. Set "
                f"AWS_REGION={said}: Spark asks the region that it is told."
            )
        return f"{region}." if said else f"{region}; the store names none."

    def look_for_nothing(self) -> str:
        """Delta asks for what is not there yet, and has to be told so."""
        from botocore.exceptions import ClientError

        try:
            self.client.get_object(Bucket=self.bucket, Key=self._key("raw"))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("NoSuchKey", "404"):
                return "What is not there is said to be not there."
            if code not in DENIED:
                raise
            raise SettingsError(
                f"The store denies an object that is not there ({self.bucket}/"
                f"{self._key('raw')}), where Delta has to hear that it is not. Either "
                f"s3:GetObject is not granted, or s3:ListBucket not on what lies below. {POLICY}."
            ) from error
        raise SettingsError(
            f"The store gives an object that nobody wrote ({self.bucket}/{self._key('raw')}). "
            "Check AWS_ENDPOINT_URL: no S3 answers there."
        )

    def write(self, layer: str) -> str:
        key, body = self._key(layer), b"a trial of crypto-pipeline doctor"
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)
        read = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        self.client.delete_object(Bucket=self.bucket, Key=key)
        if read != body:
            raise SettingsError(
                f"{self.bucket}/{key} was read back other than it was written. Something between "
                "here and the store changes objects: check AWS_ENDPOINT_URL and proxies."
            )
        return "An object was written, read and deleted."

    def delete_of_raw(self) -> str:
        """To delete what is not there takes the same right, and deletes nothing."""
        from botocore.exceptions import ClientError

        key = f"{self.prefix}/raw/_doctor/{uuid.uuid4()}".lstrip("/")
        try:
            self.client.delete_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in DENIED:
                raise
            raise SettingsError(
                "Data files of raw cannot be deleted here, which deploy/aws means to be so, but "
                "RAW_VACUUM is yes, so the upkeep would try each day. Set RAW_VACUUM=no."
            ) from error
        return "Data files of raw may be deleted."

    def write_conditionally(self) -> str:
        """As the lease's numbers are: the second write of one name has to be refused."""
        from botocore.exceptions import ClientError

        key = self._key("gold")
        try:
            for _ in range(2):
                self.client.put_object(Bucket=self.bucket, Key=key, Body=b"1", IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in REFUSED:
                raise
            return "The second writer of one name is refused."
        finally:
            self.client.delete_object(Bucket=self.bucket, Key=key)
        raise SettingsError(
            "The store ignores `If-None-Match: *`, so it cannot keep a second writer out. Use "
            "one that honours conditional writes (AWS S3 does), or a folder."
        )

    def _key(self, layer: str) -> str:
        return f"{self.prefix}/{layer}/{TRIAL}/{uuid.uuid4()}".lstrip("/")


def _tried(subject: str, step: Callable[[], str], *, place: _Place) -> Finding:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return tried(subject, step)
    except (BotoCoreError, ClientError) as error:
        where = f"{place.endpoint or 'AWS'}, {place.bucket}/{place.prefix}"
        return wrong(subject, *explained(error, where=where))


def _lease(settings: Settings) -> str:
    found = lease_store(settings).newest()
    if found is None:
        return "Nobody has taken it yet."
    state = "let go by" if found.record.is_released else f"{found.age:.0f} s ago renewed by"
    return f"Number {found.record.epoch}, {state} {found.record.holder.sentence()}."


def _folder(root: Path) -> str:
    if root.exists() and not root.is_dir():
        raise SettingsError(f"LAKE_ROOT is the file {root}. Give a folder, or s3a://bucket/prefix.")
    return f"{root}, {'which is there' if root.exists() else 'made at the first start'}."
