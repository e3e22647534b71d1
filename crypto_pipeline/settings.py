"""The one door to the environment: every setting, its name, its default, its check.

`load()` reads `.env` in the working directory, then the process environment, which wins.
Nothing else in the package spells an environment variable. A malformed value raises
`SettingsError` with the accepted values.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from dotenv import dotenv_values

from crypto_pipeline import kafka_settings, market_setting, setting_values, store_settings
from crypto_pipeline.alerting_settings import Alerting, alerting
from crypto_pipeline.databricks_settings import DatabricksSettings, databricks
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.holding.limits import Limits
from crypto_pipeline.kafka_settings import KafkaRole, KafkaSettings
from crypto_pipeline.keeping_settings import Keeping, keeping
from crypto_pipeline.market_setting import MarketSetting, current_file
from crypto_pipeline.screen_settings import ScreenSettings, screen_settings
from crypto_pipeline.setting_values import SYMBOL_FORM, Secret, VenueName, parse_symbols
from crypto_pipeline.store_settings import StoreSettings

__all__ = [
    "SYMBOL_FORM", "Secret", "Settings", "VenueName", "current_file", "load", "parse_symbols",
]  # fmt: skip

CoinGeckoPlan = Literal["demo", "pro"]

COINGECKO = "coingecko"
UNDECIDED = "MARKET is not decided yet: start `make up`, or set it (live, simulated, recorded)."
COINGECKO_URLS = {"demo": "https://api.coingecko.com", "pro": "https://pro-api.coingecko.com"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process, checked. Paths are absolute; ports on 127.0.0.1 but metrics'.

    `symbols` is empty where SYMBOLS=all asks for a whole venue. `venues` are in the order in
    which they are tried. The watch-list is pinned when the environment itself names it.
    """

    market: MarketSetting
    symbols: tuple[str, ...]
    is_watch_list_pinned: bool
    venues: tuple[VenueName, ...]
    state_dir: Path
    lake_root_setting: str | None
    history_hours: int
    poll_delay_seconds: float
    binance_url: str
    kraken_url: str
    coinbase_url: str
    coingecko_url: str
    coingecko_plan: CoinGeckoPlan
    coingecko_api_key: Secret | None
    coingecko_minutes: int
    binance_weight_per_minute: int
    kraken_requests_per_second: float
    coinbase_requests_per_second: float
    coingecko_calls_per_minute: int
    coingecko_calls_per_day: int
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
    spark_heap: str | None
    spark_properties_file: Path | None
    simulator_port: int
    dagster_port: int
    code_server_port: int
    dashboard_port: int
    metrics_host: str
    metrics_port: int
    dashboard_metrics_port: int
    screen: ScreenSettings
    spool_limit_mb: int
    rejection_limits: Limits
    store: StoreSettings
    databricks: DatabricksSettings
    kafka: KafkaSettings
    keeping: Keeping
    alerting: Alerting
    kafka_role: KafkaRole = "poller"

    def as_kafka_user(self, role: KafkaRole) -> Settings:
        """These settings for a workload that Kafka is to know by its own user."""
        return replace(self, kafka_role=role)

    @property
    def home(self) -> Path:
        """State of one market kind: broker log, lake, spool, Dagster. Needs a resolved market."""
        if self.market == "auto":
            raise SettingsError(UNDECIDED)
        return self.state_dir / self.market

    @property
    def lake_root(self) -> str:
        return self.lake_root_setting or str(self.home / "lake")

    @property
    def is_lake_in_store(self) -> bool:
        return store_settings.is_in_store(self.lake_root)

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
    def is_whole_venue(self) -> bool:
        return not self.symbols

    @property
    def source(self) -> str:
        """The source of the venue that is tried first."""
        return self.source_of(self.venues[0])

    def source_of(self, venue: str) -> str:
        """The source in every key, one a venue; decision 1 of the design gives the forms."""
        if self.market == "simulated":
            return f"simulator:{venue}:{self.simulator_seed}"
        if self.market == "recorded":
            if self.recorded_dir is None:
                raise SettingsError(
                    "MARKET=recorded needs RECORDED_DIR: a folder of candle files named "
                    "BASE_QUOTE-1m.csv.gz."
                )
            folder = f"recorded:{self.recorded_dir.name}"
            return folder if venue == "binance" else f"{folder}:{venue}"
        return venue

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.simulator_port}"

    def url_of(self, venue: str) -> str:
        """Where a venue's endpoints are answered: there, or by the simulator in its place."""
        if self.market in ("simulated", "recorded"):
            return self.simulator_url if venue == "binance" else f"{self.simulator_url}/{venue}"
        return {
            "binance": self.binance_url,
            "kraken": self.kraken_url,
            "coinbase": self.coinbase_url,
            COINGECKO: self.coingecko_url,
        }[venue]

    def environment(self) -> dict[str, str]:
        """The variables that make a child process see the same settings; no secrets in it."""
        watch_list = ",".join(self.symbols) or setting_values.WHOLE_VENUE
        values = {
            "MARKET": self.market,
            # Else every poll reads it from `.env` anew: the watch-list may change while we run.
            "SYMBOLS": watch_list if self.is_watch_list_pinned else None,
            "VENUES": ",".join(self.venues),
            "STATE_DIR": str(self.state_dir),
            "LAKE_ROOT": self.lake_root_setting,
            **self.store.place(),
            "HISTORY_HOURS": str(self.history_hours),
            "POLL_DELAY_SECONDS": str(self.poll_delay_seconds),
            "BINANCE_URL": self.binance_url,
            "KRAKEN_URL": self.kraken_url,
            "COINBASE_URL": self.coinbase_url,
            "COINGECKO_URL": self.coingecko_url,
            "COINGECKO_PLAN": self.coingecko_plan,
            "COINGECKO_MINUTES": str(self.coingecko_minutes),
            "BINANCE_WEIGHT_PER_MINUTE": str(self.binance_weight_per_minute),
            "KRAKEN_REQUESTS_PER_SECOND": str(self.kraken_requests_per_second),
            "COINBASE_REQUESTS_PER_SECOND": str(self.coinbase_requests_per_second),
            "COINGECKO_CALLS_PER_MINUTE": str(self.coingecko_calls_per_minute),
            "COINGECKO_CALLS_PER_DAY": str(self.coingecko_calls_per_day),
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
            "METRICS_HOST": self.metrics_host,
            "METRICS_PORT": str(self.metrics_port),
            "DASHBOARD_METRICS_PORT": str(self.dashboard_metrics_port),
            "SPOOL_LIMIT_MB": str(self.spool_limit_mb),
            **self.rejection_limits.environment(),
            **(self.kafka.environment() | self.screen.environment()),
            **self.databricks.environment(),
            **(self.keeping.environment() | self.alerting.environment()),
        }
        return {name: value for name, value in values.items() if value is not None}


