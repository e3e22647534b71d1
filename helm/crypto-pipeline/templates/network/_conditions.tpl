{{/* Whether a row of files/network.yaml holds: "yes" or nothing. Called with (list $ "condition"). */}}
{{- define "crypto-pipeline.holds" -}}
{{- $v := (first .).Values -}}
{{- $executors := eq $v.spark.master "kubernetes" -}}
{{- $strimzi := eq $v.kafka.mode "strimzi" -}}
{{- $store := hasPrefix "s3a://" $v.lake.root -}}
{{- $conditions := dict
  "always" true
  "bundledPostgres" $v.postgres.bundled
  "externalPostgres" (not $v.postgres.bundled)
  "strimzi" $strimzi
  "externalKafka" (not $strimzi)
  "executors" $executors
  "strimziAndExecutors" (and $strimzi $executors)
  "externalKafkaAndExecutors" (and (not $strimzi) $executors)
  "objectStore" $store
  "objectStoreAndExecutors" (and $store $executors)
  "liveOrDatabricks" (or $v.databricks.enabled (eq $v.market.kind "live"))
  "webhook" $v.alerting.webhook.existingSecret
  "mail" $v.alerting.email.to
  "modelRegistry" (hasPrefix "http" $v.modelRegistry.address)
  "login" $v.oidc.enabled
  "ingress" $v.ingress.enabled
  "monitoring" $v.monitoring.enabled
-}}
{{- if not (hasKey $conditions (last .)) }}{{ fail (printf "files/network.yaml names the condition %s, which does not exist." (last .)) }}{{ end -}}
{{- if get $conditions (last .) }}yes{{ end -}}
{{- end -}}

{{/* The other end of a row as a list of peers. Called with (list $ "name"). */}}
{{- define "crypto-pipeline.peers" -}}
{{- $root := first . -}}{{- $name := last . -}}{{- $v := $root.Values -}}
{{- if eq $name "dns" }}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ $v.networkPolicy.dnsNamespace }}}
{{- else if eq $name "prometheus" }}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ $v.networkPolicy.monitoringNamespace }}}
{{- else if eq $name "ingress" }}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ $v.ingress.controllerNamespace }}}
{{- else if has $name (list "internet" "store" "webhook" "mail" "registry") }}
{{- range get (dict "internet" list "store" $v.lake.cidrs "webhook" $v.alerting.webhook.cidrs "mail" $v.alerting.smtp.cidrs "registry" $v.modelRegistry.cidrs) $name }}
- ipBlock: {cidr: {{ . }}}
{{- else }}
- ipBlock:
    cidr: 0.0.0.0/0
    except: {{ toJson $v.networkPolicy.privateCidrs }}
{{- end }}
{{- else if eq $name "kafka" }}
- podSelector:
    matchLabels:
      strimzi.io/cluster: {{ $v.kafka.strimzi.clusterName }}
      strimzi.io/kind: Kafka
{{- else if has $name (list "brokers" "database" "issuer" "apiserver") }}
{{- $cidrs := get (dict "brokers" $v.kafka.external.cidrs "database" $v.postgres.cidrs "issuer" $v.oidc.cidrs "apiserver" $v.networkPolicy.apiServerCidrs) $name }}
{{- range (default (list "0.0.0.0/0") $cidrs) }}
- ipBlock: {cidr: {{ . }}}
{{- end }}
{{- else }}
- podSelector:
    matchLabels:
      {{- include "crypto-pipeline.selectorLabels" (list $root $name) | nindent 6 }}
{{- end }}
{{- end -}}

{{/* Port of an address, said or by its scheme; 443 of none. */}}
{{- define "crypto-pipeline.portOf" -}}
{{- $address := urlParse . -}}
{{- regexFind ":[0-9]+$" $address.host | trimPrefix ":" | default (ternary "80" "443" (eq $address.scheme "http")) -}}
{{- end -}}

{{/* Ports of a row. Called with (list $ port "name"). */}}
{{- define "crypto-pipeline.rowPorts" -}}
{{- $root := index . 0 -}}{{- $port := index . 1 -}}
{{- if eq (index . 2) "dns" }}
- {protocol: UDP, port: 53}
- {protocol: TCP, port: 53}
{{- else if eq (toString $port) "brokers" }}
{{- range splitList "," $root.Values.kafka.external.bootstrapServers }}
- {protocol: TCP, port: {{ regexReplaceAll "^.*:" . "" | trim }}}
{{- end }}
{{- else if eq (toString $port) "apiserver" }}
{{- /* 443 where a cloud runs it, 6443 where it runs on a node. */}}
- {protocol: TCP, port: 443}
- {protocol: TCP, port: 6443}
{{- else if eq (toString $port) "database" }}
- {protocol: TCP, port: {{ $root.Values.postgres.port }}}
{{- else if eq (toString $port) "store" }}
- {protocol: TCP, port: {{ include "crypto-pipeline.portOf" $root.Values.lake.endpoint }}}
{{- else if eq (toString $port) "registry" }}
- {protocol: TCP, port: {{ include "crypto-pipeline.portOf" $root.Values.modelRegistry.address }}}
{{- else if eq (toString $port) "webhook" }}
- {protocol: TCP, port: {{ $root.Values.alerting.webhook.port }}}
{{- else if eq (toString $port) "mail" }}
- {protocol: TCP, port: {{ $root.Values.alerting.smtp.port }}}
{{- else }}
- {protocol: TCP, port: {{ $port }}}
{{- end }}
{{- end -}}
