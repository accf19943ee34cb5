{{/* The pod of the JobManager, labels included. */}}
{{- define "flott.jobmanager.pod" -}}
{{- $application := eq .Values.mode "application" -}}
{{- $native := eq .Values.workers "native" -}}
{{- $agreed := .Values.highAvailability.enabled -}}
metadata:
  labels:
    {{- include "flott.podLabels" (list . "jobmanager") | nindent 4 }}
    {{- with .Values.jobmanager.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: flott
    flott.dev/config-checksum: {{ include "flott.config" . | sha256sum }}
    {{- with .Values.jobmanager.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: {{ or $native (eq (include "flott.tellsJob" .) "true") }}
  {{- include "flott.placement" (list . "jobmanager" true) | trim | nindent 2 }}
  restartPolicy: {{ $application | ternary ($agreed | ternary "OnFailure" "Never") "Always" }}
  containers:
    - name: flott
      image: {{ include "flott.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - jobmanager
        - --state-dir=/var/lib/flott
        - --config=/etc/flott/config.yaml
        {{- if $application }}
        - --supervised
        {{- if $agreed }}
        - --outcome-file=/dev/termination-log
        - --outcome-job=$(FLOTT_POD_JOB)
        {{- end }}
        - --job-graph={{ include "flott.local" (list "jobGraph" .Values.application.jobGraph) }}
        - --program={{ include "flott.local" (list "program" .Values.application.program) }}
        {{- end }}
      env:
        {{- include "flott.env" (list . "jobmanager") | nindent 8 }}
        {{- if include "flott.tellsJob" . }}
        - name: FLOTT_POD_JOB
          valueFrom:
            fieldRef:
              fieldPath: metadata.labels['batch.kubernetes.io/job-name']
        {{- end }}
      {{- with .Values.jobmanager.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: rest
          containerPort: 8081
      {{- range $probe, $path := dict "startupProbe" "live" "livenessProbe" "live" "readinessProbe" "ready" }}
      {{ $probe }}:
        httpGet:
          path: /flott/v1/health/{{ $path }}
          port: rest
          {{- if $.Values.tls.enabled }}
          scheme: HTTPS
          {{- end }}
        {{- toYaml (index $.Values.jobmanager $probe) | nindent 8 }}
      {{- end }}
      resources:
        {{- include "flott.resources" (list . "jobmanager" "jobmanager.memory.process.size" "" "") | nindent 8 }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      terminationMessagePolicy: FallbackToLogsOnError
      volumeMounts:
        {{- include "flott.mounts" (list . "jobmanager" true) | nindent 8 }}
        {{- if and $application .Values.application.volume }}
        - name: job
          mountPath: {{ .Values.application.mountPath }}
          readOnly: true
        {{- end }}
  volumes:
    - name: state
      {{- with .Values.jobmanager.persistence }}
      {{- if and .enabled (not $.Values.highAvailability.enabled) }}
      persistentVolumeClaim:
        claimName: {{ .existingClaim | default (printf "%s-state" (include "flott.id" $)) }}
      {{- else }}
      emptyDir: {}
      {{- end }}
      {{- end }}
    {{- include "flott.volumes" (list . "jobmanager" true) | nindent 4 }}
    {{- if and $application .Values.application.volume }}
    - name: job
      {{- toYaml .Values.application.volume | nindent 6 }}
    {{- end }}
{{- end -}}
