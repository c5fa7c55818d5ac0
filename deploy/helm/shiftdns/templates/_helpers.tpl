{{- define "shiftdns.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selectors go by: never changes in the life of a release. */}}
{{- define "shiftdns.selector" -}}
app.kubernetes.io/name: shiftdns
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "shiftdns.labels" -}}
{{ include "shiftdns.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "shiftdns.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "shiftdns.fullname" .) -}}
{{- end -}}

{{- define "shiftdns.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The configuration file. */}}
{{- define "shiftdns.config" -}}
{{- merge (dict "apiVersion" "shiftdns.io/v1alpha1" "kind" "Config") .Values.config | toYaml -}}
{{- end -}}

{{/* The port of an address, such as "[::]:1053". */}}
{{- define "shiftdns.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end -}}

{{/* The blocks of our zones for CoreDNS: given the root and the address of the server. */}}
{{- define "shiftdns.corefile" -}}
{{- $address := .address -}}
{{- range $index, $zone := .root.Values.config.zones -}}
{{- if $index }}
{{ end -}}
{{ $zone }}:53 {
    errors
    # No longer than a share stands still: the TTL of endpoints is 5. Who asks meanwhile gets the same draw.
    cache 5 {
        servfail 1s
    }
    # A connection that is kept is closed by us after 10 s of silence; not by both at once.
    forward . {{ $address }} {
        expire 5s
        max_fails 2
        health_check 1s no_rec domain {{ $zone }}
    }
}
{{- end -}}
{{- end -}}
