# Python's clients of Kubernetes, unmodified: the typed and the dynamic client on every kind, what well-known operators
# ask, a kopf operator, and the streams of a running pod.
. ./lib.sh

if ! { python3 -m venv "$state/venv" && "$state/venv/bin/pip" install -q kubernetes==37.0.2 kopf==1.45.2; } \
    >"$state/pip.txt" 2>&1; then
    printf '   SKIPPED: the Python clients cannot be installed (python3-venv, PyPI): %s\n' "$(tail -n 1 "$state/pip.txt")"
    exit 0
fi
python=$state/venv/bin/python
samples=../FuzzSupport/KindSamples.swift

run() { # the part's name, the program's arguments
    local what=$1 out; shift
    out=$("$python" "$@" 2>&1) || fail "$what: $out"
    sed 's/^/   ok: /' <<<"$out"
}
API_PORT=${API_PORT:-16543} start martlet-gateway --no-controllers
run "the typed client" python/typed.py "$samples"
run "the dynamic client on every kind" python/everykind.py "$samples"
run "the dynamic client" python/dynamic.py
run "well-known operators" python/operators.py
run "tokens" python/tokens.py
run "a kopf operator" python/operate.py "$state/venv/bin/kopf"
stop

rm -r "$state/data"
mkdir "$state/images"
"$BIN/martlet" image busybox --tag ocf.test/box:1 --output "$state/images/box.tar" -- sh >/dev/null
start martletd --ephemeral --images "$state/images" --edge-address 127.0.0.1:18443 --edge-http-address none
run "streams" python/streams.py ocf.test/box:1 "$daemon"
stop
