from __future__ import annotations

import errno
import random
import string
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_pipeline.errors import SpoolFullError, StreamError
from crypto_pipeline.stream import spool as spool_module
from crypto_pipeline.stream.frame import pack, unpack
from crypto_pipeline.stream.publish import Outgoing
from crypto_pipeline.stream.spool import Entry, Spool
from crypto_pipeline.stream.spool_state import look
from crypto_pipeline_tests.stream.fakes import START

MESSAGES = st.lists(
    st.builds(Outgoing, topic=st.text(max_size=9), key=st.binary(max_size=9), value=st.binary()),
    min_size=1,
    max_size=6,
)
FINAL = Outgoing(topic="market.polls", key=b"k", value=b"the poll")


def message(text: str) -> Outgoing:
    return Outgoing(topic="market.ticks", key=b"k", value=text.encode())


def noise(size: int) -> str:
    """Text that does not get much smaller."""
    return "".join(random.Random(size).choices(string.printable, k=size))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool", limit_bytes=10_000) as opened:
        yield opened


def add(spool: Spool, text: str, *, minutes: int = 0) -> Entry:
    return spool.append([message(text)], FINAL, poll_at=START + timedelta(minutes=minutes))


def test_reads_back_what_was_appended(spool: Spool) -> None:
    entry = spool.append([message("a"), message("b")], FINAL, poll_at=START, purpose="history")
    stored = spool.read(entry)
    assert stored.messages == (message("a"), message("b"))
    assert stored.final == FINAL
    assert stored.tear is None
    assert entry.poll_at == START
    assert entry.purpose == "history"


def test_a_look_from_outside_sees_what_waits_and_needs_no_lock(spool: Spool) -> None:
    assert look(spool.folder).oldest_stored_at is None
    add(spool, "late", minutes=1)
    first = spool.append([message("a"), message("b")], FINAL, poll_at=START)
    seen = look(spool.folder)
    assert (seen.polls, seen.messages, seen.bytes) == (2, 5, spool.used_bytes())
    assert seen.oldest_poll_at == START
    spool.read(first)
    first.path.write_bytes(first.path.read_bytes()[:-1])
    spool.read(first)
    assert look(spool.folder).torn == 1
    assert look(spool.folder).messages == 4
    first.path.write_bytes(b"not a header at all")
    assert look(spool.folder).messages == 2
    assert look(spool.folder / "absent").polls == 0


def test_oldest_poll_first_whatever_the_order_of_appending(spool: Spool) -> None:
    add(spool, "second", minutes=1)
    add(spool, "third", minutes=1)
    add(spool, "first")
    add(spool, "last", minutes=60 * 24)
    texts = [spool.read(entry).messages[0].value for entry in spool.pending()]
    assert texts == [b"first", b"second", b"third", b"last"]


def test_trim_forgets_one_poll_and_may_be_repeated(spool: Spool) -> None:
    first, second = add(spool, "a"), add(spool, "b")
    spool.trim(first)
    spool.trim(first)
    assert spool.pending() == [second]


def test_a_full_spool_refuses_and_keeps_what_it_holds(spool: Spool) -> None:
    kept = add(spool, noise(9_000))
    with pytest.raises(SpoolFullError, match=r"1 polls wait since 2026-11-23 10:05 .* 10:06 UTC "):
        add(spool, noise(9_000), minutes=1)
    assert spool.pending() == [kept]
    spool.trim(kept)
    add(spool, noise(9_000), minutes=1)


def test_a_full_disk_is_a_full_spool(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool_module, "write_durably", refuse)
    with pytest.raises(SpoolFullError, match="the disk has no room"):
        add(spool, "a")


def test_only_one_process_polls(spool: Spool) -> None:
    with pytest.raises(StreamError, match="Another process"):
        Spool(spool.folder, limit_bytes=1, lock_seconds=0.0)
    spool.close()
    Spool(spool.folder, limit_bytes=1, lock_seconds=0.0).close()


def test_a_kill_before_the_rename_loses_nothing(spool: Spool) -> None:
    entry = add(spool, "a")
    spool.close()
    entry.path.rename(entry.path.with_name(entry.path.name + ".tmp"))
    with Spool(spool.folder, limit_bytes=10_000) as again:
        assert again.pending() == [entry]
        assert again.read(entry).final == FINAL


