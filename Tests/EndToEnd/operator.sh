#!/usr/bin/env bash
# An operator's days, by the documented commands, on loopback: the configuration file, what is refused, draining a node,
# snapshots and their drill, and upgrades one master after the other under load. Pods are plain processes.
cd "$(dirname "$0")"
. ./lib.sh
export MARTLET_CONFIG=none
martlet() { timeout 120 "$BIN/martlet" "$@"; }
declare -A number=([deadlock]=1 [coup]=2 [autocrat]=3 [worker1]=4 [worker2]=5)
machines=$state/machines
mkdir "$machines"
pid_of() { cat "$machines/$1/martletd.pid" 2>/dev/null; }
# shellcheck disable=SC2046
end_all() { end_pids $(for name in "${!number[@]}"; do pid_of "$name" || true; done); }
trap 'ended=$?; end_all; umount "$machines/deadlock" 2>/dev/null || true; cleanup' EXIT

# become MACHINE COMMAND...: what is printed by init and token create, with what sets machines on loopback apart.
become() {
    local name=$1 n=${number[$1]}; shift
    local extra=()
    case $name in worker*)
        extra=(--with=--process-runtime "--with=--node-listen=127.0.0.3$n:27250"
            "--with=--ingress-address=127.0.0.3$n:27234") ;;
    esac
    martlet "$@" --data-dir "$machines/$name" --node-name "$name" --node-address "127.0.0.3$n" \
        --api-port "2744$n" --peer-port "2745$n" --start detached "${extra[@]}"
}
try() { "$@" 2>&1 || true; }
token() { martlet token create "$@" | tail -n 1 | sed 's/^martlet //'; }
api() { kubectl --kubeconfig "$machines/$1/admin.kubeconfig" --request-timeout=20s "${@:2}"; }

# --- The configuration file.
cat >"$state/martlet.yaml" <<YAML
nodeName: deadlock
api-port: many
pod-cidr: 10.244.0.0/16
log-level: loud
YAML
checked=$(try martlet config check "$state/martlet.yaml")
expect "an unknown key, with its line" "$checked" "martlet.yaml:1: unknown key nodeName; did you mean node-name"
expect "a wrong value, with its line" "$checked" "martlet.yaml:2: api-port: many is no port"
expect "every fault at once" "$checked" "martlet.yaml:4: log-level"
expect "init refuses it, too" "$(try martlet init --config "$state/martlet.yaml")" "martlet.yaml:1: unknown key"
expect "so does the daemon" "$(try "$BIN/martletd" --config "$state/martlet.yaml" --check-config)" "martlet.yaml:1"
expect "a file that is not there" "$(try martlet config check "$state/none.yaml")" "name another one with --config"
cat >"$state/martlet.yaml" <<YAML
node-name: from-the-file
log-level: debug
service-cidr: 10.97.0.0/16
YAML
shown=$(MARTLET_LOG_LEVEL=notice martlet config show --config "$state/martlet.yaml")
expect "who says what" "$shown" 'log-level *notice *\$MARTLET_LOG_LEVEL'
expect "the file's line" "$shown" "node-name *from-the-file *$state/martlet.yaml:1"

sed -i /node-name/d "$state/martlet.yaml"

# --- What cannot be.
expect "ranges that meet" "$(try become deadlock init --pod-cidr 10.96.0.0/12)" "have addresses in common"
network=$(ip -o -4 route show scope link | awk '$1 ~ /\// {print $1; exit}')
[ -z "$network" ] ||
    expect "a range of the machine's own" "$(try become deadlock init --pod-cidr "$network")" "this machine reaches by"
[ ! -e "$machines/deadlock" ] || fail "a refused init has left $machines/deadlock"
mkdir "$state/foreign"; echo precious >"$state/foreign/file"
expect "somebody else's folder" "$(try martlet init --data-dir "$state/foreign")" "is not a Martlet data folder"
[ "$(cat "$state/foreign/file")" = precious ] || fail "init has touched $state/foreign"

python3 -c 'import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("0.0.0.0", 27441)); s.listen(); time.sleep(60)' & holder=$!
taken() { ss -ltn | grep -q ':27441 '; }
wait_for 10 "a port that is taken" taken
expect "a port that is taken" "$(try become deadlock init)" "port 27441 cannot be listened on.*--api-port"
kill "$holder"; wait "$holder" 2>/dev/null || true
[ ! -e "$machines/deadlock" ] || fail "a refused init has left $machines/deadlock"
# A disk without room: said by name; the same command begins again when there is room.
mkdir "$machines/deadlock"
mount -t tmpfs -o size=16k,mode=711 none "$machines/deadlock"
expect "a full disk" "$(try become deadlock init)" "$machines/deadlock/.*space"
mount -o remount,size=512m "$machines/deadlock"
martlet init --overlay none --no-service-proxy --no-network-policy --dns-address none --start none --data-dir "$machines/deadlock" --node-name deadlock --node-address 127.0.0.31 >/dev/null
ok "an init that was cut short begins again"
martlet reset --yes --data-dir "$machines/deadlock" >/dev/null 2>&1 || true
umount "$machines/deadlock"; rm -rf "$machines/deadlock"

