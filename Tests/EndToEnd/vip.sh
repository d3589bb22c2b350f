#!/usr/bin/env bash
# Virtual IPs: three masters in network namespaces that hold an address in turn, a client that asks it, what goes wrong,
# and Debian's keepalived in both roles. Times are shown and not judged: machines that test are slow at times.
cd "$(dirname "$0")"
. ./lib.sh
hosts=$PWD/../Hosts/hosts
export PREFIX=mv ROOMS=
vip=192.168.57.100
trap 'ended=$?; "$hosts" down; cleanup' EXIT
on() { "$hosts" exec "$@"; }
martlet() { on deadlock timeout 90 "$BIN/martlet" "$@"; }
HOSTS="deadlock coup autocrat client" "$hosts" up

pid_of() { cat "$state/$1.pid"; }
# Held is what the link is told of; who gave it up keeps it elsewhere for a while, for what is open.
holds() { on "$1" ip -o address show dev eth0 to "$vip/32" | grep -q "$vip"; }
# Who holds the address, with commas.
holders() { for host in "$@"; do if holds "$host"; then echo "$host"; fi; done | paste -sd,; }
masters() { holders deadlock coup autocrat; }
held_by() { [ "$(masters)" = "$1" ]; }
held_once() { [[ "$(masters)" =~ ^[a-z]+$ ]]; }
# Whether a master other than this one holds it, whatever that one does.
others_hold() { [[ "$(masters | tr , '\n' | grep -v "^$1\$")" =~ ^[a-z]+$ ]]; }
not_held() { ! holds "$1"; }
says() { grep -q -- "$2" "$state/$1.log"; }

# daemon_on HOST FLAGS...: starts martletd on a host, with what it says in HOST.log.
daemon_on() {
    local host=$1; shift
    : >"$state/$host.log"
    # Not by the script of hosts: this must be the process itself.
    nsenter "--net=$("$hosts" path "$host")" "$BIN/martletd" --data-dir "$state/$host" "$@" \
        >>"$state/$host.log" 2>&1 &
    echo $! >"$state/$host.pid"
    wait_for 60 "martletd on $host is ready" grep -q '^ready:' "$state/$host.log"
}
end_on() { kill "${2:--TERM}" "$(pid_of "$1")"; wait "$(pid_of "$1")" 2>/dev/null || true; }

# load SECONDS: asks the edge at the address all the time, each time over a new connection; prints how many requests
# were answered and failed, and the longest time without an answer.
cat >"$state/load.py" <<'PYTHON'
import socket, sys, time
answered = failed = 0
last = time.monotonic()
end, gap = last + float(sys.argv[2]), 0
while time.monotonic() < end:
    try:
        with socket.create_connection((sys.argv[1], 80), 0.05) as s:
            s.settimeout(1)
            s.sendall(b"GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n")
            if not s.recv(100).startswith(b"HTTP/1.1 308"): raise OSError("no answer")
        now = time.monotonic()
        answered, gap, last = answered + 1, max(gap, now - last), now
    except OSError: failed += 1
gap = max(gap, time.monotonic() - last)
print(f"{answered} answered, {failed} failed, {gap * 1000:.0f} ms at most without an answer")
PYTHON
# open SECONDS: opens a connection, waits for so long, and asks over it until it is told that the connection ends.
cat >"$state/open.py" <<'PYTHON'
import http.client, ssl, sys, time
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
c = http.client.HTTPSConnection(sys.argv[1], 443, context=tls, timeout=3)
c.connect()
s = c.sock
def ask():
    c.request("GET", "/", headers={"host": "nobody.test"})
    answer = c.getresponse()
    answer.read()
    return answer.getheader("connection") == "close"
print(f"before: {'ends' if ask() else 'goes on'}", flush=True)
time.sleep(float(sys.argv[2]))
ends = ask()
print(f"after: {'ends' if ends else 'goes on'}")
PYTHON
load() { on client python3 "$state/load.py" "$vip" "$1"; }
answers() { [[ "$(load 1)" =~ ^[1-9] ]]; }

