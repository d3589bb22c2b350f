# The table of network cases, with real packets. Sourced by the story.

zone=default.svc.cluster.local
# case_of WHAT PATTERN COMMAND...: what the command writes must match. A case is tried for five seconds: what was made a
# moment ago may still be on its way.
case_of() {
    local what=$1 pattern=$2 answer= end=$((SECONDS + 5)); shift 2
    while :; do
        answer=$("$@" 2>&1) || true
        if grep -Eqx -- "$pattern" <<<"$answer"; then printf '   %-62s ok\n' "$what"; return; fi
        [ "$SECONDS" -lt "$end" ] || break
        sleep 0.2
    done
    printf '   %-62s FAILED: %s\n' "$what" "$(tr '\n' ' ' <<<"$answer" | cut -c 1-120)"
    echo "$what" >>"$state/failures"
}
ask() { curl -s --max-time 2 "$@"; }
service() { get services "$1" | jq -r .spec.clusterIP; }
# Of 30 answers, the different ones in order.
several() { for _ in $(seq 30); do "$@" || echo nothing; done | awk '{ print $1 }' | sort -u | tr '\n' ' '; echo; }
names() { in_pod 1 dig @169.254.20.10 +short +time=2 +tries=1 "$@" | sort | tr '\n' ' ' | sed 's/ $//'; echo; }
# Servers of UDP in the networks of the servers' pods: what answers there tells which it is by its address.
serve_udp() {
    local n
    for n in 1 2 3; do
        on "worker$n" nsenter --net --target "$(on "worker$n" pgrep -o -f 'httpd -f -p 8080 -h /www')" -- \
            dnsmasq --port=8081 --no-resolv --no-hosts --address="/who/192.0.2.$n" --conf-file=/dev/null \
            --pid-file=/run/words.pid --user=root
    done
}
stop_udp() { local n; for n in 1 2 3; do on "worker$n" sh -c 'kill "$(cat /run/words.pid)"'; done; }
asked_by_udp() { in_pod 1 dig "@$1" -p "$2" +short +time=2 +tries=1 who a; }
# How busybox' httpd writes who asks it: as an IPv4 address mapped to IPv6 where the machine has IPv6.
seen_as() { printf '(\\[::ffff:)?%s\\]?' "$(address_of "$1")"; }
address_of() { [ -z "$1" ] && echo none || sed 's/\./\\./g' <<<"$1"; }

