"""With its own user each workload does its job on a real broker, and nothing else at all."""

from __future__ import annotations

import gc
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    NewPartitions,
    OffsetSpec,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.errors import KafkaError

from crypto_pipeline.contract import topic
from crypto_pipeline.contract.topic import TOPICS
from crypto_pipeline.doctor.kafka import look as doctor_of_kafka
from crypto_pipeline.embedded import jars, processes
from crypto_pipeline.embedded import spark_server as laptop_spark
from crypto_pipeline.errors import PipelineError, StreamError
from crypto_pipeline.kafka_settings import ROLES, KafkaLogin, KafkaRole
from crypto_pipeline.pipeline import open_pipeline
from crypto_pipeline.setting_values import Secret
from crypto_pipeline.settings import Settings, process_environment, spark_token
from crypto_pipeline.stages import RAW
from crypto_pipeline.stream.connection import open_admin, open_consumer, open_producer
from crypto_pipeline.stream.newest import newest_record
from crypto_pipeline.stream.publish import Outgoing, Publisher
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline.stream.topics import ensure, open_ready_producer
from crypto_pipeline_tests.conftest import ROOT, missing
from crypto_pipeline_tests.helm.secured import (
    FOREIGN,
    SecuredBroker,
    authority,
    await_ready,
    secured_broker,
    write_certificate,
)
from crypto_pipeline_tests.short_lived import short_lived

pytestmark = [
    pytest.mark.integration,
    # kafka-python leaves the socket of a refused connection to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket"),
]

ALL_TOPICS = (*(t.name for t in TOPICS), FOREIGN)
NOT_SHOWN = "the broker does not show it"
INGESTED = [t.name for t in topic.INGESTED]


@pytest.fixture(scope="module")
def secured(
    make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredBroker]:
    from rich.console import Console

    settings = make_settings()
    if jars.missing(jars.needed(settings), jars.folder(settings)):
        missing("the jars of the broker are not here: `make test` with a network")
    jars.install_laptop(settings, console=Console(stderr=True))
    with secured_broker(settings, tmp_path_factory.mktemp("secured")) as found:
        yield found
    # What the client left is collected here, or a test of another module is blamed for it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def message(name: str) -> Outgoing:
    return Outgoing(topic=name, key=b"binance|BTC-USDT", value=b'{"kind": "trial"}')


def write(settings: Settings, name: str) -> None:
    with closing(open_producer(settings)) as producer:
        producer.send(name, b"{}", b"k").get(timeout=10)


def read(settings: Settings, name: str) -> None:
    with closing(open_consumer(settings)) as consumer:
        place = TopicPartition(name, 0)
        if not consumer.partitions_for_topic(name):
            raise StreamError(NOT_SHOWN)
        consumer.assign([place])
        consumer.seek(place, 0)
        for _ in range(20):
            if consumer.poll(timeout_ms=500):
                return
    raise AssertionError(f"{name} gave neither a record nor an error")


def with_admin(action: Callable[[KafkaAdminClient], Any]) -> Callable[[Settings], Any]:
    def run(settings: Settings) -> Any:
        with closing(open_admin(settings)) as admin:
            return action(admin)

    return run


def resource(name: str) -> ConfigResource:
    return ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "1000"})


def described_config(admin: KafkaAdminClient, name: str) -> None:
    found = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all"
    )
    if not found.get("topic", {}).get(name):
        raise StreamError(NOT_SHOWN)


def altered(admin: KafkaAdminClient, what: ConfigResource) -> None:
    """The answer has a word for each resource: OK, or why not."""
    for results in admin.alter_configs([what], raise_on_unknown=False).values():
        for result in results.values():
            if result != "OK":
                raise StreamError(result)


def of_topic(operation: str, settings: Settings, name: str) -> None:
    """Try one operation on one topic; raises where it is denied."""
    place = TopicPartition(name, 0)
    actions: dict[str, Callable[[KafkaAdminClient], Any]] = {
        "Describe": lambda a: a.list_partition_offsets({place: OffsetSpec.LATEST}),
        "DescribeConfigs": lambda a: described_config(a, name),
        "AlterConfigs": lambda a: altered(a, resource(name)),
        "Delete": lambda a: a.delete_topics([name]),
        "DeleteRecords": lambda a: a.delete_records({place: 1}),
        "Alter": lambda a: a.create_partitions({name: NewPartitions(9)}),
    }
    if operation == "Write":
        write(settings, name)
    elif operation == "Read":
        read(settings, name)
    else:
        with_admin(actions[operation])(settings)


