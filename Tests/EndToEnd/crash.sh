# kill -9 of the whole node while ConfigMaps are being created: every acknowledged one is there afterwards, and the
# pods run on and are taken over.
. ./lib.sh

mkdir -p "$state/images"
"$BIN/martlet" image busybox --tag ocf.test/ocfweb:1 --output "$state/images/ocfweb.tar" -- sh >/dev/null
node() { start martletd --images "$state/images" --edge-address 127.0.0.1:18443 --edge-http-address none "$@"; }
node
"$BIN/martlet" apply -f ../../docs/examples/ocfweb.yaml >/dev/null
ready() { "$BIN/martlet" get pods -n ocfweb -o json | jq -s -e '[.[] | select(.status.conditions[]? | .type == "Ready" and .status == "True")] | length == 3'; }
wait_for 120 "the pods run" ready
pids() { "$BIN/martlet" get pods -n ocfweb -o json | jq -r '.status.containerStatuses[].containerID' | sort; }
before=$(pids)

field() { sed -n "s/^ *$1: //p" "$KUBECONFIG" | head -n 1 | base64 -d; }
field certificate-authority-data >"$state/ca.crt"; field client-certificate-data >"$state/admin.crt"; field client-key-data >"$state/admin.key"
api() { curl -s --max-time 10 --cacert "$state/ca.crt" --cert "$state/admin.crt" --key "$state/admin.key" "$@"; }
create() { # from to: writes the names of the acknowledged ones
    for n in $(seq "$1" "$2"); do
        code=$(api -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' \
            -d "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c$n\"},\"data\":{\"n\":\"$n\"}}" \
            https://127.0.0.1:16443/api/v1/namespaces/default/configmaps) || code=000
        [ "$code" = 201 ] && echo "c$n" || true
    done
}
for writer in 0 1 2 3; do create $((writer * 250 + 1)) $((writer * 250 + 250)) >"$state/acked.$writer" & writers[writer]=$!; done
wait_for 60 "half of them are there" bash -c "[ \$(cat $state/acked.* | wc -l) -ge 300 ]"
kill -9 "$daemon"; wait "$daemon" 2>/dev/null || true
wait "${writers[@]}"
acked=$(cat "$state"/acked.* | sort)
[ "$(wc -l <<<"$acked")" -lt 1000 ] || fail "the kill came too late to show anything"

# A start that fails must not take the pods with it: the edge's port is taken.
"$BIN/martlet-gateway" --data-dir "$state/other" --api-address 127.0.0.1:18443 >"$state/other.log" 2>&1 &
other=$!
wait_for 20 "the port is taken" grep -q '^ready:' "$state/other.log"
refusal=$(timeout 60 "$BIN/martletd" --data-dir "$state/data" --api-address 127.0.0.1:16443 \
    --edge-address 127.0.0.1:18443 --edge-http-address none 2>&1) && fail "two listen on one port"
kill -TERM "$other"; wait "$other" || true
expect "the edge's taken port" "$refusal" "the edge cannot listen on 127.0.0.1:18443.*--edge-address"

node --ephemeral
there=$(api https://127.0.0.1:16443/api/v1/namespaces/default/configmaps | jq -r '.items[].metadata.name' | sort)
lost=$(comm -23 <(echo "$acked") <(echo "$there") | wc -l)
[ "$lost" = 0 ] || fail "$lost acknowledged ConfigMaps are lost"
ok "$(wc -l <<<"$acked") ConfigMaps were acknowledged before kill -9, all are there"
wait_for 60 "the pods are ready again" ready
[ "$(pids)" = "$before" ] || fail "the containers were not taken over: $before, now $(pids)"
ok "the pods ran on and were taken over"
stop
