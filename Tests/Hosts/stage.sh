# How a play on the hosts begins and ends: what it says, what it keeps, what it takes away. Sourced by the plays.

say() { printf '\n== %s\n' "$*"; }
complain() { printf '   %s\n' "$*" >&2; }
failure() { complain "$@"; echo "$*" >>"$state/failures"; }

keep_logs() {
    [ -n "${LOGS:-}" ] || return 0
    local host log
    mkdir -p "$LOGS"
    for log in "$state"/load-*.log; do [ ! -f "$log" ] || cp "$log" "$LOGS"; done
    for host in $masters $workers; do
        log=$state/rooms/$host/lib/martlet/martletd.log
        [ ! -f "$log" ] || cp "$log" "$LOGS/$host.log"
    done
}
finish() {
    local status=$?
    trap - EXIT INT TERM
    keep_logs
    if [ "$status" != 0 ]; then
        for host in $masters $workers; do
            log=$state/rooms/$host/lib/martlet/martletd.log
            [ ! -f "$log" ] || { echo "--- $host"; tail -n "${LOG_LINES:-15}" "$log" | cut -c 1-600; }
        done
        [ -z "${KEEP:-}" ] || { echo "kept: PREFIX=$prefix ROOMS=$state/rooms $here/hosts exec HOST ..."; exit "$status"; }
    fi
    hosts down || true
    rm -rf "$state"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM


tear_down() {
    say "Every machine leaves"
    local host left
    for host in $workers autocrat coup deadlock; do
        on "$host" martlet reset --yes >"$state/$host.reset" 2>&1 ||
            failure "$host: $(cat "$state/$host.reset")"
        left=$(on "$host" sh -c '
            ls -d /var/lib/martlet/* 2>/dev/null; nft list tables; ip -o link | grep -v -e " lo:" -e " eth0@"
            ip -o addr show dev lo | grep 169.254; ip route show proto 77; ps -eo comm= | grep -E "^(martlet|containerd|pause|httpd)"
            awk "/containerd|kubelet|martlet.(node|containers)/ { print \$5 }" /proc/self/mountinfo' || true)
        [ -z "$left" ] || failure "$host: left behind: $left"
    done
    [ -s "$state/failures" ] || echo "   nothing is left on any host"
}
