#!/bin/sh
# Prints the Secrets of a trial as YAML: random values, and a certificate authority that is thrown away.
#
#   sh deploy/trial-secrets.sh NAMESPACE RELEASE | kubectl apply -f -
set -eu
if [ $# != 2 ]; then
    echo "Give the namespace and the release: sh deploy/trial-secrets.sh market crypto-pipeline" >&2
    exit 2
fi
namespace=$1
release=$2
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

host=$release-spark.$namespace.svc
openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj "/CN=crypto-pipeline trial" \
    -keyout ca.key -out ca.crt -addext keyUsage=critical,keyCertSign 2>/dev/null
openssl req -newkey rsa:3072 -nodes -subj "/CN=$host" -keyout tls.key -out tls.csr 2>/dev/null
printf 'subjectAltName=DNS:%s,DNS:%s.cluster.local\nextendedKeyUsage=serverAuth\n' "$host" "$host" > names
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile names -out tls.crt 2>/dev/null

encoded() { base64 < "$1" | tr -d '\n'; }
random() { openssl rand -hex 32 | tr -d '\n' | base64 | tr -d '\n'; }

cat <<YAML
apiVersion: v1
kind: Secret
metadata: {name: crypto-pipeline-spark-token, namespace: $namespace}
data: {token: $(random)}
---
apiVersion: v1
kind: Secret
metadata: {name: crypto-pipeline-spark-tls, namespace: $namespace}
type: kubernetes.io/tls
data: {tls.crt: $(encoded tls.crt), tls.key: $(encoded tls.key), ca.crt: $(encoded ca.crt)}
---
apiVersion: v1
kind: Secret
metadata: {name: crypto-pipeline-postgres, namespace: $namespace}
data: {username: $(printf dagster | base64), password: $(random)}
YAML
