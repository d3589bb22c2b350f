# Python's clients of Kubernetes, unmodified: the typed client on every kind, the dynamic client, and a kopf operator.
. ./lib.sh

if ! { python3 -m venv "$state/venv" && "$state/venv/bin/pip" install -q kubernetes==37.0.2 kopf==1.45.2; } \
    >"$state/pip.txt" 2>&1; then
    printf '   SKIPPED: the Python clients cannot be installed (python3-venv, PyPI): %s\n' "$(tail -n 1 "$state/pip.txt")"
    exit 0
fi
python=$state/venv/bin/python

API_PORT=16543 start martlet-gateway
run() { # the part's name, the program's arguments
    local what=$1 out; shift
    out=$("$python" "$@" 2>&1) || fail "$what: $out"
    sed 's/^/   ok: /' <<<"$out"
}
run "the typed client" python/typed.py ../FuzzSupport/KindSamples.swift
run "the dynamic client" python/dynamic.py
run "tokens" python/tokens.py
run "a kopf operator" python/operate.py "$state/venv/bin/kopf"
stop
