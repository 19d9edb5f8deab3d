{{/* Pod security context for the Pod Security level "restricted", with this user id. */}}
{{- define "peral.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "peral.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Settings of every pod with the image. Service links are off: they would set variables that the binary reads, such as PERAL_PEER_PORT. */}}
{{- define "peral.pod" -}}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "peral.podSecurity" 65532 | nindent 2 }}
{{- end -}}

{{/* Settings of every container with the image. */}}
{{- define "peral.container" -}}
image: {{ include "peral.image" (list .Values.image .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "peral.containerSecurity" . | nindent 2 }}
{{- end -}}

{{/* Scheduling of a component: (list $ "peer" .Values.peer). */}}
{{- define "peral.placement" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $values := index . 2 -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $spread := list (list "topology.kubernetes.io/zone" $values.topologySpread.zone) (list "kubernetes.io/hostname" $values.topologySpread.node) -}}
{{- if or (ne $values.topologySpread.zone "Off") (ne $values.topologySpread.node "Off") }}
topologySpreadConstraints:
  {{- range $spread }}
  {{- if ne (index . 1) "Off" }}
  - maxSkew: 1
    topologyKey: {{ index . 0 }}
    whenUnsatisfiable: {{ index . 1 }}
    # Does not count lost nodes.
    nodeTaintsPolicy: Honor
    labelSelector:
      matchLabels:
        {{- include "peral.selectorLabels" (list $root $component) | nindent 8 }}
    {{- if eq $component "central" }}
    # Otherwise the pods that a rollout removes would count.
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Startup leaves time for migrations and for reading an index. Readiness checks the database, liveness does not. */}}
{{- define "peral.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 600
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/* Variables of the role and of commands run in its pod. Login state goes to /tmp, because the root file system is read-only. */}}
{{- define "peral.env" -}}
- {name: HOME, value: /tmp}
- {name: PERAL_CENTRAL, value: "https://{{ include "peral.fullname" . }}-central.{{ .Release.Namespace }}.svc:7070"}
{{- with .Values.telemetry.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: {{ $.Values.telemetry.tracesSampler }}}
{{- with $.Values.telemetry.tracesSamplerArg }}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ . | quote }}}
{{- end }}
- name: K8S_POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: K8S_NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name={{ $.Release.Namespace }},k8s.pod.name=$(K8S_POD_NAME),k8s.node.name=$(K8S_NODE_NAME)
{{- end }}
{{- end -}}

{{/* Arguments rather than variables, so that commands run in the pod keep their own, quieter log. */}}
{{- define "peral.logArgs" -}}
- {{ printf "--log=%s" .Values.telemetry.logLevel | quote }}
- --log-format={{ .Values.telemetry.logFormat }}
{{- end -}}

{{/* Annotations of a pod: from its values, and for Prometheus. */}}
{{- define "peral.podAnnotations" -}}
{{- $root := index . 0 -}}
{{- $annotations := dict -}}
{{- if $root.Values.telemetry.prometheusAnnotations -}}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" "7079" "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- with merge (dict) (index . 1).podAnnotations $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