# send KIND: packets of VRRP that nobody should obey, from the client.
cat >"$state/send.py" <<'PYTHON'
import os, random, socket, struct, sys
def checksum(b):
    s = sum(struct.unpack(f"!{len(b) // 2}H", b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
def word(priority, address, router=51):
    b = bytearray(struct.pack("!BBBBHH", 0x31, router, priority, 1, 10, 0) + socket.inet_aton(address))
    b[6:8] = struct.pack("!H", checksum(bytes(b)))
    return bytes(b)
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
def send(b, ttl=255):
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    s.sendto(b, ("224.0.0.18", 0))
random.seed(7)
good = word(255, "192.168.57.100")
kind = sys.argv[1]
if kind == "spoofed":
    for _ in range(20): send(good, 64)
elif kind == "malformed":
    for n in range(2000):
        b = bytearray(good[:random.randrange(1, 12)] if n % 2 else good)
        b[random.randrange(len(b))] ^= 1 << random.randrange(8)
        send(bytes(b))
    for n in range(200): send(os.urandom(random.randrange(1, 1400)))
elif kind == "foreign":
    for _ in range(200): send(word(255, "192.168.57.200"))
elif kind == "other":
    for _ in range(20): send(word(255, "192.168.57.100", 77))
PYTHON
send() { on client python3 "$state/send.py" "$1"; }

echo "-- three masters"
three_masters
wait_for 20 "one master holds the address" held_once
first=$(masters)
ok "one of three masters holds $vip: $first"
wait_for 10 "the edge answers there" answers
ok "the edge answers at the address"
tls=$(on client curl -s --cacert "$state/deadlock/pki/ca.crt" -o /dev/null -w '%{http_code}' \
    "https://$vip:6443/livez" || true)
[ "$tls" = 200 ] || fail "the API at $vip:6443 answers $tls"
ok "the API answers there, with a certificate of the address"
user() { on deadlock timeout 60 "$BIN/martlet" user cert jane --data-dir "$state/deadlock" "$@" | grep server:; }
expect "a person's kubeconfig names it" "$(user)" "server: \"https://$vip:6443\""
expect "or what --server says" "$(user --server api.example.test)" "server: \"https://api.example.test:6443\""
expect "who holds it" "$(martlet vip show)" "$vip *$first"
expect "who holds it, in the status" "$(martlet status)" "$vip *$first"

# session HOST FLAGS...: asks the edge of one master, and says whether the session of TLS was New or Reused.
session() {
    local at; at=$("$hosts" address "$1"); shift
    { printf 'GET / HTTP/1.1\r\nhost: nobody.test\r\nconnection: close\r\n\r\n'; sleep 0.3; } |
        on client timeout 10 openssl s_client -connect "$at:443" -servername nobody.test -ign_eof "$@" 2>/dev/null |
        grep -oE '^(New|Reused), TLSv1\.[23]' | head -n 1
}
resumes() { # FROM TO VERSION
    session "$1" "-tls$3" -sess_out "$state/session" >"$state/begun"
    grep -q '^New' "$state/begun" && [[ "$(session "$2" "-tls$3" -sess_in "$state/session")" == Reused* ]]
}
for version in 1_2 1_3; do
    for to in coup autocrat deadlock; do
        wait_for 20 "a session of TLS $version resumes at $to" resumes "$first" "$to" "$version"
    done
done
ok "sessions of TLS 1.2 and 1.3 that $first began resume at every master"
sealed=$(martlet get secret martlet-session-tickets -n kube-system -o json)
expect "their keys are in the store, sealed" "$sealed" 'martlet.io/sealed-keys'

echo "-- a planned move"
load 4 >"$state/moved" &
loading=$!
on client python3 "$state/open.py" "$vip" 5 >"$state/open" 2>&1 &
opening=$!
sleep 1.5
martlet vip move >/dev/null
wait_for 10 "another master holds it" others_hold "$first"
wait "$loading"
wait_for 10 "one master holds it" held_once
second=$(masters)
[ "$second" != "$first" ] || fail "the address is still held by $first"
sleep 2
held_by "$second" || fail "the address does not stay with $second: $(masters)"
ok "moved from $first to $second: $(cat "$state/moved")"
wait "$opening" || fail "a connection from before the move: $(cat "$state/open")"
[ "$(cat "$state/open")" = "$(printf 'before: goes on\nafter: ends')" ] || fail "over a connection from before: $(cat "$state/open")"
ok "a connection from before the move is answered by $first, which says that it ends"

echo "-- packets that nobody should obey"
for kind in spoofed malformed foreign other; do
    send "$kind"
    sleep 0.5
    held_by "$second" || fail "after $kind packets the address is held by: $(masters)"
done
wait_for 12 "the foreign cluster is told of" says "$second" "else on this link uses our router ID"
wait_for 12 "packets from another link are told of" says "$second" "does not come from this link"
lines=$(grep -c 'is not obeyed' "$state/$second.log")
[ "$lines" -lt 60 ] || fail "$lines lines of log about packets"
ok "spoofed, malformed and foreign packets move nothing, and make $lines lines of log"

echo "-- a holder that stands still"
kill -STOP "$(pid_of "$second")"
wait_for 10 "another master takes over" others_hold "$second"
kill -CONT "$(pid_of "$second")"
wait_for 10 "one master holds it" held_once
third=$(masters)
sleep 1
held_by "$third" || fail "the address does not stay with $third: $(masters)"
[ "$third" != "$second" ] || fail "the one that stood still holds the address again"
ok "taken over by $third; the one that stood still has let go"

echo "-- the holder is killed"
load 4 >"$state/killed" &
loading=$!
sleep 1.5
end_on "$third" -KILL
wait "$loading"
wait_for 10 "another master takes over" others_hold "$third"
ok "kill -9 of the holder: $(cat "$state/killed")"
wait_for 12 "the kernel takes the address back from a dead holder" not_held "$third"
ok "the kernel has taken the address back from the dead holder"
daemon_on "$third"
wait_for 10 "one master holds it" held_once

echo "-- without a quorum"
holder=$(masters)
for name in deadlock coup autocrat; do [ "$name" = "$holder" ] || end_on "$name" -KILL; done
sleep 3
holds "$holder" || fail "without a quorum the address is held by: $(masters)"
answers || fail "the edge does not answer without a quorum"
ok "held on without a quorum"
end_on "$holder"
not_held "$holder" || fail "the address is left behind"
ok "a holder that ends leaves no address behind"
wait_for 12 "no address is left" held_by ""

if ! command -v keepalived >/dev/null; then echo "   SKIPPED: there is no keepalived"; exit 0; fi
echo "-- keepalived $(keepalived --version 2>&1 | sed -n 's/^Keepalived v\([0-9.]*\).*/\1/p')"
rm -rf "$state"/{deadlock,coup}
# alone FLAGS...: a cluster of one master on deadlock.
alone() {
    daemon_on deadlock --role gateway --role control-plane --role edge --node-name deadlock \
        --node-address "$("$hosts" address deadlock)" --vip "$vip/24" --vip-preempt --vip-priority 100 "$@"
}
# keepalived_on_coup VERSION INTERVAL PRIORITY
keepalived_on_coup() {
    cat >"$state/keepalived.conf" <<KEEPALIVED
global_defs {
    vrrp_version $1
}
vrrp_instance other {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority $3
    advert_int $2
    virtual_ipaddress {
        $vip/24
    }
}
KEEPALIVED
    nsenter "--net=$("$hosts" path coup)" keepalived -n -l -P -f "$state/keepalived.conf" \
        -p "$state/keepalived.pid" -r "$state/vrrp.pid" >"$state/keepalived.log" 2>&1 &
    keepalived=$!
}
both() { [ "$(holders deadlock coup)" = "$1" ]; }
for version in 3 2; do
    interval=100ms seconds=0.1
    [ "$version" = 3 ] || { interval=1s seconds=1; }
    alone --vip-version "$version" --vip-interval "$interval" --vip-checksum pseudo-header
    wait_for 20 "held by martletd" both deadlock
    refused=$(on deadlock kubectl --kubeconfig "$state/deadlock/admin.kubeconfig" create --raw /martlet/v1/vip/move \
        -f - <<<'{}' 2>&1) && fail "the only master gives its address up: $refused"
    expect "version $version: the only master keeps its address" "$refused" 'deadlock is the only master'
    keepalived_on_coup "$version" "$seconds" 50
    sleep 5
    both deadlock || fail "beside a weaker keepalived it is held by: $(holders deadlock coup)"
    expect "version $version: keepalived obeys martletd" "$(cat "$state/keepalived.log")" 'Entering BACKUP'
    end_on deadlock
    wait_for 15 "keepalived takes over from martletd" both coup
    ok "version $version: keepalived takes over from martletd"
    kill "$keepalived"; wait "$keepalived" || true
    keepalived_on_coup "$version" "$seconds" 200
    wait_for 15 "held by keepalived" both coup
    alone --vip-version "$version" --vip-interval "$interval"
    sleep 4
    both coup || fail "beside a stronger keepalived it is held by: $(holders deadlock coup)"
    ok "version $version: martletd obeys keepalived"
    kill "$keepalived"; wait "$keepalived" || true
    wait_for 15 "martletd takes over from a keepalived that ends" both deadlock
    ok "version $version: martletd takes over from keepalived"
    end_on deadlock
done
