"""The refresh interval follows the load, never below what was asked, and comes back."""

from __future__ import annotations

from dashboard.pace import STEPS, Pace


class Machine:
    """Time and CPU time that a test moves."""

    def __init__(self) -> None:
        self.now = self.cpu = 0.0

    def pace(self, base: float = 1.0) -> Pace:
        return Pace(base, now=lambda: self.now, cpu=lambda: self.cpu)

    def work(self, pace: Pace, *, seconds: float, cores: float) -> None:
        """Runs of 10 ms for some seconds, on a process that uses so many cores."""
        for _ in range(int(seconds * 20)):
            with pace.run():
                self.now, self.cpu = self.now + 0.01, self.cpu + 0.01 * cores
            self.now, self.cpu = self.now + 0.04, self.cpu + 0.04 * cores


def test_an_idle_process_keeps_the_interval():
    machine = Machine()
    pace = machine.pace(2.0)
    machine.work(pace, seconds=60, cores=0.3)
    assert (pace.interval, pace.is_stretched) == (2.0, False)


def test_a_full_core_stretches_the_interval_up_to_a_bound_and_never_stops():
    machine = Machine()
    pace = machine.pace()
    machine.work(pace, seconds=8, cores=1.0)
    assert 1.0 < pace.interval < max(STEPS)
    machine.work(pace, seconds=2_000, cores=1.0)
    assert pace.interval == max(STEPS)


def test_runs_that_wait_for_each_other_stretch_it_too():
    machine = Machine()
    pace = machine.pace()
    for _ in range(30):
        runs = [pace.run() for _ in range(10)]
        for run in runs:
            run.__enter__()
        machine.now += 1.0
        for run in runs:
            run.__exit__(None, None, None)
    assert pace.is_stretched


def test_the_interval_comes_back_when_there_is_room():
    machine = Machine()
    pace = machine.pace()
    machine.work(pace, seconds=30, cores=1.0)
    assert pace.is_stretched
    machine.work(pace, seconds=400, cores=0.2)
    assert pace.interval == 1.0


def test_it_does_not_go_back_to_a_step_that_would_be_too_much_again():
    machine = Machine()
    pace = machine.pace()
    machine.work(pace, seconds=4.2, cores=1.0)
    step = pace.interval
    assert pace.is_stretched
    machine.work(pace, seconds=200, cores=0.8)
    assert pace.interval == step
