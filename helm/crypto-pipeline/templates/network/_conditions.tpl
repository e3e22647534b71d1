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
  "liveOrObjectStore" (or $store (eq $v.market.kind "live"))
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
{{- else if eq $name "internet" }}
- ipBlock:
    cidr: 0.0.0.0/0
    except: {{ toJson $v.networkPolicy.privateCidrs }}
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
{{- else if eq (toString $port) "database" }}
- {protocol: TCP, port: {{ $root.Values.postgres.port }}}
{{- else }}
- {protocol: TCP, port: {{ $port }}}
{{- end }}
{{- end -}}