# --- Three masters and two workers; the first takes its service range from the file.
printed=$(become deadlock init --overlay none --no-service-proxy --no-network-policy --dns-address none --config "$state/martlet.yaml")
export KUBECONFIG=$machines/deadlock/admin.kubeconfig
expect "init takes what the file says" "$(api deadlock get service kubernetes -o jsonpath='{.spec.clusterIP}')" "10.97."
expect "a second init" "$(try become deadlock init)" "runs already .*martlet reset first"
worker=$(grep -A1 '^A worker joins' <<<"$printed" | tail -n 1 | sed 's/^ *martlet //')
# shellcheck disable=SC2046,SC2086
{
    become coup $(token --role master) >/dev/null
    become autocrat $(token --role master) >/dev/null
    # The token comes by a variable, which no list of processes shows.
    export MARTLET_TOKEN; MARTLET_TOKEN=$(sed 's/.*--token \([^ ]*\).*/\1/' <<<"$worker")
    become worker1 join 127.0.0.31:27441 >/dev/null
    become worker2 join 127.0.0.31:27441 >/dev/null
}
ready() { [ "$(api "$1" get nodes --no-headers | grep -cw Ready)" = 2 ]; }
wait_for 20 "nodes are Ready" ready deadlock
ok "three masters and two workers"
expect "what join handed on" "$(martlet config show --data-dir "$machines/worker1")" \
    "node-listen *127.0.0.3.:27250 *$machines/worker1/martletd.flags *martletd"
expect "the file that init handed on" "$(martlet config show --data-dir "$machines/deadlock")" \
    "service-cidr *10.97.0.0/16 *$state/martlet.yaml:"


# --- Draining.
api coup create deployment web --image=any --replicas=4 -- sleep 1000 >/dev/null
api coup create poddisruptionbudget web --selector=app=web --min-available=3 >/dev/null
api coup rollout status deployment web --timeout=30s >/dev/null
api coup run alone --image=any --overrides='{"spec":{"nodeName":"worker1"}}' -- sleep 1000 >/dev/null
on() { api coup get pods --field-selector "spec.nodeName=$1" --no-headers 2>/dev/null | wc -l; }
wait_for 20 "a pod on worker1" test "$(on worker1)" -ge 1
drained=$(try martlet node drain worker1)
expect "a pod that nobody makes anew" "$drained" "default/alone: no controller makes it anew: --force"
drained=$(martlet node drain worker1 --force --timeout 60s)
expect "a drain asks budgets" "$drained" "node worker1 is empty"
[ "$(on worker1)" = 0 ] || fail "worker1 still has pods"
expect "no more pods for it" "$(martlet node list)" "worker1 *True *no more (cordoned)"
martlet node uncordon worker1 >/dev/null
expect "a node that is not there" "$(try martlet node drain nobody)" "there is no node nobody"

# --- Snapshots.
api deadlock create configmap before --from-literal=a=1 >/dev/null
martlet snapshot save "$state/one.snapshot" >/dev/null
expect "a snapshot is not written over" "$(try martlet snapshot save "$state/one.snapshot")" "exists"
expect "a drill" "$(martlet snapshot drill "$state/one.snapshot")" "the snapshot is good"
head -c 5000 "$state/one.snapshot" >"$state/cut.snapshot"
expect "a snapshot that is cut off" "$(try martlet snapshot drill "$state/cut.snapshot")" "cut off"
cp "$state/one.snapshot" "$state/bad.snapshot"
printf 'x' | dd of="$state/bad.snapshot" bs=1 seek=3000 conv=notrunc 2>/dev/null
expect "a damaged snapshot" "$(try martlet snapshot drill "$state/bad.snapshot")" "damaged"
api deadlock delete configmap before >/dev/null
api deadlock create configmap later >/dev/null
expect "changes since are no fault" "$(martlet snapshot drill "$state/one.snapshot")" "the snapshot is good"
expect "a running master is not restored" \
    "$(try martlet snapshot restore "$state/one.snapshot" --yes --data-dir "$machines/deadlock")" "stop martletd.* first"

