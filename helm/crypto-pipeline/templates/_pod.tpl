{{/* What every pod of ours has. Called with (list $ "component" values serviceAccount). */}}
{{- define "crypto-pipeline.podDefaults" -}}
{{- $root := index . 0 -}}{{- $values := index . 2 -}}
serviceAccountName: {{ include "crypto-pipeline.name" (list $root (index . 3)) }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "crypto-pipeline.podSecurity" 10001 | nindent 2 }}
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Called with the numeric id of user and group. */}}
{{- define "crypto-pipeline.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Called with the numeric id of user and group; said again for each container, which tools read. */}}
{{- define "crypto-pipeline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Keeps replicas apart. Called with (list $ "component"). */}}
{{- define "crypto-pipeline.spread" -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "crypto-pipeline.selectorLabels" $ | nindent 8 }}
  {{- end }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "crypto-pipeline.selectorLabels" $ | nindent 14 }}
{{- end -}}

{{/* A folder lake whose volume is on one node: Spark and the code location are both there, whichever is placed first. */}}
{{- define "crypto-pipeline.onTheLakesNode" -}}
{{- if and (include "crypto-pipeline.isFolderLake" .) (eq .Values.lake.volume.accessMode "ReadWriteOnce") -}}
# Each is among those that it looks for, so that neither waits for the other.
affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- omit (include "crypto-pipeline.selectorLabels" (list . "spark") | fromYaml) "app.kubernetes.io/component" | toYaml | nindent 12 }}
          matchExpressions:
            - {key: app.kubernetes.io/component, operator: In, values: [spark, code-location]}
{{- end }}
{{- end -}}

{{/* Waits until a server accepts connections, in the pipeline's image. Called with (list $ name host port). */}}
{{- define "crypto-pipeline.waitFor" -}}
{{- $root := index . 0 -}}
- name: wait-for-{{ index . 1 }}
  image: {{ include "crypto-pipeline.image" (list $root $root.Values.images.pipeline) }}
  imagePullPolicy: {{ $root.Values.images.pullPolicy }}
  command: [python, -m, crypto_pipeline.cluster.wait_for, {{ index . 2 | quote }}, {{ index . 3 | quote }}]
  securityContext:
    {{- include "crypto-pipeline.containerSecurity" 10001 | nindent 4 }}
  resources:
    requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 16Mi}
    limits: {cpu: 200m, memory: 128Mi, ephemeral-storage: 64Mi}
{{- end -}}

{{/* The login in front of a server on loopback. Called with (list $ upstream-port cookie-name). */}}
{{- define "crypto-pipeline.oidcProxy" -}}
{{- $root := index . 0 -}}
- name: login
  image: {{ include "crypto-pipeline.image" (list $root $root.Values.images.oidcProxy) }}
  imagePullPolicy: {{ $root.Values.images.pullPolicy }}
  args:
    - --provider=oidc
    - --oidc-issuer-url={{ $root.Values.oidc.issuerUrl }}
    - --http-address=0.0.0.0:4180
    - --upstream=http://127.0.0.1:{{ index . 1 }}
    - --cookie-name={{ index . 2 }}
    - --cookie-secure=true
    - --cookie-httponly=true
    - --cookie-samesite=lax
    - --code-challenge-method=S256
    - --reverse-proxy=true
    - --skip-provider-button=true
    - --silence-ping-logging=true
    {{- range $root.Values.oidc.emailDomains }}
    - --email-domain={{ . }}
    {{- end }}
  env:
    {{- range $name, $key := dict "OAUTH2_PROXY_CLIENT_ID" "client-id" "OAUTH2_PROXY_CLIENT_SECRET" "client-secret" "OAUTH2_PROXY_COOKIE_SECRET" "cookie-secret" }}
    - name: {{ $name }}
      valueFrom:
        secretKeyRef:
          name: {{ $root.Values.oidc.existingSecret }}
          key: {{ $key }}
    {{- end }}
  ports:
    - name: http
      containerPort: 4180
  livenessProbe:
    httpGet: {path: /ping, port: http}
    periodSeconds: 20
    timeoutSeconds: 5
  readinessProbe:
    httpGet: {path: /ready, port: http}
    periodSeconds: 10
    timeoutSeconds: 5
  securityContext:
    {{- include "crypto-pipeline.containerSecurity" 65532 | nindent 4 }}
  resources:
    requests: {cpu: 20m, memory: 64Mi, ephemeral-storage: 16Mi}
    limits: {cpu: 200m, memory: 128Mi, ephemeral-storage: 64Mi}
{{- end -}}
