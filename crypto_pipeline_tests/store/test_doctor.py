"""What `crypto-pipeline doctor` says of a lake in a bucket, well and broken in each way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import boto3
import pytest

from crypto_pipeline.doctor import store as subject
from crypto_pipeline.doctor.finding import Finding
from crypto_pipeline.lake.lease import Record
from crypto_pipeline.lake.lease_store import lease_store
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import free_port
from crypto_pipeline_tests.in_thread import serving
from crypto_pipeline_tests.lake.test_lease import holder
from crypto_pipeline_tests.store.authority import Authority
from crypto_pipeline_tests.store.policy import Grant
from crypto_pipeline_tests.store.proxy import Proxy
from crypto_pipeline_tests.store.server import BUCKET, KEYS, Store
from crypto_pipeline_tests.store.stack import Stack

pytestmark = pytest.mark.integration

CALLER = KEYS["AWS_ACCESS_KEY_ID"]
MakeSettings = Callable[..., Settings]


@pytest.fixture
def values(store: Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Settings of a lake of its own behind the proxy, and no other place to find keys in."""
    for name in (*KEYS, "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    return {**store.settings(uuid4().hex), "AWS_ENDPOINT_URL": proxy.url}


def look(settings: Settings, *, writes: bool = True) -> list[Finding]:
    findings = list(subject.look(settings, writes=writes))
    told = "\n".join(finding.line() for finding in findings)
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in told
    assert CALLER not in told
    return findings


def wrongs(settings: Settings, *, writes: bool = True) -> dict[str, str]:
    """What is wrong, by its subject."""
    found = look(settings, writes=writes)
    return {f.subject: f.line() for f in found if f.verdict == "wrong"}


def test_a_lake_that_is_well(
    values: dict[str, str], make_settings: MakeSettings, proxy: Proxy
) -> None:
    found = look(make_settings(**values))

    assert {finding.verdict for finding in found} == {"ok"}
    layers = ["raw", "bronze", "silver", "gold", "predictions"]
    assert [finding.subject for finding in found] == [
        "S3 bucket, with our keys",
        "S3 region",
        "S3 missing objects",
        "S3 lease",
        *(f"S3 {layer}/" for layer in layers),
        "S3 vacuum of raw",
        "S3 conditional writes",
    ]
    # Of this lake: a server that another test has started may still renew its lease.
    root = "/" + values["LAKE_ROOT"].removeprefix("s3a://")
    own = [r for r in proxy.requests if r.path.startswith(root)]
    puts = {r.path.partition("?")[0] for r in own if r.method == "PUT"}
    deletes = {r.path.partition("?")[0] for r in own if r.method == "DELETE"}
    assert puts
    assert puts < deletes


def test_who_only_reads_is_not_asked_to_write(
    values: dict[str, str], make_settings: MakeSettings, proxy: Proxy
) -> None:
    assert wrongs(make_settings(**values), writes=False) == {}
    root = "/" + values["LAKE_ROOT"].removeprefix("s3a://")
    asked = [request for request in proxy.requests if request.path.startswith(root)]
    assert {request.method for request in asked} <= {"GET", "HEAD"}
    assert asked


@contextmanager
def saying(code: str, status: int) -> Iterator[str]:
    """A store that answers every request with one error."""
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the test's own output is enough."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("code", "status", "remedy"),
    [
        ("InvalidAccessKeyId", 403, "Set a key that is active, or no keys at all"),
        ("SignatureDoesNotMatch", 403, "Copy both again, from the same key"),
        ("ExpiredToken", 400, "Fetch a new set of the three"),
        ("InvalidToken", 400, "Set the three of one set"),
        ("RequestTimeTooSkewed", 403, "Set it (NTP)"),
        ("AuthorizationHeaderMalformed", 400, "Set AWS_REGION to that of the bucket"),
    ],
)
def test_what_a_store_says_of_the_keys(
    code: str, status: int, remedy: str, values: dict[str, str], make_settings: MakeSettings
) -> None:
    with saying(code, status) as url:
        found = look(make_settings(**{**values, "AWS_ENDPOINT_URL": url}))
    assert [finding.verdict for finding in found] == ["wrong"]
    assert remedy in found[0].line()