network_cases() {
    local web1 web2 web3 asker1 worker1 client named
    web1=$(pod_address at=worker-1,app=web) web2=$(pod_address at=worker-2,app=web)
    web3=$(pod_address at=worker-3,app=web) asker1=$(pod_address at=worker-1,app=asker)
    worker1=$(address worker1) client=$(address client) named=$(pod_address app=named)

    say "Pods and Services, real packets"
    case_of "pod to pod on one host, with its own address" "web-1 $(seen_as "$asker1")" in_pod 1 curl -s -m2 "$web1:8080/cgi-bin/who"
    case_of "pod to pod across hosts, with its own address" "web-2 $(seen_as "$asker1")" in_pod 1 curl -s -m2 "$web2:8080/cgi-bin/who"
    case_of "node to pod of another host" "web-2" on worker1 curl -s -m2 "$web2:8080/"
    case_of "pod to the world, with its host's address" "$(seen_as "$worker1")" in_pod 1 curl -s -m2 "$client:8088/cgi-bin/who"
    case_of "pod to ClusterIP: all endpoints in turn" "web-1 web-2 web-3 " several in_pod 1 curl -s -m2 10.96.0.80/
    if command -v dnsmasq >/dev/null; then
        serve_udp
        case_of "pod to ClusterIP, UDP: all endpoints in turn" "192.0.2.1 192.0.2.2 192.0.2.3 " \
            several asked_by_udp 10.96.0.80 81
        stop_udp
    fi
    case_of "node to ClusterIP: all endpoints in turn" "web-1 web-2 web-3 " several on worker1 curl -s -m2 10.96.0.80/
    case_of "pod to NodePort of its own host" "web-[123]" in_pod 1 curl -s -m2 "$worker1:30080/"
    case_of "pod to NodePort of another host" "web-[123]" in_pod 1 curl -s -m2 "$(address worker2):30080/"
    case_of "client outside to NodePort" "web-1 web-2 web-3 " several on client curl -s -m2 "$worker1:30080/"
    case_of "externalTrafficPolicy Local: that host's, the client's address" "web-1 $(seen_as "$client")" \
        on client curl -s -m2 "$worker1:30081/cgi-bin/who"
    case_of "internalTrafficPolicy Local: the pod's own host" "web-1 " \
        several in_pod 1 curl -s -m2 "$(service web-inside-local)/"
    case_of "session affinity: one endpoint" "web-. " several in_pod 1 curl -s -m2 "$(service web-sticky)/"
    on client ip route replace 192.168.57.200/32 via "$worker1"
    case_of "client outside to an external IP" "web-[123]" on client curl -s -m2 192.168.57.200/
    case_of "headless: the pods themselves" "web-[123]" \
        in_pod 1 sh -c "curl -s -m2 \$(dig @169.254.20.10 +short web-headless.$zone | head -n 1):8080/"
    case_of "ExternalName" "web-[123]" as_pod 1 curl -s -m2 "http://elsewhere/"
    case_of "hairpin: a pod to itself by its Service" "web-2.*" on worker2 \
        sh -c "nsenter --net --target \$(pgrep -o -f 'httpd -f -p 8080') -- curl -s -m2 $(service web-only-2)/cgi-bin/who"
    case_of "a Service without endpoints refuses" "7" in_pod 1 sh -c "curl -s -m2 $(service nobody)/; echo \$?"
    case_of "pod to the API" "ok" in_pod 1 curl -sk -m2 https://10.96.0.1/readyz

    say "Names"
    case_of "resolv.conf and search path of a container" "web-[123]" as_pod 1 curl -s -m2 http://web/
    case_of "A of a Service" "10\.96\.0\.80" names "web.$zone"
    case_of "AAAA of a Service with IPv4 only: none" "" names "web.$zone" aaaa
    case_of "SRV of a port" "0 100 80 web\.$zone\." names "_http._tcp.web.$zone" srv
    case_of "PTR of a Service" "web\.$zone\." names -x 10.96.0.80
    case_of "A of a headless Service" "$(printf '%s\n' "$web1" "$web2" "$web3" | sort | tr '\n' ' ' | sed 's/ $//')" \
        names "web-headless.$zone"
    case_of "A of a pod by its host name" "$(address_of "$named")" names "first.named.$zone"
    case_of "SRV of a headless Service" "0 100 8080 first\.named\.$zone\." names "_http._tcp.named.$zone" srv
    case_of "PTR of a pod with a host name" "first\.named\.$zone\." names -x "$named"
    case_of "CNAME of an ExternalName" "web\.$zone\." names "elsewhere.$zone" cname
    case_of "A of a pod's address" "10\.244\.9\.9" names 10-244-9-9.default.pod.cluster.local
    case_of "TXT of the specification's version" '"1\.1\.0"' names dns-version.cluster.local txt
    case_of "a name that is not there" ".*status: NXDOMAIN.*" \
        in_pod 1 sh -c "dig @169.254.20.10 nobody-at-all.$zone | grep status"
    if command -v dnsmasq >/dev/null; then
        case_of "a name of the world, over the node's resolver" "192\.0\.2\.7" names www.outside.test
    fi
    case_of "over TCP" "10\.96\.0\.80" names +tcp "web.$zone"
    network_policies "$web2" "$asker1"
}

