# What the end-to-end parts share. Sourced.
set -euo pipefail

# What is on the machine that a cluster could leave behind, a line each.
picture() {
    ip -o link | awk '{print "link", $2}' | sort
    ip netns list 2>/dev/null | sed 's/^/netns /'
    nft list tables 2>/dev/null | sed 's/^/nft /'
    awk '{print "mount", $5}' /proc/self/mountinfo | sort
    find /sys/fs/cgroup -type d \( -path '*martlet*' -o -name 'cri-*' \) 2>/dev/null | sed 's/^/cgroup /' | sort
    ps -eo args | grep -E 'martletd|martlet-gateway|containerd|/pause' | grep -v -e grep -e '<defunct>' | sed 's/^/process /' | sort
    ls -d /run/martlet /tmp/martlet-demo.* 2>/dev/null | sed 's/^/path /' || true
}

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
ok() { printf '   ok: %s\n' "$*"; }

# expect WHAT TEXT PATTERN: the text must contain the pattern.
expect() { grep -q -- "$3" <<<"$2" || fail "$1: expected \"$3\" in: $2"; ok "$1"; }
# until SECONDS WHAT COMMAND...: waits until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1)) what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "gave up waiting: $what"
        sleep 0.1
    done
}

# end_pids PID...: ends these and waits until they are gone; a master without a quorum takes a while.
end_pids() {
    local pid end=$((SECONDS + 30))
    for pid in "$@"; do kill "$pid" 2>/dev/null || true; done
    for pid in "$@"; do while kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do sleep 0.1; done; done
}

state=$(mktemp -d /tmp/martlet-e2e.XXXXXX)
chmod 711 "$state"
daemon=
cleanup() {
    status=${ended:-$?}
    trap - EXIT
    [ "$status" = 0 ] || { for log in "$state"/*.log "$state"/machines/*/*.log; do [ -f "$log" ] && { echo "--- $log"; tail -n 30 "$log"; }; done; }
    [ -z "$daemon" ] || { kill -TERM "$daemon" 2>/dev/null && wait "$daemon" || true; }
    rm -rf "$state"
    exit "$status"
}
trap cleanup EXIT

# start PROGRAM FLAGS...: starts a daemon on this part's own folder and ports and waits until it is ready.
start() {
    local program=$1; shift
    # MARTLET_FLAGS moves a node aside where another runs already.
    # shellcheck disable=SC2086
    [ "$program" = martletd ] && set -- "$@" ${MARTLET_FLAGS:-}
    : >"$state/daemon.log"
    "$BIN/$program" --data-dir "$state/data" --api-address "127.0.0.1:${API_PORT:-16443}" "$@" >>"$state/daemon.log" 2>&1 &
    daemon=$!
    export KUBECONFIG=$state/data/admin.kubeconfig
    local end=$((SECONDS + 60))
    until grep -q '^ready:' "$state/daemon.log"; do
        kill -0 "$daemon" 2>/dev/null || fail "$program has ended: $(cat "$state/daemon.log")"
        [ "$SECONDS" -lt "$end" ] || fail "$program is not ready"
        sleep 0.05
    done
}
stop() { kill -TERM "$daemon"; wait "$daemon" || fail "the daemon ended with $?"; daemon=; }

# kubectls [VERSION...]: those at hand of these versions; the plain one where there is no other.
kubectls() {
    local folder found=
    folder=$(dirname "$(readlink -f "$(command -v kubectl 2>/dev/null)")" 2>/dev/null) || return 0
    for version in ${*:-1.29 1.33}; do
        if [ -x "$folder/kubectl.$version" ]; then echo "$folder/kubectl.$version"; found=1; fi
    done
    [ -n "$found" ] || command -v kubectl || true
}

# begin HOST COMMAND...: martlet init or join on a host, without a start.
begin() { on "$1" timeout 120 "$BIN/martlet" "${@:2}" --data-dir "$state/$1" --node-name "$1" \
    --node-address "$("$hosts" address "$1")" --start none; }
# three_masters: deadlock, coup and autocrat hold $vip in turn. The part says on, martlet and daemon_on.
three_masters() {
    local name token
    mkdir -p "$state"/{deadlock,coup,autocrat}
    begin deadlock init --vip "$vip/24" --overlay none --no-service-proxy --no-network-policy --dns-address none >/dev/null
    daemon_on deadlock
    export KUBECONFIG=$state/deadlock/admin.kubeconfig
    for name in coup autocrat; do
        token=$(martlet token create --role master | tail -n 1 | sed 's/.*--token \([^ ]*\).*/\1/')
        begin "$name" join "$("$hosts" address deadlock)" --role master --token "$token" >/dev/null
        daemon_on "$name"
    done
}
