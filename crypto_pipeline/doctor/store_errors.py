"""What a store's word means and what to do about it, without a key or a signature in it."""

from __future__ import annotations

from typing import Any

DENIED = ("AccessDenied", "403")
POLICY = "Attach the policy of this workload from deploy/aws/lake.yaml (docs/aws.md)"
# The store's own word: what is wrong, and the remedy.
MEANINGS = {
    "InvalidAccessKeyId": (
        "the store does not know AWS_ACCESS_KEY_ID",
        "Set a key that is active, or no keys at all to take the role of this machine.",
    ),
    "SignatureDoesNotMatch": (
        "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID",
        "Copy both again, from the same key.",
    ),
    "ExpiredToken": (
        "AWS_SESSION_TOKEN has expired",
        "Fetch a new set of the three (`aws sts` or your portal), or use a role.",
    ),
    "InvalidToken": (
        "AWS_SESSION_TOKEN does not belong to the keys",
        "Set the three of one set, or no AWS_SESSION_TOKEN with keys that have none.",
    ),
    "RequestTimeTooSkewed": (
        "this machine's clock is off by more than 15 minutes",
        "Set it (NTP); signatures hold for a quarter of an hour.",
    ),
    "NoSuchBucket": (
        "there is no such bucket",
        "Correct LAKE_ROOT, or make the bucket with deploy/aws/lake.yaml (docs/aws.md).",
    ),
    "AuthorizationHeaderMalformed": (
        "the bucket is in another region than AWS_REGION",
        "Set AWS_REGION to that of the bucket.",
    ),
    "PermanentRedirect": (
        "the bucket is in another region than AWS_REGION",
        "Set AWS_REGION to that of the bucket.",
    ),
    "NotImplemented": (
        "the store does not know `If-None-Match: *`",
        "Use one that honours conditional writes (AWS S3 does), or a folder.",
    ),
}
ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
}
UNREACHED = {
    "NoCredentialsError": (
        "no keys are set and this machine has no role",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine, pod or task a role.",
    ),
    "SSLError": (
        "its certificate is not trusted",
        "Behind a proxy that inspects TLS set AWS_CA_BUNDLE to its authority's file.",
    ),
    "EndpointConnectionError": (
        "nothing answers there",
        "Check AWS_ENDPOINT_URL (leave it out for AWS itself), the network and HTTPS_PROXY.",
    ),
}


def explained(error: Any, *, where: str) -> tuple[str, str]:
    """What botocore raised, as a sentence and its remedy."""
    response = getattr(error, "response", None)
    if response is None:
        kind = type(error).__name__
        meaning, remedy = UNREACHED.get(kind, UNREACHED["EndpointConnectionError"])
        if kind not in UNREACHED:
            meaning = f"it does not answer as a store does ({kind})"
        return f"At {where}: {meaning}.", remedy
    code = str(response["Error"]["Code"])
    if code in DENIED:
        action = ACTIONS.get(error.operation_name, error.operation_name)
        return f"At {where}: {action} is denied.", f"{POLICY}."
    meaning, remedy = MEANINGS.get(
        code, (f"it answered {code}", f"Look {code} up in the documentation of the store.")
    )
    return f"At {where}: {meaning}.", remedy
