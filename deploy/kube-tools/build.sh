#!/bin/sh
# Makes what the chart's tests need: helm and kube-score, compiled from their locked Go modules, and
# checkov in an environment of its own. What is there already is not made again.
#
#   sh deploy/kube-tools/build.sh          prints the folder that holds them
#   sh deploy/kube-tools/build.sh --where  only says where that is, or would be
set -eu
cd "$(dirname "$0")"

key=$(cat helm/go.* kube-score/go.* checkov.lock | sha256sum | cut -c 1-16)
tools=${XDG_CACHE_HOME:-$HOME/.cache}/crypto-pipeline/tools/$key
if [ -f "$tools/complete" ] || [ "${1:-}" = --where ]; then
    echo "$tools"
    exit 0
fi
if ! command -v go >/dev/null; then
    echo "The Go toolchain was not found. Install Go 1.26 or newer (go.dev/dl), then run this again." >&2
    exit 2
fi
mkdir -p "$tools"

# Two compilers at a time, and behind whatever else this machine does.
compile() {
    echo "Building ${2##*/}" >&2
    (cd "$1" && nice -n 19 env CGO_ENABLED=0 GOFLAGS="-p=2 -trimpath -buildvcs=false -mod=readonly" \
        go build -ldflags "-s -w" -o "$tools/" "$2") >&2
}
compile helm helm.sh/helm/v3/cmd/helm
compile kube-score github.com/zegl/kube-score/cmd/kube-score

echo "Setting up checkov" >&2
python=../../.venv/bin/python
[ -x "$python" ] || python=python3
"$python" -m venv --clear "$tools/checkov" >&2
"$tools/checkov/bin/python" -m pip install --disable-pip-version-check --quiet --require-hashes -r checkov.lock >&2
touch "$tools/complete"
echo "$tools"
