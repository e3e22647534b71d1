//go:build tools

// Package pins names the command that this module pins; build.sh builds it.
package pins

import _ "helm.sh/helm/v3/cmd/helm"
