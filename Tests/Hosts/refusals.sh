# What must be refused, with a message that says what to do, while nothing else is disturbed. Sourced by the story.

# as_stranger COMMAND...: what martlet says on a machine that is part of nothing.
as_stranger() { on worker4 timeout 20 martlet "$@" 2>&1; }
# comes TOKEN [FLAGS]: what it says when it joins.
comes() { as_stranger join "$(address coup)" --start none --token "$@"; }
token_of() { outside token create "$@" | tail -n 1 | sed 's/.*--token \([^ ]*\).*/\1/'; }

refusals() {
    local good master old
    hosts add worker4
    # A disk that can be filled.
    on worker4 mount -t tmpfs -o size=128m none /var/lib
    good=$(token_of --role worker) master=$(token_of --role master) old=$(token_of --role worker --ttl 1s)
    sleep 2
    say "What is refused"
    case_of "half a token" ".*--token is not whole.*" comes "${good%.*}"
    case_of "a wrong token" ".*the token is not known at .* martlet token create.*" \
        comes "${good%%.*}.aaaaaaaaaaaaaaaa.${good##*.}"
    case_of "a token of another cluster" ".*is not the one that the token is of.*" \
        comes "${good%.*}.$(printf '0%.0s' {1..64})"
    case_of "a token that has run out" ".*the token is not known at .*, or has run out.*" comes "$old"
    case_of "a worker's token for a master" ".*lets a worker join.*" comes "$good" --role master
    case_of "a master's token: the first machine to show it" "start it with: .*" comes "$master" --role master --node-name other
    as_stranger reset --yes --keep-membership >/dev/null
    # Nobody has to wait for it.
    outside member remove other >/dev/null
    case_of "a master's token: the second one" ".*this token was used for other.*" comes "$master" --role master
    case_of "a node's name that is taken" ".*a node named worker1 is there already.*" comes "$good" --node-name worker1
    case_of "a master's name for a worker" ".*a master named coup is there already.*" comes "$good" --node-name coup
    case_of "an address of another machine" ".*is no address of this machine.*" comes "$good" --node-address 192.0.2.1
    case_of "a second init over a live data folder" ".*runs already .*martlet reset first.*" \
        on deadlock martlet init
    case_of "ranges that meet each other" ".*have addresses in common.*" \
        as_stranger init --pod-cidr 10.96.0.0/12 --service-cidr 10.96.0.0/16 --start none
    case_of "ranges that meet the machine's network" ".*has addresses in common with.*" \
        as_stranger init --pod-cidr 192.168.0.0/16 --start none
    if command -v faketime >/dev/null; then
        case_of "a clock an hour ahead" ".*clock is 3[56][0-9][0-9] seconds ahead of .*set the clock.*" \
            on worker4 faketime -f +1h martlet join "$(address coup)" --start none --token "$good"
        case_of "a clock an hour behind" ".*clock is 3[56][0-9][0-9] seconds behind .*set the clock.*" \
            on worker4 faketime -f -1h martlet join "$(address coup)" --start none --token "$good"
    fi
    cut_short "$good"
    certificates
}

# A join that is killed at any moment is given again, and goes on.
cut_short() {
    local after
    for after in 0.02 0.05 0.1 0.2 0.4; do
        on worker4 timeout -s KILL "$after" martlet join "$(address coup)" --start none --token "$1" >/dev/null 2>&1 || true
    done
    case_of "a join that was cut short is given again" "worker4 has joined as a worker\." \
        on worker4 martlet join "$(address coup)" --token "$1"
    await 30 "worker4 is Ready" nodes_ready worker4
    full_disk
    printf 'apiVersion: v1\nkind: Node\nmetadata: {name: worker4}\n' |
        on client martlet delete --kubeconfig "$state/deadlock.kubeconfig" -f - >/dev/null
}

# A worker whose disk is full says so, starts again when its daemon is killed, and leaves.
full_disk() {
    local said left
    on worker4 sh -c 'cat /dev/zero >/var/lib/filler' 2>/dev/null || true
    await 30 "worker4 has DiskPressure" short_of_disk
    kill_daemon worker4
    start_daemon worker4
    await 30 "the node agent of worker4 answers" agent_answers worker4
    said=$(on worker4 martlet reset --yes 2>&1) || failure "a reset on a full disk: $said"
    left=$(on worker4 sh -c "ps -eo comm= | grep -E '^(martlet|containerd|pause)'; ls -d /var/lib/martlet" 2>/dev/null || true)
    [ -z "$left" ] || failure "a reset on a full disk leaves: $left"
    echo "   a worker on a full disk starts again, and leaves"
}
short_of_disk() {
    get events | jq -r 'select(.involvedObject.kind == "Node") | .message' |
        grep -q 'worker4 status is now: NodeHasDiskPressure: less than 1 GiB is free .*: make room on its disk'
}

certificates() {
    local pki=$state/foreign
    mkdir -p "$pki"
    # An authority of somebody else's with the same names, and an administrator by it.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=kubernetes \
        -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=system:masters/CN=kubernetes-admin \
        -keyout "$pki/admin.key" 2>/dev/null |
        openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 1 -out "$pki/admin.crt" 2>/dev/null
    shown() { on client curl -sk --max-time 3 -o /dev/null -w '%{http_code} %{exitcode}\n' "$@"; }
    case_of "the API: a certificate of a foreign authority" "(401 0|000 56)" shown \
        --cert "$pki/admin.crt" --key "$pki/admin.key" "https://$(address coup):6443/api/v1/nodes"
    on coup martlet user cert late --group system:masters --ttl 1s >"$state/late.kubeconfig"
    sleep 2
    case_of "the API: a certificate that has expired" ".*Unauthorized.*" \
        on client martlet get nodes --kubeconfig "$state/late.kubeconfig"
    case_of "the masters' own port: a foreign certificate" "000 .*" shown \
        --cert "$pki/admin.crt" --key "$pki/admin.key" "https://$(address coup):2380/"
    case_of "the masters' own port: no certificate" "000 .*" shown "https://$(address coup):2380/"
    case_of "the node agent: a foreign certificate" "(401 0|000 56)" shown \
        --cert "$pki/admin.crt" --key "$pki/admin.key" "https://$(address worker1):10250/pods"
    case_of "the node agent: no certificate" "(401 0|000 56)" shown "https://$(address worker1):10250/pods"
}
