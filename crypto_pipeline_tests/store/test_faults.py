"""Stages on a store that loses answers, refuses for a moment and is slow: all there, none twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pyspark.errors import PySparkException

from crypto_pipeline.embedded import jars
from crypto_pipeline.embedded.running import services
from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.opening import open_delta
from crypto_pipeline.lake.session import connect, disconnect, lease_epoch
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline.stream.ranges import TopicEnds, read_ends
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline_tests.builders import AT, BTC, ETH, poll, tick
from crypto_pipeline_tests.conftest import free_port, missing
from crypto_pipeline_tests.proof import begin
from crypto_pipeline_tests.store.proxy import Fault, Proxy, Request
from crypto_pipeline_tests.store.role import KEY, role
from crypto_pipeline_tests.store.server import Store
from crypto_pipeline_tests.topics import NAMES, clipped, send

pytestmark = [pytest.mark.integration, pytest.mark.spark, pytest.mark.timeout(3600)]

STAGES = (RAW, BRONZE, SILVER)
TRIES = 12


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[tuple[dict[str, str], Counter[str]]]:
    with role(tmp_path) as found:
        yield found


@pytest.fixture
def in_store(
    broker: Settings,
    store: Store,
    proxy: Proxy,
    pod: tuple[dict[str, str], Counter[str]],
    tmp_path: Path,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[StageRunner]:
    """A runner on an empty lake behind the proxy, with a Spark server and the tests' broker.

    There are no keys: all clients have the role of a pod.
    """
    root = store.settings(uuid4().hex)["LAKE_ROOT"]
    values = {"LAKE_ROOT": root, "AWS_ENDPOINT_URL": proxy.url}
    variables, _ = pod
    # The readers of this process go past the proxy: some of them hold Python's lock while they
    # wait, and the proxy is in this process too. The server and its guard go through it.
    for name, value in {**values, **variables, "AWS_ENDPOINT_URL": store.url}.items():
        monkeypatch.setenv(name, value)
    made = make_settings(**values)
    settings = replace(
        broker,
        state_dir=tmp_path / "state",
        lake_root_setting=made.lake_root,
        store=made.store,
        spark_port=free_port(),
    )
    settings.state_dir.mkdir()
    if jars.missing(jars.needed(settings), jars.folder(settings)):
        missing("the jars of Spark and of S3 are not here: `make test` with a network")
    ensure(broker)
    start = read_ends(broker, NAMES)
    with services(settings, ["spark"]):
        spark = connect(settings)
        try:
            lake = Lake(
                spark=spark,
                root=settings.lake_root,
                market="simulated",
                lease_epoch=lease_epoch(spark),
            )
            yield StageRunner(
                lake=lake,
                read_ends=lambda: clipped(read_ends(broker, NAMES), start),
                kafka_options={"kafka.bootstrap.servers": broker.kafka_address},
            )
        finally:
            disconnect(spark)


def test_nothing_is_lost_or_doubled(in_store: StageRunner, broker: Settings, proxy: Proxy) -> None:
    """First each version's answer is lost once, then requests fail by chance."""
    proof = begin("store-faults", reduced=2, full=25)
    chance = proof.random()
    assert in_store.lake.lease_epoch == 1

    sent = publish(broker, minute=0)
    lost: set[str] = set()

    def each_version_once(request: Request) -> Fault:
        if request.is_log_entry and request.path not in lost:
            lost.add(request.path)
            return "drop"
        return "pass"

    proxy.decide = each_version_once
    runs = [in_store.run(stage) for stage in STAGES]
    # The runs know their commits as their own: none believes that another had been there.
    assert [run.batch for run in runs] == [1, 1, 1]
    assert len(lost) > len(STAGES)
    assert all(KEY in request.headers.get("authorization", "") for request in proxy.requests)
    conditional = [r for r in proxy.requests if r.is_log_entry and "if-none-match" in r.headers]

    streak: Counter[str] = Counter()

    def by_chance(request: Request) -> Fault:
        fault = chance.choices(("pass", "drop", "unavailable", "slow"), weights=(80, 8, 10, 2))[0]
        # A client gives up after a few; a store that never answers is another test.
        streak[request.path] = 0 if fault == "pass" else streak[request.path] + 1
        return "pass" if streak[request.path] > 2 else fault  # type: ignore[return-value]

    again = 0
    for minute in range(1, 1 + proof.count):
        sent |= publish(broker, minute=minute)
        proxy.decide = by_chance
        again += sum(run_to_the_end(in_store, stage) for stage in STAGES)
    harmed = {fault: proxy.seen[fault] for fault in ("drop", "unavailable", "slow")}
    proxy.decide = lambda _: "pass"
    for stage in STAGES:
        run_to_the_end(in_store, stage)

    assert offsets_of(in_store) == offsets_in(in_store.read_ends())
    ids = column(in_store, "silver/ticks", "id")
    assert Counter(ids) == Counter(sent)
    assert sum(harmed.values()) > 0
    proof.record(
        minutes=proof.count,
        ticks=len(sent),
        harmed=harmed,
        runs_again=again,
        log_entries_with_a_condition=len(conditional),
        lost=0,
        doubled=0,
    )


def publish(settings: Settings, *, minute: int) -> set[str]:
    """Two ticks, one of them twice, and their poll; the ticks' ids."""
    at = AT + timedelta(minutes=minute)
    ticks = [tick(poll_at=at), tick(poll_at=at, symbol=ETH)]
    send(settings, *ticks, ticks[0], poll(poll_at=at, symbols_asked=(BTC, ETH)))
    return {one.id for one in ticks}


def run_to_the_end(runner: StageRunner, stage: Stage) -> int:
    """As the next cycles would, after a run that failed; how many failed."""
    for failed in range(TRIES):
        try:
            while not runner.run(stage).is_empty:
                pass
        except (PySparkException, LakeError):
            continue
        return failed
    return pytest.fail(f"{stage.name} did not get through in {TRIES} runs")


def offsets_of(runner: StageRunner) -> Counter[tuple[str, int, int]]:
    table = open_delta(f"{runner.lake.root}/raw/records")
    assert table is not None
    rows = table.to_pyarrow_table(columns=["topic", "partition", "offset"]).to_pylist()
    return Counter((row["topic"], row["partition"], row["offset"]) for row in rows)


def offsets_in(ends: TopicEnds) -> Counter[tuple[str, int, int]]:
    return Counter(
        (name, number, offset)
        for name, topic in ends.topics.items()
        for number, span in topic.partitions.items()
        for offset in range(span.beginning, span.end)
    )


def column(runner: StageRunner, key: str, name: str) -> list[str]:
    table = open_delta(f"{runner.lake.root}/{key}")
    assert table is not None
    last = log.last_commit(f"{runner.lake.root}/{key}")
    assert last is not None
    assert last.lease_epoch == 1
    return list(table.to_pyarrow_table(columns=[name])[name].to_pylist())
