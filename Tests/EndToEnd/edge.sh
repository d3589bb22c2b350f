#!/usr/bin/env bash
# The edge and the ingress from outside: HTTP/2 and gRPC from clients that others wrote to pods that others wrote, the
# PROXY protocol on both sides, the access log, and clients that mean no good. One host with all roles, and one with the
# clients.
cd "$(dirname "$0")"
. ./lib.sh
hosts=$PWD/../Hosts/hosts
export PREFIX=me ROOMS=
address=192.168.57.11
# The client's second address is a load balancer's.
balancer=192.168.57.90
pids=()
trap 'ended=$?; end_pids "${pids[@]}"; "$hosts" down; cleanup' EXIT
on() { "$hosts" exec "$@"; }
HOSTS="deadlock client" "$hosts" up
on client ip address add "$balancer/24" dev eth0

# background NAME COMMAND...: a process on the host of the cluster.
background() {
    local name=$1; shift
    nsenter "--net=$("$hosts" path deadlock)" "$@" >"$state/$name.log" 2>&1 &
    pids+=($!)
}
background martletd "$BIN/martletd" --data-dir "$state/data" --node-name deadlock --node-address "$address" \
    --process-runtime --ingress-address "$address:31080" --api-address "$address:6443" \
    --proxy-protocol-from "$balancer/32" --access-log "$state/access.log"
martletd=${pids[0]}
wait_for 60 "martletd is ready" grep -q '^ready:' "$state/martletd.log"
export KUBECONFIG=$state/data/admin.kubeconfig
martlet() { on deadlock timeout 60 "$BIN/martlet" "$@"; }

# What stands behind the hosts: pods of others, named by slices of our own.
: >"$state/seen"
background prefaced python3 python/preface.py serve "$address" 9003
background echo python3 python/echoserver.py "$address" 9001 "$state/seen"
for name in web rpc; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$name.test" \
        -addext "subjectAltName=DNS:$name.test" -keyout "$state/$name.key" -out "$state/$name.crt" 2>/dev/null