def is_denied(action: Callable[[], Any]) -> bool:
    """Whether the broker says that we may not; any other failure is an error of the test."""
    try:
        action()
    except (KafkaError, StreamError) as error:
        text = f"{type(error).__name__} {error} {error.__cause__!r}"
        words = ("Authorization", "authorization", NOT_SHOWN, "UnknownTopic")
        assert any(word in text for word in words), text
        return True
    return False


@pytest.mark.parametrize("role", ROLES)
def test_a_user_may_what_the_chart_grants_and_nothing_else(
    secured: SecuredBroker, role: KafkaRole
) -> None:
    settings, granted = secured.as_user(role), secured.grants[role]
    for name in ALL_TOPICS:
        allowed = granted.get(name, set())
        # Kafka reads a right to look out of a right to read or to write.
        implied = {"Describe"} if allowed & {"Read", "Write"} else set()
        for operation in (
            "Describe", "Read", "Write", "DescribeConfigs", "AlterConfigs", "Alter", "Delete",
            "DeleteRecords",
        ):  # fmt: skip
            denied = is_denied(lambda o=operation, n=name: of_topic(o, settings, n))  # type: ignore[misc]
            assert denied == (operation not in allowed | implied), (role, operation, name)


CLUSTER: dict[str, Callable[[KafkaAdminClient], Any]] = {
    "create a topic": lambda a: a.create_topics({"new.topic": {"num_partitions": 1}}),
    "create a right": lambda a: _raise_failed(
        a.create_acls(
            [
                ACL(
                    "User:poller",
                    "*",
                    ACLOperation.ALL,
                    ACLPermissionType.ALLOW,
                    ResourcePattern(ResourceType.TOPIC, FOREIGN),
                )
            ]
        )
    ),
    "see the rights": lambda a: a.describe_acls(
        ACLFilter(
            None,
            None,
            ACLOperation.ANY,
            ACLPermissionType.ANY,
            ResourcePatternFilter(ResourceType.ANY, None, _any_pattern()),
        )
    ),
    "see a group": lambda a: _raise_group(a.describe_groups(["anyone"])),
    "see its offsets": lambda a: a.list_group_offsets({"anyone": None}),
    "alter the broker": lambda a: altered(
        a, ConfigResource(ConfigResourceType.BROKER, "1", {"log.cleaner.threads": "1"})
    ),
    "reassign partitions": lambda a: a.list_partition_reassignments(),
    "see the quorum": lambda a: a.describe_metadata_quorum(),
}


def _any_pattern() -> Any:
    from kafka.admin import ACLResourcePatternType

    return ACLResourcePatternType.ANY


def _raise_failed(answer: Any) -> None:
    if answer["failed"]:
        raise StreamError(str(answer["failed"]))


def _raise_group(answer: Any) -> None:
    if "uthorization" in str(answer):
        raise StreamError(f"Authorization: {answer}")


@pytest.mark.parametrize("what", CLUSTER)
@pytest.mark.parametrize("role", ROLES)
def test_no_user_may_touch_the_cluster(secured: SecuredBroker, role: KafkaRole, what: str) -> None:
    assert is_denied(lambda: with_admin(CLUSTER[what])(secured.as_user(role))), what


def test_each_workload_does_its_job(secured: SecuredBroker) -> None:
    """The poller publishes, the sensor sees it, the lake publishes and finds where it stopped."""
    poller = secured.as_user("poller")
    assert set(ensure(poller).existing) == {t.name for t in TOPICS}
    with Publisher(poller, connect=open_ready_producer) as publisher:
        assert publisher.publish([message(name) for name in INGESTED]).count == len(INGESTED)
    ends = read_ends(secured.as_user("sensor"), [topic.POLLS.name])
    assert ends.topics[topic.POLLS.name].partitions[0].end > 0
    lake = secured.as_user("lake")
    assert set(read_ends(lake, INGESTED).topics) == set(INGESTED)
    with Publisher(lake) as publisher:
        publisher.publish([message(topic.SUMMARY.name)])
    assert newest_record(lake, topic.SUMMARY.name)["kind"] == "trial"
    assert newest_record(secured.as_user("dashboard"), topic.SUMMARY.name)["kind"] == "trial"