def test_a_repair_that_was_killed_starts_again_from_the_original(spool: Spool) -> None:
    entry = spool.append([message("a"), message("b")], FINAL, poll_at=START)
    content = entry.path.read_bytes()
    entry.path.write_bytes(content[:-3])
    entry.path.with_name(entry.path.name + ".tmp").write_bytes(content[:20])
    spool.close()
    with Spool(spool.folder, limit_bytes=10_000) as again:
        assert again.read(entry).messages == (message("a"), message("b"))


def test_two_tears_of_one_poll_are_both_kept(spool: Spool) -> None:
    entry = spool.append([message("a"), message("b")], FINAL, poll_at=START)
    spool.read(entry)
    for left in (2, 0):  # the poll's own record, then the block of facts
        entry.path.write_bytes(entry.path.read_bytes()[:-1])
        stored = spool.read(entry)
        assert len(stored.messages) == left
        assert stored.final is None
        assert stored.tear is not None
    assert len(spool.torn_files()) == 2
    assert spool.used_bytes() == sum(p.stat().st_size for p in [entry.path, *spool.torn_files()])


@given(messages=MESSAGES)
def test_a_cut_at_any_byte_leaves_whole_records_and_is_said(messages: list[Outgoing]) -> None:
    content = pack(messages, has_final=True, block=1)
    assert unpack(content).messages == tuple(messages)
    assert unpack(content).fault is None
    counts = set()
    for place in range(len(content)):
        found = unpack(content[:place])
        assert found.fault is not None
        assert not found.has_final
        assert found.messages == tuple(messages[: len(found.messages)])
        counts.add(len(found.messages))
    assert counts == set(range(len(messages)))


@given(messages=MESSAGES, has_final=st.booleans(), block=st.integers(1, 7))
def test_blocks_of_any_size_hold_every_record_in_order(
    messages: list[Outgoing], has_final: bool, block: int
) -> None:
    found = unpack(pack(messages, has_final=has_final, block=block))
    assert found.fault is None
    assert found.messages == tuple(messages)
    assert found.has_final == has_final


def test_a_cut_loses_no_more_than_its_block_and_the_polls_own_record() -> None:
    facts = [message(str(n)) for n in range(10)]
    content = pack([*facts, FINAL], has_final=True, block=4)
    assert unpack(content[:-1]).messages == tuple(facts)
    last_block = len(pack([FINAL], has_final=True)) - len(pack([], has_final=False))
    assert unpack(content[: -last_block - 1]).messages == tuple(facts[:8])


def test_bytes_after_the_last_record_are_said_and_all_records_stay() -> None:
    found = unpack(pack([FINAL], has_final=True) + b"xy")
    assert found.fault == "2 bytes follow the last record"
    assert found.messages == (FINAL,)
    assert found.has_final


@given(messages=MESSAGES, data=st.data())
def test_any_changed_byte_leaves_a_prefix_and_is_said(
    messages: list[Outgoing], data: st.DataObject
) -> None:
    block = data.draw(st.integers(1, 7))
    content = bytearray(pack(messages, has_final=True, block=block))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    found = unpack(bytes(content))
    assert found.fault is not None
    assert found.messages == tuple(messages[: len(found.messages)])


@given(messages=MESSAGES, data=st.data())
def test_a_tail_of_zeros_is_not_taken_for_records(
    messages: list[Outgoing], data: st.DataObject
) -> None:
    content = pack(messages, has_final=True, block=data.draw(st.integers(1, 7)))
    place = data.draw(st.integers(0, len(content) - 1))
    zeroed = content[:place] + bytes(len(content) - place)
    found = unpack(zeroed)
    assert (found.fault is None) == (zeroed == content)
    assert found.messages == tuple(messages[: len(found.messages)])


@given(messages=MESSAGES, data=st.data())
def test_a_torn_file_is_moved_aside_and_its_good_records_stay(
    messages: list[Outgoing], data: st.DataObject
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Spool(Path(folder), limit_bytes=1 << 20) as spool,
    ):
        entry = spool.append(messages, FINAL, poll_at=START)
        # The process that wrote it has it from memory, once.
        assert spool.read(entry).messages == tuple(messages)
        content = entry.path.read_bytes()
        cut = content[: data.draw(st.integers(0, len(content) - 1))]
        entry.path.write_bytes(cut)
        stored = spool.read(entry)
        assert stored.tear is not None
        assert stored.final is None
        assert stored.messages == tuple(messages[: len(stored.messages)])
        assert [path.read_bytes() for path in spool.torn_files()] == [cut]
        again = spool.read(entry)
        assert again.tear is None
        assert again.messages == stored.messages
