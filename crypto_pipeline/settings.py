"""The one door to the environment: every setting, its name, its default, its check.

`load()` reads `.env` in the working directory, then the process environment, which wins.
Nothing else in the package spells an environment variable. A malformed value raises
`SettingsError` with the accepted values.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dotenv import dotenv_values

from crypto_pipeline.errors import SettingsError

MarketSetting = Literal["auto", "live", "simulated", "recorded"]

DEFAULT_SYMBOLS = (
    "BTC-USDT,ETH-USDT,SOL-USDT,XRP-USDT,BNB-USDT,DOGE-USDT,ADA-USDT,TRX-USDT,LINK-USDT,"
    "AVAX-USDT,LTC-USDT,DOT-USDT,BCH-USDT,NEAR-USDT,UNI-USDT,ATOM-USDT,XLM-USDT,HBAR-USDT,"
    "SHIB-USDT,PEPE-USDT"
)
SYMBOL_FORM = re.compile(r"[A-Z0-9]{1,20}-[A-Z0-9]{2,10}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that prints as stars; `reveal()` is the only way to it."""

    _value: str

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process, checked. Paths are absolute; ports are on 127.0.0.1."""

    market: MarketSetting
    symbols: tuple[str, ...]
    state_dir: Path
    lake_root_setting: str | None
    history_hours: int
    poll_delay_seconds: float
    binance_url: str
    simulator_seed: int
    simulator_speed: float
    recorded_dir: Path | None
    recorded_start: str | None
    kafka_bootstrap: str | None
    kafka_port: int
    kafka_controller_port: int
    spark_remote: str | None
    spark_port: int
    spark_token_setting: Secret | None
    simulator_port: int
    dagster_port: int
    code_server_port: int
    dashboard_port: int
    spool_limit_mb: int
    aws_access_key_id: Secret | None
    aws_secret_access_key: Secret | None
    databricks_token: Secret | None

    @property
    def home(self) -> Path:
        """State of one market kind: broker log, lake, spool, Dagster. Needs a resolved market."""
        if self.market == "auto":
            raise SettingsError(
                "MARKET is not decided yet. Start `make up`, or set MARKET to live, simulated "
                "or recorded."
            )
        return self.state_dir / self.market

    @property
    def lake_root(self) -> str:
        return self.lake_root_setting or str(self.home / "lake")

    @property
    def kafka_address(self) -> str:
        return self.kafka_bootstrap or f"127.0.0.1:{self.kafka_port}"

    @property
    def spark_address(self) -> str:
        """Spark Connect URL without its token; the client wants exactly `localhost` for no TLS."""
        return self.spark_remote or f"sc://localhost:{self.spark_port}"

    @property
    def spark_token_file(self) -> Path:
        return self.state_dir / "spark-token"

    @property
    def source(self) -> str:
        """The source in every key; decision 1 of the design gives the forms."""
        if self.market == "simulated":
            return f"simulator:binance:{self.simulator_seed}"
        if self.market == "recorded":
            if self.recorded_dir is None:
                raise SettingsError(
                    "MARKET=recorded needs RECORDED_DIR: a folder of candle files named "
                    "BASE_QUOTE-1m.csv.gz."
                )
            return f"recorded:{self.recorded_dir.name}"
        return "binance"

    @property
    def market_url(self) -> str:
        """Where Binance's endpoints are answered: the venue, or the simulator in its place."""
        if self.market == "live":
            return self.binance_url
        return f"http://127.0.0.1:{self.simulator_port}"

    def environment(self) -> dict[str, str]:
        """The variables that make a child process see the same settings; no secrets in it."""
        values = {
            "MARKET": self.market,
            "SYMBOLS": ",".join(self.symbols),
            "STATE_DIR": str(self.state_dir),
            "LAKE_ROOT": self.lake_root_setting,
            "HISTORY_HOURS": str(self.history_hours),
            "POLL_DELAY_SECONDS": str(self.poll_delay_seconds),
            "BINANCE_URL": self.binance_url,
            "SIMULATOR_SEED": str(self.simulator_seed),
            "SIMULATOR_SPEED": str(self.simulator_speed),
            "RECORDED_DIR": None if self.recorded_dir is None else str(self.recorded_dir),
            "RECORDED_START": self.recorded_start,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap,
            "KAFKA_PORT": str(self.kafka_port),
            "KAFKA_CONTROLLER_PORT": str(self.kafka_controller_port),
            "SPARK_REMOTE": self.spark_remote,
            "SPARK_PORT": str(self.spark_port),
            "SIMULATOR_PORT": str(self.simulator_port),
            "DAGSTER_PORT": str(self.dagster_port),
            "CODE_SERVER_PORT": str(self.code_server_port),
            "DASHBOARD_PORT": str(self.dashboard_port),
            "SPOOL_LIMIT_MB": str(self.spool_limit_mb),
        }
        return {name: value for name, value in values.items() if value is not None}


