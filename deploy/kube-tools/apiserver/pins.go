//go:build tools

// Package pins names the commands that this module pins; build.sh builds them.
package pins

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
