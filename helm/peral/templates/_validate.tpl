{{/*
Checks what the schema cannot express: values that contradict each other. Reports all errors at once.
The first object of the release calls it, so that nothing is installed after an error.
*/}}
{{- define "peral.validate" -}}
{{- $v := .Values -}}
{{- $wrong := list -}}
{{- if gt (len (include "peral.fullname" .)) 43 -}}
{{- $wrong = append $wrong (printf "the name %q, made from the release's name, is longer than 43 characters: choose a shorter release name" (include "peral.fullname" .)) -}}
{{- end -}}
{{- if and (eq $v.database.mode "sqlite") (gt (int $v.central.replicas) 1) -}}
{{- $wrong = append $wrong (printf "central.replicas is %d, but SQLite supports only 1: set database.mode to external or bundled" (int $v.central.replicas)) -}}
{{- end -}}
{{- if and (eq $v.database.mode "external") (not $v.database.external.existingSecret) -}}
{{- $wrong = append $wrong "database.external.existingSecret is empty, but database.mode is external: name the Secret with the URL of your Postgres" -}}
{{- end -}}
{{- range list "existingSecret" "caSecret" -}}
{{- if and (ne $v.database.mode "external") (get $v.database.external .) -}}
{{- $wrong = append $wrong (printf "database.external.%s is set, but database.mode is %s: set database.mode to external" . $v.database.mode) -}}
{{- end -}}
{{- end -}}
{{- if and $v.central.ingress.enabled (not $v.central.ingress.host) -}}
{{- $wrong = append $wrong "central.ingress.host is empty: set it, because an Ingress without a host receives all requests of the controller" -}}
{{- end -}}
{{- if and $v.central.gateway.enabled (not $v.central.gateway.parentRefs) -}}
{{- $wrong = append $wrong "central.gateway.parentRefs is empty: name the Gateway that the route belongs to" -}}
{{- end -}}
{{- if and $v.central.gateway.enabled $v.central.ingress.enabled -}}
{{- $wrong = append $wrong "central.ingress.enabled and central.gateway.enabled are both true: enable only one" -}}
{{- end -}}
{{- $ways := list -}}
{{- if $v.central.ingress.enabled -}}{{- $ways = append $ways "central.ingress.enabled" -}}{{- end -}}
{{- if $v.central.gateway.enabled -}}{{- $ways = append $ways "central.gateway.enabled" -}}{{- end -}}
{{- if ne $v.central.service.type "ClusterIP" -}}{{- $ways = append $ways "central.service.type" -}}{{- end -}}
{{- if and $ways $v.networkPolicy.enabled (not $v.networkPolicy.centralFrom) -}}
{{- $wrong = append $wrong (printf "%s publishes central outside the cluster, but networkPolicy.centralFrom is empty and blocks all connections: list the allowed sources (the controller's namespace, address blocks)" (join ", " $ways)) -}}
{{- end -}}
{{- if and (eq $v.central.service.type "ClusterIP") (or $v.central.service.sourceRanges $v.central.service.publicAnnotations) -}}
{{- $wrong = append $wrong "central.service.sourceRanges and publicAnnotations apply only to a public Service: set central.service.type to LoadBalancer or NodePort" -}}
{{- end -}}
{{- $t := $v.telemetry -}}
{{- if and $t.serviceMonitor.enabled $t.prometheusAnnotations -}}
{{- $wrong = append $wrong "telemetry.serviceMonitor.enabled and telemetry.prometheusAnnotations are both true: enable only one, or every metric is collected twice" -}}
{{- end -}}
{{- if and (or $t.serviceMonitor.enabled $t.prometheusAnnotations) $v.networkPolicy.enabled (not $v.networkPolicy.metricsFrom) -}}
{{- $wrong = append $wrong "scraping is enabled, but networkPolicy.metricsFrom is empty and blocks Prometheus: list its namespace" -}}
{{- end -}}
{{- if and (contains "ratio" $t.tracesSampler) (not $t.tracesSamplerArg) -}}
{{- $wrong = append $wrong (printf "telemetry.tracesSamplerArg is empty: %s needs a ratio, such as \"0.1\"" $t.tracesSampler) -}}
{{- end -}}
{{- if and $v.tests.existingSecret (not $v.tests.enabled) -}}
{{- $wrong = append $wrong "tests.existingSecret is set, but tests.enabled is false: enable the tests or remove the Secret" -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\ninvalid values for %s:\n  - %s\n" .Chart.Name (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end -}}
