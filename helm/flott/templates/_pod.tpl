{{/* Environment of a container that is a member of the cluster. Takes (list context section). */}}
{{- define "flott.env" -}}
{{- $root := index . 0 -}}
{{- $section := index $root.Values (index . 1) -}}
- name: FLOTT_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "flott.tokenSecret" $root }}
      key: {{ include "flott.tokenKey" $root }}
{{- with include "flott.metricsKey" $root }}
- name: FLOTT_SECURITY__METRICS_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "flott.tokenSecret" $root }}
      key: {{ . }}
{{- end }}
- name: FLOTT_LOG
  value: {{ $root.Values.log | quote }}
- name: FLOTT_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: FLOTT_POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: FLOTT_POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with $section.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Where pods go, and as whom they run. What native workers get from the configuration is not in their template. Takes (list
context component full).
*/}}
{{- define "flott.placement" -}}
{{- $root := index . 0 -}}
{{- $section := index $root.Values (index . 1) -}}
{{- with $root.Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- /* With links, a Service of the name of a setting, as `flott-rest`, would be taken for that setting. */}}
enableServiceLinks: false
{{- if index . 2 }}
serviceAccountName: {{ include "flott.serviceAccount" $root }}
terminationGracePeriodSeconds: {{ $section.terminationGracePeriodSeconds }}
{{- with $section.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
{{- with $section.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $section.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "flott.tolerations" . | trim }}
tolerations:
  {{- . | nindent 2 }}
{{- end }}
{{- with $section.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "flott.spread" . | trim }}
topologySpreadConstraints:
  {{- . | nindent 2 }}
{{- end }}
{{- with $section.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Mounts of a container. Native workers get those of Flott itself from the JobManager. Takes (list context component full). */}}
{{- define "flott.mounts" -}}
{{- $root := index . 0 -}}
{{- if index . 2 -}}
- name: config
  mountPath: /etc/flott
  readOnly: true
- name: state
  mountPath: /var/lib/flott
- name: tmp
  mountPath: /tmp
{{- if $root.Values.tls.enabled }}
- name: tls
  mountPath: /etc/flott-tls
  readOnly: true
{{- end }}
{{- end }}
{{- if $root.Values.checkpoints.persistence.enabled }}
- name: checkpoints
  mountPath: /var/lib/flott-checkpoints
{{- end }}
{{- with (index $root.Values (index . 1)).extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The certificates, whole for the JobManager. Others, beside which programs of users may run, get what they trust and not the
key. Takes (list context whole).
*/}}
{{- define "flott.tlsVolume" -}}
secret:
  secretName: {{ include "flott.tlsSecret" (index . 0) }}
  {{- if not (index . 1) }}
  items:
    - {key: ca.crt, path: ca.crt}
  {{- end }}
{{- end -}}

{{/* Volumes of a pod but its state. Takes (list context component full). */}}
{{- define "flott.volumes" -}}
{{- $root := index . 0 -}}
{{- if index . 2 -}}
- name: config
  configMap:
    name: {{ include "flott.id" $root }}-config
- name: tmp
  emptyDir: {}
{{- if $root.Values.tls.enabled }}
- name: tls
  {{- include "flott.tlsVolume" (list $root (eq (index . 1) "jobmanager")) | nindent 2 }}
{{- end }}
{{- end }}
{{- with $root.Values.checkpoints.persistence }}
{{- if .enabled }}
- name: checkpoints
  persistentVolumeClaim:
    claimName: {{ .existingClaim | default (printf "%s-checkpoints" (include "flott.id" $root)) }}
{{- end }}
{{- end }}
{{- with (index $root.Values (index . 1)).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