done
# app NAME HOST PATH PORT ANNOTATIONS: a Service with one endpoint, and an Ingress of it.
app() {
    cat <<YAML
apiVersion: v1
kind: Service
metadata: {name: $1, namespace: default}
spec: {ports: [{name: web, port: 80, targetPort: $4}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $1-one, namespace: default, labels: {kubernetes.io/service-name: $1}}
addressType: IPv4
ports: [{name: web, port: $4, protocol: TCP}]
endpoints: [{addresses: [$address], conditions: {ready: true}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: $1, namespace: default, annotations: {$5}}
spec:
  ingressClassName: martlet
  tls: [{hosts: [$2], secretName: ${2%%.*}}]
  rules: [{host: $2, http: {paths: [{path: $3, pathType: Prefix, backend: {service: {name: $1, port: {name: web}}}}]}}]
---
YAML
}
{
    for name in web rpc; do
        printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: default}\ntype: kubernetes.io/tls\n' "$name"
        printf 'data: {tls.crt: %s, tls.key: %s}\n---\n' "$(base64 -w0 "$state/$name.crt")" "$(base64 -w0 "$state/$name.key")"
    done
    app web web.test / 9001 ""
    app limited web.test /limited 9001 'nginx.ingress.kubernetes.io/proxy-body-size: 100k'
    app told1 web.test /told1 9003 'martlet.io/send-proxy-protocol: v1'
    app told2 web.test /told2 9003 'martlet.io/send-proxy-protocol: v2'
    app untold web.test /untold 9003 ''
    app limit limit.test / 9001 'nginx.ingress.kubernetes.io/proxy-body-size: 100k'
    app rpc rpc.test / 9002 'nginx.ingress.kubernetes.io/backend-protocol: GRPC'
} >"$state/apps.yaml"
martlet apply -f "$state/apps.yaml" >/dev/null
asks() { on client curl -s --cacert "$state/web.crt" --resolve "web.test:443:$address" "$@"; }
answers() { [ "$(asks -o /dev/null -w '%{http_code}' https://web.test/)" = 200 ]; }
wait_for 20 "the edge serves web.test" answers

echo "-- clients that mean well"
[ "$(asks --http2 -o /dev/null -w '%{http_version}' https://web.test/)" = 2 ] || fail "curl does not get HTTP/2"
[ "$(asks --http1.1 -o /dev/null -w '%{http_version}' https://web.test/)" = 1.1 ] || fail "curl does not get HTTP/1.1"
ok "curl agrees on HTTP/2 and on HTTP/1.1"
head -c 5000000 /dev/zero >"$state/big"
expect "5 MB over HTTP/2" "$(asks --http2 --data-binary "@$state/big" https://web.test/big)" '"length": 5000000'
if command -v nghttp >/dev/null; then
    # The namespace has no names: what is asked for stands in a field.
    said=$(on client nghttp -nv -H ':authority: web.test' "https://$address/nghttp" 2>&1 || true)
    expect "nghttp" "$said" ':status: 200'
    # No SNI goes with an address, so that the edge's own certificate is shown; h2load looks at none.
    said=$(on client h2load -n 3000 -c 10 -m 30 -H ':authority: web.test' "https://$address/load" 2>&1 || true)
    expect "h2load: 3000 requests over 10 connections" "$said" '3000 succeeded, 0 failed, 0 errored'
    expect "h2load: all with 200" "$said" 'status codes: 3000 2xx'
    said=$(on client h2load -n 500 -c 2 -m 20 -H ':authority: web.test' -H 'x-forwarded-proto: https' \
        "http://$address:31080/load" 2>&1 || true)
    expect "h2load: HTTP/2 in the clear at the ingress" "$said" '500 succeeded, 0 failed, 0 errored'
else
    echo "   SKIPPED: there is no nghttp"
fi

echo "-- behind a load balancer, and in the access log"
through() { # VERSION PORT CERTIFICATE...
    local version=$1 port=$2; shift 2
    on client timeout 30 python3 python/preface.py ask "$balancer" "$version" 203.0.113.7 "$address" "$port" web.test "$@"
}
for version in v1 v2; do
    said=$(through "$version" 443 "$state/web.crt")
    expect "the edge believes a load balancer ($version)" "$said" '^200 .*"[Xx]-[Ff]orwarded-[Ff]or": "203\.0\.113\.7"'
    ! grep -q '6\.6\.6\.6' <<<"$said" || fail "the edge believes what the client says of itself: $said"
    said=$(through "$version" 31080)
    expect "so does the ingress ($version)" "$said" '^200 .*"[Xx]-[Ff]orwarded-[Ff]or": "203\.0\.113\.7"'
    expect "plain HTTP behind a load balancer is sent to https ($version)" "$(through "$version" 80)" '^308'
done
expect "a load balancer that speaks for itself" "$(through local 443 "$state/web.crt")" \
    "^200 .*\"[Xx]-[Ff]orwarded-[Ff]or\": \"${balancer//./\\.}\""
for port in 443 80 31080; do
    said=$(through none "$port" $([ "$port" != 443 ] || echo "$state/web.crt"))
    expect "without a header its connection to port $port ends" "$said" '^closed'
done
# From all others no header is taken.
said=$(on client timeout 30 python3 python/preface.py ask "$("$hosts" address client)" v1 203.0.113.7 "$address" \
    31080 web.test)
expect "a client that plays load balancer" "$said" '^400'
expect "a pod that asks for it is told of the client (v1)" "$(asks https://web.test/told1)" '"version": "v1", "client": "192'
expect "a pod that asks for it is told of the client (v2)" "$(asks https://web.test/told2)" '"version": "v2", "client": "192'
expect "another one is not" "$(asks https://web.test/untold)" '"version": "none"'
# told PART VERSION: what the log says of the request that came through the load balancer.
told() {
    jq -c "select(.part == \"$1\" and .path == \"/preface/$2\" and .status == 200) |
        [.client, .method, .host, .status, .name, .serverName, .tries, .broken]" "$state/access.log" | head -n 1
}
logged() { [ -n "$(told edge v2)" ] && [ -n "$(told ingress v2)" ]; }
wait_for 10 "the access log tells of it" logged
[ "$(told edge v2)" = '["203.0.113.7","GET","web.test",200,null,"web.test",1,false]' ] || fail "the edge: $(told edge v2)"
[ "$(told ingress v2)" = '["203.0.113.7","GET","web.test",200,"web",null,1,false]' ] || fail "the ingress: $(told ingress v2)"
ids=$(jq -r 'select(.path == "/preface/v2" and .serverName == "web.test") | .requestID' "$state/access.log" | head -n 1)
[ "$(jq -r "select(.requestID == \"$ids\") | .part" "$state/access.log" | sort | paste -sd,)" = edge,ingress ] ||
    fail "the request $ids is not told of once by edge and ingress each"
names=$(jq -r 'keys_unsorted | join(" ")' "$state/access.log" | sort -u)
[ "$(wc -l <<<"$names")" = 1 ] || fail "lines of the access log have different names: $names"
ok "the access log names the client, the route and the answer, under one request ID at edge and ingress"

if command -v testssl >/dev/null; then
    # What the edge itself does; certificates and fields of answers are the sites' own.
    on client testssl --warnings off --color 0 --nodns none --severity LOW --jsonfile "$state/testssl.json" --ip "$address" \
        -p -s -f -P -U https://web.test >"$state/testssl.txt" 2>&1 || true
    found=$(jq -r '.[] | select(.severity | test("MEDIUM|HIGH|CRITICAL")) | "\(.severity) \(.id): \(.finding)"' \
        "$state/testssl.json")
    [ -z "$found" ] || fail "testssl.sh: $found"
    grep -q 'Done.*web.test' "$state/testssl.txt" || fail "testssl.sh has not come to its end: $(tail -n 5 "$state/testssl.txt")"
    ok "testssl.sh finds nothing above low"
else
    echo "   SKIPPED: there is no testssl"
fi

echo "-- objects that mean no good"
# Certificates that are none, a key of another one, an older host's certificate, and hostile text wherever the API lets it in.
evil=$'"\\\r\n}\n; location / { return 200 taken; } #$(id)`id`../../\x01%0d%0a'
secret() { # NAME CERTIFICATE KEY
    jq -n --arg name "$1" --arg crt "$(base64 -w0 <<<"$2")" --arg key "$(base64 -w0 <<<"$3")" '{apiVersion: "v1", kind: "Secret",
        metadata: {name: $name, namespace: "default"}, type: "kubernetes.io/tls", data: {"tls.crt": $crt, "tls.key": $key}}'
    echo ---
}
ingress() { # NAME HOST SECRET PATH ANNOTATIONS
    jq -n --arg name "$1" --arg host "$2" --arg secret "$3" --arg path "$4" --argjson annotations "$5" '{
        apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: {name: $name, namespace: "default", annotations: $annotations},
        spec: {ingressClassName: "martlet", tls: [{hosts: [$host], secretName: $secret}], rules: [{host: $host, http: {paths: [
            {path: $path, pathType: "ImplementationSpecific", backend: {service: {name: "web", port: {name: "web"}}}}]}}]}}'
    echo ---
}
# Each annotation that the table of docs/ingress.md lists, with that text for a value.
hostile=$(sed -n '/^| Annotation /,/^$/p' ../../docs/ingress.md | cut -d'|' -f2 | grep -o '`[^`]*`' | tr -d '`' | grep '^[a-z]' |
    jq -Rn --arg evil "$evil" '[inputs | {key: ("nginx.ingress.kubernetes.io/" + gsub(":.*"; "")), value: $evil}] | from_entries')
