# The cluster's DNS, asked by dig, with services made by kubectl and a resolver beside it for the rest of the world.
. ./lib.sh

command -v dig >/dev/null || { echo "   SKIPPED: there is no dig (bind9-dnsutils)"; exit 0; }
k=$(kubectls | head -n 1)
[ -n "$k" ] || { echo "   SKIPPED: there is no kubectl"; exit 0; }

resolver=
trap 'status=$?; [ -z "$resolver" ] || kill "$resolver"; (exit "$status"); cleanup' EXIT
upstream=none
if command -v dnsmasq >/dev/null; then
    upstream=127.0.0.1:15354
    echo '192.0.2.7 www.outside.test' >"$state/hosts"
    dnsmasq -k -p 15354 -a 127.0.0.1 -z --no-resolv --no-hosts --addn-hosts="$state/hosts" --local=/test/ \
        --txt-record="big.outside.test,$(printf 'x%.0s' {1..250}),$(printf 'y%.0s' {1..250})$(printf ',%0250d' {1..6})" \
        -C /dev/null --pid-file= -u root 2>"$state/dnsmasq.log" &
    resolver=$!
fi
start martletd --process-runtime --ephemeral --node-address 127.0.0.1 --node-listen 127.0.0.1:20250 \
    --ingress-address 127.0.0.1:21234 --edge-address 127.0.0.1:0 --edge-http-address none \
    --dns-address 127.0.0.1:15353 --dns-upstream "$upstream"
ask() { dig @127.0.0.1 -p 15353 +time=3 +tries=1 "$@" 2>&1 | grep -v '^;; \(WARNING\|You are\)'; }
short() { ask +short "$@" | sort | tr '\n' ' '; }

"$k" create service clusterip web --tcp=http:80 >/dev/null 2>&1 || "$k" create service clusterip web --tcp=80:80 >/dev/null
"$k" apply -f - >/dev/null <<'E'
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.5], hostname: a}, {addresses: [10.244.0.6]}, {addresses: [10.244.0.7], conditions: {ready: false}}]
ports: [{name: http, port: 8080, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata: {name: away}
spec: {type: ExternalName, externalName: www.outside.test}
E
address=$("$k" get service web -o 'jsonpath={.spec.clusterIP}')
zone=default.svc.cluster.local
is() { [ "$2" = "$3" ] || fail "$1: $2, not $3"; ok "$1"; }
wait_for 10 "the services are known" bash -c "dig @127.0.0.1 -p 15353 +short away.$zone cname | grep -q outside"
is "a Service's address" "$(short web.$zone)" "$address "
is "letters of any case" "$(short WEB.Default.svc.CLUSTER.local)" "$address "
expect "the letters of the question stay" "$(ask WeB.$zone)" "^WeB\.$zone\."
is "a headless Service" "$(short db.$zone)" "10.244.0.5 10.244.0.6 "
is "the same over TCP" "$(short +tcp db.$zone)" "10.244.0.5 10.244.0.6 "
is "a host of it" "$(short a.db.$zone)" "10.244.0.5 "
is "its port" "$(short _http._tcp.db.$zone srv)" "0 50 8080 10-244-0-6.db.$zone. 0 50 8080 a.db.$zone. "
is "the name of a pod's address" "$(short -x 10.244.0.5)" "a.db.$zone. "
is "the name of a Service's address" "$(short -x "$address")" "web.$zone. "
is "a pod by its address" "$(short 10-1-2-3.default.pod.cluster.local)" "10.1.2.3 "
is "the version" "$(short dns-version.cluster.local txt)" '"1.1.0" '
expect "a name that is not there" "$(ask nobody.$zone)" 'status: NXDOMAIN'
expect "with the start of the zone" "$(ask nobody.$zone)" 'SOA.*ns.dns.cluster.local'
expect "a type that is not there" "$(ask web.$zone mx)" 'status: NOERROR.*'
expect "a transfer is refused" "$(ask cluster.local axfr)" 'Transfer failed'
expect "EDNS of another version" "$(ask +edns=1 +noednsneg web.$zone)" 'status: BADVERS'
if [ "$upstream" != none ]; then
    is "a name of the world" "$(short www.outside.test)" "192.0.2.7 "
    is "an ExternalName" "$(short away.$zone)" "192.0.2.7 www.outside.test. "
    expect "a long answer of the world, by TCP" "$(ask big.outside.test txt)" 'Truncated, retrying in TCP'
    expect "and all of it is there" "$(ask +tcp big.outside.test txt)" '0000000006'
fi
"$k" delete service web >/dev/null
wait_for 10 "a Service that is gone has no name" bash -c "dig @127.0.0.1 -p 15353 web.$zone | grep -q NXDOMAIN"
ok "a Service that is gone has no name"
head -c 400 /dev/urandom >/dev/udp/127.0.0.1/15353
is "it answers after nonsense" "$(short dns-version.cluster.local txt)" '"1.1.0" '
stop
