#!/usr/bin/env bash
# The story of Martlet on one machine, with real parts: one process is the whole cluster, containerd runs the
# containers, kubectl (or `martlet apply`) talks to the API, curl comes in through the TLS edge.
#
#   demo.sh story   tells the story; on a terminal it stays up afterwards, else it ends
#   demo.sh up      starts the same cluster and stays up
#
# BIN names the folder of the programs. State lives in a temporary folder and is gone at the end. The variables
# MARTLET_DEMO_API, MARTLET_DEMO_HTTPS_PORT and MARTLET_DEMO_HTTP_PORT move it away from ports that are taken, and
# MARTLET_DEMO_FLAGS adds flags of martletd.
set -euo pipefail

mode=${1:-story}
here=$(cd "$(dirname "$0")" && pwd)
bin=${BIN:?the folder of martletd and martlet}
state=$(mktemp -d /tmp/martlet-demo.XXXXXX)
api=${MARTLET_DEMO_API:-127.0.0.1:6443}
https_port=${MARTLET_DEMO_HTTPS_PORT:-443}
http_port=${MARTLET_DEMO_HTTP_PORT:-80}
export KUBECONFIG=$state/data/admin.kubeconfig
daemon=

say() { printf '\n== %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    [ -f "$state/martletd.log" ] && { echo "the last words of martletd:" >&2; tail -n 20 "$state/martletd.log" >&2; }
    exit 1
}
finish() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; then
        say "Stopping: pods, containerd, bridge and all"
        kill -TERM "$daemon" 2>/dev/null || true
        wait "$daemon" || true
    fi
    rm -rf "$state"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if command -v kubectl >/dev/null 2>&1; then
    apply() { kubectl apply -f "$1"; }
    show() { kubectl -n ocfweb get pods -o wide 2>/dev/null || true; }
else
    apply() { "$bin/martlet" apply -f "$1"; }
    show() { "$bin/martlet" get pods -n ocfweb; }
