{{/* Prefix of every name: the release's, which holds "bankhouse" or gets it appended. */}}
{{- define "bankhouse.fullname" -}}
{{- if contains "bankhouse" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-bankhouse" (.Release.Name | trunc 30 | trimSuffix "-") }}{{ end }}
{{- end }}

{{/* Labels that select a component's pods; never changed. Takes {root, component}. */}}
{{- define "bankhouse.selector" -}}
app.kubernetes.io/name: bankhouse
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* All labels of an object. Takes {root, component}. */}}
{{- define "bankhouse.labels" -}}
{{ include "bankhouse.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: bankhouse
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* Reference of an image. Takes {root, image}. */}}
{{- define "bankhouse.image" -}}
{{- if .image.digest }}{{ .image.repository }}@{{ .image.digest }}{{ else }}{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Host of the front door without port; empty where an Ingress can't name it (localhost, addresses). */}}
{{- define "bankhouse.host" -}}
{{- $host := regexReplaceAll "^https?://(\\[[^]]*\\]|[^:/]*).*$" .Values.frontDoor.url "${1}" -}}
{{- if not (or (eq $host "localhost") (hasSuffix ".localhost" $host) (hasPrefix "[" $host) (regexMatch "^[0-9.]+$" $host)) }}{{ $host }}{{ end }}
{{- end }}

{{/* Name of the Secret with the database's coordinates and the owner's password. */}}
{{- define "bankhouse.databaseSecret" -}}
{{ .Values.database.existingSecret | default (printf "%s-database" (include "bankhouse.fullname" .)) }}
{{- end }}
{{- define "bankhouse.rolesSecret" -}}
{{ .Values.database.roles.existingSecret | default (printf "%s-database-roles" (include "bankhouse.fullname" .)) }}
{{- end }}
{{- define "bankhouse.keysSecret" -}}
{{ .Values.keys.existingSecret | default (printf "%s-keys" (include "bankhouse.fullname" .)) }}
{{- end }}

{{/* database.url taken apart, as JSON: {username, password, host, port, dbname, parameters}. */}}
{{- define "bankhouse.databaseUrlPattern" -}}
^postgres(?:ql)?://([^/@:]+)(?::([^@/]*))?@(\[[0-9a-fA-F:]+\]|[^/:@?]+)(?::([0-9]+))?/([^/?]+)(?:\?(.*))?$
{{- end }}
{{- define "bankhouse.databaseUrl" -}}
{{- $p := include "bankhouse.databaseUrlPattern" . -}}
{{- $u := .Values.database.url -}}
{{- dict "username" (regexReplaceAll $p $u "${1}")
  "password" (.Values.database.password | default (regexReplaceAll $p $u "${2}"))
  "host" (regexReplaceAll $p $u "${3}") "port" (regexReplaceAll $p $u "${4}" | default "5432")
  "dbname" (regexReplaceAll $p $u "${5}") "parameters" (regexReplaceAll $p $u "${6}") | toJson }}
{{- end }}

{{/* Where a host is, for network policies, as a JSON list: its address, or any where it is a name. Takes {host, port}. */}}
{{- define "bankhouse.egressTo" -}}
{{- if regexMatch "^[0-9.]+$" .host -}}
{{ list (dict "cidr" (printf "%s/32" .host) "port" .port) | toJson }}
{{- else if hasPrefix "[" .host -}}
{{ list (dict "cidr" (printf "%s/128" (trimAll "[]" .host)) "port" .port) | toJson }}
{{- else -}}
{{ list (dict "cidr" "0.0.0.0/0" "port" .port) (dict "cidr" "::/0" "port" .port) | toJson }}
{{- end -}}
{{- end }}

{{/* Where a server of database.servers is, for network policies, as a JSON list. Takes it. */}}
{{- define "bankhouse.serverEgress" -}}
{{- if .egress }}{{ .egress | toJson }}{{ else }}{{ include "bankhouse.egressTo" (dict "host" (.host | default "") "port" 5432) }}{{ end -}}
{{- end }}

{{/* Where Postgres is, for network policies, as a JSON list. */}}
{{- define "bankhouse.databaseEgress" -}}
{{- if .Values.database.egress -}}
{{ .Values.database.egress | toJson }}
{{- else if .Values.postgres.enabled -}}
{{ list (dict "namespace" .Release.Namespace "podLabels" (include "bankhouse.selector" (dict "root" . "component" "postgres") | fromYaml) "port" 5432) | toJson }}
{{- else -}}
{{- $host := "" }}{{ $port := 5432 -}}
{{- if .Values.database.url -}}
{{- $parts := include "bankhouse.databaseUrl" . | fromJson -}}
{{- $host = $parts.host }}{{ $port = int $parts.port -}}
{{- end -}}
{{ include "bankhouse.egressTo" (dict "host" $host "port" $port) }}
{{- end -}}
{{- end }}

{{/* Where the endpoint for embeddings is, for network policies, as a JSON list. */}}
{{- define "bankhouse.embeddingsEgress" -}}
{{- if .Values.embeddings.egress -}}
{{ .Values.embeddings.egress | toJson }}
{{- else -}}
{{- $authority := regexReplaceAll "^https?://([^/?]+).*$" .Values.embeddings.url "${1}" -}}
{{- $host := regexReplaceAll ":[0-9]+$" $authority "" -}}
{{- $port := int (trimPrefix ":" (regexFind ":[0-9]+$" $authority) | default (ternary "443" "80" (hasPrefix "https:" .Values.embeddings.url))) -}}
{{ include "bankhouse.egressTo" (dict "host" $host "port" $port) }}
{{- end -}}
{{- end }}

{{/* Environment with DATABASE_URL, without password. Takes {root, user}; an empty user is the owner. */}}
{{- define "bankhouse.databaseEnv" -}}
{{- $secret := include "bankhouse.databaseSecret" .root -}}
{{- $parameters := .root.Values.database.parameters -}}
{{- if and (not $parameters) .root.Values.database.url (not .root.Values.postgres.enabled) -}}
{{- $parameters = (include "bankhouse.databaseUrl" .root | fromJson).parameters -}}
{{- end -}}
{{- if .root.Values.database.host }}
- { name: DATABASE_HOST, value: {{ .root.Values.database.host | quote }} }
{{- else }}
- { name: DATABASE_HOST, valueFrom: { secretKeyRef: { name: {{ $secret }}, key: host } } }
{{- end }}
- { name: DATABASE_PORT, valueFrom: { secretKeyRef: { name: {{ $secret }}, key: port } } }
- { name: DATABASE_NAME, valueFrom: { secretKeyRef: { name: {{ $secret }}, key: dbname } } }
{{- if not .user }}
- { name: DATABASE_USER, valueFrom: { secretKeyRef: { name: {{ $secret }}, key: username } } }
{{- end }}
- name: DATABASE_URL
  value: {{ printf "postgres://%s@$(DATABASE_HOST):$(DATABASE_PORT)/$(DATABASE_NAME)%s" (.user | default "$(DATABASE_USER)") (ternary "" (printf "?%s" $parameters) (empty $parameters)) | quote }}
{{- end }}

{{/* Volume that holds some keys of some Secrets as files. Takes {name, sources: [{secret, keys}]}; the keys are the file names. */}}
{{- define "bankhouse.secretVolume" -}}
- name: {{ .name }}
  projected:
    defaultMode: 0440
    sources:
      {{- range .sources }}
      - secret:
          name: {{ .secret }}
          items:
            {{- range $key, $path := .items }}
            - { key: {{ $key }}, path: {{ $path }} }
            {{- end }}
      {{- end }}
{{- end }}

{{/* Environment that names database.servers; where they are is in files. */}}
{{- define "bankhouse.serversEnv" -}}
{{- $servers := list -}}
{{- range .Values.database.servers -}}
{{- $server := dict "name" .name -}}
{{- with .host }}{{ $_ := set $server "host" . }}{{ end -}}
{{- with .parameters }}{{ $_ := set $server "parameters" . }}{{ end -}}
{{- $servers = append $servers $server -}}
{{- end -}}
- { name: DATABASE_SERVERS, value: {{ $servers | toJson | quote }} }
- { name: DATABASE_SERVERS_DIR, value: /etc/bankhouse/servers }
{{- end }}

{{/* Volume with keys of the Secrets of database.servers, a folder each; one that is not there is only that server's trouble. Takes {root, keys}. */}}
{{- define "bankhouse.serversVolume" -}}
{{- $keys := .keys -}}
- name: servers
  projected:
    defaultMode: 0440
    sources:
      {{- range $server := .root.Values.database.servers }}
      - secret:
          name: {{ $server.existingSecret | default $server.name }}
          optional: true
          items:
            {{- range $key := $keys }}
            - { key: {{ $key }}, path: {{ $server.name }}/{{ $key }} }
            {{- end }}
      {{- end }}
{{- end }}

{{/* What every pod of ours has. Takes {root, component, uid}. */}}
{{- define "bankhouse.pod" -}}
{{- $values := index .root.Values .component -}}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .uid | default 65532 }}
  runAsGroup: {{ .uid | default 65532 }}
  fsGroup: {{ .uid | default 65532 }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with $values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- if gt (int ($values.replicas | default 1)) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "bankhouse.selector" . | nindent 8 }}
{{- end }}
{{- end }}

