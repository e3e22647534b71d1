"""The stack of deploy/aws in a moto server, and its policies as the server gives them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3

from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.store.policy import Grant, grants

TEMPLATE = ROOT / "deploy" / "aws" / "lake.yaml"
BUCKET = "market-data-of-a-test"
PREFIX = "lake"
OIDC = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE"
PARAMETERS = {
    "BucketName": BUCKET,
    "OidcProviderArn": OIDC,
    "MachineRole": "yes",
    "ReaderPrincipalArn": "arn:aws:iam::123456789012:role/analysts",
    "DatabricksPrincipalArn": "arn:aws:iam::414351767826:role/unity-catalog-prod-UCMasterRole",
    "DatabricksExternalId": "external-4711",
}


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Physical names by the template's own, and what the stack says of itself."""

    url: str
    names: Mapping[str, str]
    outputs: Mapping[str, str]

    def client(self, service: str) -> Any:
        return client(self.url, service)

    def document(self, policy: str) -> dict[str, Any]:
        """A policy by its name in the template, as it stands in the account."""
        iam, arn = self.client("iam"), self.names[policy]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)
        return found["PolicyVersion"]["Document"]  # type: ignore[no-any-return]

    def grants(self, policy: str) -> tuple[Grant, ...]:
        return tuple(grants(policy, self.document(policy)))

    def attached(self, role: str) -> set[str]:
        """The policies of a role, by their names in the template."""
        found = self.client("iam").list_attached_role_policies(RoleName=self.names[role])
        arns = {policy["PolicyArn"] for policy in found["AttachedPolicies"]}
        return {name for name, physical in self.names.items() if physical in arns}


def deploy(url: str, **parameters: str) -> Stack:
    cloud = client(url, "cloudformation")
    values = {**PARAMETERS, **parameters}
    name = f"lake-{values['BucketName']}"
    cloud.create_stack(
        StackName=name,
        TemplateBody=TEMPLATE.read_text(),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    (made,) = cloud.describe_stacks(StackName=name)["Stacks"]
    assert made["StackStatus"] == "CREATE_COMPLETE", made
    resources = cloud.describe_stack_resources(StackName=name)["StackResources"]
    return Stack(
        url=url,
        # moto gives a bucket's policy no name.
        names={r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources if len(r) > 4},
        outputs={o["OutputKey"]: o["OutputValue"] for o in made["Outputs"]},
    )


def client(url: str, service: str) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIAADMIN",
        aws_secret_access_key="secret-of-the-admin",
    )
