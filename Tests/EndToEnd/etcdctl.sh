# etcd's own client against three members over mutual TLS: each command and the output that etcd gives for it.
# ETCDCTL names the clients to use (default: etcdctl); without one there is nothing to do.
. ./lib.sh

clients=()
for client in ${ETCDCTL:-etcdctl}; do
    command -v "$client" >/dev/null && clients+=("$(command -v "$client")")
done
[ ${#clients[@]} -gt 0 ] || { echo "   SKIPPED: no etcdctl here (Debian: etcd-client)"; exit 0; }

# Certificates: one authority; a server's for all members, root's and a user's for clients.
tls=$state/tls
mkdir -p "$tls"
sign() { # name, common name, extension
    openssl ecparam -name prime256v1 -genkey -noout -out "$tls/$1.key" 2>/dev/null
    openssl req -new -key "$tls/$1.key" -subj "/CN=$2" -out "$tls/$1.csr" 2>/dev/null
    openssl x509 -req -in "$tls/$1.csr" -CA "$tls/ca.crt" -CAkey "$tls/ca.key" -CAcreateserial -days 2 \
        -extfile <(echo "$3") -out "$tls/$1.crt" 2>/dev/null
}
openssl ecparam -name prime256v1 -genkey -noout -out "$tls/ca.key" 2>/dev/null
openssl req -x509 -new -key "$tls/ca.key" -subj /CN=test-ca -days 2 -out "$tls/ca.crt" 2>/dev/null
sign member member "subjectAltName=IP:127.0.0.1,DNS:localhost"
sign client "" "extendedKeyUsage=clientAuth"
sign carol carol "extendedKeyUsage=clientAuth"

members=()
finish() { local status=$?; [ ${#members[@]} -eq 0 ] || kill -9 "${members[@]}" 2>/dev/null || true; set +e; (exit $status); cleanup; }
trap finish EXIT
cluster=m1=https://127.0.0.1:12381,m2=https://127.0.0.1:12382,m3=https://127.0.0.1:12383
member() { # number, further flags
    local number=$1; shift
    "$BIN/martlet-store" --name "m$number" --data-dir "$state/m$number" --log-level warning \
        --listen-client "https://127.0.0.1:1237$number" --listen-peer "https://127.0.0.1:1238$number" \
        --cert-file "$tls/member.crt" --key-file "$tls/member.key" --trusted-ca-file "$tls/ca.crt" --client-cert-auth \
        --peer-cert-file "$tls/member.crt" --peer-key-file "$tls/member.key" --peer-trusted-ca-file "$tls/ca.crt" \
        "$@" >"$state/m$number.log" 2>&1 &
    members+=($!)
}
for number in 1 2 3; do member $number --initial-cluster $cluster; done
# A store of its own, to mirror into.
member 4

export ETCDCTL_API=3
all=https://127.0.0.1:12371,https://127.0.0.1:12372,https://127.0.0.1:12373
who=client
patience=30
ctl() { timeout "$patience" "$client" --endpoints "${endpoints:-$all}" --cacert "$tls/ca.crt" --cert "$tls/$who.crt" --key "$tls/$who.key" "$@" 2>&1 | grep -v '^{"level' || true; }

# same WHAT EXPECTED COMMAND...: the output must be exactly that (`\n` is a new line).
same() {
    local what=$1 want output; want=$(printf '%b' "$2"); shift 2
    output=$("$@")
    [ "$output" = "$want" ] || fail "$(basename "$client") $what: expected \"$want\", got \"$output\""
    checked=$((checked + 1))
}
# like WHAT PATTERN COMMAND...: the output must have a line that matches.
like() {
    local what=$1 pattern=$2 output; shift 2
    output=$("$@")
    grep -Eq -- "$pattern" <<<"$output" || fail "$(basename "$client") $what: expected $pattern in \"$output\""
    checked=$((checked + 1))
}
# typed TEXT COMMAND...: types the text.
typed() { local text=$1; shift; printf '%b' "$text" | "$@"; }
# seen SECONDS COMMAND...: what a watch prints in that time.
seen() { local time=$1; shift; { timeout -s INT "$time" "$client" --endpoints "$all" --cacert "$tls/ca.crt" --cert "$tls/$who.crt" --key "$tls/$who.key" "$@" 2>&1 || true; } | grep -v '^{"level'; }
revision() { ctl get none -w json | grep -o '"revision":[0-9]*' | cut -d: -f2; }

keys() {
    same "put" "OK" ctl put foo 1
    same "put --prev-kv" "OK\nfoo\n1" ctl put foo 2 --prev-kv
    same "get" "foo\n2" ctl get foo
    same "get --print-value-only" "2" ctl get foo --print-value-only
    like "get -w json" '"kvs":\[\{"key":"Zm9v","create_revision":[0-9]+,"mod_revision":[0-9]+,"version":2,"value":"Mg=="\}\],"count":1' ctl get foo -w json
    like "get -w fields" '^"Version" : 2$' ctl get foo -w fields
    same "empty key" "Error: etcdserver: key is not provided" ctl put "" x
    for pair in k1:d k2:c k3:b k10:a; do same "put $pair" OK ctl put "${pair%:*}" "${pair#*:}"; done
    same "--prefix --keys-only" "k1\n\nk10\n\nk2\n\nk3" ctl get k --prefix --keys-only
    same "--limit" "k1\nd\nk10\na" ctl get k --prefix --limit 2
    like "--limit tells of more" '"more":true,"count":4' ctl get k --prefix --limit 2 -w json
    # 3.4 does not know the flag.
    if ctl get --help | grep -q count-only; then
        like "--count-only" '^"Count" : 4$' ctl get k --prefix --count-only -w fields
    fi
    same "--order --sort-by" "k1\nd\nk2\nc\nk3\nb\nk10\na" ctl get k --prefix --order=DESCEND --sort-by=VALUE
    same "--sort-by=MODIFY" "k1\nd\nk2\nc\nk3\nb\nk10\na" ctl get k --prefix --sort-by=MODIFY
    same "--from-key" "k2\nc\nk3\nb" ctl get k2 --from-key
    same "a range" "k1\nd\nk10\na" ctl get k1 k2
    local now; now=$(revision)
    same "put" "OK" ctl put k1 changed
    same "--rev" "k1\nd" ctl get k1 --rev="$now"
    same "--rev of the future" "Error: etcdserver: mvcc: required revision is a future revision" ctl get k1 --rev=99999999
    same "del --prev-kv" "1\nk1\nchanged" ctl del k1 --prev-kv
    same "del --prefix" "3" ctl del k --prefix
    same "del nothing" "0" ctl del k --prefix
    same "--ignore-value without a key" "Error: etcdserver: key not found" ctl put nokey --ignore-value
    same "an unknown lease" "Error: etcdserver: requested lease not found" ctl put foo x --lease=123
    head -c 1600000 /dev/zero | tr '\0' x >"$state/big"
    same "too large" "Error: etcdserver: request is too large" typed "$(cat "$state/big")" ctl put big
}

transactions() {
    same "put" OK ctl put foo 2
    same "txn then" "SUCCESS\n\nOK\n\nfoo\n3" typed 'value("foo") = "2"\n\nput foo 3\nget foo\n\nget foo\n\n' ctl txn
    same "txn else" "FAILURE\n\nfoo\n3" typed 'value("foo") = "2"\n\nput foo 4\n\nget foo\n\n' ctl txn
    like "txn -i" '^SUCCESS$' typed 'mod("foo") > "0"\ncreate("foo") > "0"\nversion("foo") > "0"\n\nget foo\n\n\n' ctl txn -i
    same "txn twice the same key" "Error: etcdserver: duplicate key given in txn request" typed '\nput a 1\nput a 2\n\n\n' ctl txn
    same "txn put below del" "Error: etcdserver: duplicate key given in txn request" typed '\nput a 1\ndel a b\n\n\n' ctl txn
    same "txn of 129" "Error: etcdserver: too many operations in txn request" typed "\n$(printf 'put t%d 1\\n' $(seq 129))\n\n" ctl txn
    same "txn on no key" "FAILURE" typed 'value("nokey") = ""\n\nput y 1\n\n\n' ctl txn
}

watches() {
    local start; start=$(($(revision) + 1))
    ctl put w1 a >/dev/null; ctl put w2 b >/dev/null; ctl put w1 c >/dev/null; ctl del w2 >/dev/null
    same "watch --rev" "PUT\nw1\na\nPUT\nw1\nc" seen 1 watch w1 --rev="$start"
    same "watch --prefix" "PUT\nw1\na\nPUT\nw2\nb\nPUT\nw1\nc\nDELETE\nw2" seen 1 watch w --prefix --rev="$start"
    same "watch --prev-kv" "PUT\nw1\na\nPUT\nw1\na\nw1\nc" seen 1 watch w1 --prev-kv --rev="$start"
    seen 2 watch w --prefix >"$state/live" & local watcher=$!
    sleep 0.7; ctl put w5 live >/dev/null; wait "$watcher"
    same "watch" "PUT\nw5\nlive" cat "$state/live"
    same "compact" "compacted revision $((start + 2))" ctl compact $((start + 2))
    same "compact again" "Error: etcdserver: mvcc: required revision has been compacted" ctl compact $((start + 2))
    same "compact the future" "Error: etcdserver: mvcc: required revision is a future revision" ctl compact 99999999
    same "get the forgotten" "Error: etcdserver: mvcc: required revision has been compacted" ctl get w1 --rev="$start"
    like "watch the forgotten" 'required revision has been compacted' seen 1 watch w1 --rev="$start"
    same "compact --physical" "compacted revision $((start + 3))" ctl compact --physical $((start + 3))
}

leases() {
    local lease; lease=$(ctl lease grant 300 | sed -nE 's/^lease ([0-9a-f]+) granted with TTL\(300s\)$/\1/p')
    [ -n "$lease" ] || fail "lease grant"
    same "put --lease" OK ctl put leased v --lease="$lease"
    like "lease timetolive" "^lease $lease granted with TTL\(300s\), remaining\((299|298|297)s\), attached keys\(\[leased\]\)$" ctl lease timetolive "$lease" --keys
    same "lease keep-alive" "lease $lease keepalived with TTL(300)" ctl lease keep-alive --once "$lease"
    like "lease list" "^$lease$" ctl lease list
    same "lease revoke" "lease $lease revoked" ctl lease revoke "$lease"
    same "its key" "" ctl get leased
    same "lease revoke again" "Error: failed to revoke lease (etcdserver: requested lease not found)" ctl lease revoke "$lease"
    same "lease timetolive of none" "lease $lease already expired" ctl lease timetolive "$lease"
    same "a lease too long" "Error: failed to grant lease (etcdserver: too large lease TTL)" ctl lease grant 10000000000
    lease=$(ctl lease grant 2 | sed -nE 's/^lease ([0-9a-f]+) .*/\1/p')
    ctl put short v --lease="$lease" >/dev/null
    same "a lease that runs" "short\nv" ctl get short
    gone() { [ -z "$(ctl get short)" ]; }
    wait_for 6 "the lease ends its key" gone
}

locks() {
    rm -f "$state/order"
    printf '#!/bin/sh\nsleep 1; echo one >>%s\n' "$state/order" >"$state/one"
    printf '#!/bin/sh\necho two >>%s\n' "$state/order" >"$state/two"
    chmod +x "$state/one" "$state/two"
    timeout 20 "$client" --endpoints "$all" --cacert "$tls/ca.crt" --cert "$tls/$who.crt" --key "$tls/$who.key" lock l "$state/one" & local first=$!
    sleep 0.5
    ctl lock l "$state/two" >/dev/null
    wait "$first"
    same "lock" "one\ntwo" cat "$state/order"
    seen 2 elect e first >"$state/elect" & local candidate=$!
    sleep 1
    like "elect --listen" '^first$' seen 0.7 elect -l e
    wait "$candidate"
    like "elect" '^e/[0-9a-f]+$' cat "$state/elect"
}

cluster() {
    same "endpoint health" "3" bash -c "grep -c 'is healthy' <<<'$(ctl endpoint health)'"
    like "endpoint status" "^https://127.0.0.1:12372, [0-9a-f]+, 3\.5\.[0-9]+, [0-9.]+ [kM]B, (true|false)" ctl endpoint status
    same "one leader" "1" bash -c "grep -c ', true,' <<<'$(ctl endpoint status | sed -E 's/B, (true|false), (true|false),/B, \1,/')'"
    same "endpoint hashkv is equal" "1" bash -c "cut -d, -f2 <<<'$(ctl endpoint hashkv)' | sort -u | wc -l"
    same "member list" "3" bash -c "grep -c ', started, m[123], https://127.0.0.1:1238[123], https://127.0.0.1:1237[123]' <<<'$(ctl member list)'"
    same "member remove unknown" "Error: etcdserver: member not found" ctl member remove 1234
    same "member promote a voter" "Error: etcdserver: can only promote a learner member" ctl member promote "$(ctl member list | sed -n 's/, started, m1.*//p')"
    same "member add a known URL" "Error: etcdserver: Peer URLs already exists" ctl member add x --peer-urls=https://127.0.0.1:12382
    like "member add --learner" "^Member +[0-9a-f]+ added to cluster" ctl member add m4 --peer-urls=https://127.0.0.1:12384 --learner
    local id; id=$(ctl member list | sed -n 's/, unstarted,.*//p')
    same "member promote too early" "Error: etcdserver: can only promote a learner member which is in sync with leader" ctl member promote "$id"
    like "member update" "^Member +$id updated in cluster" ctl member update "$id" --peer-urls=https://127.0.0.1:12385
    like "member remove" "^Member +$id removed from cluster" ctl member remove "$id"
    same "alarm list" "" ctl alarm list
    like "defrag" "^Finished defragmenting etcd member" ctl defrag
    local leader target
    leader=$(ctl endpoint status | grep -E 'B, true,' | cut -d, -f1)
    target=$(ctl endpoint status | grep -E 'B, false,' | head -1 | cut -d, -f2 | tr -d ' ')
    endpoints=$leader
    like "move-leader" "^Leadership transferred from [0-9a-f]+ to $target$" ctl move-leader "$target"
    endpoints=$all
    rm -f "$state/snap"
    endpoints=https://127.0.0.1:12371
    like "snapshot save" "^Snapshot saved at $state/snap$" ctl snapshot save "$state/snap"
    endpoints=$all
    [ $(($(stat -c %s "$state/snap") % 512)) = 32 ] || fail "a snapshot ends with its digest"
}

rules() {
    same "role add" "Role r created" ctl role add r
    same "role add again" "Error: etcdserver: role name already exists" ctl role add r
    same "role grant-permission" "Role r updated" ctl role grant-permission r readwrite foo
    same "role grant-permission --prefix" "Role r updated" ctl role grant-permission r read k --prefix
    same "role get" "Role r\nKV Read:\n\tfoo\n\t[k, l) (prefix k)\nKV Write:\n\tfoo" ctl role get r
    same "user add" "User alice created" ctl user add alice:wonder
    same "user add --no-password" "User carol created" ctl user add carol --no-password
    same "user grant-role" "Role r is granted to user alice" ctl user grant-role alice r
    same "user grant-role carol" "Role r is granted to user carol" ctl user grant-role carol r
    same "user get" "User: alice\nRoles: r" ctl user get alice
    same "auth enable without root" "Error: etcdserver: root user does not exist" ctl auth enable
    same "user add root" "User root created" ctl user add root:secret
    like "auth enable" "^Authentication Enabled$" ctl auth enable
    like "nobody" "^Error: etcdserver: (user name is empty|permission denied)$" ctl get foo
    same "a wrong password" "Error: etcdserver: authentication failed, invalid user ID or password" ctl --user alice:bad get foo
    same "alice writes" "OK" ctl --user alice:wonder put foo alice
    same "alice may not write" "Error: etcdserver: permission denied" ctl --user alice:wonder put k1 x
    same "alice may not read" "Error: etcdserver: permission denied" ctl --user alice:wonder get "" --prefix
    same "alice in a txn" "Error: etcdserver: permission denied" typed '\nput foo 1\nput zoo 2\n\n\n' ctl --user alice:wonder txn
    same "alice does not rule" "Error: etcdserver: permission denied" ctl --user alice:wonder user list
    like "alice's watch" "permission denied" seen 1 --user alice:wonder watch zoo
    who=carol
    same "carol by certificate" "foo\nalice" ctl get foo
    same "carol may not write" "Error: etcdserver: permission denied" ctl put k1 x
    who=client
    same "root stays" "Error: etcdserver: invalid auth management" ctl --user root:secret user delete root
    same "role revoke-permission" "Permission of key foo is revoked from role r" ctl --user root:secret role revoke-permission r foo
    same "alice lost it" "Error: etcdserver: permission denied" ctl --user alice:wonder put foo alice
    same "auth disable" "Authentication Disabled" ctl --user root:secret auth disable
    for user in alice carol root; do like "user delete" "^User $user deleted$" ctl user delete $user; done
    for role in r root; do like "role delete" "^Role $role deleted$" ctl role delete $role; done
}

tools() {
    # A minute of load, once.
    if [ "$client" = "${clients[0]}" ]; then
        patience=100
        # 1000 writes a second are for a release build; one for debugging gets through, too.
        local rate="PASS: Throughput is"
        case $BIN in *debug*) rate="$rate|FAIL: Throughput too low: [0-9]{3} writes" ;; esac
        like "check perf --load=m" "$rate" ctl check perf --load=m
        patience=30
    fi
    for number in 1 2 3; do ctl put "from/$number" "$number" >/dev/null; done
    { timeout -s INT 3 "$client" --endpoints "$all" --cacert "$tls/ca.crt" --cert "$tls/client.crt" --key "$tls/client.key" \
        make-mirror --prefix from/ --dest-prefix to/ --dest-cacert "$tls/ca.crt" --dest-cert "$tls/client.crt" \
        --dest-key "$tls/client.key" https://127.0.0.1:12374 >/dev/null 2>&1 || true; } & local mirror=$!
    sleep 1; ctl put from/4 4 >/dev/null; ctl del from/1 >/dev/null; wait "$mirror"
    # Into a store of one member.
    endpoints=https://127.0.0.1:12374
    same "make-mirror" "to/2\n2\nto/3\n3\nto/4\n4" ctl get to/ --prefix
    ctl del to/ --prefix >/dev/null
    endpoints=$all
    ctl del from/ --prefix >/dev/null
}

for client in "${clients[@]}"; do
    checked=0
    healthy() { [ "$(ctl endpoint health | grep -c 'is healthy')" = 3 ]; }
    wait_for 30 "three healthy members" healthy
    ctl del "" --prefix >/dev/null
    for part in keys transactions watches leases locks cluster rules tools; do
        before=$checked
        $part
        ok "$(basename "$(dirname "$client")")/etcdctl $("$client" version | sed -n 's/etcdctl version: //p'): $part, $((checked - before)) cases"
    done
done
for process in "${members[@]}"; do kill -TERM "$process"; done
for process in "${members[@]}"; do wait "$process" || fail "a member ended with $?: $(tail -n 3 "$state"/m?.log)"; done
members=()
ok "the members end in peace"
