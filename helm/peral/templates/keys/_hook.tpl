{{/* Runs before all other objects of the release, ordered by weight; deleted after success. */}}
{{- define "peral.hook" -}}
annotations:
  helm.sh/hook: pre-install,pre-upgrade
  helm.sh/hook-weight: {{ . | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* The Secrets that the Job manages, by the names that central mounts. */}}
{{- define "peral.madeSecrets" -}}
{{- $name := include "peral.fullname" . -}}
{{- $secrets := list (.Values.keys.existingSecret | default (printf "%s-keys" $name)) -}}
{{- if not .Values.administrator.existingSecret -}}{{- $secrets = append $secrets (printf "%s-administrator" $name) -}}{{- end -}}
{{- if eq .Values.database.mode "bundled" -}}{{- $secrets = append $secrets (printf "%s-database" $name) -}}{{- end -}}
{{- toJson $secrets -}}
{{- end -}}
