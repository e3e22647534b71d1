"""What all chunks together say, as docs/reliability/scoreboard.json, .md and .svg."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crypto_pipeline_tests.benchmarks.figure import machine
from crypto_pipeline_tests.chaos.campaign import Healed
from crypto_pipeline_tests.chaos.kinds import BY_NAME
from crypto_pipeline_tests.chaos.tally import FOLDER, Tally

NAME = "scoreboard"


def board(tally: Tally, *, of: int, name: str = NAME) -> dict[str, Any]:
    """The figures; only what was run is in them."""
    options = [] if name == NAME else [f"--{name}"]
    options += [f"--seed {tally.seed}", f"--faults {of}"]
    chunks = list(tally.chunks.values())
    healed = [one for chunk in chunks for one in chunk["healed"]]
    verdicts = [chunk["verdict"] for chunk in chunks]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "codes": _sum({chunk["code"]: len(chunk["healed"])} for chunk in chunks),
        "machine": machine(),
        "seed": tally.seed,
        "command": " ".join(["python -m crypto_pipeline_tests.chaos", *options]),
        "faults": len(healed),
        "of": of,
        "pairs": sum(len(one["names"]) == 2 for one in healed),
        "hit_nothing": dict(
            Counter(name for one in healed for name in one["names"] if missed(one, name))
        ),
        "not_looked_at": sum(not one.get("hit") for one in healed),
        "chunks": len(chunks),
        "minutes_lived": round(sum(chunk["seconds"] for chunk in chunks) / 60),
        "facts": _sum(verdict["facts"] for verdict in verdicts),
        "lost": _sum(verdict["lost"] for verdict in verdicts),
        "doubled": _sum(verdict["doubled"] for verdict in verdicts),
        "audits_clean": sum(not verdict["audit"] for verdict in verdicts),
        "stuck_runs": sum(len(verdict["stuck"]) for verdict in verdicts),
        "shown_to_others": [each for verdict in verdicts for each in verdict["shown"]],
        "failures": _sum(verdict["failures"] for verdict in verdicts),
        "rejected": _sum(verdict["rejected"] for verdict in verdicts),
        "set_aside": _sum(verdict["set_aside"] for verdict in verdicts),
        "gaps": _sum(verdict["gaps"] for verdict in verdicts),
        "longest_without_fresh_forecast": max(
            (chunk["longest_stale"] for chunk in chunks), default=0
        ),
        "not_in_time": [one for one in healed if not Healed(**one).is_in_time],
        "started_again_by_hand": dict(
            Counter(" + ".join(one["names"]) for one in healed if one["ended"])
        ),
        "memory": _spread(chunk["memory_slope"] for chunk in chunks),
        "memory_mebibytes": max((chunk["memory_mebibytes"] for chunk in chunks), default=0),
        "disk": _spread(chunk["disk_slope"] for chunk in chunks),
        "full_disk_by": sorted({chunk["disk"] for chunk in chunks}),
        "recovery": _recovery(healed),
    }


def write(tally: Tally, *, of: int, name: str = NAME, folder: Path = FOLDER) -> None:
    found = board(tally, of=of, name=name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / f"{name}.md").write_text(page(found))
    if name == NAME:
        draw(found, folder / "recovery.svg")


def page(found: dict[str, Any]) -> str:
    """The same for people."""
    facts, gaps = found["facts"], found["gaps"]
    rows = {
        "faults injected": f"{found['faults']} of {found['of']}, {found['pairs']} of them pairs",
        "of them hit nothing": (
            f"{_listed(found['hit_nothing'])}; of {found['not_looked_at']} nobody looked"
        ),
        "minutes lived": f"{found['minutes_lived']} in {found['chunks']} stacks",
        "minutes polled": facts.get("minutes", 0),
        "answers of the market / of these not received in full": (
            f"{facts.get('answers', 0)} / {facts.get('answers not received', 0)}"
        ),
        "rows of Binance's ticker received / of these in bronze": _compared(
            facts, "rows received", "rows received and kept"
        ),
        "records acknowledged and witnessed": facts.get("acknowledged", 0),
        "**lost**": _counted(found["lost"]),
        "**doubled**": _counted(found["doubled"]),
        "audits without a difference": f"{found['audits_clean']} of {found['chunks']}",
        "stuck runs": found["stuck_runs"],
        "secrets, open files and listeners shown to others": len(found["shown_to_others"]),
        "steps of runs that failed, by error": _listed(found["failures"]),
        "rejected by reason": _listed(found["rejected"]),
        "set aside by reason": _listed(found["set_aside"]),
        "minutes missing: by state, by cause": _listed(gaps),
        "longest time without a fresh forecast": f"{found['longest_without_fresh_forecast']:.0f} s",
        "not recovered within the bound": len(found["not_in_time"]),
        "`up` gave up and was started again": _listed(found["started_again_by_hand"]),
        "memory of the stack": (
            f"{found['memory_mebibytes']:,} MiB at most at a chunk's end; slope a chunk, "
            f"MiB an hour: {found['memory']}"
        ),
        "disk": f"slope a chunk, MiB an hour: {found['disk']}",
        "a full disk was made by": ", ".join(found["full_disk_by"]),
    }
    lines = [
        "# Scoreboard",
        "",
        f"Seed {found['seed']}, {found['date']}, {found['machine']}.",
        f"Faults by version of the code: {_listed(found['codes'])}.",
        "Written by the command, which any part of it reproduces:",
        "",
        "```sh",
        f".venv/bin/{found['command']}",
        "```",
        "",
        "| what | figure |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in rows.items()),
        "",
        "Recovery: seconds from the fault's end until all services were up, nothing waited in the",
        "spool, and a forecast of a minute after it was committed. Pairs count for both. What hit",
        "nothing has nothing to recover from and is left out.",
        "",
        "| kind | times | median s | longest s | bound s |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {one['times']} | {one['median']} | {one['longest']} | {one['bound']:.0f} |"
            for name, one in found["recovery"].items()
        ),
    ]
    return "\n".join(lines) + "\n"


def draw(found: dict[str, Any], file: Path) -> None:
    """Median and longest recovery a kind, as bars."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    recovery = dict(reversed(found["recovery"].items()))
    mpl.rcParams["svg.hashsalt"] = "recovery"
    plot = Figure(figsize=(7, 0.16 * max(8, len(recovery)) + 0.8), layout="constrained")
    axes = plot.add_subplot()
    names = list(recovery)
    axes.barh(names, [one["longest"] for one in recovery.values()], color="C0", alpha=0.35)
    axes.barh(names, [one["median"] for one in recovery.values()], color="C0")
    axes.tick_params(axis="y", labelsize=6)
    axes.set_xlabel("seconds to recover: median, and longest in pale")
    plot.savefig(file, metadata={"Date": None})