BROKEN: dict[str, tuple[dict[str, str], str, str]] = {
    "no such bucket": (
        {"LAKE_ROOT": "s3a://no-such-bucket/lake"},
        "S3 bucket",
        "make the bucket with deploy/aws/lake.yaml",
    ),
    "another region": ({"AWS_REGION": "eu-west-1"}, "S3 region", "Set AWS_REGION=us-east-1"),
    "no store there": (
        {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"},
        "S3 bucket",
        "Check AWS_ENDPOINT_URL",
    ),
    "half a pair of keys": ({"AWS_SECRET_ACCESS_KEY": ""}, "S3 keys", "Set both, or none"),
    "neither keys nor a role": (
        {"AWS_SECRET_ACCESS_KEY": "", "AWS_ACCESS_KEY_ID": ""},
        "S3 bucket",
        "give the machine, pod or task a role",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_setting_is_named_with_its_remedy(
    name: str, values: dict[str, str], make_settings: MakeSettings
) -> None:
    changed, subject_of_it, remedy = BROKEN[name]
    found = wrongs(make_settings(**{**values, **changed}))
    (told,) = [line for at, line in found.items() if at.startswith(subject_of_it)]
    assert remedy in told
    assert len(found) == 1, found


def test_a_store_that_ignores_conditions_is_found_out(
    values: dict[str, str], make_settings: MakeSettings, proxy: Proxy
) -> None:
    proxy.hides = frozenset({"if-none-match"})
    (told,) = wrongs(make_settings(**values)).values()
    assert told.startswith("wrong S3 conditional writes")
    assert "Use one that honours conditional writes" in told


def given(*without: str, prefix: str = "*") -> dict[str, list[Grant]]:
    """All that a writer has but for some actions; listing is granted below a prefix."""
    below = (("StringLike", "s3:prefix", (prefix,)),)
    actions = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
    grants = [("s3:ListBucket", f"arn:aws:s3:::{BUCKET}", below)]
    grants += [(action, f"arn:aws:s3:::{BUCKET}/*", ()) for action in actions]
    return {
        CALLER: [
            Grant(policy="p", sid="s", effect="Allow", action=a, resource=r, condition=c)
            for a, r, c in grants
            if a not in without
        ]
    }


@pytest.mark.parametrize(
    ("grants", "subjects", "words"),
    [
        (given("s3:ListBucket"), ["S3 bucket"], "s3:ListBucket is denied"),
        (given("s3:PutObject"), ["S3 raw/", "S3 conditional"], "s3:PutObject is denied"),
        (given("s3:DeleteObject"), ["S3 raw/", "S3 conditional"], "s3:DeleteObject is denied"),
        (given("s3:GetObject"), ["S3 missing", "S3 raw/"], "s3:GetObject is denied"),
        (given(prefix="*/"), ["S3 missing"], "s3:ListBucket not on what lies below"),
    ],
    ids=["list", "put", "delete", "get", "list below"],
)
def test_a_right_that_lacks_is_named(
    grants: dict[str, list[Grant]],
    subjects: list[str],
    words: str,
    values: dict[str, str],
    make_settings: MakeSettings,
    proxy: Proxy,
) -> None:
    authority = Authority(given=grants)
    proxy.decide, proxy.review = authority.decide, authority.review
    found = wrongs(make_settings(**values))
    for wanted in subjects:
        (told,) = [line for at, line in found.items() if at.startswith(wanted)]
        assert "deploy/aws/lake.yaml" in told
    assert any(words in line for line in found.values())


@pytest.mark.parametrize(("vacuum", "wrong"), [("yes", ["S3 vacuum of raw"]), ("no", [])])
def test_the_stacks_own_policy_is_enough_without_a_vacuum_of_raw(
    vacuum: str,
    wrong: list[str],
    values: dict[str, str],
    stack: Stack,
    make_settings: MakeSettings,
    proxy: Proxy,
) -> None:
    both = [g for p in ("WriteLakePolicy", "HoldLeasePolicy") for g in stack.grants(p)]
    authority = Authority(given={CALLER: both})
    proxy.decide, proxy.review = authority.decide, authority.review
    place = {"LAKE_ROOT": stack.outputs["LakeRoot"], "RAW_VACUUM": vacuum}
    found = wrongs(make_settings(**{**values, **place}))
    assert list(found) == wrong
    assert all("Set RAW_VACUUM=no" in line for line in found.values())


def test_the_readers_policy_is_enough_to_read(
    values: dict[str, str], stack: Stack, make_settings: MakeSettings, proxy: Proxy
) -> None:
    settings = make_settings(**{**values, "LAKE_ROOT": stack.outputs["LakeRoot"]})
    lease_store(settings).create(Record(epoch=1, holder=holder("one"), is_released=True))
    authority = Authority(given={CALLER: stack.grants("ReadLakePolicy")})
    proxy.decide, proxy.review = authority.decide, authority.review
    assert wrongs(settings, writes=False) == {}


def test_the_holder_of_the_lease_is_told(
    values: dict[str, str], make_settings: MakeSettings
) -> None:
    settings = make_settings(**values)
    lease_store(settings).create(Record(epoch=7, holder=holder("one")))
    (line,) = [f.line() for f in look(settings) if f.subject == "S3 lease"]
    assert line.startswith("ok    S3 lease: Number 7")
    assert "process 4711 on one.example" in line
