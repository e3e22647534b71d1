#!/bin/sh
# Builds what the chart's tests need: helm, from its locked Go module. What is there already is not
# built again.
#
#   sh deploy/kube-tools/build.sh          prints the folder that holds it
#   sh deploy/kube-tools/build.sh --where  only says where that is, or would be
set -eu
cd "$(dirname "$0")"

key=$(cat helm/go.mod helm/go.sum | sha256sum | cut -c 1-16)
tools=${XDG_CACHE_HOME:-$HOME/.cache}/crypto-pipeline/tools/$key
if [ -f "$tools/complete" ] || [ "${1:-}" = --where ]; then
    echo "$tools"
    exit 0
fi
if ! command -v go >/dev/null; then
    echo "The Go toolchain was not found. Install Go 1.25 or newer (go.dev/dl), then run this again." >&2
    exit 2
fi
mkdir -p "$tools"
echo "Building helm" >&2
# Two compilers at a time, and behind whatever else this machine does.
(cd helm && nice -n 19 env CGO_ENABLED=0 GOFLAGS="-p=2 -trimpath -buildvcs=false -mod=readonly" \
    go build -ldflags "-s -w" -o "$tools/" helm.sh/helm/v3/cmd/helm) >&2
touch "$tools/complete"
echo "$tools"
