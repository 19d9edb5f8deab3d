{{/* A step of the test: an administrator's command, next to the peer in the test's pod. */}}
{{- define "peral.testStep" -}}
{{- include "peral.container" . }}
workingDir: /tmp
env:
  {{- include "peral.env" . | nindent 2 }}
  - {name: PERAL_DATA, value: /peral/data}
  - {name: PERAL_CA_FILE, value: /etc/peral/ca/ca.pem}
  {{- if .Values.tests.existingSecret }}
  - {name: PERAL_TOKEN_FILE, value: /etc/peral/administrator/{{ .Values.tests.tokenKey }}}
  {{- end }}
resources:
  requests: {cpu: 50m, memory: 64Mi}
  limits: {memory: 512Mi}
volumeMounts:
  - {name: peral, mountPath: /peral}
  - {name: administrator, mountPath: /etc/peral/administrator, readOnly: true}
  {{- include "peral.peerMounts" . | nindent 2 }}
{{- end -}}
