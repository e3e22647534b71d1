"""`python -m crypto_pipeline_tests.chaos`: harm the whole stack on a schedule, and count.

    --seed N        the schedule's; else the one of the sitting before, else a fresh one
    --faults N      how many in all (500)
    --begin INDEX   the first fault of this sitting; else what is not done yet
    --minutes M     begin no further chunk after so long
    --chunk N       faults a stack (25): each chunk has a fresh one, and its books at its end
    --hostile       a venue of 10,000 symbols at ten times real speed, whose records, topics and
                    ports are fed what is too large, too much or no message at all
    --bucket        the lake in an object store, with a wire before it that is harmed too

Every chunk's result is kept, so a sitting may be cut at any time; docs/reliability has the table.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from crypto_pipeline_tests.chaos import crowded, scoreboard
from crypto_pipeline_tests.chaos.campaign import Campaign, close, open_campaign, told
from crypto_pipeline_tests.chaos.checker import check
from crypto_pipeline_tests.chaos.kinds import KINDS, STORE_KINDS, Kind
from crypto_pipeline_tests.chaos.schedule import faults_at
from crypto_pipeline_tests.chaos.tally import Tally, file_of, last_seed
from crypto_pipeline_tests.cut_short import end_in_order
from crypto_pipeline_tests.proof import code_version, fresh_seed

FAULTS = 500
CHUNK = 25
HOSTILE = {"SYMBOLS": "all", "SIMULATOR_SPEED": "10"}
HOSTILE_GROUPS = ("poison", "hostile", "records")
PAIRS = "10000"
BOARDS = (scoreboard.NAME, "hostile", "bucket")


def kinds_of(board: str) -> Sequence[Kind]:
    if board == "hostile":
        return [kind for kind in KINDS if kind.group in HOSTILE_GROUPS]
    return (*KINDS, *STORE_KINDS) if board == "bucket" else KINDS


def opened(held: ExitStack, board: str) -> Campaign:
    """A fresh stack for the faults of a board, not started yet."""
    if board == "hostile":
        campaign = open_campaign(held, **HOSTILE)
        campaign.stack.variables[crowded.VARIABLE] = PAIRS
        return campaign
    return open_campaign(held, is_in_bucket=board == "bucket")


def run_chunk(tally: Tally, indexes: Sequence[int], *, board: str) -> bool:
    """A fresh stack, these faults one after the other, the books; whether all held."""
    kinds = kinds_of(board)
    with ExitStack() as held:
        campaign = opened(held, board)
        campaign.warm_up()
        for index in indexes:
            healed = campaign.go_through(index, faults_at(tally.seed, index, kinds))
            if not healed.has_recovered:
                break
        verdict = check(campaign.stack, campaign.recorder, campaign.beat)
        verdict.shown = close(campaign)
        tally.add(indexes[0], told(campaign), verdict, code=code_version())
    print(f"      books after {len(indexes)}: {verdict}", flush=True)  # noqa: T201
    return verdict.holds and all(one.is_in_time for one in campaign.healed)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--faults", type=int, default=FAULTS)
    parser.add_argument("--begin", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=24 * 60)
    parser.add_argument("--chunk", type=int, default=CHUNK)
    which = parser.add_mutually_exclusive_group()
    for name in BOARDS[1:]:
        which.add_argument(
            f"--{name}", dest="board", action="store_const", const=name, default=scoreboard.NAME
        )
    given = parser.parse_args(arguments)
    end_in_order()
    file = file_of(given.board)
    seed = next(one for one in (given.seed, last_seed(file), fresh_seed()) if one is not None)
    tally = Tally.open(seed, file)
    print(f"seed {seed}, {len(tally.done())} of {given.faults} faults done", flush=True)  # noqa: T201
    until = time.monotonic() + given.minutes * 60
    holds = True
    left = [n for n in range(given.begin, given.faults) if n not in tally.done()]
    for at in range(0, len(left), given.chunk):
        if time.monotonic() > until:
            break
        chunk = left[at : at + given.chunk]
        holds = run_chunk(tally, chunk, board=given.board) and holds
        tally.save(file)
        scoreboard.write(tally, of=given.faults, name=given.board)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
