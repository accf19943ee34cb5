{{/* The pod of a TaskManager of the Deployment. */}}
{{- define "flott.taskmanager.pod" -}}
metadata:
  labels:
    {{- include "flott.podLabels" (list . "taskmanager") | nindent 4 }}
    {{- with .Values.taskmanager.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: flott
    flott.dev/config-checksum: {{ include "flott.config" . | sha256sum }}
    {{- with .Values.taskmanager.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  {{- include "flott.placement" (list . "taskmanager" true) | trim | nindent 2 }}
  restartPolicy: Always
  containers:
    - name: flott
      image: {{ include "flott.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - taskmanager
        - --jobmanager={{ include "flott.host" . }}:8081
        - --state-dir=/var/lib/flott
        - --config=/etc/flott/config.yaml
      env:
        {{- include "flott.env" (list . "taskmanager") | nindent 8 }}
        - name: FLOTT_TASKMANAGER__RESOURCE_ID
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: FLOTT_TASKMANAGER__HOST
          valueFrom:
            fieldRef:
              fieldPath: status.podIP
      {{- with .Values.taskmanager.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with include "flott.metricsPort" . }}
      ports:
        - name: metrics
          containerPort: {{ . }}
      {{- end }}
      resources:
        {{- $slots := index .Values.config "taskmanager.numberOfTaskSlots" | default 1 | toString }}
        {{- include "flott.resources" (list . "taskmanager" "taskmanager.memory.process.size" "1728 mb" $slots) | nindent 8 }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      terminationMessagePolicy: FallbackToLogsOnError
      volumeMounts:
        {{- include "flott.mounts" (list . "taskmanager" true) | trim | nindent 8 }}
  volumes:
    - name: state
      {{- with .Values.taskmanager.workDirSizeLimit }}
      emptyDir:
        sizeLimit: {{ . }}
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- include "flott.volumes" (list . "taskmanager" true) | trim | nindent 4 }}
{{- end -}}

{{/*
The template of the pods that the JobManager asks for. What follows from the worker, and what has a key in the configuration,
must not be in it: name, image, arguments, CPU and memory, service account, priority, time to end, Flott's own volumes.
*/}}
{{- define "flott.taskmanager.template" -}}
apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubectl.kubernetes.io/default-container: flott
    {{- with .Values.taskmanager.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with merge (deepCopy .Values.taskmanager.podLabels) .Values.commonLabels }}
  labels:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "flott.placement" (list . "taskmanager" false) | trim | nindent 2 }}
  containers:
    - name: flott
      {{- with .Values.taskmanager.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.taskmanager.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- range $kind := list "requests" "limits" }}
      {{- range $name := list "cpu" "memory" }}
      {{- if hasKey (index $.Values.taskmanager.resources $kind | default dict) $name }}
      {{- fail (printf "taskmanager.resources.%s.%s: native workers have it from config.taskmanager.%s; leave it out here" $kind $name (eq $name "cpu" | ternary "cpu.cores" "memory.process.size")) }}
      {{- end }}
      {{- end }}
      {{- end }}
      {{- with .Values.taskmanager.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with include "flott.mounts" (list . "taskmanager" false) | trim }}
      volumeMounts:
        {{- . | nindent 8 }}
      {{- end }}
  {{- with include "flott.volumes" (list . "taskmanager" false) | trim }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}
