# Bad input: each mistake gets one clear line, and nothing half-made is left.
. ./lib.sh

refused() { # WHAT PATTERN COMMAND...
    local what=$1 pattern=$2 text status=0; shift 2
    text=$(timeout 60 "$@" 2>&1) || status=$?
    [ "$status" != 0 ] && [ "$status" != 124 ] || fail "$what: should have been refused (status $status): $text"
    expect "$what" "$text" "$pattern"
}

mkdir -p "$state/newer" "$state/stranger"
echo 99 >"$state/newer/FORMAT"
echo hello >"$state/stranger/notes.txt"
refused "a data folder of a newer format" "data format 99.*run the newer release" \
    "$BIN/martlet-gateway" --data-dir "$state/newer" --api-address 127.0.0.1:0
refused "a folder of somebody else's files" "not a Martlet data folder" \
    "$BIN/martlet-gateway" --data-dir "$state/stranger" --api-address 127.0.0.1:0
refused "a flag that is no address" "is not ADDRESS:PORT" "$BIN/martlet-gateway" --api-address nonsense
refused "an unknown role" "provide one of 'gateway'" "$BIN/martletd" --role king
shown=$(MARTLET_LOG_LEVEL=loud "$BIN/martlet" config show --config none 2>&1) && fail "config show takes any level"
expect "an error comes behind what was printed before" "$(tr '\n' ' ' <<<"$shown")" '^SETTING.* error: .*MARTLET_LOG_LEVEL'
refused "a range that is none" "is no range of addresses" \
    "$BIN/martletd" --data-dir "$state/range" --pod-cidr 10.0.0.0 --role gateway
refused "an ingress where nobody looks" "is not where others look for this node.*--node-address" \
    "$BIN/martletd" --data-dir "$state/lo" --node-address 192.0.2.1 --ingress-address 127.0.0.1:0
refused "a runtime socket that is none" "is not a UNIX socket" \
    "$BIN/martletd" --data-dir "$state/socket" --api-address 127.0.0.1:0 --role gateway --role worker \
    --container-runtime-endpoint tcp://x
refused "no root" "needs root" setpriv --reuid 65534 --clear-groups \
    env HOME=/tmp XDG_STATE_HOME="$(install -d -o 65534 "$state/nobody"; echo "$state/nobody")" \
    "$BIN/martletd" --data-dir "$state/nobody/data" --api-address 127.0.0.1:0
echo 'right,jane,u1,system:masters' >"$state/tokens.csv"
start martlet-gateway --token-auth-file "$state/tokens.csv"
version=$(curl -sk https://127.0.0.1:16443/version | jq -r .gitVersion)
for program in martlet martletd martlet-gateway martlet-cni martlet-bench martlet-simulate; do
    [ "$("$BIN/$program" --version)" = "$program, unreleased; speaks the API of Kubernetes $version" ] ||
        fail "$program --version says $("$BIN/$program" --version), and /version $version"
done
ok "--version says what /version does: $version"
refused "a port in use" "the REST gateway cannot listen on 127.0.0.1:16443.*--api-address" \
    "$BIN/martlet-gateway" --data-dir "$state/second" --api-address 127.0.0.1:16443
refused "a data folder in use" "has a daemon already" \
    "$BIN/martlet-gateway" --data-dir "$state/data" --api-address 127.0.0.1:0

for kubectl in $(kubectls | tail -n 1); do
    configmap() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: default}\n%s\n' "$1" "${2:-data: {a: b\}}"; }
    configmap good | "$kubectl" create -f - >/dev/null
    refused "a duplicate name" '(AlreadyExists).*configmaps "good" already exists' \
        bash -c "printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n' | $kubectl create -f -"
    refused "an unknown field" 'unknown field "dataa"' \
        bash -c "printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndataa: {a: b}\n' | $kubectl create -f -"
    refused "a wrong kind" 'no matches for kind "Gizmo"' \
        bash -c "printf 'apiVersion: v1\nkind: Gizmo\nmetadata: {name: bad}\n' | $kubectl create -f -"
    refused "a field of the wrong type" 'cannot unmarshal' \
        bash -c "printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndata: {a: 1}\n' | $kubectl create --validate=false -f -"
    refused "a name that is none" 'RFC 1123' \
        bash -c "printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n' | $kubectl create -f -"
    refused "a stale resourceVersion" '(Conflict).*the object has been modified' \
        bash -c "$kubectl get configmap good -o json | sed 's/\"resourceVersion\": \"[0-9]*\"/\"resourceVersion\": \"1\"/' | $kubectl replace -f -"
    refused "a namespace that is not there" 'namespaces "nowhere" not found' \
        bash -c "printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: nowhere}\n' | $kubectl create -f -"
