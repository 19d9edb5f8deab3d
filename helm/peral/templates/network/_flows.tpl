{{/* Egress rules that several components share. */}}
{{- define "peral.egressDns" -}}
- ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
  {{- with .Values.networkPolicy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "peral.egressApiServer" -}}
- ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .Values.networkPolicy.apiServer.cidrs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "peral.egressTelemetry" -}}
{{- with .Values.telemetry.otlpEndpoint }}
- ports: [{protocol: TCP, port: {{ regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default "4317" }}}]
{{- end }}
{{- end -}}

{{/* Selects the pods of the release's components: (list $ "peer" "test"). */}}
{{- define "peral.pods" -}}
{{- $root := index . 0 -}}
{{- range rest . }}
- podSelector:
    matchLabels:
      {{- include "peral.selectorLabels" (list $root .) | nindent 6 }}
{{- end }}
{{- end -}}

{{/* Selects the pods labelled as clients of the release, in its namespace and in networkPolicy.clientNamespaces. */}}
{{- define "peral.clients" -}}
- podSelector: {matchLabels: {peral-client: {{ .Release.Name | quote }}}}
{{- with .Values.networkPolicy.clientNamespaces }}
- namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}]}
  podSelector: {matchLabels: {peral-client: {{ $.Release.Name | quote }}}}
{{- end }}
{{- end -}}
