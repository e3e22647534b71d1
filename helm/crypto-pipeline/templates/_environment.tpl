{{/* Settings that every process of ours sees; nothing secret. The roles are Kafka users. Called with (list $ roles). */}}
{{- define "crypto-pipeline.environment" -}}
{{- $root := first . -}}{{- $roles := last . -}}
- name: STATE_DIR
  value: /state
- name: MARKET
  value: {{ $root.Values.market.kind }}
{{- with $root.Values.market.symbols }}
- name: SYMBOLS
  value: {{ join "," . | quote }}
{{- end }}
- name: VENUES
  value: {{ join "," $root.Values.market.venues | quote }}
- name: HISTORY_HOURS
  value: {{ $root.Values.market.historyHours | quote }}
- name: SIMULATOR_SEED
  value: {{ $root.Values.market.simulatorSeed | int64 | quote }}
- name: LAKE_ROOT
  value: {{ $root.Values.lake.root | quote }}
{{- with $root.Values.lake.region }}
- name: AWS_REGION
  value: {{ . }}
{{- end }}
{{- with $root.Values.lake.endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: {{ include "crypto-pipeline.kafkaBootstrap" $root | quote }}
- name: KAFKA_SECURITY
  value: {{ include "crypto-pipeline.kafkaSecurity" $root }}
{{- if and (ne (include "crypto-pipeline.kafkaSecurity" $root) "plaintext") (include "crypto-pipeline.kafkaCaSecret" $root) }}
- name: KAFKA_CA_FILE
  value: /kafka/ca/ca.crt
{{- end }}
{{- if eq (include "crypto-pipeline.kafkaSecurity" $root) "scram" }}
{{- range $role := $roles }}
- name: KAFKA_{{ upper $role }}_USERNAME
  {{- if eq $root.Values.kafka.mode "strimzi" }}
  value: {{ include "crypto-pipeline.kafkaSecret" (list $root $role) }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ include "crypto-pipeline.kafkaSecret" (list $root $role) }}
      key: username
  {{- end }}
- name: KAFKA_{{ upper $role }}_PASSWORD_FILE
  value: /kafka/{{ $role }}/password
{{- end }}
{{- end }}
- name: METRICS_HOST
  value: 0.0.0.0
{{- end -}}

{{/* Days that things are kept. */}}
{{- define "crypto-pipeline.retention" -}}
{{- with .Values.retention -}}
{{- range $layer := list "raw" "bronze" "silver" "gold" "predictions" "dagster" }}
- name: {{ upper $layer }}_RETENTION_DAYS
  value: {{ get $.Values.retention (printf "%sDays" $layer) | int64 | quote }}
{{- end }}
- name: RAW_VACUUM
  value: {{ ternary "yes" "no" .rawVacuum | quote }}
{{- end }}
{{- end -}}

{{/* Keys of an object store, when a Secret gives them; a role of the pod needs none. */}}
{{- define "crypto-pipeline.storeKeys" -}}
{{- with .Values.lake.existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: access-key-id}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: secret-access-key}
{{- end }}
{{- end -}}

{{/* Where alerts are posted; its path is a secret. */}}
{{- define "crypto-pipeline.webhook" -}}
{{- with .Values.alerting.webhook.existingSecret }}
- name: ALERT_WEBHOOK_URL
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: url}
{{- end }}
{{- end -}}

{{/* Whom the sensor of alerts tells, and where its messages lead. */}}
{{- define "crypto-pipeline.alerting" -}}
{{- include "crypto-pipeline.webhook" . }}
{{- with .Values.alerting.runbookUrl }}
- name: ALERT_RUNBOOK_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.alerting.email.from }}
- name: ALERT_EMAIL_FROM
  value: {{ . | quote }}
{{- end }}
{{- if .Values.alerting.email.to }}
- name: ALERT_EMAIL_TO
  value: {{ join "," .Values.alerting.email.to | quote }}
{{- with .Values.alerting.smtp }}
- name: SMTP_HOST
  value: {{ .host | quote }}
- name: SMTP_PORT
  value: {{ .port | int64 | quote }}
- name: SMTP_TLS
  value: {{ ternary "yes" "no" .tls | quote }}
{{- if .user }}
- name: SMTP_USER
  value: {{ .user | quote }}
- name: SMTP_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: password}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* When a source is held back from gold, and where fitted models are registered. */}}
{{- define "crypto-pipeline.stages" -}}
- name: REJECTION_RATE_LIMIT
  value: {{ .Values.rejection.rateLimit | quote }}