def missed(healed: dict[str, Any], name: str) -> bool:
    """Whether a fault is known to have hit nothing; of older ones nobody knows."""
    return healed.get("hit", {}).get(name) is False


def _recovery(healed: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    seconds: dict[str, list[float]] = {}
    for one in healed:
        for name in (name for name in one["names"] if not missed(one, name)):
            seconds.setdefault(name, []).append(one["recovery_seconds"])
    return {
        name: {
            "times": len(seconds[name]),
            "median": round(statistics.median(seconds[name]), 1),
            "longest": max(seconds[name]),
            "bound": BY_NAME[name].bound,
        }
        for name in BY_NAME
        if name in seconds
    }


def _sum(parts: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items()))


def _spread(values: Any) -> str:
    found = sorted(values)
    if not found:
        return "none"
    return f"median {statistics.median(found):.0f}, from {found[0]:.0f} to {found[-1]:.0f}"


def _compared(facts: dict[str, int], *names: str) -> str:
    """Counts of one and the same; chunks of before they were taken have none."""
    return " / ".join(str(facts.get(name, "not counted")) for name in names)


def _counted(parts: dict[str, int]) -> str:
    total = sum(parts.values())
    where = ", ".join(f"{name} {count}" for name, count in parts.items() if count)
    return f"**{total}**" + (f" ({where})" if where else "")


def _listed(parts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in parts.items()) or "none"
