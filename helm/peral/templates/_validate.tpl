{{/*
What the schema cannot say: values that contradict each other. All that is wrong is said at once.
Called by the first object of the release, so that nothing is installed.
*/}}
{{- define "peral.validate" -}}
{{- $v := .Values -}}
{{- $wrong := list -}}
{{- if gt (len (include "peral.fullname" .)) 43 -}}
{{- $wrong = append $wrong (printf "the release's name makes the name %q, which is longer than 43 characters: choose a shorter one" (include "peral.fullname" .)) -}}
{{- end -}}
{{- if and (eq $v.database.mode "sqlite") (gt (int $v.central.replicas) 1) -}}
{{- $wrong = append $wrong (printf "central.replicas is %d, and SQLite serves one: set database.mode to external or bundled" (int $v.central.replicas)) -}}
{{- end -}}
{{- if and (eq $v.database.mode "external") (not $v.database.external.existingSecret) -}}
{{- $wrong = append $wrong "database.external.existingSecret is empty: with database.mode external, name the Secret with the URL of your Postgres" -}}
{{- end -}}
{{- range list "existingSecret" "caSecret" -}}
{{- if and (ne $v.database.mode "external") (get $v.database.external .) -}}
{{- $wrong = append $wrong (printf "database.external.%s is set, and database.mode is %s: set database.mode to external" . $v.database.mode) -}}
{{- end -}}
{{- end -}}
{{- if and $v.central.ingress.enabled (not $v.central.ingress.host) -}}
{{- $wrong = append $wrong "central.ingress.host is empty: an Ingress without a host would take all that the controller gets" -}}
{{- end -}}
{{- if and $v.central.gateway.enabled (not $v.central.gateway.parentRefs) -}}
{{- $wrong = append $wrong "central.gateway.parentRefs is empty: name the Gateway that the route is for" -}}
{{- end -}}
{{- if and $v.central.gateway.enabled $v.central.ingress.enabled -}}
{{- $wrong = append $wrong "central.ingress.enabled and central.gateway.enabled are both true: choose one" -}}
{{- end -}}
{{- $ways := list -}}
{{- if $v.central.ingress.enabled -}}{{- $ways = append $ways "central.ingress.enabled" -}}{{- end -}}
{{- if $v.central.gateway.enabled -}}{{- $ways = append $ways "central.gateway.enabled" -}}{{- end -}}
{{- if ne $v.central.service.type "ClusterIP" -}}{{- $ways = append $ways "central.service.type" -}}{{- end -}}
{{- if and $ways $v.networkPolicy.enabled (not $v.networkPolicy.centralFrom) -}}
{{- $wrong = append $wrong (printf "%s opens central to the outside, and networkPolicy.centralFrom lets nobody in: say from where (the controller's namespace, address blocks)" (join ", " $ways)) -}}
{{- end -}}
{{- if and (eq $v.central.service.type "ClusterIP") (or $v.central.service.sourceRanges $v.central.service.publicAnnotations) -}}
{{- $wrong = append $wrong "central.service.sourceRanges and publicAnnotations are for a public Service: set central.service.type to LoadBalancer or NodePort" -}}
{{- end -}}
{{- $t := $v.telemetry -}}
{{- if and $t.serviceMonitor.enabled $t.prometheusAnnotations -}}
{{- $wrong = append $wrong "telemetry.serviceMonitor.enabled and telemetry.prometheusAnnotations are both true: every figure would be counted twice" -}}
{{- end -}}
{{- if and (or $t.serviceMonitor.enabled $t.prometheusAnnotations) $v.networkPolicy.enabled (not $v.networkPolicy.metricsFrom) -}}
{{- $wrong = append $wrong "metrics are to be scraped, and networkPolicy.metricsFrom lets nobody in: name the namespace of Prometheus" -}}
{{- end -}}
{{- if and (contains "ratio" $t.tracesSampler) (not $t.tracesSamplerArg) -}}
{{- $wrong = append $wrong (printf "telemetry.tracesSamplerArg is empty: %s needs the share to keep, such as \"0.1\"" $t.tracesSampler) -}}
{{- end -}}
{{- if and $v.tests.existingSecret (not $v.tests.enabled) -}}
{{- $wrong = append $wrong "tests.existingSecret is set, and tests.enabled is false" -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\nthese values of %s cannot be meant:\n  - %s\n" .Chart.Name (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end -}}
