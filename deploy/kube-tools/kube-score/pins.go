//go:build tools

// Package pins names the command that this module pins; build.sh builds it.
package pins

import _ "github.com/zegl/kube-score/cmd/kube-score"
