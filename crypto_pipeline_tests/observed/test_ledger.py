"""The ledger: counts of many processes in one file, and what becomes of them when it fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from crypto_pipeline.observed.exposition import counted, gauges, page
from crypto_pipeline.observed.ledger import MISSING_KEPT, Book, Tally, read_book
from crypto_pipeline.observed.metric import Metric

ASKED = Metric(name="asked_total", kind="counter", help="A.", labels={"who": ("a", "b")})
TOOK = Metric(
    name="took_seconds", kind="histogram", help="T.", labels={"who": ("a",)}, buckets=(0.1, 1.0)
)
AGE = Metric(name="age_seconds", kind="gauge", help="Says \\ and\nmore.")


def test_counts_of_processes_add_up(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "ledger.json"

    def run(_: int) -> None:
        tally = Tally(file)
        tally.count(ASKED, "a")
        tally.count(ASKED, "b", by=2)
        tally.save()
        tally.save()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(40)))
    assert read_book(file).counts == {"asked_total": {"a": [40.0], "b": [80.0]}}


def test_a_tally_without_a_file_keeps_its_counts() -> None:
    tally = Tally()
    tally.count(ASKED, "a")
    tally.save()
    assert tally.book.counts == {"asked_total": {"a": [1.0]}}


def test_a_disk_that_refuses_costs_nothing_until_it_takes_again(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "ledger" / "ledger.json")
    (tmp_path / "ledger").write_text("a file where the folder belongs")
    tally.count(ASKED, "a")
    tally.save()
    (tmp_path / "ledger").unlink()
    tally.count(ASKED, "a")
    tally.save()
    assert read_book(tmp_path / "ledger" / "ledger.json").counts["asked_total"]["a"] == [2.0]


def test_a_file_of_something_else_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "ledger.json"
    for content in ("", "{", "[1]", '{"other": 1}'):
        file.write_text(content)
        assert read_book(file) == Book()


def test_other_buckets_begin_anew(tmp_path: Path) -> None:
    file = tmp_path / "ledger.json"
    for buckets in ((0.1,), (0.1, 1.0)):
        tally = Tally(file)
        metric = Metric(name="took_seconds", kind="histogram", help="T.", buckets=buckets)
        tally.observe(metric, seconds=0.5)
        tally.save()
    assert read_book(file).counts["took_seconds"] == {"": [0.0, 1.0, 0.0, 0.5]}


def test_the_last_word_on_the_spool_stays_and_missing_minutes_are_bounded(tmp_path: Path) -> None:
    file = tmp_path / "ledger.json"
    tally = Tally(file)
    for number in range(MISSING_KEPT + 5):
        tally.note_refused("full", minute=str(number))
    tally.save()
    tally.count(ASKED, "a")
    tally.save()
    book = read_book(file)
    assert (book.full, len(book.missing)) == ("full", MISSING_KEPT)
    assert book.missing[-1] == str(MISSING_KEPT + 4)
    tally.note_stored()
    tally.save()
    assert read_book(file).full is None
    assert len(read_book(file).missing) == MISSING_KEPT


def test_the_page_is_what_the_reference_parser_reads() -> None:
    tally = Tally()
    tally.count(ASKED, "a", by=3)
    for seconds in (0.1, 0.5, 0.7, 9.0):
        tally.observe(TOOK, "a", seconds=seconds)
    numbers = {**counted(tally.book, (ASKED, TOOK)), **gauges((AGE, (), 1.5))}
    text = page((ASKED, TOOK, AGE), numbers).decode()
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples == {
        ("asked_total", "a"): 3,
        ("took_seconds_bucket", "0.1", "a"): 1,
        ("took_seconds_bucket", "1.0", "a"): 3,
        ("took_seconds_bucket", "+Inf", "a"): 4,
        ("took_seconds_count", "a"): 4,
        ("took_seconds_sum", "a"): 10.3,
        ("age_seconds",): 1.5,
    }
    helps = {f.name: f.documentation for f in text_string_to_metric_families(text)}
    assert helps["age_seconds"] == AGE.help


def test_a_metric_without_numbers_is_on_the_page_and_a_bare_counter_is_zero() -> None:
    bare = Metric(name="bare_total", kind="counter", help="B.")
    text = page((bare, ASKED, TOOK, AGE), counted(Book(), (bare, ASKED, TOOK))).decode()
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["bare_total 0.0"]
    assert text.count("# TYPE") == 4