# --- Upgrades: one master after the other, under load. A request fails when a master answers 5xx or breaks off.
grep -o 'client-certificate-data: .*' "$KUBECONFIG" | cut -d' ' -f2 | base64 -d >"$state/admin.crt"
grep -o 'client-key-data: .*' "$KUBECONFIG" | cut -d' ' -f2 | base64 -d >"$state/admin.key"
load() {
    local n=0 port code
    : >"$state/load"
    while [ ! -e "$state/stop" ]; do
        n=$((n + 1))
        for turn in 0 1 2; do
            port=$(((n + turn) % 3 + 1))
            code=$(curl -sk --max-time 10 --cert "$state/admin.crt" --key "$state/admin.key" -o /dev/null -w '%{http_code}' \
                -X PATCH -H 'content-type: application/merge-patch+json' --data "{\"data\":{\"n\":\"$n\"}}" \
                "https://127.0.0.3$port:2744$port/api/v1/namespaces/default/configmaps/later") && status=0 || status=$?
            # Nobody listens, or nobody shakes hands any more: no request was sent, and every client asks the next one.
            [ "$status" = 7 ] || [ "$status" = 35 ] || break
        done
        echo "$status $code 3$port" >>"$state/load"
    done
}
load & loader=$!
for name in deadlock coup autocrat; do
    expect "upgrade of $name" "$(martlet upgrade --data-dir "$machines/$name")" "$name is back"
done
touch "$state/stop"; wait "$loader"
failed=$(grep -vc '^0 200 ' "$state/load" || true)
[ "$failed" = 0 ] || fail "$failed of $(wc -l <"$state/load") requests failed: $(grep -v '^0 200 ' "$state/load" | head -5)"
ok "$(wc -l <"$state/load") writes while three masters started anew, 0 failed"

kill "$(pid_of coup)"
down() { martlet member list | grep -q '^coup .* no '; }
wait_for 20 "the others notice" down
expect "no folder for the log, no upgrade" \
    "$(MARTLET_ACCESS_LOG=/nowhere/log try martlet upgrade --data-dir "$machines/autocrat")" "/nowhere/log cannot be written"
expect "no quorum, no upgrade" "$(try martlet upgrade --data-dir "$machines/autocrat")" "coup does not answer"
expect "no quorum, no removal" "$(try martlet member remove autocrat)" "too few of the masters"
expect "no quorum, no reset" "$(try martlet reset --yes --data-dir "$machines/autocrat")" "autocrat is not reset: .*--keep-membership"
[ -e "$machines/autocrat/machine.json" ] || fail "a reset that was refused has removed data"
kill -0 "$(pid_of autocrat)" || fail "a reset that was refused has ended the daemon"
ok "a master is not taken away while another is missing"

# --- Back from the snapshot: what was written since is gone, watchers begin anew.
for name in deadlock autocrat; do kill "$(pid_of $name)"; done
gone() { for name in deadlock coup autocrat; do kill -0 "$(pid_of $name)" 2>/dev/null && return 1; done; return 0; }
wait_for 20 "the masters end" gone
martlet snapshot restore "$state/one.snapshot" --yes --data-dir "$machines/deadlock" >/dev/null
"$BIN/martletd" --data-dir "$machines/deadlock" >>"$machines/deadlock/martletd.log" 2>&1 &
back() { api deadlock get configmap before; }
wait_for 20 "the restored master serves" back
! api deadlock get configmap later >/dev/null 2>&1 || fail "what was written after the snapshot is still there"
ok "the restored cluster has what the snapshot has"
# shellcheck disable=SC2046
for name in coup autocrat; do
    martlet reset --yes --keep-membership --data-dir "$machines/$name" >/dev/null
    become $name $(token --role master) >/dev/null
done
expect "three masters again" "$(martlet status)" "quorum: 2 of 3 voters"
wait_for 30 "nodes are Ready again" ready autocrat
api coup scale deployment web --replicas=5 >/dev/null
api coup rollout status deployment web --timeout=30s >/dev/null
ok "workers went on with the restored cluster"

# --- What a worker's pod network has left in the kernel goes with a reset, with no master to ask.
left=$(unshare -n bash -c "
    ip link set lo up
    nft add table ip martlet0-services && nft add table ip martlet0-policies && nft add table ip martlet0-overlay
    ip link add flannel.1 type vxlan id 1 dstport 8472 local 127.0.0.1
    mkdir $state/left && '$BIN/martletd' --data-dir $state/left/data --process-runtime --overlay vxlan --service-proxy \
        --network-policy --clean >&2
    nft list tables; ip -o link | grep -v ' lo:' || true")
[ -z "$left" ] || fail "left in the kernel: $left"
ok "a reset leaves no tables and no devices"

for name in worker1 worker2 autocrat coup deadlock; do
    martlet reset --yes --data-dir "$machines/$name" >/dev/null
    [ ! -e "$machines/$name" ] || fail "reset leaves $machines/$name"
done
ok "machines leave and leave nothing behind"
