#!/usr/bin/env bash
# Certificates by ACME: three masters that hold an address in turn, and a certificate authority of others (pebble) that
# forgets nonces, looks for its proofs at the address, and grants certificates for less than a minute.
cd "$(dirname "$0")"
. ./lib.sh
if ! command -v pebble >/dev/null; then echo "   SKIPPED: there is no pebble"; exit 0; fi
hosts=$PWD/../Hosts/hosts
export PREFIX=ma ROOMS=
vip=192.168.57.100
pids=()
trap 'ended=$?; end_pids "${pids[@]}"; "$hosts" down; cleanup' EXIT
on() { "$hosts" exec "$@"; }
HOSTS="deadlock coup autocrat client" "$hosts" up
authority=$("$hosts" address client)

# background HOST NAME COMMAND...: a process on a host.
background() {
    local host=$1 name=$2; shift 2
    nsenter "--net=$("$hosts" path "$host")" "$@" >"$state/$name.log" 2>&1 &
    pids+=($!)
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=pebble \
    -addext "subjectAltName=IP:$authority" -keyout "$state/pebble.key" -out "$state/pebble.crt" 2>/dev/null
cat >"$state/pebble.json" <<JSON
{"pebble": {"listenAddress": "$authority:14000", "managementListenAddress": "$authority:15000",
  "certificate": "$state/pebble.crt", "privateKey": "$state/pebble.key", "httpPort": 80, "tlsPort": 443,
  "ocspResponderURL": "", "externalAccountBindingRequired": false, "certificateValidityPeriod": 60}}
JSON
# All names lead to the address.
background client names pebble-challtestsrv -defaultIPv4 "$vip" -defaultIPv6 "" -dns01 "$authority:8053" -http01 "" \
    -https01 "" -tlsalpn01 "" -management "$authority:8055"
PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=30 background client pebble pebble -strict -config "$state/pebble.json" \
    -dnsserver "$authority:8053"
wait_for 20 "pebble answers" on client curl -sf --cacert "$state/pebble.crt" "https://$authority:14000/dir"

daemon_on() { # HOST
    background "$1" "$1" "$BIN/martletd" --data-dir "$state/$1" --acme-directory "https://$authority:14000/dir" \
        --acme-ca "$state/pebble.crt" --acme-email admin@web.test
    echo "${pids[-1]}" >"$state/$1.pid"
    wait_for 60 "martletd on $1 is ready" grep -q '^ready:' "$state/$1.log"
}
martlet() { on deadlock timeout 60 "$BIN/martlet" "$@"; }
three_masters

# site NAME HOSTS ANNOTATIONS: an Ingress that names a Secret.
site() {
    cat <<YAML
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: $1, namespace: default, annotations: {$3}}
spec:
  ingressClassName: martlet
  tls: [{hosts: [$2], secretName: $1}]
  defaultBackend: {service: {name: $1, port: {number: 80}}}
---
YAML
}
asks='kubernetes.io/tls-acme: "true"'
{
    site web "web.test, www.web.test" "$asks"
    site silent silent.test ""
    site wild '"*.wild.test"' "$asks"
    site lost lost.test "$asks"
} >"$state/sites.yaml"
# One name leads elsewhere.
on client curl -sf -d '{"host": "lost.test", "addresses": ["192.168.57.250"]}' "http://$authority:8055/add-a" >/dev/null
martlet apply -f "$state/sites.yaml" >/dev/null

# What the address shows: the certificate's serial number, checked by pebble's own authority.
trusted() {
    on client curl -sf --cacert "$state/pebble.crt" "https://$authority:15000/roots/0" >"$state/root.pem"
    on client curl -sf --cacert "$state/pebble.crt" "https://$authority:15000/intermediates/0" >>"$state/root.pem"
}
trusted
shown() {
    on client openssl s_client -connect "$vip:443" -servername "$1" -CAfile "$state/root.pem" -verify_return_error \
        -verify_hostname "$1" </dev/null 2>/dev/null | openssl x509 -noout -serial 2>/dev/null
}
granted() { [ -n "$(shown "$1")" ]; }
events() { martlet get events -o json; }
wait_for 60 "web.test has a certificate" granted web.test
granted www.web.test || fail "www.web.test has no certificate"
first=$(shown web.test)
ok "one certificate for web.test and www.web.test, got in spite of forgotten nonces"
tells() { events | grep -q "$1"; }
wait_for 20 "the Ingress is told" tells CertificateIssued
wait_for 20 "a wildcard is refused" tells 'wild.test is a wildcard'
wait_for 60 "the authority's refusal is told" tells 'no certificate for secret .*lost'
ok "what was got and what was not is told by Events"
granted silent.test && fail "silent.test has a certificate that nobody asked for"
sealed=$(martlet get secret martlet-acme-account -n kube-system -o json)
expect "the account is in the store, sealed" "$sealed" 'martlet.io/sealed-keys'
answered() { ! martlet get secret martlet-acme-challenges -n kube-system; }
wait_for 60 "no token is left" answered

echo "-- renewal, by whichever master leads"
renewed() { local now; now=$(shown web.test); [ -n "$now" ] && [ "$now" != "$1" ]; }
wait_for 90 "the certificate is renewed" renewed "$first"
second=$(shown web.test)
ok "renewed after two thirds of its life"
leader=$(grep -l 'this master leads:' "$state"/{deadlock,coup,autocrat}.log | head -n 1)
leader=$(basename "$leader" .log)
kill -KILL "$(cat "$state/$leader.pid")"
export KUBECONFIG=$state/$([ "$leader" = deadlock ] && echo coup || echo deadlock)/admin.kubeconfig
wait_for 120 "another master renews it" renewed "$second"
accounts=$(grep -c 'There are now .* accounts in memory' "$state/pebble.log")
[ "$accounts" = 1 ] || fail "$accounts accounts were made"
ok "renewed by another master after kill -9 of $leader, with the same account"