{{/* Annotations of a pod. Takes {root, component, revision}. */}}
{{- define "bankhouse.podAnnotations" -}}
{{- $values := index .root.Values .component -}}
{{- $all := merge (dict) $values.annotations -}}
{{- with .revision }}{{ $_ := set $all "bankhouse.dev/image-revision" (toString .) }}{{ end -}}
{{- if $all }}
annotations:
  {{- toYaml $all | nindent 2 }}
{{- end }}
{{- end }}

{{- define "bankhouse.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{/* Probes of our processes, all on the port for administration. */}}
{{- define "bankhouse.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: admin }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* Egress rules of a NetworkPolicy from a JSON list of {cidr, port} or {namespace, podLabels, port}. Takes {list, protocols}. */}}
{{- define "bankhouse.egress" -}}
{{- $protocols := .protocols -}}
{{- range .list }}
- to:
    {{- if .cidr }}
    - ipBlock: { cidr: {{ .cidr | quote }} }
    {{- else }}
    - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: {{ .namespace }} } }
      {{- with .podLabels }}
      podSelector: { matchLabels: {{ toJson . }} }
      {{- end }}
    {{- end }}
  {{- if .port }}
  ports:
    {{- $port := int .port }}
    {{- range $protocols }}
    - { protocol: {{ . }}, port: {{ $port }} }
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
