#!/usr/bin/env bash
# Certificates of a cluster of three masters and three workers, by the documented commands, on loopback: authorities of
# kubeadm are taken over, leaves and every authority are rotated under load without a failed request, a master's end and
# a worker that is away in the midst of it.
cd "$(dirname "$0")"
. ./lib.sh
martlet() { timeout 120 "$BIN/martlet" "$@"; }
declare -A number=([deadlock]=1 [coup]=2 [autocrat]=3 [worker1]=4 [worker2]=5 [worker3]=6)
machines=$state/machines
mkdir "$machines"
pid_of() { cat "$machines/$1/martletd.pid" 2>/dev/null; }
loads=()
end_all() {
    [ ${#loads[@]} = 0 ] || kill "${loads[@]}" 2>/dev/null || true
    # shellcheck disable=SC2046
    end_pids $(for name in "${!number[@]}"; do pid_of "$name" || true; done)
}
trap 'ended=$?; end_all; cleanup' EXIT
become() {
    local name=$1 n=${number[$1]}; shift
    local extra=()
    case $name in worker*)
        extra=(--with=--process-runtime "--with=--node-listen=127.0.0.3$n:10250"
            "--with=--ingress-address=127.0.0.3$n:31234") ;;
    esac
    martlet "$@" --data-dir "$machines/$name" --node-name "$name" --node-address "127.0.0.3$n" \
        --api-port "2544$n" --peer-port "2545$n" --start detached "${extra[@]}"
}
again() { # starts a machine's daemon again
    local flags=()
    mapfile -t flags <"$machines/$1/martletd.flags"
    "$BIN/martletd" --data-dir "$machines/$1" "${flags[@]}" >>"$machines/$1/martletd.log" 2>&1 &
    echo $! >"$machines/$1/martletd.pid"
}
token() { martlet token create "$@" | tail -n 1 | sed 's/^martlet //'; }
api() { kubectl --kubeconfig "$machines/$1/admin.kubeconfig" --request-timeout=20s "${@:2}"; }

# A PKI as kubeadm leaves it, by another make.
foreign=$state/kubernetes/pki
mkdir -p "$foreign/etcd"
ca() {
    openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=$2" -days 3650 -keyout "$foreign/$1.key" \
        -out "$foreign/$1.crt" -addext keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign 2>/dev/null
}
ca ca kubernetes; ca front-proxy-ca front-proxy-ca; ca etcd/ca etcd-ca
openssl genrsa -out "$foreign/sa.key" 2048 2>/dev/null
openssl rsa -in "$foreign/sa.key" -pubout -out "$foreign/sa.pub" 2>/dev/null
cp -r "$foreign" "$state/broken"
cp "$foreign/etcd/ca.key" "$state/broken/ca.key"; rm "$state/broken/sa.key"
refusal=$(martlet pki import "$state/broken" --data-dir "$machines/broken" 2>&1 || true)
expect "a foreign key that does not fit" "$refusal" "broken/ca.key is not the key of"
expect "all faults at once" "$refusal" "broken/sa.key is missing"
expect "a look at what would be taken over" "$(martlet pki import "$foreign" --check)" "ca.crt: kubernetes, good until"
[ ! -e "$machines/broken" ] || fail "a refused import leaves $machines/broken"

printed=$(become deadlock init --pki "$state/kubernetes" --overlay none --no-service-proxy --no-network-policy \
    --dns-address none)
cmp -s "$foreign/ca.crt" "$machines/deadlock/pki/ca.crt" || fail "the authority was not taken over"
ok "a cluster begins with the authorities of kubeadm"
export KUBECONFIG=$machines/deadlock/admin.kubeconfig
worker=$(grep -A1 '^A worker joins' <<<"$printed" | tail -n 1 | sed 's/^ *martlet //')
# shellcheck disable=SC2046,SC2086
{
    become coup $(token --role master) >/dev/null
    become autocrat $(token --role master) >/dev/null
    for name in worker1 worker2 worker3; do become "$name" $worker >/dev/null; done
}
ready() { [ "$(api deadlock get nodes --no-headers | grep -cw Ready)" = "$1" ]; }
wait_for 30 "three nodes are Ready" ready 3
api deadlock create deployment web --image=any -- sleep 1000 >/dev/null
api deadlock scale deployment web --replicas=3 >/dev/null
api deadlock rollout status deployment web --timeout=30s >/dev/null
ok "three masters and three workers"
told() { [ "$(martlet pki status | awk '{print $1}' | sort -u | grep -cE '^(deadlock|coup|autocrat|worker[123])$')" = 6 ]; }
wait_for 20 "every machine tells of its certificates" told
ok "every machine tells of its certificates"
expect "days left" "$(martlet pki status)" "apiserver.crt"
expect "nothing is near its end" "$(martlet status; echo end)" "^end"

# load NAME COMMAND...: runs it over and over; each failure is a line in NAME.failed, each run one in NAME.runs.
load() {
    local name=$1; shift
    : >"$state/$name.failed"; : >"$state/$name.runs"
    while :; do
        text=$("$@" 2>&1) || printf '%s %s\n' "$(date +%T)" "$text" >>"$state/$name.failed"
        echo >>"$state/$name.runs"
        sleep 0.1
    done &
    loads+=($!)
}
write() { api "$1" create configmap "$1-$(date +%s%N)" --from-literal=a=b; }
for name in deadlock coup autocrat; do
    load "read-$name" api "$name" get nodes
    load "write-$name" write "$name"
done
pod=$(api deadlock get pods -o jsonpath='{.items[0].metadata.name}')
load log api coup logs "$pod"
kubectl --kubeconfig "$machines/deadlock/admin.kubeconfig" get pods --watch >"$state/watch" 2>"$state/watch.failed" &
loads+=($!)

# clean WHAT: no request has failed so far.
clean() {
    local runs=0 file
    for file in "$state"/*.failed; do [ ! -s "$file" ] || fail "$1: $file: $(head -n 3 "$file")"; done
    for file in "$state"/*.runs; do runs=$((runs + $(wc -l <"$file"))); done
    ok "$1: no failed request of $runs"
}
serial() { openssl x509 -in "$machines/$1/pki/$2" -noout -serial; }
shown() { # the serial number of what a master's API shows now
    openssl s_client -connect "127.0.0.3${number[$1]}:2544${number[$1]}" </dev/null 2>/dev/null |
        openssl x509 -noout -serial
}

before=$(shown coup); worker_before=$(serial worker1 kubelet.crt)
expect "leaves are rotated" "$(martlet pki rotate leaf)" "of leaves: done"
[ "$(shown coup)" != "$before" ] || fail "coup shows the certificate of before"
[ "$(serial worker1 kubelet.crt)" != "$worker_before" ] || fail "worker1 has the certificate of before"
clean "every leaf was rotated"
before=$(serial worker2 kubelet.crt); other=$(serial worker1 kubelet.crt)
expect "leaves of one machine" "$(martlet pki rotate leaf --machine worker2)" "of leaves of worker2: done"
[ "$(serial worker2 kubelet.crt)" != "$before" ] || fail "worker2 has the certificate of before"
[ "$(serial worker1 kubelet.crt)" = "$other" ] || fail "worker1 has a new certificate"

fingerprint() { openssl x509 -in "$machines/$1/pki/$2" -noout -fingerprint; }
cp "$machines/deadlock/admin.kubeconfig" "$state/stale"
old_token=$(api deadlock create token default)
martlet pki rotate ca --overlap 8s >"$state/rotation" &
rotation=$!
both() { grep -q 'both are trusted until' "$state/rotation"; }
wait_for 60 "both authorities are trusted" both
who() { kubectl --kubeconfig /dev/null --server "$(awk '/server:/ {gsub("\"", "", $2); print $2}' "$state/stale")" \
    --insecure-skip-tls-verify --token "$1" auth whoami 2>&1 || true; }
kubectl --kubeconfig "$state/stale" get nodes >/dev/null
ok "a kubeconfig of before is good while both are trusted"
expect "a token of before is good while both are trusted" "$(who "$old_token")" "system:serviceaccount:default:default"
wait "$rotation"
expect "every authority is rotated" "$(cat "$state/rotation")" "of authorities: done"
for file in ca.crt etcd/ca.crt front-proxy-ca.crt; do
    [ "$(fingerprint deadlock "$file")" = "$(fingerprint autocrat "$file")" ] || fail "masters differ in $file"
    [ "$(grep -c BEGIN "$machines/deadlock/pki/$file")" = 1 ] || fail "the old $file is trusted yet"
    ! cmp -s "$foreign/$file" "$machines/deadlock/pki/$file" || fail "$file is the old one"
done
cmp -s "$machines/deadlock/pki/ca.crt" "$machines/worker3/pki/ca.crt" || fail "worker3 trusts something else"
clean "every authority was rotated"
expect "a token of before is good no longer" "$(who "$old_token")" "Unauthorized"
refusal=$(kubectl --kubeconfig "$state/stale" get nodes 2>&1 || true)
expect "a kubeconfig of before is good no longer" "$refusal" "certificate"
refusal=$(martlet join "127.0.0.31:25441" --token "$(sed 's/.*--token //' <<<"$worker")" --start none \
    --data-dir "$machines/stranger" --node-name stranger --node-address 127.0.0.39 2>&1 || true)
expect "a token of before names another authority" "$refusal" "authorities were rotated since"
rm -rf "$machines/stranger"
kill "${loads[@]}" 2>/dev/null || true
loads=()

# A master ends and one worker is away in the midst of it: the rotation waits, and another leader goes on.
leader=$(martlet status -o json | sed 's/.*"leader":"\([a-z]*\)".*/\1/')
rest=coup; [ "$leader" != coup ] || rest=autocrat
export KUBECONFIG=$machines/$rest/admin.kubeconfig
# Gone for good: while it takes its leave it may still take one phase after the other.
end_pids "$(pid_of worker3)"
martlet pki rotate ca --overlap 0s --no-wait >/dev/null
waits() { grep -q "waiting for .*worker3" <<<"$(martlet pki status)"; }
wait_for 20 "the rotation waits for worker3" waits
kill -9 "$(pid_of "$leader")"
refusal=$(martlet pki rotate leaf 2>&1 || true)
expect "one rotation at a time" "$refusal" "is under way"
expect "the rotation is told" "$(martlet status)" "of authorities: 1 of 4"
again "$leader"; again worker3
finished() { grep -q "^rotation .*: done" <<<"$(martlet pki status)"; }
wait_for 90 "the rotation goes on when all are back" finished
ok "another leader has ended the rotation, with all machines"
wait_for 30 "three nodes are Ready" ready 3
# shellcheck disable=SC2046
become worker1 $(token) >/dev/null 2>&1 && fail "a machine joins twice" || true
for name in worker1 worker2 worker3; do martlet reset --yes --data-dir "$machines/$name" >/dev/null; done
ok "machines leave"
