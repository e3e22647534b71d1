"""Which failures of a run a fault explains; any other is the code's own, and a bug."""

from __future__ import annotations

# A sentence of ours says what is wrong outside.
OURS = "crypto_pipeline.errors."
# But the first says that rows were lost or made up on the way, which is never outside.
NEVER = ("crypto_pipeline.errors.BooksError",)
# What clients raise of a server that is killed, restarted or cut off, and the system of a disk that
# is full. What Spark says of a plan or a value (AnalysisException and its like) is not among them.
OUTSIDE = frozenset(
    (
        "pyspark.errors.exceptions.base.PySparkRuntimeError",
        "pyspark.errors.exceptions.base.SessionNotSameException",
        "pyspark.errors.exceptions.connect.SparkConnectGrpcException",
        "pyspark.errors.exceptions.connect.SparkException",
        "grpc._channel._InactiveRpcError",
        "grpc._channel._MultiThreadedRendezvous",
        "dagster._core.errors.DagsterExecutionInterruptedError",
        "kafka.errors.KafkaConnectionError",
        "kafka.errors.KafkaTimeoutError",
        "kafka.errors.NodeNotReadyError",
        "sqlalchemy.exc.OperationalError",
        "sqlite3.OperationalError",
        "OSError",
        "BrokenPipeError",
        "ConnectionAbortedError",
        "ConnectionRefusedError",
        "ConnectionResetError",
        "TimeoutError",
    )
)


def is_explained(name: str) -> bool:
    """By the full name of the class, as a traceback has it.

    >>> is_explained("crypto_pipeline.errors.BrokerAwayError"), is_explained("ValueError")
    (True, False)
    """
    return name not in NEVER and (name.startswith(OURS) or name in OUTSIDE)
