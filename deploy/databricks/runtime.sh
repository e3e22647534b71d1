#!/bin/sh
# Makes the environment of Databricks Runtime 15.4 LTS as far as it is public: its Spark, Delta,
# pandas and Arrow, locked. The tests run our wheel in it. What is there is not made again.
#
#   sh deploy/databricks/runtime.sh          prints the folder that holds it
#   sh deploy/databricks/runtime.sh --where  only says where that is, or would be
set -eu
cd "$(dirname "$0")"

key=$(cat runtime-15.4.lock jars-15.4.lock | sha256sum | cut -c 1-16)
runtime=${XDG_CACHE_HOME:-$HOME/.cache}/crypto-pipeline/tools/databricks-$key
if [ -f "$runtime/complete" ] || [ "${1:-}" = --where ]; then
    echo "$runtime"
    exit 0
fi
ours=../../.venv/bin/python
python=
for candidate in "$ours" python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Databricks Runtime 15.4 has Python 3.11, and there is none here. Install python3.11." >&2
    exit 2
fi
"$python" -m venv --clear "$runtime" >&2
"$runtime/bin/python" -m pip install --disable-pip-version-check --quiet --require-hashes -r runtime-15.4.lock >&2
(cd ../.. && .venv/bin/python -m crypto_pipeline.embedded.fetch_jars \
    --lock deploy/databricks/jars-15.4.lock --into "$runtime/jars" runtime)
touch "$runtime/complete"
echo "$runtime"
