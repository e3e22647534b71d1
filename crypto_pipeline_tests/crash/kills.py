"""`python -m crypto_pipeline_tests.crash.kills`: kill everything everywhere, then count.

    --random N           after every seam with every victim, N kills at random moments
    --bucket             the lake in an object store that drops answers, says 503 and is late
    --sitting MINUTES    stop after so long; the next call goes on where this one was

It prints a line a chunk and at the end kills, lost and doubled, and writes them to docs/proofs
with what is left to do. A chunk's kills count only when the lake's balance after them holds.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from crypto_pipeline_tests import proof
from crypto_pipeline_tests.crash.killed_stack import KilledStack
from crypto_pipeline_tests.crash.own_stack import a_stack
from crypto_pipeline_tests.crash.seams import Kill, at_random, every_seam
from crypto_pipeline_tests.crash.tally import Tally, left
from crypto_pipeline_tests.cut_short import end_in_order

# Kills between two balances: each of them lets the audit compute all values anew.
CHUNK = 15
RANDOM = 60
# A seam whose table has no row in a cycle is come to in the next.
TRIES = 3
NAMES = {False: "kills", True: "kills-in-a-bucket"}


def carry_out(stack: KilledStack, kill: Kill) -> None:
    """Kill once; new minutes come when the run had none for the seam."""
    outcomes = []
    for number in range(TRIES):
        if kill.seam is None or not stack.has_new:
            stack.send_minute()
        sooner = Kill(victim=kill.victim, seam=kill.seam, after=kill.after / (number + 1))
        outcomes.append(stack.run(sooner))
        if outcomes[-1] == "killed":
            return
    raise AssertionError(f"{kill.name} was not come to in {TRIES} cycles: {', '.join(outcomes)}")


def kill_all(
    stack: KilledStack,
    kills: Sequence[Kill],
    tally: Tally,
    *,
    until: float,
    keep: Callable[[], None] = lambda: None,
) -> None:
    """Chunk by chunk, balance and compaction after each, until all are done or the sitting is over.

    After each chunk what was done is saved and kept, so that a sitting may be cut at any time.
    """
    while (waiting := left(kills, tally)) and time.monotonic() < until:
        begun, done = time.monotonic(), list[str]()
        for kill in waiting[:CHUNK]:
            if done and time.monotonic() > until:
                break
            carry_out(stack, kill)
            done.append(kill.name)
        found = stack.balance()
        # Nothing of a chunk that does not hold is kept, or the next sitting would go on behind it.
        assert found.holds, found
        tally.add(done, found, seconds=time.monotonic() - begun)
        if stack.store is not None:
            tally.harmed = {k: tally.harmed.get(k, 0) + n for k, n in stack.store.harmed().items()}
        tally.save()
        keep()
        print(  # noqa: T201 - a command's output
            f"{len(tally.kills)} kills, lost {found.lost}, doubled {found.doubled}", flush=True
        )
        stack.tidy()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=RANDOM)
    parser.add_argument("--bucket", action="store_true")
    parser.add_argument("--sitting", type=float, default=24 * 60)
    given = parser.parse_args(arguments)
    end_in_order()
    claim = proof.begin(NAMES[given.bucket], reduced=given.random, full=given.random)
    tally = Tally.open(claim.tally, claim)
    kills = [*every_seam(), *at_random(given.random, random.Random(tally.seed))]
    until = time.monotonic() + given.sitting * 60
    claim = replace(claim, seed=tally.seed)

    def keep() -> None:
        claim.keep(tally.figures(left=len(left(kills, tally))))

    with a_stack(is_in_bucket=given.bucket, dice=random.Random(tally.seed)) as stack:
        kill_all(stack, kills, tally, until=until, keep=keep)
    rest = len(left(kills, tally))
    print(  # noqa: T201 - a command's output
        f"seed {tally.seed}: {len(tally.kills)} kills {tally.counts()} in {tally.seconds:.0f} s, "
        f"lost {tally.lost}, doubled {tally.doubled}, {rest} left"
    )
    return 1 if tally.lost or tally.doubled else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
