{{- define "crypto-pipeline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains "crypto-pipeline" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (default "crypto-pipeline" .Values.nameOverride) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of a component's objects. Called with (list $ "component"). */}}
{{- define "crypto-pipeline.name" -}}
{{- printf "%s-%s" (include "crypto-pipeline.fullname" (first .)) (last .) -}}
{{- end -}}

{{/* Called with (list $ "component"). */}}
{{- define "crypto-pipeline.selectorLabels" -}}
app.kubernetes.io/name: {{ default "crypto-pipeline" (first .).Values.nameOverride }}
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{/* Called with (list $ "component"). */}}
{{- define "crypto-pipeline.labels" -}}
{{ include "crypto-pipeline.selectorLabels" . }}
app.kubernetes.io/version: {{ (first .).Chart.AppVersion | quote }}
app.kubernetes.io/part-of: crypto-pipeline
app.kubernetes.io/managed-by: {{ (first .).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (first .).Chart.Name (first .).Chart.Version }}
{{- with (first .).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object. Called with (list $ "component"). */}}
{{- define "crypto-pipeline.metadata" -}}
name: {{ include "crypto-pipeline.name" . }}
namespace: {{ (first .).Release.Namespace }}
labels:
  {{- include "crypto-pipeline.labels" . | nindent 2 }}
{{- end -}}

{{/* Called with (list $ .Values.images.x); without tag and digest it is the chart's own version. */}}
{{- define "crypto-pipeline.image" -}}
{{- $root := first . -}}{{- $image := last . -}}
{{- with $root.Values.images.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default $root.Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{- define "crypto-pipeline.kafkaCaSecret" -}}
{{- if eq .Values.kafka.mode "strimzi" -}}
{{ .Values.kafka.strimzi.clusterName }}-cluster-ca-cert
{{- else -}}
{{ .Values.kafka.external.caSecret }}
{{- end -}}
{{- end -}}

{{/* Name of a role's KafkaUser, which is also the operator's Secret. Called with (list $ "role"). */}}
{{- define "crypto-pipeline.kafkaSecret" -}}
{{- $root := first . -}}{{- $role := last . -}}
{{- if eq $root.Values.kafka.mode "strimzi" -}}
{{ include "crypto-pipeline.name" (list $root $role) }}
{{- else -}}
{{ get $root.Values.kafka.external.users $role }}
{{- end -}}
{{- end -}}

{{- define "crypto-pipeline.kafkaBootstrap" -}}
{{- if eq .Values.kafka.mode "strimzi" -}}
{{ .Values.kafka.strimzi.clusterName }}-kafka-bootstrap.{{ .Release.Namespace }}.svc:9093
{{- else -}}
{{ .Values.kafka.external.bootstrapServers }}
{{- end -}}
{{- end -}}

{{- define "crypto-pipeline.kafkaSecurity" -}}
{{- if eq .Values.kafka.mode "strimzi" }}scram{{ else }}{{ .Values.kafka.external.security }}{{ end -}}
{{- end -}}

{{- define "crypto-pipeline.postgresHost" -}}
{{- if .Values.postgres.bundled }}{{ include "crypto-pipeline.name" (list . "postgres") }}{{ else }}{{ .Values.postgres.host }}{{ end -}}
{{- end -}}

{{- define "crypto-pipeline.isFolderLake" -}}
{{- if not (hasPrefix "s3a://" .Values.lake.root) }}yes{{ end -}}
{{- end -}}