def load(environment: Mapping[str, str] | None = None, *, env_file: Path | None = None) -> Settings:
    """Read and check all settings; `environment` and `env_file` replace the real ones in tests."""
    given = os.environ if environment is None else environment
    values = {n: v for n, v in {**dotenv_values(env_file or Path(".env")), **given}.items() if v}
    state_dir = Path(values.get("STATE_DIR", ".crypto-pipeline")).expanduser().absolute()
    number, url, whole = setting_values.number, setting_values.url, setting_values.integer
    pace = partial(number, low=0.01, high=1000.0)
    plan = setting_values.choice(values, "COINGECKO_PLAN", "demo", get_args(CoinGeckoPlan))
    return Settings(
        market=market_setting.decided(values, state_dir),
        symbols=setting_values.watch_list(values.get("SYMBOLS", setting_values.DEFAULT_SYMBOLS)),
        is_watch_list_pinned=bool(given.get("SYMBOLS")),
        venues=setting_values.venues(values.get("VENUES", ",".join(get_args(VenueName)))),
        state_dir=state_dir,
        lake_root_setting=store_settings.lake_root(values),
        history_hours=whole(values, "HISTORY_HOURS", 24, low=0, high=24 * 400),
        poll_delay_seconds=number(values, "POLL_DELAY_SECONDS", 5.0, low=0.0, high=50.0),
        binance_url=setting_values.url(values, "BINANCE_URL", "https://data-api.binance.vision"),
        kraken_url=setting_values.url(values, "KRAKEN_URL", "https://api.kraken.com"),
        coinbase_url=url(values, "COINBASE_URL", "https://api.exchange.coinbase.com"),
        coingecko_url=setting_values.url(values, "COINGECKO_URL", COINGECKO_URLS[plan]),
        coingecko_plan=plan,  # type: ignore[arg-type]
        coingecko_api_key=setting_values.secret(values, "COINGECKO_API_KEY"),
        coingecko_minutes=setting_values.coingecko_minutes(values),
        binance_weight_per_minute=whole(
            values, "BINANCE_WEIGHT_PER_MINUTE", 4800, low=100, high=1_000_000
        ),
        kraken_requests_per_second=pace(values, "KRAKEN_REQUESTS_PER_SECOND", 0.9),
        coinbase_requests_per_second=pace(values, "COINBASE_REQUESTS_PER_SECOND", 8.0),
        coingecko_calls_per_minute=whole(
            values, "COINGECKO_CALLS_PER_MINUTE", 25, low=1, high=10_000
        ),
        coingecko_calls_per_day=whole(values, "COINGECKO_CALLS_PER_DAY", 320, low=1, high=10**6),
        simulator_seed=whole(values, "SIMULATOR_SEED", 7, low=0, high=2**31),
        simulator_speed=number(values, "SIMULATOR_SPEED", 1.0, low=0.01, high=10_000.0),
        recorded_dir=setting_values.path(values, "RECORDED_DIR"),
        recorded_start=values.get("RECORDED_START"),
        kafka_bootstrap=values.get("KAFKA_BOOTSTRAP_SERVERS"),
        kafka_port=setting_values.port(values, "KAFKA_PORT", 9092),
        kafka_controller_port=setting_values.port(values, "KAFKA_CONTROLLER_PORT", 9093),
        spark_remote=values.get("SPARK_REMOTE"),
        spark_port=setting_values.port(values, "SPARK_PORT", 15002),
        spark_token_setting=setting_values.secret(values, "SPARK_CONNECT_TOKEN"),
        spark_heap=setting_values.heap(values, "SPARK_HEAP"),
        spark_properties_file=setting_values.path(values, "SPARK_PROPERTIES_FILE"),
        simulator_port=setting_values.port(values, "SIMULATOR_PORT", 8900),
        dagster_port=setting_values.port(values, "DAGSTER_PORT", 3000),
        code_server_port=setting_values.port(values, "CODE_SERVER_PORT", 4266),
        dashboard_port=setting_values.port(values, "DASHBOARD_PORT", 8501),
        metrics_host=setting_values.host(values, "METRICS_HOST", "127.0.0.1"),
        metrics_port=setting_values.port(values, "METRICS_PORT", 9464),
        dashboard_metrics_port=setting_values.port(values, "DASHBOARD_METRICS_PORT", 9465),
        screen=screen_settings(values),
        spool_limit_mb=whole(values, "SPOOL_LIMIT_MB", 512, low=1, high=1_000_000),
        rejection_limits=setting_values.rejection_limits(values),
        store=store_settings.load(values),
        databricks=databricks(values),
        kafka=kafka_settings.load(values),
        keeping=keeping(values),
        alerting=alerting(values),
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


def process_environment() -> dict[str, str]:
    """A copy of this process's environment, for the children that the stack starts."""
    return dict(os.environ)


def set_environment(values: Mapping[str, str]) -> None:
    """Set variables of this process, for a library that reads its options nowhere else."""
    os.environ.update(values)
