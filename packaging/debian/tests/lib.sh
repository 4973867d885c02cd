# shellcheck shell=sh
# For the tests of the service. To be sourced.

defaults=/etc/default/prometheus-p1-exporter
unit=prometheus-p1-exporter.service

fail() {
    echo "FAILED: $*"
    systemctl status --no-pager --full "$unit" || true
    journalctl --no-pager -u "$unit" | tail -50
    exit 1
}

# Runs a command again and again until it succeeds, for a minute.
until_it_holds() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || fail "not so within a minute: $*"
        sleep 0.2
    done
}

# Has the service started anew with other flags.
with_flags() {
    printf 'ARGS="%s"\n' "$1" >"$defaults"
    systemctl restart "$unit"
}

metric_is() { curl --silent http://localhost:9786/metrics | grep -Fqx "$1"; }
property() { systemctl show --property="$1" --value "$unit"; }
