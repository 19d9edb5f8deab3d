{{/* Names in central's certificate, for browsers: the names in the cluster, for a port-forward, and for outside the cluster. */}}
{{- define "peral.centralNames" -}}
{{- $service := printf "%s-central" (include "peral.fullname" .) -}}
{{- $inside := printf "%s.%s" $service .Release.Namespace -}}
{{- $names := list $service $inside (printf "%s.svc" $inside) (printf "%s.svc.cluster.local" $inside) "localhost" -}}
{{- if .Values.central.ingress.enabled -}}{{- $names = append $names .Values.central.ingress.host -}}{{- end -}}
{{- if .Values.central.gateway.enabled -}}{{- $names = concat $names .Values.central.gateway.hostnames -}}{{- end -}}
{{- concat $names .Values.central.names | uniq | join "," -}}
{{- end -}}

{{- define "peral.administratorSecret" -}}
{{- .Values.administrator.existingSecret | default (printf "%s-administrator" (include "peral.fullname" .)) -}}
{{- end -}}
