{{/* Arguments and mounts of a peer container: central's address and CA certificate, the pod's token and address. */}}
{{- define "peral.peerEnv" -}}
- {name: PERAL_DATA, value: /peral/data}
- {name: PERAL_CA_FILE, value: /etc/peral/ca/ca.pem}
- {name: PERAL_POD_TOKEN_FILE, value: /var/run/secrets/peral/token}
- name: PERAL_ADVERTISE
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: PERAL_NODE
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: PERAL_PEER_LABEL
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end -}}

{{- define "peral.peerMounts" -}}
- {name: ca, mountPath: /etc/peral/ca, readOnly: true}
- {name: token, mountPath: /var/run/secrets/peral, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "peral.peerVolumes" -}}
- name: ca
  configMap: {name: {{ include "peral.fullname" . }}-ca}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, audience: {{ include "peral.scope" . }}, expirationSeconds: 3600}
- name: tmp
  emptyDir: {}
{{- end -}}
