"""Known vulnerabilities of packages, from a database that speaks OSV's protocol.

`POST /v1/querybatch` answers in the order of its questions with ids alone, and with a token where
there are more; `GET /v1/vulns/{id}` tells what an id is about (google.github.io/osv.dev/api).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from crypto_pipeline.errors import MachineError

DATABASE = "https://api.osv.dev"
# The protocol takes a thousand questions at once.
AT_ONCE = 1_000
SECONDS = 30.0
# A database that gives a token for ever is broken.
PAGES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """What is known of one package; `names` are all ids that it goes by."""

    package: str
    names: frozenset[str]
    summary: str = ""
    severity: str = "?"

    @property
    def name(self) -> str:
        """The id that people know: the CVE where there is one."""
        return min(self.names, key=lambda name: (not name.startswith("CVE-"), name))


@dataclass(frozen=True)
class Database:
    """Raises MachineError when it does not answer, or answers otherwise than the protocol says."""

    url: str = DATABASE

    def of(self, packages: Sequence[str]) -> list[Advisory]:
        """All that is known of the packages, one row a package and vulnerability."""
        ids: dict[str, set[str]] = {package: set() for package in packages}
        asked = [{"package": {"purl": package}} for package in packages]
        for _ in range(PAGES):
            asked = [more for at in range(0, len(asked), AT_ONCE)
                     for more in self._page(asked[at : at + AT_ONCE], ids)]  # fmt: skip
            if not asked:
                break
        else:
            raise MachineError(f"{self.url} never comes to an end: {PAGES} pages for one package.")
        told = {name: self._told(name) for name in sorted(set().union(*ids.values()))}
        return [
            advisory
            for package, names in ids.items()
            for advisory in merged(package, [told[name] for name in sorted(names)])
        ]

    def _page(self, asked: list[dict[str, Any]], ids: dict[str, set[str]]) -> list[dict[str, Any]]:
        """Add what one page says to `ids`; the questions that have another page."""
        results = self._answer("POST", "/v1/querybatch", json={"queries": asked})["results"]
        if len(results) != len(asked):
            raise MachineError(f"{self.url} answered {len(results)} of {len(asked)} questions.")
        more = []
        for question, result in zip(asked, results, strict=True):
            ids[question["package"]["purl"]] |= {one["id"] for one in result.get("vulns", ())}
            if token := result.get("next_page_token"):
                more.append({**question, "page_token": token})
        return more

    def _told(self, name: str) -> dict[str, Any]:
        return self._answer("GET", f"/v1/vulns/{name}")

    def _answer(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = httpx.request(method, self.url + path, timeout=SECONDS, **options)
            response.raise_for_status()
            return dict(response.json())
        except (httpx.HTTPError, ValueError) as error:
            raise MachineError(
                f"The database of vulnerabilities did not answer {method} {path}: {error}. "
                f"Ask again where {self.url} can be reached, or name another with --database."
            ) from error


def merged(package: str, told: Sequence[dict[str, Any]]) -> list[Advisory]:
    """Entries that share a name are one vulnerability; what was withdrawn is none."""
    found: list[Advisory] = []
    for one in told:
        if one.get("withdrawn"):
            continue
        names = frozenset([one["id"], *one.get("aliases", ())])
        same = [advisory for advisory in found if advisory.names & names]
        found = [advisory for advisory in found if advisory not in same]
        told_before = same[0] if same else None
        found.append(
            Advisory(
                package=package,
                names=names.union(*(advisory.names for advisory in same)),
                summary=one.get("summary") or (told_before.summary if told_before else ""),
                severity=one.get("database_specific", {}).get("severity")
                or (told_before.severity if told_before else "?"),
            )
        )
    return found
