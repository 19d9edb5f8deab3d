{{/* Names of everything begin with it: the release, or RELEASE-peral. Length is checked in _validate.tpl. */}}
{{- define "peral.fullname" -}}
{{- if contains "peral" .Release.Name -}}{{ .Release.Name }}{{- else -}}{{ .Release.Name }}-peral{{- end -}}
{{- end -}}

{{/* What two releases never share: names of cluster-scoped objects, and the audience of the peers' tokens. */}}
{{- define "peral.scope" -}}
peral.{{ .Release.Namespace }}.{{ .Release.Name }}
{{- end -}}

{{/* What selects the pods of a component: (list $ "peer"). Without a component: all pods of the release. */}}
{{- define "peral.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: peral
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* Labels of an object of a component: (list $ "peer"). */}}
{{- define "peral.labels" -}}
{{- $root := index . 0 -}}
{{ include "peral.selectorLabels" . }}
app.kubernetes.io/part-of: peral
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image from its values and the tag that stands for none: (list .Values.image .Chart.AppVersion). */}}
{{- define "peral.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}{{ $image.repository }}@{{ $image.digest }}
{{- else -}}{{ $image.repository }}:{{ $image.tag | default (index . 1) }}{{- end -}}
{{- end -}}