[ "$(jq length <<<"$hostile")" -gt 35 ] || fail "docs/ingress.md lists too few annotations: $hostile"
{
    secret broken $'-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----' "$evil"
    secret unfit "$(cat "$state/web.crt")" "$(cat "$state/rpc.key")"
    ingress broken broken.test broken / '{}'
    ingress unfit unfit.test unfit / '{}'
    ingress younger web.test rpc /stolen '{}'
    ingress hostile hostile.test none / "$hostile"
    ingress unread unread.test none "/x\"; } location / { return 200; } (" '{"nginx.ingress.kubernetes.io/use-regex": "true"}'
} >"$state/hostile.json"
martlet apply -f "$state/hostile.json" >"$state/hostile.txt" || fail "the API refuses them: $(cat "$state/hostile.txt")"
other() { on client curl -sk -o /dev/null -w '%{http_code}' --resolve "$1:443:$address" "https://$1$2"; }
is() { [ "$(other "$1" "$2")" = "$3" ]; }
wait_for 20 "a host whose certificate is none is served with the edge's own" is broken.test / 200
wait_for 20 "a host whose key is another's is served with the edge's own" is unfit.test / 200
wait_for 20 "an Ingress whose lists cannot be read is closed" is hostile.test / 503
wait_for 20 "an expression that cannot be read closes what begins like it" is unread.test /x 503
is unread.test /y 404 || fail "an expression that cannot be read closes more than what begins like it"
tells() { martlet get events -o json | grep -q "$1"; }
wait_for 20 "the Ingress with the younger certificate is told whose it is" \
    tells 'the certificate of web.test is that of Ingress default/[a-z]*, which is older'
wait_for 20 "the expression that cannot be read is told" tells 'is not a regular expression'
answers || fail "web.test is not served with its own certificate any more"
[ "$(asks -o /dev/null -w '%{http_code}' --data-binary "@$state/big" https://web.test/limited)" = 413 ] ||
    fail "the limit of web.test's other Ingress does not hold any more"
martlet delete -f "$state/hostile.json" >/dev/null
wait_for 20 "what is deleted is gone" is hostile.test / 404
answers || fail "web.test is not served any more"
ok "certificates that are none and hostile text in every field disturb no other host"

if ! { python3 -m venv "$state/venv" && "$state/venv/bin/pip" install -q h2==4.4.1 grpcio==1.85.3; } \
    >"$state/pip.txt" 2>&1; then
    printf '   SKIPPED: the Python clients cannot be installed (python3-venv, PyPI): %s\n' "$(tail -n 1 "$state/pip.txt")"
    exit 0
fi
python=$state/venv/bin/python
run() { # WHAT COMMAND...
    local what=$1 out; shift
    out=$("$@" 2>&1) || fail "$what: $out"
    sed 's/^/   ok: /' <<<"$out"
}
echo "-- gRPC of others, on both ends"
background grpc "$python" python/grpcpair.py serve "$address:9002"
wait_for 20 "the gRPC server" grep -q serving "$state/grpc.log"
run "gRPC" on client timeout 120 "$python" python/grpcpair.py call "$address:443" rpc.test "$state/rpc.crt"

echo "-- clients that mean no good"
run "HTTP/2 and HTTP/1.1" on client timeout 300 "$python" python/edge.py \
    "$address:443" "$address:31080" "$martletd" "$state/web.crt" "$state/seen"
answers || fail "the edge does not serve web.test any more"
ok "the edge serves on"
