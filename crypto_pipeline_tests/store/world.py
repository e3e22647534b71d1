"""A lake in the deployed stack, asked through the authority; which grants it needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.store.authority import Authority
from crypto_pipeline_tests.store.policy import Grant
from crypto_pipeline_tests.store.proxy import Fault, Proxy, Request
from crypto_pipeline_tests.store.server import KEYS
from crypto_pipeline_tests.store.stack import BUCKET, Stack

CALLER = KEYS["AWS_ACCESS_KEY_ID"]


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything that our clients ask goes through the proxy; `admin` asks the store itself."""

    settings: Settings
    stack: Stack
    proxy: Proxy
    authority: Authority

    @property
    def root(self) -> str:
        return self.settings.lake_root

    @property
    def admin(self) -> Any:
        return self.stack.client("s3")

    @contextmanager
    def acting(self, *policies: str, without: Grant | None = None) -> Iterator[None]:
        """The caller has these policies, but for one grant."""
        given = [grant for policy in policies for grant in self.stack.grants(policy)]
        former = self.authority.given
        self.authority.given = {CALLER: [grant for grant in given if grant != without]}
        try:
            yield
        finally:
            self.authority.given = former

    def keys(self, prefix: str) -> list[str]:
        """Objects that are there now, without the lake's own prefix."""
        lake = f"{self.root.partition(BUCKET)[2].strip('/')}/"
        pages = self.admin.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=f"{lake}{prefix}"
        )
        found = (entry["Key"] for page in pages for entry in page.get("Contents", ()))
        return [key.removeprefix(lake) for key in found]

    def cut_uploads(self, prefix: str) -> list[str]:
        """Uploads that were begun and neither completed nor aborted."""
        found = self.admin.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
        return [upload["Key"] for upload in found if f"/{prefix}" in upload["Key"]]

    def abort_uploads(self) -> None:
        """So that one operation does not see what another left."""
        for upload in self.admin.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
            self.admin.abort_multipart_upload(
                Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
            )

    @contextmanager
    def parts_fail(self) -> Iterator[None]:
        """The second part of every large upload is refused, so the client gives it up."""

        def decide(request: Request) -> Fault:
            fault = self.authority.decide(request)
            return "denied" if "partNumber=2" in request.path else fault

        self.proxy.decide = decide
        try:
            yield
        finally:
            self.proxy.decide = self.authority.decide

    @contextmanager
    def months_later(self) -> Iterator[None]:
        """Every object that is listed looks as if it were of last winter."""
        winter = b"<LastModified>2026-01-01"
        self.proxy.alter = lambda answer: re.sub(rb"<LastModified>\d{4}-\d\d-\d\d", winter, answer)
        try:
            yield
        finally:
            self.proxy.alter = lambda answer: answer


Operation = Callable[[World], None]


def fails(world: World, operation: Operation) -> bool:
    """Whether it raises, or does not do what it says it did."""
    try:
        operation(world)
    except Exception:  # noqa: BLE001 - each client has its own errors for a denial
        return True
    return False


def unneeded(
    world: World, policies: Sequence[str], operations: Mapping[str, Operation]
) -> list[Grant]:
    """Grants without which every operation still does its work."""
    found = []
    for policy in policies:
        for grant in world.stack.grants(policy):
            with world.acting(*policies, without=grant):
                if not any(fails(world, operation) for operation in operations.values()):
                    found.append(grant)
    return found
