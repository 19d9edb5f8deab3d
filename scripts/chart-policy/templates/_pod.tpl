{{- /* Pod Security "restricted", and the other settings that every pod must have. A workload's containers have all three probes, a Job's have none. */ -}}
{{- define "pod" -}}
{{- $said := index . 0 -}}{{- $who := index . 1 -}}{{- $metadata := index . 2 -}}{{- $spec := index . 3 -}}{{- $long := index . 4 -}}
{{- range list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" -}}
{{- if not (dig "labels" . "" $metadata) -}}{{- include "say" (list $said $who (printf "has pods without the label %s" .)) -}}{{- end -}}
{{- end -}}
{{- include "texts" (list $said $who $metadata.labels $metadata.annotations $spec.nodeSelector) -}}
{{- range concat ($spec.containers | default list) ($spec.initContainers | default list) -}}
{{- range .env -}}{{- if hasKey . "value" -}}{{- include "texts" (list $said $who (dict .name .value)) -}}{{- end -}}{{- end -}}
{{- range .args -}}{{- include "texts" (list $said $who (dict "an argument" .)) -}}{{- end -}}
{{- end -}}
{{- $of := $spec.securityContext | default dict -}}
{{- if not $of.runAsNonRoot -}}{{- include "say" (list $said $who "may run as root") -}}{{- end -}}
{{- if ne (dig "seccompProfile" "type" "" $of) "RuntimeDefault" -}}{{- include "say" (list $said $who "has no seccomp profile") -}}{{- end -}}
{{- if or (not $of.fsGroup) (ne $of.fsGroupChangePolicy "OnRootMismatch") -}}{{- include "say" (list $said $who "has no fsGroup, or changes it each time") -}}{{- end -}}
{{- if not (hasKey $spec "automountServiceAccountToken") -}}{{- include "say" (list $said $who "does not say whether it gets a token") -}}{{- end -}}
{{- if and $spec.automountServiceAccountToken (not (has (get $metadata.labels "app.kubernetes.io/component") (list "central" "keys"))) -}}
{{- include "say" (list $said $who "gets a token of the API server, which only central and the keys' Job use") -}}
{{- end -}}
{{- if ne (toString $spec.enableServiceLinks) "false" -}}{{- include "say" (list $said $who "gets variables of Services, which the binary would read") -}}{{- end -}}
{{- if or $spec.hostNetwork $spec.hostPID $spec.hostIPC -}}{{- include "say" (list $said $who "shares the node's namespaces") -}}{{- end -}}
{{- range $spec.volumes -}}
{{- if .hostPath -}}{{- include "say" (list $said $who (printf "mounts the node's folder by %s" .name)) -}}{{- end -}}
{{- if and .secret (ne (int .secret.defaultMode) 288) -}}{{- include "say" (list $said $who (printf "mounts the Secret of %s with another mode than 0440" .name)) -}}{{- end -}}
{{- end -}}
{{- range $spec.containers -}}{{- include "container" (list $said $who . $long $spec) -}}{{- end -}}
{{- range $spec.initContainers -}}{{- include "container" (list $said $who . (eq (toString .restartPolicy) "Always") $spec) -}}{{- end -}}
{{- end -}}

{{- define "container" -}}
{{- $said := index . 0 -}}{{- $container := index . 2 -}}{{- $long := index . 3 -}}{{- $spec := index . 4 -}}
{{- $who := printf "%s, %s" (index . 1) $container.name -}}
{{- $of := $container.securityContext | default dict -}}
{{- if or $of.privileged (ne (toString $of.allowPrivilegeEscalation) "false") -}}{{- include "say" (list $said $who "may gain privileges") -}}{{- end -}}
{{- if ne (dig "capabilities" "drop" list $of | toJson) "[\"ALL\"]" -}}{{- include "say" (list $said $who "keeps capabilities") -}}{{- end -}}
{{- if dig "capabilities" "add" list $of -}}{{- include "say" (list $said $who "adds capabilities") -}}{{- end -}}
{{- if not $of.readOnlyRootFilesystem -}}{{- include "say" (list $said $who "may write its root") -}}{{- end -}}
{{- if not (and (dig "resources" "requests" "cpu" "" $container) (dig "resources" "requests" "memory" "" $container) (dig "resources" "limits" "memory" "" $container)) -}}
{{- include "say" (list $said $who "does not say what it needs and may take") -}}
{{- end -}}
{{- if regexMatch "(:latest|:)$" $container.image -}}{{- include "say" (list $said $who (printf "does not pin its image: %s" $container.image)) -}}{{- end -}}
{{- range list "startupProbe" "livenessProbe" "readinessProbe" -}}
{{- if ne $long (hasKey $container .) -}}{{- include "say" (list $said $who (printf "%s: %s" . (ternary "is missing" "has no effect here" $long))) -}}{{- end -}}
{{- end -}}
{{- range $container.ports -}}
{{- if .hostPort -}}{{- include "say" (list $said $who "takes a port of the node") -}}{{- end -}}
{{- if not .name -}}{{- include "say" (list $said $who "has a port without a name") -}}{{- end -}}
{{- end -}}
{{- $tmp := false -}}
{{- range $container.volumeMounts -}}{{- if eq .mountPath "/tmp" -}}{{- $tmp = true -}}{{- end -}}{{- end -}}
{{- if not $tmp -}}{{- include "say" (list $said $who "has no /tmp to write to") -}}{{- end -}}
{{- $sleep := dig "lifecycle" "preStop" "sleep" "seconds" 0 $container | int -}}
{{- range $container.env -}}
{{- if and (hasSuffix "_DRAIN_SECONDS" .name) (lt (int ($spec.terminationGracePeriodSeconds | default 30)) (add $sleep .value 5 | int)) -}}
{{- include "say" (list $said $who "is killed before it has drained") -}}
{{- end -}}
{{- if and .value (regexMatch "(?i)(password|secret|token)$" .name) -}}{{- include "say" (list $said $who (printf "has a secret in %s" .name)) -}}{{- end -}}
{{- end -}}
{{- end -}}
