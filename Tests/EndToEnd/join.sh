#!/usr/bin/env bash
# A cluster of three masters and two workers, by the documented commands, on loopback: each machine has an address, a
# data folder and ports of its own, and pods are plain processes. Then what goes wrong: tokens that are not good, the
# leader's end, a master's restart, and machines that leave.
cd "$(dirname "$0")"
. ./lib.sh
martlet() { timeout 90 "$BIN/martlet" "$@"; }
declare -A number=([deadlock]=1 [coup]=2 [autocrat]=3 [worker1]=4 [worker2]=5)
machines=$state/machines
mkdir "$machines"
pid_of() { cat "$machines/$1/martletd.pid" 2>/dev/null; }
# shellcheck disable=SC2046
end_all() { end_pids $(for name in "${!number[@]}"; do pid_of "$name" || true; done); }
trap 'ended=$?; end_all; cleanup' EXIT

# join COMMAND... for a machine: what is printed by init and token create, with what sets machines on loopback apart.
become() {
    local name=$1 n=${number[$1]}; shift
    local extra=()
    case $name in worker*)
        extra=(--with=--process-runtime "--with=--node-listen=127.0.0.2$n:10250"
            "--with=--ingress-address=127.0.0.2$n:31234") ;;
    esac
    martlet "$@" --data-dir "$machines/$name" --node-name "$name" --node-address "127.0.0.2$n" \
        --api-port "1744$n" --peer-port "1745$n" --start detached "${extra[@]}"
}
token() { martlet token create "$@" | tail -n 1 | sed 's/^martlet //'; }
api() { kubectl --kubeconfig "$machines/$1/admin.kubeconfig" --request-timeout=20s "${@:2}"; }

printed=$(become deadlock init --overlay none --no-service-proxy --no-network-policy --dns-address none)
ok "the first master"
export KUBECONFIG=$machines/deadlock/admin.kubeconfig
worker=$(grep -A1 '^A worker joins' <<<"$printed" | tail -n 1 | sed 's/^ *martlet //')
master=$(grep -A1 '^One more master' <<<"$printed" | tail -n 1 | sed 's/^ *martlet //')
# shellcheck disable=SC2086
{
    become coup $master >/dev/null
    refusal=$(become autocrat $master 2>&1 || true)
    expect "a master's token is good for one machine" "$refusal" "this token was used for coup"
    become autocrat $(token --role master) >/dev/null
    ok "three masters"
    become worker1 $worker >/dev/null
    become worker2 $worker >/dev/null
    ok "two workers"
}
expect "who the masters are" "$(martlet status)" "quorum: 2 of 3 voters"
ready() { [ "$(api "$1" get nodes --no-headers | grep -cw Ready)" = 2 ]; }
for name in deadlock coup autocrat; do wait_for 20 "nodes are Ready, as $name says" ready "$name"; done
ok "every master says that both nodes are Ready"

good=$(sed 's/.*--token //' <<<"$worker")
try() { martlet join 127.0.0.21:17441 --token "$1" --data-dir "$machines/stranger" --node-name "${2:-stranger}" \
    --node-address 127.0.0.29 --start none "${@:3}" 2>&1 || true; }