done

# api PATH CURL...: as whoever has the token; the answer, then its status.
url=https://127.0.0.1:16443
api() { local path=$1; shift; curl -sk --max-time 20 -H "Authorization: Bearer ${token-right}" -w '\n%{http_code}' "$@" "$url$path" || true; }
maps=/api/v1/namespaces/default/configmaps
head -c 3300000 /dev/zero | tr '\0' ' ' >"$state/big"
expect "a body that is too large" "$(api $maps -H 'Content-Type: application/json' --data-binary "@$state/big")" \
    '"message":"Request entity too large: limit is 3145728","reason":"RequestEntityTooLarge"'
expect "a head that is too large" "$(api $maps -H "X: $(head -c 70000 /dev/zero | tr '\0' x)")" '"kind":"Status".*"code":431'
expect "what is no HTTP" "$(api "$maps" -H 'Content-Length: x' -X POST)" '"reason":"BadRequest"'

# Someone else's certificate is no identity, and no harm.
openssl req -x509 -newkey rsa:2048 -nodes -subj /O=system:masters/CN=x -days 1 -keyout "$state/x.key" -out "$state/x.crt" 2>/dev/null
stranger=(--cert "$state/x.crt" --key "$state/x.key")
expect "a stranger's certificate beside a good token" "$(api $maps "${stranger[@]}")" '^200$'
expect "a stranger's certificate alone" "$(token=wrong api $maps "${stranger[@]}")" '"reason":"Unauthorized"'
expect "a stranger's certificate for health" "$(curl -sk "${stranger[@]}" $url/livez)" '"reason":"Unauthorized"'
expect "no certificate for health" "$(curl -sk $url/livez)" '^ok$'
expect "nobody in particular" "$(curl -sk $url/api)" 'forbidden: User \\"system:anonymous\\" cannot get path \\"/api\\"'
expect "HTTP without TLS" "$(curl -s -w ' %{http_code}' "http://127.0.0.1:16443/api")" 'Client sent an HTTP request to an HTTPS server'
stop

# A full disk: a gateway that is killed comes up again, answers reads, and says why it takes no writes.
rm -r "$state/data"; mkdir "$state/data"
mount -t tmpfs -o size=16m none "$state/data"
trap 'umount -l "$state/data"; cleanup' EXIT
start martlet-gateway --token-auth-file "$state/tokens.csv"
write() { api $maps -H 'Content-Type: application/json' -d "{\"metadata\":{\"name\":\"$1\"},\"data\":{\"a\":\"$2\"}}"; }
expect "a write with room" "$(write kept b)" '^201$'
cat /dev/zero >"$state/data/filler" 2>/dev/null || true
kill -9 "$daemon"; wait "$daemon" 2>/dev/null || true
start martlet-gateway --token-auth-file "$state/tokens.csv"
expect "it starts on a full disk, and reads" "$(api $maps/kept)" '^200$'
value=$(head -c 300000 /dev/zero | tr '\0' x)
for n in $(seq 60); do
    printf '{"metadata":{"name":"large%s"},"data":{"a":"%s"}}' "$n" "$value" >"$state/body"
    answer=$(api $maps -H 'Content-Type: application/json' --data-binary "@$state/body")
    [ "${answer##*$'\n'}" = 201 ] || break
done
expect "a write without room" "$answer" '"reason":"ServiceUnavailable".*"code":503'
expect "and why" "$answer" 'No space left on device'
if grep -q "$state" <<<"$answer"; then fail "a client is told the server's paths: $answer"; fi
expect "reads go on" "$(api $maps/kept)" '^200$'
rm "$state/data/filler"
mount -o remount,size=64m "$state/data"
room() { [ "$(write "later$RANDOM" b | tail -n 1)" = 201 ]; }
wait_for 20 "writes go on when there is room" room
ok "writes go on when there is room"
stop
