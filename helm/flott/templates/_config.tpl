{{/*
The configuration file: `config` of the values, and what follows from other values. Whatever stands in both would mean
two truths, so it is refused with the value to use instead.
*/}}
{{- define "flott.config" -}}
{{- $native := eq .Values.workers "native" -}}
{{- $elsewhere := dict
  "security.token" "it would lie in a ConfigMap: use token.existingSecret"
  "security.metrics-token" "it would lie in a ConfigMap: use token.existingSecret and token.metricsKey"
  "security.insecure" "the chart always sets a token"
  "security.ssl.rest.enabled" "set tls.enabled"
  "security.ssl.rest.certificate" "it is in the Secret of tls"
  "security.ssl.rest.key" "it is in the Secret of tls"
  "security.ssl.rest.ca" "it is in the Secret of tls"
  "security.ssl.rest.server-name" "set tls.serverName"
  "kubernetes.tls.secret" "set tls"
  "cluster.id" "set clusterId"
  "cluster.backend" "set workers"
  "rest.address" "it is the headless Service"
  "rest.port" "it is 8081; service.port is that of clients"
  "taskmanager.host" "it is the address of the pod"
  "taskmanager.resource-id" "it is the name of the pod"
  "jobmanager.rpc.address" "it is the headless Service"
  "kubernetes.cluster-id" "set clusterId"
  "kubernetes.namespace" "it is the namespace of the release"
  "kubernetes.container.image.ref" "set image"
  "kubernetes.container.image.pull-policy" "set image.pullPolicy"
  "kubernetes.container.image.pull-secrets" "set image.pullSecrets"
  "kubernetes.service-account" "set serviceAccount"
  "kubernetes.priority-class" "set taskmanager.priorityClassName"
  "kubernetes.pod-template-file.default" "set taskmanager, of which the chart makes the template"
  "kubernetes.pod-template-file.taskmanager" "set taskmanager, of which the chart makes the template"
  "kubernetes.taskmanager.termination-grace" "set taskmanager.terminationGracePeriodSeconds"
  "kubernetes.jobmanager.replicas" "set jobmanager.replicas"
  "high-availability.type" "set highAvailability.enabled"
  "high-availability.storageDir" "set highAvailability.storageDir"
  "high-availability.cluster-id" "set clusterId"
-}}
{{- $all := dict
  "cluster.id" (include "flott.id" .)
  "cluster.backend" ($native | ternary "kubernetes" "standalone")
  "rest.address" (include "flott.host" .)
  "rest.port" "8081"
  "rest.bind-address" "0.0.0.0"
  "taskmanager.bind-host" "0.0.0.0"
-}}
{{- if .Values.checkpoints.persistence.enabled -}}
{{- $_ := set $all "execution.checkpointing.dir" "/var/lib/flott-checkpoints/checkpoints" -}}
{{- $_ := set $all "execution.checkpointing.savepoint-dir" "/var/lib/flott-checkpoints/savepoints" -}}
{{- else if not (or .Values.highAvailability.enabled (index .Values.config "execution.checkpointing.dir") (index .Values.config "state.checkpoints.dir")) -}}
{{- if index .Values.config "execution.checkpointing.interval" -}}
{{- fail "config.execution.checkpointing.interval: checkpoints need a place that all pods reach: enable checkpoints.persistence, or set config.execution.checkpointing.dir" -}}
{{- end -}}
{{- $_ := set $all "execution.checkpointing.interval" "0 ms" -}}
{{- end -}}
{{- with .Values.highAvailability -}}
{{- if .enabled -}}
{{- $directory := .storageDir | default ($.Values.checkpoints.persistence.enabled | ternary "/var/lib/flott-checkpoints/high-availability" "") -}}
{{- if not $directory -}}
{{- fail "highAvailability.storageDir: it must name a directory that all JobManagers share; or enable checkpoints.persistence" -}}
{{- end -}}
{{- $_ := set $all "high-availability.type" ($native | ternary "kubernetes" "storage") -}}
{{- $_ := set $all "high-availability.storageDir" $directory -}}
{{- $_ := set $all "high-availability.cluster-id" (include "flott.id" $) -}}
{{- else if gt (int $.Values.jobmanager.replicas) 1 -}}
{{- fail "jobmanager.replicas: several JobManagers must agree on who leads: set highAvailability.enabled" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.mode "application") (gt (int .Values.jobmanager.replicas) 1) -}}
{{- fail "jobmanager.replicas: a cluster for one job has one JobManager, which Kubernetes starts again where it ends" -}}
{{- end -}}
{{- if .Values.tls.enabled -}}
{{- $_ := set $all "security.ssl.rest.enabled" "true" -}}
{{- $_ := set $all "security.ssl.rest.certificate" "/etc/flott-tls/tls.crt" -}}
{{- $_ := set $all "security.ssl.rest.key" "/etc/flott-tls/tls.key" -}}
{{- $_ := set $all "security.ssl.rest.ca" "/etc/flott-tls/ca.crt" -}}
{{- $_ := set $all "security.ssl.rest.server-name" (.Values.tls.serverName | default (include "flott.host" .)) -}}
{{- if $native }}{{ $_ := set $all "kubernetes.tls.secret" (include "flott.tlsSecret" .) }}{{ end -}}
{{- end -}}
{{- if $native -}}
{{- $_ := set $all "kubernetes.cluster-id" (include "flott.id" .) -}}
{{- $_ := set $all "kubernetes.namespace" .Release.Namespace -}}
{{- $_ := set $all "kubernetes.container.image.ref" (include "flott.image" .) -}}
{{- $_ := set $all "kubernetes.container.image.pull-policy" .Values.image.pullPolicy -}}
{{- $_ := set $all "kubernetes.service-account" (include "flott.serviceAccount" .) -}}
{{- $_ := set $all "kubernetes.pod-template-file.taskmanager" "/etc/flott/taskmanager-pod-template.yaml" -}}
{{- $_ := set $all "kubernetes.taskmanager.termination-grace" (printf "%d s" (int .Values.taskmanager.terminationGracePeriodSeconds)) -}}
{{- with .Values.taskmanager.priorityClassName }}{{ $_ := set $all "kubernetes.priority-class" . }}{{ end -}}
{{- $secrets := list -}}
{{- if .Values.token.existingSecret -}}
{{- $secrets = append $secrets (printf "env:FLOTT_TOKEN,secret:%s,key:%s" .Values.token.existingSecret .Values.token.key) -}}
{{- end -}}
{{- if and (include "flott.metricsPort" .) (include "flott.metricsKey" .) -}}
{{- $secrets = append $secrets (printf "env:FLOTT_SECURITY__METRICS_TOKEN,secret:%s,key:%s" (include "flott.tokenSecret" .) (include "flott.metricsKey" .)) -}}
{{- end -}}
{{- with $secrets }}{{ $_ := set $all "kubernetes.env.secretKeyRef" (join ";" .) }}{{ end -}}
{{- end -}}
{{- range $key, $value := .Values.config -}}
{{- with index $elsewhere $key -}}
{{- fail (printf "config.%s is not set here: %s" $key .) -}}
{{- end -}}
{{- if kindIs "float64" $value -}}
{{- /* Else a large number would be written with an exponent. */ -}}
{{- if eq (floor $value) $value }}{{ $value = int64 $value }}{{ end -}}
{{- end -}}
{{- $_ := set $all $key (toString $value) -}}
{{- end -}}
{{- range $key := keys $all | sortAlpha }}
{{ $key }}: {{ index $all $key | quote }}
{{- end }}
{{- end -}}

{{- /* Whether Volcano lets TaskManagers in together, for which the JobManager makes a PodGroup. */ -}}
{{- define "flott.podGroup" -}}
{{- $gang := index .Values.config "kubernetes.gang-minimum" | default 0 | int -}}
{{- and (gt $gang 0) (eq (index .Values.config "kubernetes.queue-system" | default "" | toString) "volcano") -}}
{{- end -}}
