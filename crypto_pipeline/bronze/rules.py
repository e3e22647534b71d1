"""The rules that a record must keep, each with its reason code; nothing else is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, LongType, StringType, StructField, StructType

from crypto_pipeline.bronze.schema import CANDLE_FIELDS, CANDLES, POLLS, TICK_FIELDS, TICKS
from crypto_pipeline.contract.message import SCHEMA_VERSION
from crypto_pipeline.lake.table import BATCH, COORDINATES

if TYPE_CHECKING:
    from pyspark.sql import Column

# DECIMAL(38,18) keeps 18 places and 20 digits before them; more would be rounded in silence.
EXACT_DECIMAL = r"^-?0*\d{1,20}(\.\d{0,18}0*)?$"
SYMBOL = r"^[A-Z0-9]{1,20}-[A-Z0-9]{2,10}$"
# A cast alone takes "10:05" for today and a time without an offset for UTC.
INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$"
# A day is added to and taken from a fact's time; the ends of the calendar would not hold it.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

CANDLE_FACTS = ("open", "high", "low", "close", "volume")

POLL_FIELDS = tuple(f for f in POLLS.schema.fields if f not in (*COORDINATES, BATCH))

LISTS = tuple(f.name for f in POLL_FIELDS if f.dataType.typeName() == "array")


def message_schema() -> StructType:
    """All fields of all kinds as text, so that a wrong type is found by a rule, not by a parser."""
    names = dict.fromkeys(
        f.name
        for table in (TICKS, CANDLES, POLLS)
        for f in table.schema.fields
        if f.name not in (*LISTS, "is_unchanged", "is_backfill", "is_replay", "batch", "date")
    )
    fields = [StructField(name, StringType()) for name in ("kind", "detail", "body", *names)]
    return StructType(
        [
            *fields,
            StructField("schema_version", LongType()),
            *(StructField(name, ArrayType(StringType())) for name in LISTS),
            StructField("is_unchanged", BooleanType()),
            StructField("is_backfill", BooleanType()),
        ]
    )


def reasons_of(market: str) -> list[tuple[str, Column, Column]]:
    """Reason code, rule in words, and the column that is true when the rule is broken.

    The words of a rule about types end with the first field that breaks it.
    """
    m = {name: F.col(f"m.{name}") for name in message_schema().fieldNames()}
    kind = F.col("expected")
    tick, candle = kind == "tick", kind == "candle"
    fact = tick | candle
    named = {"bad_time": _bad_time(m), "bad_number": _inexact(m)}
    rules = [
        ("not_json", "the value is a JSON object", m["kind"].isNull() & m["id"].isNull()),
        ("unknown_kind", "the record is of its topic's kind", ~m["kind"].eqNullSafe(kind)),
        (
            "schema_version",
            f"schema_version is 1 to {SCHEMA_VERSION}",
            ~F.coalesce(m["schema_version"].between(1, SCHEMA_VERSION), F.lit(False)),
        ),
        (
            "other_market",
            f"the record's market is {market}",
            ~m["market"].eqNullSafe(F.lit(market)),
        ),
        (
            "missing_field",
            "id, source and the clocks are there",
            _any_null(m, ("id", "source"))
            | (fact & _any_null(m, ("symbol", "observed_at")))
            | (tick & _any_null(m, ("poll_at", "price")))
            | (candle & _any_null(m, ("open_at", *CANDLE_FACTS)))
            | ((kind == "poll") & _any_null(m, ("poll_at", "outcome", "purpose"))),
        ),
        ("bad_symbol", "the symbol is BASE-QUOTE", fact & ~m["symbol"].rlike(SYMBOL)),
        (
            "bad_time",
            "times are ISO-8601 with an offset, 2000 to 2100; a candle opens on a whole minute",
            named["bad_time"].isNotNull()
            | (candle & F.coalesce(_is_within_minute("open_at"), F.lit(False))),
        ),
        (
            "bad_number",
            "numbers are decimals that DECIMAL(38,18) holds exactly",
            named["bad_number"].isNotNull(),
        ),
        (
            "not_positive",
            "prices are above zero, volumes are not below it",
            (tick & (_number("price") <= 0)) | (candle & _is_not_positive()),
        ),
        (
            "crossed",
            "the bid is not above the ask; high and low embrace open and close",
            F.coalesce(tick & (_number("bid") > _number("ask")), F.lit(False))
            | F.coalesce(candle & _is_torn(), F.lit(False)),
        ),
    ]
    return [
        (code, F.concat_ws(": ", F.lit(words), named[code]) if code in named else F.lit(words), bad)
        for code, words, bad in rules
    ]


def _is_not_positive() -> Column:
    return (F.least(*map(_number, CANDLE_FACTS[:4])) <= 0) | (_number("volume") < 0)


def _is_torn() -> Column:
    """Whether high or low contradicts a candle's other prices."""
    is_high_low = _number("high") < F.greatest(*map(_number, ("open", "low", "close")))
    return is_high_low | (_number("low") > F.least(_number("open"), _number("close")))


def _names(type_name: str) -> list[str]:
    fields = (*TICK_FIELDS, *CANDLE_FIELDS, *POLL_FIELDS)
    return list(dict.fromkeys(f.name for f in fields if f.dataType.typeName() == type_name))


def _number(name: str) -> Column:
    return F.expr(f"try_cast(m.{name} AS DECIMAL(38,18))")


def _any_null(m: dict[str, Column], names: tuple[str, ...]) -> Column:
    broken = F.lit(False)
    for name in names:
        broken = broken | m[name].isNull()
    return broken


def _time(name: str) -> Column:
    return F.expr(f"try_cast(m.{name} AS TIMESTAMP)")


def _is_within_minute(name: str) -> Column:
    return F.date_trunc("minute", _time(name)) != _time(name)


def _bad_time(m: dict[str, Column]) -> Column:
    """The first field that is no instant, or null."""
    broken = []
    for name in _names("timestamp"):
        is_good = m[name].rlike(INSTANT) & _time(name).between(F.lit(EARLIEST), F.lit(LATEST))
        is_bad = m[name].isNotNull() & ~F.coalesce(is_good, F.lit(False))
        broken.append(F.when(is_bad, F.lit(name)))
    return F.coalesce(*broken)


def _inexact(m: dict[str, Column]) -> Column:
    """The first field that is no number of its column's type, or null."""
    forms = dict.fromkeys(_names("decimal"), EXACT_DECIMAL)
    forms |= dict.fromkeys(_names("long"), r"^\d{1,18}$")
    return F.coalesce(
        *(
            F.when(m[name].isNotNull() & ~m[name].rlike(form), F.lit(name))
            for name, form in forms.items()
        )
    )
