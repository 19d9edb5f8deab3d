{{- /* No wildcards, no verbs that change or extend rights, and access to named Secrets only. */ -}}
{{- define "rights" -}}
{{- $said := index . 0 -}}{{- $who := index . 1 -}}
{{- range $rule := (index . 2).rules -}}
{{- $all := concat ($rule.apiGroups | default list) ($rule.resources | default list) $rule.verbs -}}
{{- if or (has "*" $all) $rule.nonResourceURLs -}}{{- include "say" (list $said $who "has a wildcard") -}}{{- end -}}
{{- range $rule.verbs -}}
{{- if not (has . (list "get" "create")) -}}{{- include "say" (list $said $who (printf "may %s %s" . (join ", " $rule.resources))) -}}{{- end -}}
{{- end -}}
{{- if and (has "secrets" $rule.resources) (has "get" $rule.verbs) (not $rule.resourceNames) -}}
{{- include "say" (list $said $who "may get any Secret") -}}
{{- end -}}
{{- end -}}
{{- end -}}