@contextmanager
def spark_server(settings: Settings) -> Iterator[tuple[int, Path]]:
    """The Spark server as a pod starts it: the process id of Java and the log."""
    log = settings.state_dir / "pod-spark.log"
    token = {"SPARK_CONNECT_TOKEN": spark_token(settings).reveal(), "SPARK_HEAP": "1g"}
    environment = {**process_environment(), **settings.environment(), **token}
    argv = (sys.executable, "-m", "crypto_pipeline.cluster.spark_server")
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        await_ready(lambda: laptop_spark.is_ready(settings), process, log, seconds=240)
        (java,) = (one for one in processes.running().values() if one.parent == process.pid)
        yield java.pid, log
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.spark
def test_spark_reads_the_topics_as_the_lake_and_nobody_sees_the_password(
    secured: SecuredBroker,
) -> None:
    token = Secret("canary-token")
    settings = replace(secured.clients, spark_token_setting=token)
    with (
        short_lived(),
        spark_server(settings) as (pid, log),
        open_pipeline(settings) as pipeline,
    ):
        run = pipeline.run(RAW)
        ends = read_ends(settings.as_kafka_user("lake"), INGESTED)
        spans = [s for t in ends.topics.values() for s in t.partitions.values()]
        assert pipeline.lake.lease_epoch == 1
        assert run.rows_in == sum(span.end - span.beginning for span in spans) > 0
        command = Path(f"/proc/{pid}/cmdline").read_text()
        assert "java.security.auth.login.config" in command
        assert "canary" not in command
        assert "canary" not in log.read_text()
        assert "canary" not in str(dict(pipeline.lake.spark.conf.getAll))
    commits = (Path(settings.lake_root) / "raw/records/_delta_log").glob("*.json")
    assert "canary" not in "".join(commit.read_text() for commit in commits)


def said(settings: Settings, role: KafkaRole) -> str:
    """What doctor says of a role, or of what stops all of them."""
    lines = [finding.line() for finding in doctor_of_kafka(settings)]
    return next((line for line in lines if f"Kafka as {role}:" in line), lines[0])


@pytest.mark.parametrize("role", ROLES)
def test_doctor_finds_each_user_well(secured: SecuredBroker, role: KafkaRole) -> None:
    assert said(secured.clients, role).startswith("ok")


def test_doctor_names_a_wrong_password_and_a_user_with_too_little(secured: SecuredBroker) -> None:
    clients = secured.clients
    wrong = KafkaLogin(username="poller", given=Secret("canary-wrong-password"))
    logins = {"poller": wrong, "lake": clients.kafka.logins["sensor"]}
    settings = replace(clients, kafka=replace(clients.kafka, logins=logins))
    refused, little = said(settings, "poller"), said(settings, "lake")
    assert "Correct KAFKA_POLLER_USERNAME and KAFKA_POLLER_PASSWORD_FILE" in refused
    assert "canary" not in refused + little
    assert "kafka-users.yaml" in little
    assert "READ on market.polls" in little


def test_a_right_too_little_stops_the_job(secured: SecuredBroker) -> None:
    with pytest.raises(PipelineError), Publisher(secured.as_user("sensor")) as publisher:
        publisher.publish([message(topic.TICKS.name)], deadline_seconds=5.0)


def test_a_wrong_authority_is_refused(secured: SecuredBroker, tmp_path: Path) -> None:
    other, _ = authority("another authority")
    file = write_certificate(tmp_path / "other.crt", other)
    clients = secured.as_user("poller")
    wrong = replace(clients, kafka=replace(clients.kafka, ca_file=file))
    with pytest.raises(PipelineError):
        ensure(wrong)


def test_a_wrong_host_name_is_refused(secured: SecuredBroker) -> None:
    clients = secured.as_user("poller")
    port = clients.kafka_address.rpartition(":")[2]
    with pytest.raises(PipelineError):
        ensure(replace(clients, kafka_bootstrap=f"127.0.0.1:{port}"))


def test_a_wrong_password_is_refused_and_not_repeated(
    secured: SecuredBroker, caplog: pytest.LogCaptureFixture
) -> None:
    clients = secured.as_user("poller")
    login = KafkaLogin(username="poller", given=Secret("canary-wrong-password"))
    wrong = replace(clients, kafka=replace(clients.kafka, logins={"poller": login}))
    with pytest.raises(PipelineError) as caught:
        ensure(wrong)
    told = "".join(traceback.format_exception(caught.value))
    assert "canary" not in told + caplog.text
    assert "canary" not in repr(wrong)
