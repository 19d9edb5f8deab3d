{{/* Prefix of all names: the release's name, or RELEASE-peral. _validate.tpl checks its length. */}}
{{- define "peral.fullname" -}}
{{- if contains "peral" .Release.Name -}}{{ .Release.Name }}{{- else -}}{{ .Release.Name }}-peral{{- end -}}
{{- end -}}

{{/* Unique per release: used for names of cluster-scoped objects and for the audience of the peers' tokens. */}}
{{- define "peral.scope" -}}
peral.{{ .Release.Namespace }}.{{ .Release.Name }}
{{- end -}}

{{/* Selector labels of a component: (list $ "peer"). Without a component: of all pods of the release. */}}
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

{{/* Image reference from its values and a default tag: (list .Values.image .Chart.AppVersion). */}}
{{- define "peral.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}{{ $image.repository }}@{{ $image.digest }}
{{- else -}}{{ $image.repository }}:{{ $image.tag | default (index . 1) }}{{- end -}}
{{- end -}}
