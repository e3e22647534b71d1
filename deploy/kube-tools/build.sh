#!/bin/sh
# Makes what the chart's tests need: helm, kube-score and kube-apiserver, compiled from their locked
# Go modules, an etcd, and checkov in an environment of its own. What is there is not made again.
#
#   sh deploy/kube-tools/build.sh          prints the folder that holds them
#   sh deploy/kube-tools/build.sh --where  only says where that is, or would be
set -eu
cd "$(dirname "$0")"

key=$(cat helm/go.* kube-score/go.* apiserver/go.* checkov.lock | sha256sum | cut -c 1-16)
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
    module=$1
    command=$2
    shift 2
    echo "Building ${command##*/}" >&2
    (cd "$module" && nice -n 19 env CGO_ENABLED=0 GOGC=400 GOFLAGS="-p=2 -trimpath -buildvcs=false -mod=readonly" \
        go build "$@" -o "$tools/" "$command") >&2
}
compile helm helm.sh/helm/v3/cmd/helm -ldflags "-s -w"
compile kube-score github.com/zegl/kube-score/cmd/kube-score -ldflags "-s -w"
# The largest by far: without optimisation it is there sooner, and fast enough for tests. Its own build
# writes the version into it, which helm asks for.
version=$(sed -n 's/^require k8s.io\/kubernetes //p' apiserver/go.mod)
says=k8s.io/component-base/version
compile apiserver k8s.io/kubernetes/cmd/kube-apiserver -gcflags "all=-N -l -dwarf=false" -ldflags \
    "-s -w -X $says.gitVersion=$version -X $says.gitMajor=1 -X $says.gitMinor=$(echo "$version" | cut -d . -f 2)"

if ! command -v etcd >/dev/null && command -v apt-get >/dev/null; then
    echo "Unpacking Debian's etcd; installed, it would start a service" >&2
    unpacked=$(mktemp -d)
    (cd "$unpacked" && {
        apt-get -qq download etcd-server || { apt-get -qq update && apt-get -qq download etcd-server; }
    } && dpkg-deb --extract ./*.deb . && mv usr/bin/etcd "$tools/") >&2
    rm -rf "$unpacked"
fi

echo "Setting up checkov" >&2
python=../../.venv/bin/python
[ -x "$python" ] || python=python3
"$python" -m venv --clear "$tools/checkov" >&2
"$tools/checkov/bin/python" -m pip install --disable-pip-version-check --quiet --require-hashes -r checkov.lock >&2
touch "$tools/complete"
echo "$tools"
