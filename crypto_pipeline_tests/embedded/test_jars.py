from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from crypto_pipeline.embedded import fetch_jars, jars
from crypto_pipeline.embedded.jars import Jar
from crypto_pipeline.errors import MachineError

CONTENT = b"a jar's bytes"
JAR = Jar(
    group="broker",
    path="org/example/thing/1.0/thing-1.0.jar",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
)


def install(folder: Path, cache: Path, answer: httpx.Response | Exception) -> list[str]:
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx.MockTransport(handle)
    jars.install([JAR], folder, console=Console(quiet=True), cache=cache, transport=transport)
    return asked


def test_the_lock_names_no_host_and_every_group() -> None:
    locked = jars.read_lock()

    assert {jar.group for jar in locked} == {"broker", "spark", "s3"}
    assert not [jar.path for jar in locked if "://" in jar.path or jar.path.startswith("/")]
    assert len({(jar.group, jar.name) for jar in locked}) == len(locked)


def test_a_lock_survives_writing_and_reading(tmp_path: Path) -> None:
    jars.write_lock([JAR], tmp_path / "jars.lock")

    assert jars.read_lock(tmp_path / "jars.lock") == (JAR,)


@pytest.mark.parametrize("line", ["broker a.jar", "broker a.jar 12 12", "broker a " + "0" * 64])
def test_a_malformed_line_is_quoted(tmp_path: Path, line: str) -> None:
    (tmp_path / "jars.lock").write_text(line + "\n")

    with pytest.raises(MachineError, match=r"jars\.lock has the line"):
        jars.read_lock(tmp_path / "jars.lock")


def test_a_jar_is_fetched_by_its_path_and_then_taken_from_the_cache(tmp_path: Path) -> None:
    first, second, cache = tmp_path / "a", tmp_path / "b", tmp_path / "cache"

    asked = install(first, cache, httpx.Response(200, content=CONTENT))
    again = install(second, cache, httpx.ConnectError("no network"))

    assert asked == [f"/maven2/{JAR.path}"]
    assert again == []
    assert (second / "broker" / "thing-1.0.jar").read_bytes() == CONTENT


def test_a_wrong_sum_is_refused_by_name_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"thing-1\.0\.jar arrived with SHA-256"):
        install(
            tmp_path / "jars", tmp_path / "cache", httpx.Response(200, content=b"evil bytes!!!")
        )

    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_damaged_jar_is_put_right(tmp_path: Path) -> None:
    placed = tmp_path / "jars" / "broker" / JAR.name
    placed.parent.mkdir(parents=True)
    placed.write_bytes(CONTENT[::-1])

    install(tmp_path / "jars", tmp_path / "cache", httpx.Response(200, content=CONTENT))

    assert placed.read_bytes() == CONTENT


def test_a_jar_that_left_the_lock_leaves_the_folder(tmp_path: Path) -> None:
    old = tmp_path / "jars" / "broker" / "thing-0.9.jar"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")

    install(tmp_path / "jars", tmp_path / "cache", httpx.Response(200, content=CONTENT))

    assert not old.exists()


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"Could not fetch thing-1\.0\.jar .* Check the network"):
        install(tmp_path / "jars", tmp_path / "cache", httpx.ConnectError("name not known"))


def test_an_image_asks_for_the_groups_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[set[str], Path]] = []

    def install(wanted: list[Jar], folder: Path, *, console: Console) -> None:
        asked.append(({jar.group for jar in wanted}, folder))

    monkeypatch.setattr(jars, "install", install)
    assert fetch_jars.main(["--into", str(tmp_path), "spark", "s3"]) == 0
    assert asked == [({"spark", "s3"}, tmp_path)]