expect "half a token" "$(try "${good%.*}")" "not whole"
expect "a wrong token" "$(try "${good%%.*}.aaaaaaaaaaaaaaaa.${good##*.}")" "the token is not known"
expect "a foreign token" "$(try "${good%.*}.$(printf '0%.0s' {1..64})")" "is not the one that the token is of"
expect "a worker's token is none for masters" "$(try "$good" stranger --role master)" "lets a worker join"
expect "a node's name is taken once" "$(try "$good" worker1)" "a node named worker1 is there already"
old=$(token --ttl 1s | sed 's/.*--token //'); sleep 2
expect "a token that has run out" "$(try "$old")" "has run out"
expect "a second init" "$(become deadlock init 2>&1 || true)" "runs already .*martlet reset first"
expect "a master's name is taken for workers, too" "$(try "$good" coup)" "a master named coup is there already"
martlet reset --yes --data-dir "$machines/stranger" >/dev/null

api coup create deployment web --image=any -- sleep 1000 >/dev/null
api coup scale deployment web --replicas=4 >/dev/null
api coup rollout status deployment web --timeout=30s >/dev/null
ok "pods run on workers that know the API by its address only"

# What a worker's certificate lets its bearer do, and its ingress, which reads by it the passwords of a route.
parts() { kubectl --kubeconfig /dev/null --server https://127.0.0.21:17441 --request-timeout=10s \
    --certificate-authority "$machines/worker1/pki/ca.crt" --client-certificate "$machines/worker1/pki/worker.crt" \
    --client-key "$machines/worker1/pki/worker.key" "$@" 2>&1 || true; }
expect "a worker's parts do not list secrets" "$(parts get secrets -A)" "only read one secret, by its name"
expect "nor read one that no route names" "$(parts get secret users)" "no Ingress or Gateway names this secret"
expect "nor write on a node" "$(parts cordon worker2)" "can only read nodes"
expect "nor on their own" "$(parts label node worker1 a=b)" "can only read nodes"
api coup create secret generic users --from-literal='auth=jane:{SHA}x' >/dev/null
api coup create ingress guarded --class=martlet --rule='h.test/*=web:80' \
    --annotation nginx.ingress.kubernetes.io/auth-type=basic \
    --annotation nginx.ingress.kubernetes.io/auth-secret=users >/dev/null
asks() { [ "$(curl -s -m 3 -o /dev/null -w '%{http_code}' -H 'Host: h.test' http://127.0.0.24:31234/)" = "$1" ]; }
wait_for 10 "the ingress of a worker asks for a password" asks 401
expect "they read the one that a route names" "$(parts get secret users)" "Opaque"
api coup delete secret users >/dev/null
wait_for 10 "the route is closed when its passwords are gone" asks 503
ok "an ingress reads the secrets that its routes name"
port() { api coup get node worker1 -o jsonpath='{.metadata.annotations}'; }
expect "edges find it" "$(port)" 31234

leader=$(martlet status -o json | sed 's/.*"leader":"\([a-z]*\)".*/\1/')
other=coup; [ "$leader" != coup ] || other=autocrat
kill -9 "$(pid_of "$leader")"
began=$(date +%s%N)
until api "$other" create configmap after >/dev/null 2>&1; do :; done
ok "written again $((($(date +%s%N) - began) / 1000000)) ms after the leader's end"
api "$other" scale deployment web --replicas=6 >/dev/null
api "$other" rollout status deployment web --timeout=30s >/dev/null
ok "scheduler, controllers and both workers go on without it"
named() { [ "$(api "$other" get endpoints kubernetes -o jsonpath='{.subsets[*].addresses[*].ip}' | wc -w)" = "$1" ]; }
wait_for 10 "the Service kubernetes names two masters" named 2
"$BIN/martletd" --data-dir "$machines/$leader" >>"$machines/$leader/martletd.log" 2>&1 &
wait_for 20 "the Service kubernetes names three masters" named 3
ok "the master is back"

export KUBECONFIG=$machines/$other/admin.kubeconfig
martlet user cert jane --group dev --ttl 10m --data-dir "$machines/$other" >"$state/jane"
expect "a person's certificate" "$(kubectl --kubeconfig "$state/jane" auth whoami)" "jane"
martlet reset --yes --data-dir "$machines/$leader" >/dev/null
expect "a master has left" "$(martlet status)" "quorum: 2 of 2 voters"
[ ! -e "$machines/$leader" ] || fail "reset leaves $machines/$leader"
for name in worker1 worker2; do martlet reset --yes --data-dir "$machines/$name" >/dev/null; done
ok "machines leave and leave nothing behind"
