#!/bin/sh
# Writes prometheusrule.yaml: the groups of deploy/prometheus/pegel.rules.yml as a PrometheusRule,
# because kustomize cannot put one file into another.
#
#   generate.sh            writes the file
#   generate.sh --check    exits with 1 when the file is not what it would write
set -eu
cd "$(dirname "$0")"

rule() {
    cat <<'YAML'
# Written by generate.sh from deploy/prometheus/pegel.rules.yml: change that file instead.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: pegel
  labels: {app.kubernetes.io/name: pegel}
spec:
YAML
    sed -n '/^groups:/,$s/^\(.\)/  \1/p; /^groups:/,$s/^$//p' ../../../prometheus/pegel.rules.yml
}

case ${1:-} in
    "") rule >prometheusrule.yaml ;;
    --check)
        rule | diff -u prometheusrule.yaml - || {
            echo "prometheusrule.yaml is not current: run $0" >&2
            exit 1
        }
        ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "generate.sh" >&2; exit 2 ;;
esac
