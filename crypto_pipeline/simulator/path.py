"""Random paths that can be entered at any day: a chain of daily anchors, bridged within days.

A chain is an AR(1) of the log price's deviation and one of the log volatility, drawn
from one generator a name, so that day n costs n small steps once and is the same in
whatever order days are asked for. Within a day a generator of that day draws the steps and
a correction in proportion to variance makes them meet the next anchor, so midnight is not
a jump.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crypto_pipeline.simulator.coins import random_generator

STEP_SECONDS = 3
STEPS_A_MINUTE = 60 // STEP_SECONDS
STEPS_A_DAY = 1440 * STEPS_A_MINUTE
ANCHOR_PULL = 0.98
VOLATILITY_PULL = 0.93
VOLATILITY_NOISE = 0.18
VOLATILITY_WITHIN_DAY = 0.35
JUMPS_A_DAY = 1.2
JUMP_SIZE = 0.35  # of a day's volatility

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chain:
    """Daily values: log deviation of the price, log volatility, and a spare normal draw."""

    anchor: Floats
    volatility: Floats
    spare: Floats


def chain_for(seed: int, name: str, *, days: int, daily_volatility: float) -> Chain:
    """The first `days` days of a chain; a longer chain begins with the same numbers."""
    draws = random_generator("chain", seed, name).standard_normal((days, 3))
    anchor, volatility = np.zeros(days), np.zeros(days)
    for day in range(1, days):
        volatility[day] = VOLATILITY_PULL * volatility[day - 1] + VOLATILITY_NOISE * draws[day, 1]
        move = daily_volatility * np.exp(volatility[day - 1]) * draws[day, 0]
        anchor[day] = ANCHOR_PULL * anchor[day - 1] + move
    return Chain(anchor, volatility, draws[:, 2].copy())


def daily_pattern() -> Floats:
    """Activity by time of day, UTC: low at 04:00, high at 15:00 when Europe and the US overlap."""
    hours = np.arange(STEPS_A_DAY) * (STEP_SECONDS / 3600)
    wave = 0.30 * np.cos((hours - 15) * np.pi / 12) + 0.12 * np.cos((hours - 14) * np.pi / 6)
    shape = np.exp(wave)
    return np.asarray(shape / np.sqrt(np.mean(shape**2)))


def day_path(
    seed: int, name: str, day: int, chain: Chain, *, daily_volatility: float, row: int
) -> tuple[Floats, Floats]:
    """Log deviation after each step of a day, and each step's relative volatility.

    `row` is the day's place in the chain.
    """
    draw = random_generator("day", seed, name, day)
    along = np.linspace(0.0, 1.0, STEPS_A_DAY)
    wander = np.cumsum(draw.standard_normal(STEPS_A_DAY)) / np.sqrt(STEPS_A_DAY)
    bridge = wander - along * wander[-1]
    level = chain.volatility[row] + along * (chain.volatility[row + 1] - chain.volatility[row])
    relative = np.exp(level + 2 * VOLATILITY_WITHIN_DAY * bridge) * daily_pattern()
    moves = daily_volatility / np.sqrt(STEPS_A_DAY) * relative
    moves = moves * draw.standard_normal(STEPS_A_DAY)
    jumps = draw.integers(0, STEPS_A_DAY, draw.poisson(JUMPS_A_DAY))
    moves[jumps] += JUMP_SIZE * daily_volatility * draw.standard_normal(len(jumps))
    share = relative**2 / np.sum(relative**2)
    moves += (chain.anchor[row + 1] - chain.anchor[row] - moves.sum()) * share
    return chain.anchor[row] + np.cumsum(moves), relative
