#!/bin/sh
# Runs are children of the code server, so those of the one before are dead; the next is to say so.
# It starts in any case. Everything else is a command.
if [ "${1:-} ${2:-}" = "dagster code-server" ]; then
    python -m crypto_pipeline.resources.dead_runs ||
        echo "Runs of an earlier code server were not failed; each ends at its longest run time." >&2
fi
exec "$@"