# Denied is what never comes: one try, and a short one.
network_policies() {
    martletd_knows --network-policy || { echo "   (this build has no NetworkPolicy)"; return 0; }
    local web2=$1
    say "NetworkPolicy"
    policy() {
        apply - <<Y
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: $1}
spec: $2
Y
    }
    drop_policy() { printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s}\n' "$1" |
        on client martlet delete --kubeconfig "$state/deadlock.kubeconfig" -f - >/dev/null; }
    silent() { "$@" >/dev/null 2>&1 && echo answered || echo nothing; }
    policy nobody '{podSelector: {matchLabels: {at: worker-2, app: web}}, policyTypes: [Ingress]}'
    case_of "ingress denied to a pod, from another host" nothing silent in_pod 1 curl -s -m1 "$web2:8080/"
    case_of "ingress denied to a pod, from its own host's pod" nothing silent in_pod 2 curl -s -m1 "$web2:8080/"
    case_of "ingress denied by its Service" nothing silent in_pod 1 curl -s -m1 "$(service web-only-2)/"
    case_of "another pod is not concerned" "web-1" in_pod 2 curl -s -m2 "$(service web-only-1)/"
    case_of "its node still reaches it" "web-2" on worker2 curl -s -m2 "$web2:8080/"
    policy some "{podSelector: {matchLabels: {at: worker-2, app: web}}, ingress: [{from: [{podSelector: {matchLabels:
        {at: worker-1}}}], ports: [{port: 8080}]}]}"
    case_of "ingress allowed by label and port" "web-2" in_pod 1 curl -s -m2 "$web2:8080/"
    case_of "ingress allowed by its Service" "web-2" in_pod 1 curl -s -m2 "$(service web-only-2)/"
    case_of "others stay out" nothing silent in_pod 3 curl -s -m1 "$web2:8080/"
    drop_policy nobody; drop_policy some
    policy inward '{podSelector: {matchLabels: {app: asker, at: worker-3}}, policyTypes: [Egress], egress: [
        {to: [{podSelector: {matchLabels: {at: worker-1}}}]}]}'
    case_of "egress denied" nothing silent in_pod 3 curl -s -m1 "$web2:8080/"
    case_of "egress allowed" "web-1" in_pod 3 curl -s -m2 "$(pod_address at=worker-1,app=web):8080/"
    drop_policy inward
    case_of "without policies all is open again" "web-2" in_pod 3 curl -s -m2 "$web2:8080/"
}
martletd_knows() { "$BIN/martletd" --help | grep -q -- "$1"; }

# What a person and a worker may do.
access_cases() {
    say "Who may do what"
    local host k
    k=$(command -v kubectl || true)
    for host in $masters; do
        [ -n "$k" ] || break
        case_of "kubectl with the administrator's kubeconfig on $host" "3" on client sh -c \
            "kubectl --kubeconfig $state/$host.kubeconfig get nodes --no-headers | grep -cw Ready"
    done
    # The worker's own certificate, from that worker.
    as_worker() { on worker1 sh -c "cd /var/lib/martlet/pki && curl -s --max-time 3 --cacert ca.crt \
        --cert ${3:-kubelet-client}.crt --key ${3:-kubelet-client}.key -o /dev/null -w '%{http_code}\n' \
        ${2:-} https://$(address coup):6443$1"; }
    local merge="-X PATCH -H 'Content-Type: application/merge-patch+json' -d '{\"metadata\":{\"annotations\":{\"a\":\"b\"}}}'"
    case_of "a worker reads its own node" 200 as_worker /api/v1/nodes/worker1
    case_of "a worker writes on its own node" 200 as_worker /api/v1/nodes/worker1 "$merge"
    case_of "a worker does not write on another node" 403 as_worker /api/v1/nodes/worker2 "$merge"
    case_of "a worker does not list secrets" 403 as_worker /api/v1/secrets
    case_of "a worker does not read a secret that no pod of its own has" 403 \
        as_worker /api/v1/namespaces/kube-system/secrets/any
    case_of "a worker reads the authority that its pods have" 200 \
        as_worker /api/v1/namespaces/default/configmaps/kube-root-ca.crt
    # The certificate of its ingress and network parts.
    as_parts() { as_worker "$1" "${2:-}" worker; }
    case_of "a worker's parts read services" 200 as_parts /api/v1/services
    case_of "a worker's parts do not list secrets" 403 as_parts /api/v1/secrets
    case_of "a worker's parts do not list the masters' secrets" 403 as_parts /api/v1/namespaces/kube-system/secrets
    case_of "a worker's parts do not read a secret that no route names" 403 \
        as_parts /api/v1/namespaces/kube-system/secrets/any
    case_of "a worker's parts do not write on their own node" 403 as_parts /api/v1/nodes/worker1 "$merge"
    case_of "a worker's parts do not write on another node" 403 as_parts /api/v1/nodes/worker2 "$merge"
    case_of "a worker makes no role" 403 \
        as_worker /apis/rbac.authorization.k8s.io/v1/clusterroles "-X POST -H 'Content-Type: application/json' -d '{}'"
    case_of "a stranger reads nothing" 403 on client curl -sk --max-time 3 -o /dev/null -w '%{http_code}\n' \
        "https://$(address coup):6443/api/v1/nodes"
}
