"""Values that cannot work are refused before anything is installed, in a sentence."""

from __future__ import annotations

import pytest

from crypto_pipeline_tests.helm.rendering import CHART, KUBERNETES, helm, template

pytestmark = [pytest.mark.helm, pytest.mark.usefixtures("chart_tools")]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ("daemno.replicas=1", "daemno"),
        ("market.symbol=BTC-USDT", "symbol"),
        ("kafka.strimzi.broker=3", "broker"),
        ("market.kind=paper", "kind"),
        ("market.venues={kraken,ftx}", "venues"),
        ("kafka.strimzi.external.type=ingress", "type"),
        ("kafka.strimzi.version=3.9.0", "version"),
        ("dashboard.replicas=0", "replicas"),
        ("codeLocation.resources.limits.memory=lots", "memory"),
        ("lake.root=hdfs://name/lake", "root"),
        ("images.spark.digest=latest", "digest"),
        ("postgres.sslmode=prefer", "sslmode"),
        ("lake.volume.accessMode=ReadWriteOncePod", "accessMode"),
        ("retention.topicDays=3", "topicDays"),
        ("retention.dagsterDays=0", "dagsterDays"),
        ("alerting.email.to={me}", "email"),
        ("databricks.layers={raw}", "layers"),
    ],
)
def test_the_schema_names_what_is_misspelt_or_out_of_range(wrong: str, where: str) -> None:
    done = template("laptop", wrong)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    assert where in done.stderr


@pytest.mark.parametrize(
    ("profile", "sets", "sentence"),
    [
        ("laptop", ["spark.existingSecret="], "spark.existingSecret is empty. Make a Secret"),
        ("laptop", ["spark.tls.existingSecret="], "spark.tls.existingSecret is empty. Make a TLS"),
        ("laptop", ["postgres.existingSecret="], "postgres.existingSecret is empty."),
        ("laptop", ["postgres.host=db"], "postgres.bundled is true and postgres.host is set."),
        ("aws", ["postgres.host="], "postgres.host is empty."),
        ("aws", ["postgres.sslmode=disable"], "postgres.sslmode is disable"),
        ("aws", ["postgres.caSecret="], "postgres.caSecret is empty"),
        ("aws", ["postgres.cidrs=null"], "postgres.cidrs is empty"),
        ("aws", ["oidc.enabled=false"], "ingress.enabled is true without oidc.enabled"),
        ("aws", ["oidc.emailDomains=null"], "oidc.enabled is true: set"),
        ("aws", ["ingress.tlsSecret="], "ingress.enabled is true: set"),
        ("aws", ["ingress.controllerNamespace="], "ingress.controllerNamespace is empty"),
        ("aws", ["lake.region="], "lake.region is empty"),
        ("aws", ["networkPolicy.apiServerCidrs=null"], "networkPolicy.apiServerCidrs is empty"),
        ("aws", ["lake.endpoint=http://minio.storage.svc:9000"], "but lake.cidrs is empty"),
        ("aws", ["alerting.email.to={a@example.org}"], "alerting.smtp.host is empty"),
        ("aws", ["alerting.smtp.user=me"], "alerting.smtp.existingSecret is empty"),
        ("aws", ["lake.root=/lake"], "spark.master is kubernetes and the lake is a folder"),
        (
            "aws",
            ["kafka.strimzi.external.type=tlsroute"],
            "kafka.strimzi.external.type is tlsroute",
        ),
        ("databricks", ["databricks.existingSecret="], "databricks.enabled is true: set"),
        ("databricks", ["databricks.volume="], "and databricks.volume"),
        ("databricks", ["lake.root=/lake"], "which Databricks cannot read"),
        (
            "external-kafka",
            ["kafka.external.users.sensor="],
            "kafka.external.users.sensor is empty",
        ),
        ("external-kafka", ["kafka.external.bootstrapServers="], "bootstrapServers is empty"),
        ("external-kafka", ["kafka.external.cidrs=null"], "kafka.external.cidrs is empty"),
        ("external-kafka", ["kafka.strimzi.external.enabled=true"], "no Strimzi listener to open"),
    ],
)
def test_a_contradiction_is_a_sentence(profile: str, sets: list[str], sentence: str) -> None:
    done = template(profile, *sets)
    assert done.returncode != 0
    assert sentence in done.stderr


def test_without_the_operator_the_install_says_what_to_install() -> None:
    values = str(CHART / "profiles" / "laptop.yaml")
    done = helm("template", "crypto-pipeline", str(CHART), "-f", values, *KUBERNETES)
    assert done.returncode != 0
    assert "Install the Strimzi operator 1.0 or newer first" in done.stderr
