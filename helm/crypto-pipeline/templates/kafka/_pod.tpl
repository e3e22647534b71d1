{{/* Strimzi's images bring their own user; the rest is what the restricted level asks for. */}}
{{- define "crypto-pipeline.strimziPod" -}}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
enableServiceLinks: false
terminationGracePeriodSeconds: 120
{{- end -}}

{{- define "crypto-pipeline.containerSecurityStrimzi" -}}
allowPrivilegeEscalation: false
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}
