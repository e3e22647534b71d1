#!/bin/sh
# Builds the images of the chart: BASE=NAME@sha256:... sh deploy/docker/build.sh [TAG [PREFIX]]
#
#   BASE    a Python 3.11 by digest:   docker pull python:3.11-slim-bookworm
#                                      docker image inspect --format '{{index .RepoDigests 0}}' python:3.11-slim-bookworm
#   TAG     the version of this package when left out
#   PREFIX  where they are to be pushed, with its slash: registry.example.com/team/
set -eu
cd "$(dirname "$0")/../.."

case "${BASE:-}" in
    *@sha256:*) ;;
    *)
        echo "BASE is '${BASE:-}', which names no digest. The first lines of deploy/docker/build.sh say where to get it." >&2
        exit 2
        ;;
esac
tag=${1:-$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)}
prefix=${2:-}

for pair in pipeline:crypto-pipeline spark-server:crypto-pipeline-spark dashboard:crypto-pipeline-dashboard; do
    docker build --file deploy/docker/Dockerfile --target "${pair%%:*}" --build-arg BASE="$BASE" \
        --tag "$prefix${pair#*:}:$tag" .
done
