"""What passes an HTTP wire, put together again: each answer, and whether it got through whole."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """One answer of the market; `end` is its last byte's place in the stream of its connection."""

    request: str
    status: int
    body: str
    end: int
    is_whole: bool = True


@dataclass
class Exchange:
    """The two byte streams of one connection, cut into requests and answers as they come.

    Requests have no body (the market is only asked); an answer has a length, or ends with its
    connection. `passed` counts the bytes that the client was given.
    """

    requests: list[str] = field(default_factory=list)
    passed: int = 0
    _asked: bytearray = field(default_factory=bytearray)
    _said: bytearray = field(default_factory=bytearray)
    _read: int = 0
    _waiting: list[Answer] = field(default_factory=list)

    def ask(self, data: bytes) -> None:
        self._asked += data
        while (end := self._asked.find(b"\r\n\r\n")) >= 0:
            first = bytes(self._asked[:end]).split(b"\r\n", 1)[0]
            self.requests.append(first.decode("latin-1"))
            del self._asked[: end + 4]

    def say(self, data: bytes) -> None:
        self._said += data
        while (answer := self._next()) is not None:
            self._waiting.append(answer)

    def taken(self) -> list[dict[str, Any]]:
        """Answers that have got through since the last call."""
        done = [one for one in self._waiting if one.end <= self.passed]
        self._waiting = [one for one in self._waiting if one.end > self.passed]
        return [_told(one, is_delivered=True) for one in done]

    def left(self) -> list[dict[str, Any]]:
        """At the connection's end: answers of which the client did not get all."""
        if self._said:
            request = self.requests.pop(0) if self.requests else ""
            body = bytes(self._said).partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
            cut = Answer(request, _status(bytes(self._said)), body, end=-1, is_whole=False)
            self._waiting.append(cut)
        return [*self.taken(), *(_told(one, is_delivered=False) for one in self._waiting)]

    def _next(self) -> Answer | None:
        head, mark, rest = bytes(self._said).partition(b"\r\n\r\n")
        if not mark:
            return None
        length = _length(head)
        if length is None or len(rest) < length:
            return None
        size = len(head) + len(mark) + length
        del self._said[:size]
        self._read += size
        return Answer(
            request=self.requests.pop(0) if self.requests else "",
            status=_status(head),
            body=rest[:length].decode("utf-8", "replace"),
            end=self._read,
        )


def _told(answer: Answer, *, is_delivered: bool) -> dict[str, Any]:
    return {
        "at": time.time(),
        "request": answer.request,
        "status": answer.status,
        "body": answer.body,
        "is_whole": answer.is_whole,
        "is_delivered": is_delivered and answer.is_whole,
    }


def _status(head: bytes) -> int:
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _length(head: bytes) -> int | None:
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return None
