{{/* Name of the cluster: also that of its JobManager and its headless Service. */}}
{{- define "flott.id" -}}
{{- $id := .Values.clusterId | default .Release.Name -}}
{{- if gt (len $id) 45 -}}
{{- fail (printf "clusterId: %q is longer than 45 characters, which names of pods leave room for; set a shorter clusterId" $id) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $id) -}}
{{- fail (printf "clusterId: %q is no name of a Service: it takes small letters, digits and hyphens, begins with a letter, and ends with no hyphen; set clusterId" $id) -}}
{{- end -}}
{{- $id -}}
{{- end -}}

{{/* HOST of the headless Service, as seen from any namespace. */}}
{{- define "flott.host" -}}
{{ include "flott.id" . }}.{{ .Release.Namespace }}
{{- end -}}

{{- define "flott.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "flott.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "flott.id" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "flott.tokenSecret" -}}
{{ .Values.token.existingSecret | default (printf "%s-token" (include "flott.id" .)) }}
{{- end -}}

{{- define "flott.tlsSecret" -}}
{{ .Values.tls.existingSecret | default (printf "%s-tls" (include "flott.id" .)) }}
{{- end -}}

{{- define "flott.tokenKey" -}}
{{- if .Values.token.existingSecret -}}{{ .Values.token.key }}{{- else -}}token{{- end -}}
{{- end -}}

{{/* Key of the token that opens metrics alone; empty where there is none. */}}
{{- define "flott.metricsKey" -}}
{{- if .Values.token.existingSecret -}}{{ .Values.token.metricsKey }}{{- else -}}metrics-token{{- end -}}
{{- end -}}

{{/* Port on which TaskManagers serve metrics: each pod has the first of a range for itself. Empty where there is none, or any. */}}
{{- define "flott.metricsPort" -}}
{{- $port := index .Values.config "taskmanager.metrics.port" | default "" | toString | regexFind "^[0-9]+" -}}
{{- if ne $port "0" -}}{{ $port }}{{- end -}}
{{- end -}}

{{/* What selects pods; takes (list context component). */}}
{{- define "flott.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: flott
app.kubernetes.io/instance: {{ include "flott.id" $root }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of pods, which must not change with the version of the chart: that would replace them. Takes (list context component). */}}
{{- define "flott.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "flott.selector" . }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of everything else; takes (list context component). */}}
{{- define "flott.labels" -}}
{{- $root := index . 0 -}}
{{ include "flott.podLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Flott's size as a quantity of Kubernetes: both count in powers of 1024. Takes (list key size). */}}
{{- define "flott.quantity" -}}
{{- $key := index . 0 -}}
{{- $size := index . 1 | toString | lower | replace " " "" -}}
{{- if not (regexMatch "^[0-9]+(b|k|kb|m|mb|g|gb|t|tb)?$" $size) -}}
{{- fail (printf "config.%s: %q is no byte size: give a whole number and a unit, as in 4 gb" $key (index . 1 | toString)) -}}
{{- end -}}
{{- $number := regexFind "^[0-9]+" $size -}}
{{- $unit := regexFind "[kmgt]" $size -}}
{{ $number }}{{ if $unit }}{{ dict "k" "Ki" "m" "Mi" "g" "Gi" "t" "Ti" | dig $unit "" }}{{ end }}
{{- end -}}

{{/* Resources of a container: what was given, with memory of one number. Takes (list context section key default-memory default-cpu). */}}
{{- define "flott.resources" -}}
{{- $root := index . 0 -}}
{{- $section := index . 1 -}}
{{- $key := index . 2 -}}
{{- $given := (index $root.Values $section).resources -}}
{{- range list "requests" "limits" -}}
{{- if hasKey (default dict (index $given .)) "memory" -}}
{{- fail (printf "%s.resources.%s.memory: memory is one number, config.%s; leave it out here" $section . $key) -}}
{{- end -}}
{{- end -}}
{{- $requests := deepCopy (default dict $given.requests) -}}
{{- $limits := deepCopy (default dict $given.limits) -}}
{{- with index $root.Values.config $key | default (index . 3) -}}
{{- $memory := include "flott.quantity" (list $key .) -}}
{{- $_ := set $requests "memory" $memory -}}
{{- $_ := set $limits "memory" $memory -}}
{{- end -}}
{{- if and (index . 4) (not (hasKey $requests "cpu")) -}}
{{- $_ := set $requests "cpu" (index . 4) -}}
{{- end -}}
{{- $all := dict -}}
{{- with $requests }}{{ $_ := set $all "requests" . }}{{ end -}}
{{- with $limits }}{{ $_ := set $all "limits" . }}{{ end -}}
{{- with $given.claims }}{{ $_ := set $all "claims" . }}{{ end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* Constraints of spreading, with the component's selector where they have none. Takes (list context component). */}}
{{- define "flott.spread" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $selector := dict "matchLabels" (include "flott.selector" . | fromYaml) -}}
{{- $given := (index $root.Values $component).topologySpreadConstraints -}}
{{- /* JobManagers that stand by do so for the loss of a node. */ -}}
{{- if and (not $given) (eq $component "jobmanager") (gt (int $root.Values.jobmanager.replicas) 1) -}}
{{- $given = list (dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway") -}}
{{- end -}}
{{- $all := list -}}
{{- range $given -}}
{{- $all = append $all (hasKey . "labelSelector" | ternary . (merge (dict "labelSelector" $selector) .)) -}}
{{- end -}}
{{- if $all -}}
{{- toYaml $all -}}
{{- end -}}
{{- end -}}

{{/*
What the pods of a component put up with, a lost node for as long as is set, or a short while where another JobManager may
take its place at any time. Takes (list context component).
*/}}
{{- define "flott.tolerations" -}}
{{- $root := index . 0 -}}
{{- $section := index $root.Values (index . 1) -}}
{{- $all := $section.tolerations | default list -}}
{{- if eq (index . 1) "jobmanager" -}}
{{- $seconds := $section.nodeLossSeconds -}}
{{- if and (kindIs "invalid" $seconds) $root.Values.highAvailability.enabled -}}
{{- $seconds = 30 -}}
{{- end -}}
{{- if not (kindIs "invalid" $seconds) -}}
{{- range list "not-ready" "unreachable" -}}
{{- $all = append $all (dict "key" (printf "node.kubernetes.io/%s" .) "operator" "Exists" "effect" "NoExecute" "tolerationSeconds" (int $seconds)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $all -}}
{{- toYaml $all -}}
{{- end -}}
{{- end -}}

{{/* Whether the JobManager tells its Job when the Flott job has not finished, since its exit code does not; empty where it does. */}}
{{- define "flott.tellsJob" -}}
{{- if and (eq .Values.mode "application") .Values.highAvailability.enabled -}}true{{- end -}}
{{- end -}}

{{/* A path in the container, of `local:///path` or `/path`. Takes (list key value). */}}
{{- define "flott.local" -}}
{{ index . 1 | trimPrefix "local://" }}
{{- end -}}
