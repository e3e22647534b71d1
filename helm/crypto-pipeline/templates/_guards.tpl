{{/* Contradictions that a schema cannot see, each as a sentence that says what to set. */}}
{{- define "crypto-pipeline.guards" -}}
{{- $v := .Values -}}
{{- if and (eq $v.kafka.mode "strimzi") $v.kafka.strimzi.requireOperator (not (.Capabilities.APIVersions.Has "kafka.strimzi.io/v1/Kafka")) -}}
{{- fail "The cluster does not serve kafka.strimzi.io/v1. Install the Strimzi operator 1.0 or newer first (docs/install.md), or set kafka.mode=external. For `helm template` without a cluster add --api-versions kafka.strimzi.io/v1/Kafka." -}}
{{- end -}}
{{- if and (eq $v.kafka.mode "external") (not $v.kafka.external.bootstrapServers) -}}
{{- fail "kafka.mode is external, but kafka.external.bootstrapServers is empty. Give host:port of your brokers, commas between." -}}
{{- end -}}
{{- if and (eq $v.kafka.mode "external") (eq $v.kafka.external.security "scram") -}}
{{- range $role, $secret := $v.kafka.external.users -}}
{{- if not $secret -}}
{{- fail (printf "kafka.external.users.%s is empty. Name a Secret with the keys username and password, or set kafka.external.security." $role) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.kafka.mode "external") $v.networkPolicy.enabled (not $v.kafka.external.cidrs) -}}
{{- fail "kafka.mode is external and networkPolicy.enabled is true, but kafka.external.cidrs is empty, so nothing could reach Kafka. Give the brokers' ranges, or turn the policies off." -}}
{{- end -}}
{{- if and $v.kafka.strimzi.external.enabled (eq $v.kafka.mode "external") -}}
{{- fail "kafka.strimzi.external.enabled is true, but kafka.mode is external: there is no Strimzi listener to open. Set one of them." -}}
{{- end -}}
{{- if and $v.kafka.strimzi.external.enabled (eq $v.kafka.strimzi.external.type "tlsroute") (not (and $v.kafka.strimzi.external.domain $v.kafka.strimzi.external.gateway.name)) -}}
{{- fail "kafka.strimzi.external.type is tlsroute: set kafka.strimzi.external.domain and kafka.strimzi.external.gateway.name." -}}
{{- end -}}
{{- if not $v.spark.existingSecret -}}
{{- fail "spark.existingSecret is empty. Make a Secret with the key token (openssl rand -hex 32) and name it there; docs/install.md has the commands." -}}
{{- end -}}
{{- if not $v.spark.tls.existingSecret -}}
{{- fail "spark.tls.existingSecret is empty. Make a TLS Secret for Spark Connect with ca.crt, tls.crt and tls.key and name it there; docs/install.md has the commands." -}}
{{- end -}}
{{- if not $v.postgres.existingSecret -}}
{{- fail "postgres.existingSecret is empty. Make a Secret with the keys username and password for Dagster's database and name it there." -}}
{{- end -}}
{{- if and $v.postgres.bundled $v.postgres.host -}}
{{- fail "postgres.bundled is true and postgres.host is set. Choose one: the bundled database for a trial, or your own." -}}
{{- end -}}
{{- if and (not $v.postgres.bundled) (not $v.postgres.host) -}}
{{- fail "postgres.host is empty. Give the host of your database, or set postgres.bundled=true for a trial." -}}
{{- end -}}
{{- if and (not $v.postgres.bundled) (eq $v.postgres.sslmode "disable") -}}
{{- fail "postgres.sslmode is disable with a database outside the chart: passwords would cross the network in the clear. Use verify-full." -}}
{{- end -}}
{{- if and (not $v.postgres.bundled) (eq $v.postgres.sslmode "verify-full") (not $v.postgres.caSecret) -}}
{{- fail "postgres.sslmode is verify-full, but postgres.caSecret is empty. Name a Secret with the key ca.crt of your database's authority." -}}
{{- end -}}
{{- if and (not $v.postgres.bundled) $v.networkPolicy.enabled (not $v.postgres.cidrs) -}}
{{- fail "postgres.cidrs is empty and networkPolicy.enabled is true, so Dagster could not reach its database. Give its ranges, or turn the policies off." -}}
{{- end -}}
{{- if and $v.databricks.enabled (not (and $v.databricks.host $v.databricks.existingSecret $v.databricks.volume)) -}}
{{- fail "databricks.enabled is true: set databricks.host, databricks.existingSecret (a Secret with the key token) and databricks.volume (/Volumes/catalog/schema/volume)." -}}
{{- end -}}
{{- if and $v.databricks.enabled (include "crypto-pipeline.isFolderLake" .) -}}
{{- fail "databricks.enabled is true, but lake.root is a folder, which Databricks cannot read. Set lake.root to s3a://bucket/prefix." -}}
{{- end -}}
{{- if and (eq $v.spark.master "kubernetes") (include "crypto-pipeline.isFolderLake" .) (ne $v.lake.volume.accessMode "ReadWriteMany") -}}
{{- fail "spark.master is kubernetes and the lake is a folder on a ReadWriteOnce volume, which executors on other nodes cannot mount. Set lake.volume.accessMode=ReadWriteMany, or lake.root to s3a://bucket/prefix." -}}
{{- end -}}
{{- if and (eq $v.spark.master "kubernetes") $v.networkPolicy.enabled (not $v.networkPolicy.apiServerCidrs) -}}
{{- fail "spark.master is kubernetes, but networkPolicy.apiServerCidrs is empty. Give the API server's ranges (kubectl get endpoints kubernetes), or turn the policies off." -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.oidc.enabled) -}}
{{- fail "ingress.enabled is true without oidc.enabled: Dagster has no login of its own, and whoever reaches it may start runs. Enable oidc, or use kubectl port-forward." -}}
{{- end -}}
{{- if and $v.ingress.enabled (not (and $v.ingress.dagsterHost $v.ingress.dashboardHost $v.ingress.tlsSecret)) -}}
{{- fail "ingress.enabled is true: set ingress.dagsterHost, ingress.dashboardHost and ingress.tlsSecret." -}}
{{- end -}}
{{- if and $v.ingress.enabled $v.networkPolicy.enabled (not $v.ingress.controllerNamespace) -}}
{{- fail "ingress.controllerNamespace is empty, so the policies would keep the ingress controller out. Name its namespace." -}}
{{- end -}}
{{- if and $v.oidc.enabled (not (and $v.oidc.issuerUrl $v.oidc.existingSecret $v.oidc.emailDomains)) -}}
{{- fail "oidc.enabled is true: set oidc.issuerUrl, oidc.existingSecret (keys client-id, client-secret, cookie-secret) and oidc.emailDomains." -}}
{{- end -}}
{{- if and $v.lake.endpoint (not (include "crypto-pipeline.isFolderLake" .)) $v.networkPolicy.enabled (not $v.lake.cidrs) -}}
{{- fail "lake.endpoint is set and networkPolicy.enabled is true, but lake.cidrs is empty, so nothing could reach a store on a private address. Give its ranges (0.0.0.0/0 for one on the internet), or turn the policies off." -}}
{{- end -}}
{{- if and $v.alerting.email.to (not $v.alerting.smtp.host) -}}
{{- fail "alerting.email.to is set, but alerting.smtp.host is empty, and no mail server is in the pod. Name yours." -}}
{{- end -}}
{{- if and $v.alerting.smtp.user (not $v.alerting.smtp.existingSecret) -}}
{{- fail "alerting.smtp.user is set, but alerting.smtp.existingSecret is empty. Name a Secret with the key password." -}}
{{- end -}}
{{- if and (hasPrefix "s3a://" $v.lake.root) (not $v.lake.region) -}}
{{- fail "lake.root is an object store, but lake.region is empty. Give its region, for example eu-central-1." -}}
{{- end -}}
{{- end -}}
