"""The stack: it deploys, gives each role its policies, and agrees with the code and the chart."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from crypto_pipeline.keeping_settings import LAYER_DAYS
from crypto_pipeline.lake.lease import FOLDER
from crypto_pipeline.lake.table import days_of
from crypto_pipeline.maintenance.work import LOG_SLACK_DAYS
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline.rebuild.run import SIDE
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.helm.rendering import checkov
from crypto_pipeline_tests.store.policy import Grant, decide, grants
from crypto_pipeline_tests.store.stack import BUCKET, OIDC, PREFIX, TEMPLATE, Stack

POLICIES = {"WriteLakePolicy", "HoldLeasePolicy", "ReadLakePolicy", "RunOutputPolicy"}
EVERY = (*sorted(POLICIES), "DatabricksPolicy")
RENDERED = ROOT / "helm" / "crypto-pipeline" / "rendered" / "aws.yaml"


class Tagged(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, of which the text is kept."""


Tagged.add_multi_constructor("!", lambda loader, tag, node: {tag: _plain(loader, node)})


def _plain(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


def resources() -> Mapping[str, Any]:
    return yaml.load(TEMPLATE.read_text(), Tagged)["Resources"]  # type: ignore[no-any-return]


def lifecycle() -> Mapping[str, Any]:
    """The rules by their names; one of a condition counts as there."""
    rules = resources()["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    plain = [rule["If"][1] if "If" in rule else rule for rule in rules]
    assert {rule["Status"] for rule in plain} == {"Enabled"}
    return {rule["Id"]: rule for rule in plain}


def test_what_delta_removes_can_be_brought_back_as_far_as_its_log_reaches() -> None:
    """A file is dead for two days before it is removed; the log forgets a day or two late."""
    parameters = yaml.load(TEMPLATE.read_text(), Tagged)["Parameters"]
    kept = parameters["KeepDeletedDays"]
    assert lifecycle()["deleted"]["NoncurrentVersionExpiration"] == {
        "NoncurrentDays": {"Ref": "KeepDeletedDays"}
    }
    reach = days_of("logRetentionDuration") + LOG_SLACK_DAYS
    assert days_of("deletedFileRetentionDuration") + kept["Default"] >= reach
    assert kept["MinValue"] == kept["Default"]


def test_no_rule_expires_what_a_table_needs() -> None:
    """Only output and side places expire by age, and raw's data files where that is asked for."""
    rules = lifecycle()
    expiring = {r["Prefix"]["Sub"] for r in rules.values() if "ExpirationInDays" in r}
    raw = f"${{LakePrefix}}/{RECORDS.key}/{RECORDS.partition_by[0]}="
    assert expiring == {"${LakePrefix}/_dagster/", f"${{LakePrefix}}/{SIDE}/", raw}
    assert not f"${{LakePrefix}}/{RECORDS.key}/_delta_log/".startswith(raw)
    assert rules["leases"]["Prefix"]["Sub"] == f"${{LakePrefix}}/{FOLDER}/"
    assert "ExpirationInDays" not in rules["leases"]
    assert "Condition" not in resources()["Bucket"]


def test_the_bucket_is_closed() -> None:
    bucket = resources()["Bucket"]
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize(
    ("context", "denied"),
    [
        ({"aws:SecureTransport": "false"}, True),
        ({"aws:SecureTransport": "true", "s3:TlsVersion": "1.1"}, True),
        ({"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}, False),
    ],
)
def test_only_tls_of_today_is_let_in(context: dict[str, str], denied: bool) -> None:
    """moto knows no bucket policies, so this one is read in the template."""
    document = resources()["BucketPolicy"]["Properties"]["PolicyDocument"]
    arn = f"arn:aws:s3:::{BUCKET}"
    for statement in document["Statement"]:
        statement["Resource"] = [arn, f"{arn}/*"]
    anything = Grant(policy="", sid="", effect="Allow", action="s3:*", resource="*")
    given = (*grants("BucketPolicy", document), anything)
    for resource in (arn, f"{arn}/lake/gold/x"):
        assert (decide(given, "s3:GetObject", resource, context) is None) == denied


def test_cfn_lint_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "cfn-lint", TEMPLATE],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# Check, and why it stays.
WAIVED = {
    "CKV_AWS_18": "logs of access need a second bucket; CloudTrail's data events do the same",
}


@pytest.mark.helm
@pytest.mark.usefixtures("chart_tools")
def test_checkov_finds_nothing_that_is_not_waived() -> None:
    report = checkov("-f", TEMPLATE, framework="cloudformation", seconds=120)
    assert report["summary"]["passed"] > 50
    assert {one["check_id"] for one in report["results"]["failed_checks"]} == set(WAIVED)


@pytest.mark.integration
class TestDeployed:
    """In a moto server, all of its parts asked for."""

    def test_each_role_has_its_policies_and_no_other(self, stack: Stack) -> None:
        assert {role: stack.attached(role) for role in stack.names if "Role" in role} == {
            "SparkRole": {"WriteLakePolicy", "HoldLeasePolicy"},
            "CodeLocationRole": {"ReadLakePolicy"},
            "MachineRoleOfAll": POLICIES,
            "ReaderRole": {"ReadLakePolicy"},
            "DatabricksRole": {"DatabricksPolicy"},
        }
        assert stack.outputs["LakeRoot"] == f"s3a://{BUCKET}/{PREFIX}"

    def test_every_action_and_place_is_spelled_out(self, stack: Stack) -> None:
        for policy in EVERY:
            for grant in stack.grants(policy):
                assert "*" not in grant.action
                below = f"arn:aws:s3:::{BUCKET}/{PREFIX}/"
                if grant.action == "s3:ListBucket":
                    ((_, key, values),) = grant.condition
                    assert key == "s3:prefix"
                    assert all(value.startswith(f"{PREFIX}/") for value in values)
                else:
                    assert grant.resource.startswith(below)
                    assert grant.resource != f"{below}*"

    def test_nobody_can_delete_a_data_file_of_raw(self, stack: Stack) -> None:
        raw = f"arn:aws:s3:::{BUCKET}/{PREFIX}/raw/records"
        everything = [grant for policy in EVERY for grant in stack.grants(policy)]
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
            assert decide(everything, action, f"{raw}/date=2026-11-25/part-0.parquet", {}) is None
        assert decide(everything, "s3:DeleteObject", f"{raw}/_delta_log/0.json", {}) is not None

    def test_a_pod_takes_its_role_by_the_charts_own_account(self, stack: Stack) -> None:
        issuer = OIDC.partition("oidc-provider/")[2]
        for role, account in charted().items():
            (statement,) = trust(stack, role)
            assert statement["Principal"] == {"Federated": OIDC}
            assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
            assert statement["Condition"] == {
                "StringEquals": {
                    f"{issuer}:aud": "sts.amazonaws.com",
                    f"{issuer}:sub": f"system:serviceaccount:{account}",
                }
            }

    def test_databricks_needs_its_external_id(self, stack: Stack) -> None:
        for statement in trust(stack, "DatabricksRole"):
            expected = statement["Condition"]["StringEquals"]["sts:ExternalId"]
            assert expected == "external-4711"

    def test_the_layers_are_those_of_the_lake(self, stack: Stack) -> None:
        written = {
            grant.resource.removeprefix(f"arn:aws:s3:::{BUCKET}/{PREFIX}/").split("/")[0]
            for grant in stack.grants("WriteLakePolicy")
            if grant.action == "s3:PutObject"
        }
        assert written == {*LAYER_DAYS, SIDE}


def trust(stack: Stack, role: str) -> list[dict[str, Any]]:
    found = stack.client("iam").get_role(RoleName=stack.names[role])
    document = found["Role"]["AssumeRolePolicyDocument"]
    return list(document["Statement"])


def charted() -> dict[str, str]:
    """`namespace:name` of the service accounts that the chart annotates with a role."""
    accounts = {}
    for manifest in _manifests():
        metadata = manifest["metadata"]
        if manifest["kind"] == "ServiceAccount" and metadata.get("annotations"):
            name = metadata["name"]
            role = {"spark": "SparkRole", "code-location": "CodeLocationRole"}
            short = name.removeprefix("crypto-pipeline-")
            accounts[role[short]] = f"{metadata['namespace']}:{name}"
    assert len(accounts) == 2
    return accounts


def _manifests() -> Iterator[dict[str, Any]]:
    yield from (m for m in yaml.safe_load_all(RENDERED.read_text()) if m)
