"""What a store's own authorization would say of each request, by the policies of its caller.

moto knows policies but neither their resources nor their conditions, so the proxy before it asks
here. As AWS does it, a missing object is 404 only for who may list it, with its own key as
`s3:prefix`, and 403 for others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from crypto_pipeline_tests.store.policy import Grant, decide
from crypto_pipeline_tests.store.proxy import Fault, Request

CALLER = re.compile(r"Credential=([^/]+)/")
MISSING = 404
# Of a request's query, what makes another action of it.
BY_METHOD = {
    ("GET", ""): "s3:GetObject",
    ("HEAD", ""): "s3:GetObject",
    ("PUT", ""): "s3:PutObject",
    ("PUT", "uploadId"): "s3:PutObject",
    ("POST", "uploads"): "s3:PutObject",
    ("POST", "uploadId"): "s3:PutObject",
    ("DELETE", ""): "s3:DeleteObject",
    ("DELETE", "uploadId"): "s3:AbortMultipartUpload",
    ("DELETE", "versionId"): "s3:DeleteObjectVersion",
}
OF_BUCKET = {
    ("GET", "list-type"): "s3:ListBucket",
    ("GET", ""): "s3:ListBucket",
    ("HEAD", ""): "s3:ListBucket",
    ("GET", "uploads"): "s3:ListBucketMultipartUploads",
    ("GET", "location"): "s3:GetBucketLocation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request in IAM's words."""

    caller: str
    action: str
    resource: str
    context: Mapping[str, str]


@dataclass
class Authority:
    """`given` has the grants of each access key; what was used and refused is kept."""

    given: dict[str, Sequence[Grant]] = field(default_factory=dict)
    used: set[Grant] = field(default_factory=set)
    refused: list[Asked] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def decide(self, request: Request) -> Fault:
        asked = read(request)
        self.asked += asked
        return "pass" if all(self._allows(one) for one in asked) else "denied"

    def review(self, request: Request, status: int) -> bool:
        asked = read(request)[0]
        if status != MISSING or asked.action != "s3:GetObject":
            return True
        bucket, _, key = asked.resource.partition("/")
        context = {**asked.context, "s3:prefix": key}
        return self._allows(
            Asked(caller=asked.caller, action="s3:ListBucket", resource=bucket, context=context)
        )

    def _allows(self, asked: Asked) -> bool:
        given = self.given.get(asked.caller, ())
        grant = decide(given, asked.action, asked.resource, asked.context)
        if grant is None:
            self.refused.append(asked)
            return False
        self.used.add(grant)
        return True


def read(request: Request) -> list[Asked]:
    """Raises AssertionError for a request that no client of ours is known to make."""
    place = urlsplit(request.path)
    query = dict(parse_qsl(place.query, keep_blank_values=True))
    bucket, _, key = unquote(place.path).lstrip("/").partition("/")
    table = BY_METHOD if key else OF_BUCKET
    sub = next((name for (_, name) in table if name and name in query), "")
    action = table.get((request.method, sub))
    assert action is not None, f"{request.method} {request.path}"
    found = CALLER.search(request.headers.get("authorization", ""))
    caller = found[1] if found else query.get("X-Amz-Credential", "").split("/")[0]
    context = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
    if "prefix" in query:
        context["s3:prefix"] = query["prefix"]
    wanted = [(action, f"{bucket}/{key}" if key else bucket)]
    if "x-amz-copy-source" in request.headers:
        source = unquote(request.headers["x-amz-copy-source"]).lstrip("/").partition("?")[0]
        wanted.append(("s3:GetObject", source))
    return [
        Asked(caller=caller, action=what, resource=f"arn:aws:s3:::{where}", context=context)
        for what, where in wanted
    ]
