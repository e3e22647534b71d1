{{/* The pod of an executor; Spark adds its own command, environment and sizes. */}}
{{- define "crypto-pipeline.executorPod" -}}
apiVersion: v1
kind: Pod
metadata:
  labels:
    {{- include "crypto-pipeline.labels" (list . "executor") | nindent 4 }}
spec:
  {{- include "crypto-pipeline.podDefaults" (list . "executor" .Values.spark "spark") | nindent 2 }}
  containers:
    - name: executor
      image: {{ include "crypto-pipeline.image" (list . .Values.images.spark) }}
      securityContext:
        {{- include "crypto-pipeline.containerSecurity" 10001 | nindent 8 }}
      {{- if .Values.lake.existingSecret }}
      env:
        {{- include "crypto-pipeline.storeKeys" . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- if include "crypto-pipeline.isFolderLake" . }}
        - name: lake
          mountPath: {{ .Values.lake.root }}
        {{- end }}
        {{- include "crypto-pipeline.kafkaMounts" (list . (list "lake")) | nindent 8 }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 8Gi}
    {{- if include "crypto-pipeline.isFolderLake" . }}
    - name: lake
      persistentVolumeClaim:
        claimName: {{ default (include "crypto-pipeline.name" (list . "lake")) .Values.lake.volume.existingClaim }}
    {{- end }}
    {{- include "crypto-pipeline.kafkaVolumes" (list . (list "lake")) | nindent 4 }}
{{- end -}}
