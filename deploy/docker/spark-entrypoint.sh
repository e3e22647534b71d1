#!/bin/sh
# Spark starts the pod of an executor with the one word `executor`; everything else is a command.
if [ "${1:-}" = executor ]; then
    exec python -m crypto_pipeline.cluster.spark_executor
fi
exec "$@"