fi
pods() { # name, phase, ready containers and restarts of each templates pod
    "$bin/martlet" get pods -n ocfweb -o json -l app="${1:-templates}" 2>/dev/null | jq -r '
        select(.metadata.deletionTimestamp == null) |
        [.metadata.name, .status.phase // "Pending", ([.status.containerStatuses[]? | select(.ready)] | length),
         ([.status.containerStatuses[]?.restartCount] | add // 0)] | @tsv'
}
ask() { # the host, the path
    curl --silent --show-error --max-time 5 --cacert "$state/tls.crt" \
        --resolve "$1:$https_port:127.0.0.1" "https://$1:$https_port${2:-/}"
}
url() { [ "$https_port" = 443 ] && echo "https://$1" || echo "https://$1:$https_port"; }
await() { # seconds, what, command: waits with a live line
    local end=$((SECONDS + $1)) what=$2 line last=; shift 2
    until "$@"; do
        [ -n "$daemon" ] && ! kill -0 "$daemon" 2>/dev/null && fail "martletd has ended"
        [ "$SECONDS" -ge "$end" ] && fail "gave up waiting: $what"
        line=$(pods 2>/dev/null | awk '{printf "%s %s %s/3  ", $1, $2, $3}') || true
        if [ -t 1 ]; then printf '\r\033[K   %s: %s' "$what" "$line"
        elif [ "$line" != "$last" ]; then printf '   %s: %s\n' "$what" "$line"; last=$line; fi
        sleep 0.2
    done
    [ -t 1 ] && printf '\r\033[K'
    return 0
}
both_ready() { [ "$(pods | awk '$2 == "Running" && $3 == 3' | wc -l)" -eq 2 ]; }
hello_ready() { [ "$(pods hello | awk '$2 == "Running" && $3 == 1' | wc -l)" -eq 1 ]; }
api_ready() { grep -q '^ready:' "$state/martletd.log" 2>/dev/null; }

start() {
    say "Building the demo's image from busybox-static"
    mkdir -p "$state/images"
    "$bin/martlet" image busybox --tag ocf.test/ocfweb:1 --output "$state/images/ocfweb.tar" -- sh
    say "Starting one node with every role (log: $state/martletd.log)"
    "$bin/martletd" --ephemeral --data-dir "$state/data" --images "$state/images" --api-address "$api" \
        --edge-address "127.0.0.1:$https_port" --edge-http-address "127.0.0.1:$http_port" ${MARTLET_DEMO_FLAGS:-} \
        >"$state/martletd.log" 2>&1 &
    daemon=$!
    await 60 "the API" api_ready
    grep -A3 '^ready:' "$state/martletd.log" | head -n 4 | sed 's/^/   /'
}

deploy() {
    say "Applying a TLS secret and docs/examples/ocfweb.yaml"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=templates.ocf.test \
        -addext 'subjectAltName=DNS:templates.ocf.test,DNS:hello.ocf.test' \
        -keyout "$state/tls.key" -out "$state/tls.crt" 2>/dev/null
    apply "$here/ocfweb.yaml"
    cat >"$state/secret.yaml" <<YAML
apiVersion: v1
kind: Secret
metadata: {name: templates-tls, namespace: ocfweb}
type: kubernetes.io/tls
data:
  tls.crt: $(base64 -w0 "$state/tls.crt")
  tls.key: $(base64 -w0 "$state/tls.key")
YAML
    apply "$state/secret.yaml"
    await 120 "pods" both_ready
    await 60 "hello" hello_ready
    show
}

answers() { # asks until two different replicas have answered
    local end=$((SECONDS + 30))
    : >"$state/answers"
    until [ "$(sort -u "$state/answers" | grep -c 'answered by')" -ge 2 ]; do
        [ "$SECONDS" -ge "$end" ] && fail "both replicas should have answered: $(sort -u "$state/answers")"
        ask templates.ocf.test >>"$state/answers" 2>/dev/null || sleep 0.2
    done
    sort -u "$state/answers" | grep 'answered by' | sed 's/^/   /'
}

story() {
    say "Asking $(url templates.ocf.test) through the edge until both replicas have answered"
    answers
    echo "   /static/logo.txt: $(ask templates.ocf.test /static/logo.txt)"
    echo "   hello.ocf.test:   $(ask hello.ocf.test)"
    local code
    code=$(curl --silent --insecure --output /dev/null --write-out '%{http_code}' \
        --resolve "nobody.ocf.test:$https_port:127.0.0.1" "$(url nobody.ocf.test)/")
    echo "   nobody.ocf.test:  $code"
    [ "$code" = 404 ] || fail "an unknown host should get 404"

    say "Killing one container; the other replica answers meanwhile"
    local victim
    victim=$(pods | head -n 1 | cut -f 1)
    local before failed=0 asked=0
    before=$(pods | awk -v pod="$victim" '$1 == pod {print $4}')
    local container pid
    container=$("$bin/martlet" get pods "$victim" -n ocfweb -o json |
        jq -r '.status.containerStatuses[] | select(.name == "web") | .containerID' | sed 's#.*//##')
    # The container's processes are those in its cgroup.
    pid=$(grep -ls -- "$container" /proc/[0-9]*/cgroup | head -n 1 | cut -d / -f 3) || true
    [ -n "$pid" ] || fail "no process of $victim found"
    kill -9 "$pid"
    local end=$((SECONDS + 60))
    until [ "$(pods | awk -v pod="$victim" '$1 == pod && $3 == 3 {print $4}')" = $((before + 1)) ]; do
        [ "$SECONDS" -ge "$end" ] && fail "$victim was not recovered: $(pods)"
        asked=$((asked + 1))
        ask templates.ocf.test >/dev/null 2>&1 || failed=$((failed + 1))
    done
    echo "   $victim is whole again, restarts: $((before + 1)); $asked requests meanwhile, $failed failed"

    say "Deleting a pod; the Deployment makes another"
    if command -v kubectl >/dev/null 2>&1; then kubectl -n ocfweb delete pod "$victim" --wait=false
    else printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: ocfweb}\n' "$victim" | "$bin/martlet" delete -f -; fi
    replaced() { ! pods | grep -q "^$victim" && both_ready; }
    await 60 "pods" replaced
    show
    answers
}

stay() {
    cat <<TEXT

The cluster stays up. Ctrl-C stops everything. Try, in another terminal:

  export KUBECONFIG=$KUBECONFIG
  kubectl get pods -A
  kubectl -n ocfweb logs deploy/templates -c web
  curl --cacert $state/tls.crt --resolve templates.ocf.test:$https_port:127.0.0.1 $(url templates.ocf.test)/
TEXT
    wait "$daemon"
}

case $mode in
story | up) ;;
*) fail "$mode is neither story nor up" ;;
esac
start
deploy
if [ "$mode" = story ]; then story; fi
if [ "$mode" = up ] || { [ -t 0 ] && [ -t 1 ] && [ "${CI:-}" != true ]; }; then stay; else say "The story is told"; fi