def load(environment: Mapping[str, str] | None = None, *, env_file: Path | None = None) -> Settings:
    """Read and check all settings; `environment` and `env_file` replace the real ones in tests."""
    file = dotenv_values(env_file or Path(".env"))
    given = os.environ if environment is None else environment
    values = {name: value for name, value in {**file, **given}.items() if value}
    state_dir = Path(values.get("STATE_DIR", ".crypto-pipeline")).expanduser().absolute()
    recorded = values.get("RECORDED_DIR")
    return Settings(
        market=_market(values, state_dir),
        symbols=parse_symbols(values.get("SYMBOLS", DEFAULT_SYMBOLS)),
        state_dir=state_dir,
        lake_root_setting=values.get("LAKE_ROOT"),
        history_hours=_integer(values, "HISTORY_HOURS", 24, low=0, high=24 * 400),
        poll_delay_seconds=_number(values, "POLL_DELAY_SECONDS", 5.0, low=0.0, high=50.0),
        binance_url=_url(values, "BINANCE_URL", "https://data-api.binance.vision"),
        simulator_seed=_integer(values, "SIMULATOR_SEED", 7, low=0, high=2**31),
        simulator_speed=_number(values, "SIMULATOR_SPEED", 1.0, low=0.01, high=10_000.0),
        recorded_dir=None if recorded is None else Path(recorded).expanduser().absolute(),
        recorded_start=values.get("RECORDED_START"),
        kafka_bootstrap=values.get("KAFKA_BOOTSTRAP_SERVERS"),
        kafka_port=_port(values, "KAFKA_PORT", 9092),
        kafka_controller_port=_port(values, "KAFKA_CONTROLLER_PORT", 9093),
        spark_remote=values.get("SPARK_REMOTE"),
        spark_port=_port(values, "SPARK_PORT", 15002),
        spark_token_setting=_secret(values, "SPARK_CONNECT_TOKEN"),
        simulator_port=_port(values, "SIMULATOR_PORT", 8900),
        dagster_port=_port(values, "DAGSTER_PORT", 3000),
        code_server_port=_port(values, "CODE_SERVER_PORT", 4266),
        dashboard_port=_port(values, "DASHBOARD_PORT", 8501),
        spool_limit_mb=_integer(values, "SPOOL_LIMIT_MB", 512, low=1, high=1_000_000),
        aws_access_key_id=_secret(values, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"),
        aws_secret_access_key=_secret(values, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"),
        databricks_token=_secret(values, "DATABRICKS_TOKEN"),
    )


def spark_token(settings: Settings) -> Secret:
    """The Connect server's token: the setting, else the file that the stack made (mode 0600)."""
    if settings.spark_token_setting is not None:
        return settings.spark_token_setting
    if settings.spark_token_file.exists():
        return Secret(settings.spark_token_file.read_text().strip())
    raise SettingsError(
        f"There is no Spark token in {settings.spark_token_file}. Start the services with "
        "`make up`, or set SPARK_CONNECT_TOKEN for a server of your own."
    )


def current_file(state_dir: Path) -> Path:
    """Where the running stack writes the market that it settled on."""
    return state_dir / "current.json"


def parse_symbols(text: str) -> tuple[str, ...]:
    """Split a comma-separated watch-list; order is kept, repeats are dropped.

    >>> parse_symbols("btc-usdt, ETH-USDT,BTC-USDT")
    ('BTC-USDT', 'ETH-USDT')
    """
    symbols = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    for symbol in symbols:
        if not SYMBOL_FORM.fullmatch(symbol):
            raise SettingsError(
                f"SYMBOLS has {symbol!r}. Write BASE-QUOTE in capitals with commas between, "
                "for example BTC-USDT,ETH-USDT."
            )
    if not symbols:
        raise SettingsError("SYMBOLS is empty. Name at least one, for example BTC-USDT.")
    return symbols


def _market(values: Mapping[str, str], state_dir: Path) -> MarketSetting:
    text = values.get("MARKET", "auto").lower()
    if text == "auto" and current_file(state_dir).exists():
        text = str(json.loads(current_file(state_dir).read_text()).get("market", "auto"))
    for accepted in get_args(MarketSetting):
        if text == accepted:
            return accepted  # type: ignore[no-any-return]
    raise SettingsError(f"MARKET is {text!r}. Accepted: {', '.join(get_args(MarketSetting))}.")


def _integer(values: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    text = values.get(name, str(default))
    if not re.fullmatch(r"-?\d+", text) or not low <= int(text) <= high:
        raise SettingsError(f"{name} is {text!r}. Give a whole number from {low} to {high}.")
    return int(text)


def _number(
    values: Mapping[str, str], name: str, default: float, *, low: float, high: float
) -> float:
    text = values.get(name, str(default))
    try:
        number = float(text)
    except ValueError as error:
        raise SettingsError(f"{name} is {text!r}. Give a number from {low} to {high}.") from error
    if not low <= number <= high:
        raise SettingsError(f"{name} is {text!r}. Give a number from {low} to {high}.")
    return number


def _port(values: Mapping[str, str], name: str, default: int) -> int:
    return _integer(values, name, default, low=1, high=65535)


def _url(values: Mapping[str, str], name: str, default: str) -> str:
    text = values.get(name, default).rstrip("/")
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", text):
        raise SettingsError(f"{name} is {text!r}. Give an address such as {default}.")
    return text


def _secret(values: Mapping[str, str], *names: str) -> Secret | None:
    """The first name that is set wins, so the standard name comes first."""
    for name in names:
        if name in values:
            return Secret(values[name])
    return None


def process_environment() -> dict[str, str]:
    """A copy of this process's environment, for the children that the stack starts."""
    return dict(os.environ)
