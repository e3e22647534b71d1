"""What a database knows of our packages is told, unless a waiver with date and reason is there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from crypto_pipeline.errors import MachineError
from crypto_pipeline_tests.dependencies import __main__ as command
from crypto_pipeline_tests.dependencies import advisories as module
from crypto_pipeline_tests.dependencies.advisories import Advisory, Database
from crypto_pipeline_tests.dependencies.locked import locked
from crypto_pipeline_tests.dependencies.osv_server import KnownVulnerabilities, knowing
from crypto_pipeline_tests.dependencies.waivers import LONGEST, Waiver, judged, read_waivers

TODAY = date(2026, 11, 27)
LIB, OTHER = "pkg:pypi/lib@1.0", "pkg:maven/a.b/other@2"


@pytest.fixture
def known() -> KnownVulnerabilities:
    return KnownVulnerabilities()


@pytest.fixture
def url(known: KnownVulnerabilities) -> Iterator[str]:
    with knowing(known) as address:
        yield address


def waiver(**changes: object) -> Waiver:
    fields = {
        "advisory": "CVE-1", "package": "pkg:pypi/lib", "until": TODAY, "reason": "not called",
    } | changes  # fmt: skip
    return Waiver(**fields)  # type: ignore[arg-type]


FOUND = Advisory(package=LIB, names=frozenset({"GHSA-1", "CVE-1"}), summary="bad", severity="HIGH")


def test_each_package_gets_its_own_answer(known: KnownVulnerabilities, url: str) -> None:
    known.add(OTHER, "GHSA-9", summary="it breaks", database_specific={"severity": "LOW"})
    (found,) = Database(url=url).of([LIB, OTHER])
    assert (found.package, found.name, found.summary, found.severity) == (
        OTHER, "GHSA-9", "it breaks", "LOW",
    )  # fmt: skip


def test_all_pages_of_many_packages_are_read(
    known: KnownVulnerabilities, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)
    known.page = 2
    packages = [f"pkg:pypi/p{number}@1" for number in range(7)]
    for number, package in enumerate(packages):
        for which in range(number):
            known.add(package, f"V-{number}-{which}")
    found = Database(url=url).of(packages)
    assert {(one.package, one.name) for one in found} == {
        (package, f"V-{number}-{which}")
        for number, package in enumerate(packages)
        for which in range(number)
    }


def test_one_vulnerability_under_several_names_is_one(
    known: KnownVulnerabilities, url: str
) -> None:
    known.add(
        LIB, "GHSA-1", aliases=["CVE-1"], summary="bad", database_specific={"severity": "HIGH"}
    )
    known.add(LIB, "PYSEC-1", aliases=["CVE-1"])
    known.add(LIB, "GHSA-2", withdrawn="2026-01-01T00:00:00Z")
    (found,) = Database(url=url).of([LIB])
    assert found.names == {"GHSA-1", "PYSEC-1", "CVE-1"}
    assert (found.name, found.summary, found.severity) == ("CVE-1", "bad", "HIGH")


def test_a_database_that_is_away_is_said_and_never_taken_for_clean(
    known: KnownVulnerabilities, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known.is_away = True
    with pytest.raises(MachineError, match="did not answer POST /v1/querybatch"):
        Database(url=url).of([LIB])
    assert command.main(["--database", url]) == 2
    assert "--database" in capsys.readouterr().err


def test_an_answer_that_is_short_or_never_ends_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        KnownVulnerabilities, "answer", lambda self, question: {"next_page_token": "again"}
    )
    with pytest.raises(MachineError, match="never comes to an end"):
        Database(url=url).of([LIB])
    monkeypatch.setattr(Database, "_answer", lambda *given, **options: {"results": []})
    with pytest.raises(MachineError, match="answered 0 of 1"):
        Database(url=url).of([LIB])


def test_a_finding_fails_until_it_is_waived_and_again_when_the_waiver_is_over() -> None:
    assert judged([FOUND], [], today=TODAY) == [f"{LIB}: CVE-1 (HIGH) bad"]
    assert judged([FOUND], [waiver()], today=TODAY) == []
    assert judged([FOUND], [waiver(advisory="GHSA-1")], today=TODAY) == []
    (line,) = judged([FOUND], [waiver()], today=TODAY + timedelta(days=1))
    assert "was over on 2026-11-27" in line
    other = waiver(package="pkg:pypi/other")
    assert len(judged([FOUND], [other], today=TODAY)) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reason": " "}, "has no reason"),
        ({"until": TODAY + LONGEST + timedelta(days=1)}, "half a year ahead"),
        ({"advisory": "CVE-2"}, "nothing left to waive"),
    ],
)
def test_a_waiver_has_a_reason_an_end_and_something_to_waive(
    changes: dict[str, object], said: str
) -> None:
    lines = judged([FOUND], [waiver(), waiver(**changes)], today=TODAY)
    assert len(lines) == 1
    assert said in lines[0]


def test_a_waiver_is_read_with_its_date_and_nothing_beside(tmp_path: Path) -> None:
    text = '[[waiver]]\nadvisory = "CVE-1"\npackage = "pkg:pypi/lib"\nuntil = 2026-11-27\n'
    file = tmp_path / "waivers.toml"
    file.write_text(text + 'reason = "not called"\n')
    assert read_waivers(file) == [waiver()]
    file.write_text(text)
    with pytest.raises(TypeError, match="reason"):
        read_waivers(file)


def test_our_own_waivers_have_a_reason_and_an_end() -> None:
    for one in read_waivers():
        assert one.reason.strip()
        assert one.until <= datetime.now(UTC).date() + LONGEST


def test_the_command_asks_about_all_that_is_locked(
    known: KnownVulnerabilities, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    packages, _ = locked()
    assert command.main(["--database", url]) == 0
    assert known.asked == len(packages)
    assert f"{len(packages)} packages, 0 known" in capsys.readouterr().out
    known.add(packages[0], "V-1", summary="a hole")
    assert command.main(["--database", url]) == 1
    assert f"{packages[0]}: V-1 (?) a hole" in capsys.readouterr().out
