"""Every kind of fault, with how long it lasts and within what the stack must have recovered."""

from __future__ import annotations

from dataclasses import dataclass

from crypto_pipeline.contract.topic import TOPICS
from crypto_pipeline.simulator.faults import FAULT_KINDS
from crypto_pipeline_tests.chaos.hostile import TARGETS
from crypto_pipeline_tests.chaos.wire import MODES
from crypto_pipeline_tests.embedded.stack import MARKS

SERVICES = tuple(MARKS)
# Without them nothing would restart a service, so everything ends and is started again by hand.
ENDS_ALL = ("supervisor", "up")
# A venue that refuses place or key for good is left alone for 15 minutes (source/breaker.py);
# when all three did, there is no minute before that is over.
REFUSALS = ("400", "401", "403", "404", "418", "451", "denied", "wrong_host", "redirect")
REFUSED_SECONDS = 1_500.0
# A poll is asked for each 12 s, a warm cycle takes as long on two cores that others use too; the
# longest way is a cold Spark (its first cycle) behind a restart.
POLLED_SECONDS = 300.0
RESTARTED_SECONDS = 420.0
COLD_SECONDS = 720.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`group` is how it is done and `target` to what. Seconds are real.

    `may_end` says that `up` itself is allowed to give up with a sentence and be started again by
    hand, as a person would; that is counted.
    """

    group: str
    target: str
    lasts: tuple[float, float] = (0.0, 0.0)
    bound: float = POLLED_SECONDS
    may_end: bool = False

    @property
    def name(self) -> str:
        return f"{self.group} {self.target}"


def _killed(target: str) -> Kind:
    is_cold = target in ("spark", "guard", *ENDS_ALL)
    bound = COLD_SECONDS if is_cold else RESTARTED_SECONDS
    return Kind(group="kill", target=target, bound=bound, may_end=target in ENDS_ALL)


def _stopped(target: str) -> Kind:
    bound = COLD_SECONDS if target in ("spark", "stack") else RESTARTED_SECONDS
    return Kind(group="stop", target=target, bound=bound)


def _paused(target: str) -> Kind:
    return Kind(group="pause", target=target, lasts=(4.0, 12.0), bound=RESTARTED_SECONDS)


def _wired(target: str, mode: str) -> Kind:
    return Kind(group="wire", target=f"{target} {mode}", lasts=(5.0, 15.0), bound=RESTARTED_SECONDS)


def _venue(kind: str) -> Kind:
    return Kind(
        group="venue", target=kind, bound=REFUSED_SECONDS if kind in REFUSALS else POLLED_SECONDS
    )


KINDS: tuple[Kind, ...] = (
    *(_killed(name) for name in (*SERVICES, "run", "guard", *ENDS_ALL)),
    *(_paused(name) for name in (*SERVICES, "run", "guard")),
    *(_stopped(name) for name in ("broker", "spark", "dagster-daemon", "code-server", "run")),
    _stopped("stack"),
    *(_wired(name, mode) for name in ("kafka", "spark", "http") for mode in MODES[1:]),
    Kind(group="disk", target="full", lasts=(4.0, 10.0), bound=COLD_SECONDS, may_end=True),
    *(_venue(kind) for kind in FAULT_KINDS),
    Kind(group="clock", target="forward"),
    Kind(group="clock", target="back"),
    Kind(group="records", target="repeated"),
    Kind(group="records", target="late"),
    Kind(group="records", target="drifted"),
    *(Kind(group="poison", target=topic.name) for topic in TOPICS),
    *(Kind(group="hostile", target=target) for target in TARGETS),
)
# What a lake in an object store has besides.
STORE_KINDS = tuple(_wired("s3", mode) for mode in MODES[1:])
BY_NAME = {kind.name: kind for kind in (*KINDS, *STORE_KINDS)}
