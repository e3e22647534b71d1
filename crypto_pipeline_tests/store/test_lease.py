"""The lease in a bucket, on a real S3-protocol server, and what is said when it cannot be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from crypto_pipeline.errors import LeaseHeldError, StoreAwayError, UnfitStoreError
from crypto_pipeline.lake.lease import Record, Terms, take
from crypto_pipeline.lake.lease_store import BucketStore, lease_store
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import free_port
from crypto_pipeline_tests.lake.test_lease import holder
from crypto_pipeline_tests.store.proxy import Proxy, Request
from crypto_pipeline_tests.store.server import KEYS, Store

pytestmark = pytest.mark.integration

TERMS = Terms(renew=0.5, expiry=3, longest_request=1)


@pytest.fixture
def place(proxy: Proxy, store: Store, make_settings: Callable[..., Settings]) -> BucketStore:
    """The leases of a lake of its own, through the proxy."""
    values = {**store.settings(uuid4().hex), "AWS_ENDPOINT_URL": proxy.url}
    found = lease_store(make_settings(**values))
    assert isinstance(found, BucketStore)
    return found


def take_it(place: BucketStore, name: str, sleep: Callable[[float], None]) -> int:
    lease = take(
        place,
        holder(name),
        terms=TERMS,
        is_dead=lambda _: False,
        say=lambda _: None,
        sleep=sleep,
    )
    return lease.epoch


def never(seconds: float) -> None:
    pytest.fail(f"nothing is to be waited for, it wanted {seconds} s")


def test_a_bucket_keeps_numbers_ages_and_renewals(place: BucketStore) -> None:
    lease = take(
        place,
        holder("one"),
        terms=TERMS,
        is_dead=lambda _: False,
        say=lambda _: None,
        sleep=never,
    )
    lease.renew()
    found = place.newest()

    assert found is not None
    assert (found.record.epoch, found.record.renewals) == (1, 1)
    assert 0 <= found.age < 10
    assert (place.has(1), place.has(2)) == (True, False)
    with pytest.raises(LeaseHeldError, match=r"process 4711 on one\.example"):
        take_it(place, "two", lambda _: lease.renew())
    lease.release()
    assert take_it(place, "two", never) == 2


def test_of_two_takers_at_once_one_gets_the_number(place: BucketStore) -> None:
    start = threading.Barrier(2)

    def create(name: str, epoch: int) -> bool:
        start.wait()
        return place.create(Record(epoch=epoch, holder=holder(name)))

    with ThreadPoolExecutor(2) as pool:
        for epoch in range(1, 11):
            both = [pool.submit(create, name, epoch) for name in ("one", "two")]
            assert sorted(one.result() for one in both) == [False, True]


def test_a_number_taken_under_a_lost_answer_is_recognised(place: BucketStore, proxy: Proxy) -> None:
    """The client repeats the request by itself and is told that the object is there."""
    dropped: list[str] = []

    def first_put(request: Request) -> str:
        if request.method == "PUT" and not dropped:
            dropped.append(request.path)
            return "drop"
        return "pass"

    proxy.decide = first_put  # type: ignore[assignment]

    assert take_it(place, "one", never) == 1
    assert dropped
    assert place.newest() is not None


def test_a_store_that_ignores_conditions_is_found_out(place: BucketStore, proxy: Proxy) -> None:
    proxy.hides = frozenset({"if-none-match"})

    with pytest.raises(UnfitStoreError, match="ignores `If-None-Match"):
        take_it(place, "one", never)


def test_a_store_that_is_away_or_refuses_is_a_sentence_without_keys(
    store: Store, make_settings: Callable[..., Settings]
) -> None:
    values = store.settings("away")
    nowhere = make_settings(**{**values, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"})
    other = make_settings(**{**values, "LAKE_ROOT": "s3a://no-such-bucket/lake"})
    for settings, words in ((nowhere, "Could not connect"), (other, "NoSuchBucket")):
        with pytest.raises(StoreAwayError, match=words) as caught:
            lease_store(settings).newest()
        assert "AWS_ settings" in str(caught.value)
        assert not any(key in str(caught.value) for key in KEYS.values())
    half = replace(nowhere, store=replace(nowhere.store, secret_access_key=None))
    with pytest.raises(Exception, match="Set both, or none"):
        lease_store(half)