- name: REJECTION_LEAST_ROWS
  value: {{ .Values.rejection.leastRows | int64 | quote }}
{{- with .Values.modelRegistry.address }}
- name: MODEL_REGISTRY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.modelRegistry.name }}
- name: MODEL_NAME
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* What the page shows of alerts, and where its links lead. */}}
{{- define "crypto-pipeline.screen" -}}
{{- with default (ternary (printf "https://%s" .Values.ingress.dagsterHost) "" .Values.ingress.enabled) .Values.dashboard.dagsterUrl }}
- name: DAGSTER_URL
  value: {{ . | quote }}
{{- end }}
- name: ALERT_MOVE_PERCENT
  value: {{ .Values.alerting.movePercent | quote }}
- name: ALERT_VOLATILITY_PERCENT
  value: {{ .Values.alerting.volatilityPercent | quote }}
- name: ALERT_STALE_SECONDS
  value: {{ .Values.alerting.staleSeconds | quote }}
{{- end -}}

{{/* Dagster's own: where its instance is described and how its database is reached. */}}
{{- define "crypto-pipeline.dagsterEnvironment" -}}
- name: DAGSTER_HOME
  value: /dagster
- name: DAGSTER_PG_HOST
  value: {{ include "crypto-pipeline.postgresHost" . | quote }}
- name: DAGSTER_PG_DB
  value: {{ .Values.postgres.database }}
- name: DAGSTER_PG_USERNAME
  valueFrom:
    secretKeyRef: {name: {{ .Values.postgres.existingSecret }}, key: username}
- name: DAGSTER_PG_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ .Values.postgres.existingSecret }}, key: password}
{{- end -}}

{{/* Where Spark Connect is and how to be let in. */}}
{{- define "crypto-pipeline.sparkEnvironment" -}}
- name: SPARK_REMOTE
  value: sc://{{ include "crypto-pipeline.name" (list . "spark") }}.{{ .Release.Namespace }}.svc:15002
- name: SPARK_CONNECT_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ .Values.spark.existingSecret }}, key: token}
- name: GRPC_DEFAULT_SSL_ROOTS_FILE_PATH
  value: /spark-tls/ca.crt
{{- end -}}

{{/* Mounts of the Kafka users of a pod. Called with (list $ roles). */}}
{{- define "crypto-pipeline.kafkaMounts" -}}
{{- $root := first . -}}
{{- if and (ne (include "crypto-pipeline.kafkaSecurity" $root) "plaintext") (include "crypto-pipeline.kafkaCaSecret" $root) }}
- name: kafka-ca
  mountPath: /kafka/ca
  readOnly: true
{{- end }}
{{- if eq (include "crypto-pipeline.kafkaSecurity" $root) "scram" }}
{{- range last . }}
- name: kafka-{{ . }}
  mountPath: /kafka/{{ . }}
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "crypto-pipeline.kafkaVolumes" -}}
{{- $root := first . -}}
{{- if and (ne (include "crypto-pipeline.kafkaSecurity" $root) "plaintext") (include "crypto-pipeline.kafkaCaSecret" $root) }}
- name: kafka-ca
  secret:
    secretName: {{ include "crypto-pipeline.kafkaCaSecret" $root }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- if eq (include "crypto-pipeline.kafkaSecurity" $root) "scram" }}
{{- range last . }}
- name: kafka-{{ . }}
  secret:
    secretName: {{ include "crypto-pipeline.kafkaSecret" (list $root .) }}
    defaultMode: 0440
    items: [{key: password, path: password}]
{{- end }}
{{- end }}
{{- end -}}

{{/* The instance, the workspace, and the certificate of the database. */}}
{{- define "crypto-pipeline.dagsterMounts" -}}
- name: dagster-home
  mountPath: /dagster
- name: dagster-instance
  mountPath: /dagster/dagster.yaml
  subPath: dagster.yaml
  readOnly: true
- name: dagster-instance
  mountPath: /dagster/workspace.yaml
  subPath: workspace.yaml
  readOnly: true
{{- if and (not .Values.postgres.bundled) .Values.postgres.caSecret }}
- name: postgres-ca
  mountPath: /postgres-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "crypto-pipeline.dagsterVolumes" -}}
- name: dagster-home
  emptyDir: {sizeLimit: 256Mi}
- name: dagster-instance
  configMap:
    name: {{ include "crypto-pipeline.name" (list . "dagster") }}
{{- if and (not .Values.postgres.bundled) .Values.postgres.caSecret }}
- name: postgres-ca
  secret:
    secretName: {{ .Values.postgres.caSecret }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end -}}
