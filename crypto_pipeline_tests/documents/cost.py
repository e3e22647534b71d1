"""The arithmetic of docs/cost.md: from its tables of inputs to its tables of results.

Run as a module it prints the results that the page must have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from crypto_pipeline_tests.conftest import ROOT

PAGE = ROOT / "docs" / "cost.md"
SIZES = ("20", "3,600")
LAYERS = ("raw", "bronze", "silver", "gold", "predictions")
ROW = re.compile(r"^\| `(?P<name>\w+)` \|(?P<cells>.+)\|$", re.MULTILINE)
MINUTES_A_DAY, HOURS_A_MONTH, MINUTES_A_MONTH = 1440, 730, 43_800
FIRST_MONTH_DAYS = 30
GB = 1e9


def number(cell: str) -> float:
    return float(cell.replace(",", "").strip())


def inputs(text: str, *, size: str) -> dict[str, float]:
    """Every input by its name: the one value, or that of the size where a row has one for each."""
    found = {}
    for row in ROW.finditer(text.partition("## A month")[0]):
        cells = [cell.strip() for cell in row["cells"].split("|")]
        both = len(cells) > 2 and re.fullmatch(r"[\d.,]+", cells[1])
        found[row["name"]] = number(cells[SIZES.index(size) if both else 0])
    return {**found, "symbols": number(size)}


def results(text: str, *, size: str) -> dict[str, float]:
    """The page's own results, by name."""
    rows = ROW.finditer(text.partition("## A month")[2])
    return {row["name"]: number(row["cells"].split("|")[SIZES.index(size)]) for row in rows}


def month(given: Mapping[str, float]) -> dict[str, float]:
    """What a month takes and costs; GB are 10^9 bytes, money is in US dollars."""
    kept = {
        layer: given["symbols"] * given[f"{layer}_row_bytes"] * MINUTES_A_DAY
        * given[f"{layer}_days"] / GB
        for layer in LAYERS
    }  # fmt: skip
    written = sum(given[f"{layer}_minute_bytes"] for layer in LAYERS)
    fresh = written * MINUTES_A_DAY * given["fresh_days"] / GB
    log = given["log_minute_bytes"] * MINUTES_A_DAY * given["log_days"] / GB
    lake = sum(kept.values()) + fresh + log
    young = fresh + log + sum(
        size * min(1.0, FIRST_MONTH_DAYS / given[f"{layer}_days"]) for layer, size in kept.items()
    )  # fmt: skip
    topics = given["topics_minute_bytes"] * MINUTES_A_DAY * given["topic_days"] / GB
    dagster = given["dagster_minute_bytes"] * MINUTES_A_DAY * given["dagster_days"] / GB
    return {
        **{f"{layer}_gb": size for layer, size in kept.items()},
        "fresh_gb": fresh,
        "log_gb": log,
        "lake_gb": lake,
        "lake_after_a_month_gb": young,
        "topics_gb": topics,
        "laptop_disk_gb": lake + topics + dagster,
        "laptop_power": given["watts"] / 1000 * HOURS_A_MONTH * given["kwh"],
        **clouds(given, lake),
    }


def clouds(given: Mapping[str, float], lake: float) -> dict[str, float]:
    """The lines of AWS, and what Databricks adds to a smaller cluster beside it."""
    asked = MINUTES_A_MONTH / 1000
    writes = (given["put_requests"] + given["list_requests"]) * asked * given["s3_write"]
    reads = (given["get_requests"] + given["head_requests"]) * asked * given["s3_read"]
    common = {
        "control_plane": given["eks"] * HOURS_A_MONTH,
        "database": given["rds"] * HOURS_A_MONTH,
        "nat": given["nat_hour"] * HOURS_A_MONTH,
        "volumes": given["volume_gb"] * given["gp3"],
        "bucket": lake * given["s3_gb"],
        "requests": writes + reads,
    }
    aws = {
        "nodes": given["aws_nodes"] * given["m5_xlarge"] * HOURS_A_MONTH,
        "balancers": given["aws_balancers"] * given["balancer"] * HOURS_A_MONTH,
    }
    beside = given["databricks_nodes"] * given["m5_large"] * HOURS_A_MONTH
    job = given["job_hours"] * (given["m5_xlarge"] + given["dbu_of_m5_xlarge"] * given["dbu"])
    aws_total = sum(common.values()) + sum(aws.values())
    databricks_total = sum(common.values()) + beside + job
    return {**common, **aws, "aws_total": aws_total, "databricks_nodes_cost": beside,
            "databricks_job": job, "databricks_total": databricks_total}  # fmt: skip


if __name__ == "__main__":
    page = PAGE.read_text()
    both = [month(inputs(page, size=size)) for size in SIZES]
    for name in both[0]:
        print(f"| `{name}` | " + " | ".join(f"{one[name]:,.2f}" for one in both) + " |")  # noqa: T201
