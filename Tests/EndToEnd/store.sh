# The store as a daemon alone: each mistake gets one clear line and leaves nothing behind, damage is named, a full disk
# is survived, and what it says of itself is true.
. ./lib.sh

store=$BIN/martlet-store
members=()
finish() { local status=$?; [ ${#members[@]} -eq 0 ] || kill -9 "${members[@]}" 2>/dev/null || true; umount "$state/small" 2>/dev/null || true; set +e; (exit $status); cleanup; }
trap finish EXIT
# refused WHAT PATTERN FLAGS...: must end with an error that matches, and make no data folder.
refused() {
    local what=$1 pattern=$2 text status=0; shift 2
    text=$(timeout 20 "$store" --data-dir "$state/none" "$@" 2>&1) || status=$?
    [ "$status" != 0 ] && [ "$status" != 124 ] || fail "$what: should have been refused (status $status): $text"
    [ ! -e "$state/none" ] || fail "$what: a data folder was made"
    expect "$what" "$text" "$pattern"
}
# run NAME FLAGS...: starts a member in the background; its folder and its log are called like it.
run() {
    local name=$1; shift
    : >"$state/$name.log"
    "$store" --name "$name" --data-dir "$state/$name" "$@" >>"$state/$name.log" 2>&1 &
    member=$!
    members+=("$member")
}
says() { wait_for 20 "$1 says $2: $(tail -n 3 "$state/$1.log")" grep -q -- "$2" "$state/$1.log"; }
end() { kill -"$2" "$1"; wait "$1" || [ "$2" = KILL ] || fail "it ended with $?"; }

tls=$state/tls
mkdir -p "$tls"
openssl ecparam -name prime256v1 -genkey -noout -out "$tls/a.key" 2>/dev/null
openssl req -x509 -new -key "$tls/a.key" -subj /CN=a -days 2 -addext subjectAltName=IP:127.0.0.1 -out "$tls/a.crt" 2>/dev/null
: >"$tls/index"; echo 01 >"$tls/serial"
printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' "$tls" "$tls" "$tls" >"$tls/ca.conf"
openssl req -new -key "$tls/a.key" -subj /CN=old -out "$tls/old.csr" 2>/dev/null
openssl ca -batch -config "$tls/ca.conf" -cert "$tls/a.crt" -keyfile "$tls/a.key" -in "$tls/old.csr" -out "$tls/old.crt" \
    -startdate 20200101000000Z -enddate 20210101000000Z >/dev/null 2>&1
peer_tls=(--peer-cert-file "$tls/a.crt" --peer-key-file "$tls/a.key" --peer-trusted-ca-file "$tls/a.crt")
client_tls=(--cert-file "$tls/a.crt" --key-file "$tls/a.key")

here=http://127.0.0.1:12480
refused "https among peers without certificates" "--join https://127.0.0.1:12481 is https://, for which --peer-cert-file" \
    --join https://127.0.0.1:12481
refused "an https URL of the first members" "--initial-cluster https://127.0.0.1:12480 is https://, for which --peer-cert" \
    --name a --listen-peer $here --initial-cluster a=https://127.0.0.1:12480
refused "an https URL to be reached at" "--advertise-peer https://127.0.0.1:12480 is https://" \
    --listen-peer $here --advertise-peer https://127.0.0.1:12480
refused "http among peers with certificates" "--listen-peer $here is http://, but --peer-cert-file" \
    --listen-peer $here "${peer_tls[@]}"
refused "http to join with certificates" "--join http://127.0.0.1:12481 is http://, but" \
    --listen-peer https://127.0.0.1:12480 --join http://127.0.0.1:12481 "${peer_tls[@]}"
refused "https for clients without certificates" "--listen-client https://127.0.0.1:12470 is https://, for which --cert-file" \
    --listen-client https://127.0.0.1:12470
refused "http told to clients with certificates" "--advertise-client http://127.0.0.1:12470 is http://, but --cert-file" \
    --listen-client https://127.0.0.1:12470 --advertise-client http://127.0.0.1:12470 "${client_tls[@]}"
expect "a certificate for http" "$("$store" member list --endpoint http://127.0.0.1:1 --cacert "$tls/a.crt" 2>&1 || true)" \
    "--endpoint http://127.0.0.1:1 is http://, but --cacert"
refused "an expired certificate" "old.crt: the certificate expired at 2021-01-01T00:00:00Z; renew it" \
    --listen-client https://127.0.0.1:12470 --cert-file "$tls/old.crt" --key-file "$tls/a.key"
refused "an expired certificate among peers" "old.crt: the certificate expired at 2021-01-01" \
    --listen-peer https://127.0.0.1:12480 --peer-cert-file "$tls/old.crt" --peer-key-file "$tls/a.key" \
    --peer-trusted-ca-file "$tls/a.crt"
refused "one URL for two" "a and b both have $here; give each" --name a --listen-peer $here --initial-cluster a=$here,b=$here
refused "one URL twice" "a has $here twice; give" --name a --listen-peer $here --initial-cluster a=$here,a=$here
refused "a doubled name" "has a at $here,http://127.0.0.1:12481, but this member is to be reached at $here: make" \
    --name a --listen-peer $here --initial-cluster a=$here,a=http://127.0.0.1:12481
refused "another URL of its own" "has a at http://127.0.0.1:12481, but this member is to be reached at $here: make" \
    --name a --listen-peer $here --initial-cluster a=http://127.0.0.1:12481
refused "a name that is not in the list" "this member's name, \"z\", is not among" --name z --listen-peer $here --initial-cluster a=$here
refused "an empty name" "--name is empty" --name ""

run alone --listen-client http://127.0.0.1:12470 --listen-peer $here
says alone '^ready: clients are served on 127.0.0.1:12470'
refused "a client port in use" "listen on 127.0.0.1:12470: .*choose another port" \
    --listen-client http://127.0.0.1:12470 --listen-peer http://127.0.0.1:12481
refused "a peer port in use" "--listen-peer $here: .*choose another port" \
    --listen-client http://127.0.0.1:12471 --listen-peer $here

# Snapshots.
"$store" snapshot save "$state/snap" --endpoint http://127.0.0.1:12470 >/dev/null
expect "a snapshot's status" "$("$store" snapshot status "$state/snap")" '^revision:  1 '
head -c -32 "$state/snap" >"$state/hashless"
expect "a snapshot without its digest" "$("$store" snapshot status "$state/hashless" 2>&1 || true)" \
    "^error: $state/hashless: there is no SHA-256 at its end"
expect "it is taken when that is wished" "$("$store" snapshot status --skip-hash-check "$state/hashless")" '^revision:  1 '
head -c 700 "$state/snap" >"$state/short"
refusal=$("$store" snapshot restore --skip-hash-check "$state/short" --data-dir "$state/none" 2>&1) && fail "a part of a snapshot was restored"
expect "a part of a snapshot" "$refusal" "^error: $state/short"

# The end: without a leader, while joining, and at once.
expect_end() { local began=$SECONDS; end "$member" TERM; [ $((SECONDS - began)) -le 3 ] || fail "$1 took $((SECONDS - began)) s"; ok "$1"; }
run b --listen-client http://127.0.0.1:12471 --listen-peer http://127.0.0.1:12481 \
    --initial-cluster b=http://127.0.0.1:12481,c=http://127.0.0.1:12482
says b '^waiting for a leader: 2 of these must run and reach each other: b .*http://127.0.0.1:12481; c '
! grep -q ready "$state/b.log" || fail "b is ready without a quorum"
expect_end "the end of a member without a leader"
run d --listen-client http://127.0.0.1:12472 --listen-peer http://127.0.0.1:12483 --join http://127.0.0.1:12489
sleep 1
expect_end "the end of a member that waits to join"
expect "it says so" "$(cat "$state/d.log")" '^stopping$'
expect "and why it could not join" "$(cat "$state/d.log")" 'cannot join through 127.0.0.1:12489: .*is it started'
run e --listen-client http://127.0.0.1:12472 --listen-peer http://127.0.0.1:12483 --join http://127.0.0.1:12470
says e 'cannot join through 127.0.0.1:12470: .*(--listen-peer)'
end "$member" TERM
ok "a client's port is no peer's"

# Damage. The member is killed after its last write, and a bit of that, or of the record behind it, flips.
end "${members[0]}" KILL 2>/dev/null
wal=$state/alone/wal/0000000000000001.log
cp "$wal" "$state/good"
again() { timeout 20 "$store" --name alone --data-dir "$state/alone" --listen-client http://127.0.0.1:12470 --listen-peer $here 2>&1; }
last=$(od -An -v -tx1 -w512 "$wal" | grep -n -v '^\( 00\)*$' | tail -n 1 | cut -d: -f1)
for sector in $((last - 1)) $((last - 2)); do
    printf '\xff' | dd of="$wal" bs=1 seek=$((sector * 512 + 34)) conv=notrunc status=none
    printf '\xff' | dd of="$wal" bs=1 seek=$((sector * 512 + 20)) conv=notrunc status=none
    refusal=$(again) && fail "a flipped bit was taken"
    expect "a flipped bit at the log's end" "$refusal" "^error: $wal: corrupt at byte [0-9]*: a record was [dw]"
    cp "$state/good" "$wal"
done
run other --listen-client http://127.0.0.1:12471 --listen-peer http://127.0.0.1:12481
says other '^ready'
end "$member" TERM
cp "$state/other/wal/0000000000000001.log" "$wal"
refusal=$(again) && fail "another member's segment was taken"
expect "another member's segment" "$refusal" "^error: $wal: corrupt at byte 16: the segment is of another log"
cp "$state/good" "$wal"
run alone --listen-client http://127.0.0.1:12470 --listen-peer $here
says alone '^ready'
end "$member" TERM
ok "the right one is taken"

# A disk of 8 MB: no room for a whole segment, but for writes; at the end they are refused with the reason, and the
# member goes on when there is room. etcd's client is needed to write.
client=$(command -v etcdctl) || { echo "   SKIPPED: a full disk needs etcdctl (Debian: etcd-client)"; exit 0; }
export ETCDCTL_API=3
mkdir "$state/small"
mount -t tmpfs -o size=8m none "$state/small"
run small/data --listen-client http://127.0.0.1:12470 --listen-peer $here
says small/data '^ready'
put() { "$client" --endpoints 127.0.0.1:12470 put "$1" 2>&1 | grep -v '^{"level' || true; }
head -c 200000 /dev/urandom | base64 -w 0 >"$state/value"
written=0
while answer=$(put "k$written" <"$state/value") && [ "$answer" = OK ]; do
    written=$((written + 1))
    [ "$written" -lt 100 ] || fail "the disk does not get full"
done
expect "the first refused write says why" "$answer" "no space; .*make a segment of [0-9]* KiB: No space left on device"
[ "$written" -gt 20 ] || fail "only $written writes went onto a disk of 8 MB"
ok "$written writes of 267 KB went onto a disk of 8 MB"
expect "the next one is refused at once" "$(put small <<<1)" "database space exceeded"
mount -o remount,size=40m "$state/small"
room() { [ "$(put small <<<1)" = OK ]; }
wait_for 10 "writes go on when there is room" room
ok "writes go on when there is room"
end "$member" TERM
umount "$state/small"

# A restore: two members of three go back to a snapshot, and the third, which still runs with the later state, is refused.
cluster=
for n in 0 1 2; do cluster=$cluster,r$n=http://127.0.0.1:1249$n; done
trio() { run "r$1" --listen-client "http://127.0.0.1:1247$1" --listen-peer "http://127.0.0.1:1249$1" --initial-cluster "${cluster#,}"; }
trio 0; first=$member; trio 1; second=$member; trio 2
says r0 '^ready'; says r2 '^ready'
put k <<<before >/dev/null
"$store" snapshot save "$state/early" --endpoint http://127.0.0.1:12470 >/dev/null
put k <<<after >/dev/null
end "$first" TERM; end "$second" TERM
for n in 0 1; do
    rm -r "$state/r$n"
    "$store" snapshot restore "$state/early" --name "r$n" --data-dir "$state/r$n" --initial-cluster "${cluster#,}" >/dev/null
    trio "$n"
done
says r0 '^ready'; says r1 '^ready'
says r2 'these are different clusters; .*empty its data folder'
expect "the restored members hold the snapshot's state" "$("$client" --endpoints 127.0.0.1:12471 get k --print-value-only 2>/dev/null)" '^before$'
"$client" --endpoints 127.0.0.1:12472 --command-timeout 2s get k >/dev/null 2>&1 && fail "the old member answers"
ok "the old member does not"
