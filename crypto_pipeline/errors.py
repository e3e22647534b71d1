"""The error tree. Every message says what happened, to what, and what to do.

* PipelineError
  x SettingsError          a setting is malformed or contradicts another
  x MachineError      the machine refuses: port, disk, Java, folder, jar sum
  x MarketError            the venue did not give what was asked
    + TransientMarketError     may answer if asked again: time-out, 5xx, cut body
    + ToldToWaitError          429 or 418: not before `retry_after_seconds`
    + PermanentMarketError     451, 403, bad key: asking again will not help
      - RequestRefusedError       400 or 404: the question itself is refused
    + WrongContentError        an answer that is not what the endpoint promises
      - UnexpectedBodyError       it is kept: a page, or an object where rows belong
  x StreamError            Kafka refused, is away, or holds something unexpected
    + BrokerAwayError
    + DeliveryError
    + TopicChangedError        cluster, topic id or offsets went back
    + SpoolFullError
  x LakeError              a table or a commit is not what it should be
    + SparkAwayError
    + StoreAwayError           the object store does not answer, or refuses
    + UnfitStoreError          it cannot keep two writers apart
    + LeaseHeldError           another server writes this lake
    + SchemaDriftError
    + ForeignMarketError       the lake belongs to another market kind
    + ForeignEngineError       the table is written by another engine
    + BooksError               rows in do not equal the rows accounted for
    + NotInLakeError           what was asked for by name or time is not there
  x FormatError            a table or a state folder is of a newer or an older format
  x RunnerError            a stage that runs elsewhere did not end well, or was not let in
  x ServiceError           a service of the laptop stack did not start or died
  x AlertError             an alert could not be sent
  x RegistryError          the model registry refuses, or has nothing to move to
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of every error that a user can act on; the CLI prints it and exits with 2."""


class SettingsError(PipelineError): ...


class MachineError(PipelineError): ...


class MarketError(PipelineError): ...


class TransientMarketError(MarketError): ...


class ToldToWaitError(MarketError):
    """The venue said when to come back."""

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class PermanentMarketError(MarketError): ...


class RequestRefusedError(PermanentMarketError):
    """The venue understood and declined this question; `code` is its own word for why, if any."""

    def __init__(self, message: str, *, code: int | str | None) -> None:
        super().__init__(message)
        self.code = code


class WrongContentError(MarketError): ...


class UnexpectedBodyError(WrongContentError):
    """An answer under a good status that is not market data; `body` is its text."""

    def __init__(self, message: str, *, body: str) -> None:
        super().__init__(message)
        self.body = body


class StreamError(PipelineError): ...


class BrokerAwayError(StreamError): ...


class DeliveryError(StreamError): ...


class TopicChangedError(StreamError): ...


class SpoolFullError(StreamError): ...


class LakeError(PipelineError): ...


class SparkAwayError(LakeError): ...


class StoreAwayError(LakeError): ...


class UnfitStoreError(LakeError): ...


class LeaseHeldError(LakeError): ...


class SchemaDriftError(LakeError): ...


class ForeignMarketError(LakeError): ...


class ForeignEngineError(LakeError): ...


class BooksError(LakeError): ...


class NotInLakeError(LakeError): ...


class FormatError(PipelineError): ...


class RunnerError(PipelineError): ...


class ServiceError(PipelineError): ...


class AlertError(PipelineError): ...


class RegistryError(PipelineError): ...
