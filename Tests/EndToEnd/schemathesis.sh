# schemathesis against our own OpenAPI document: whatever it makes of it, no answer is a 5xx. CASES for each operation,
# for at most LIMIT seconds; SEED repeats a run. `make schemathesis` runs it long. Not through proxies: these answer for
# others, and 503 where nobody is.
. ./lib.sh

if ! { python3 -m venv "$state/venv" && "$state/venv/bin/pip" install -q schemathesis==4.32.5; } >"$state/pip.txt" 2>&1; then
    printf '   SKIPPED: schemathesis cannot be installed (python3-venv, PyPI): %s\n' "$(tail -n 1 "$state/pip.txt")"
    exit 0
fi
export API_PORT=${API_PORT:-16643}
start martlet-gateway
field() { sed -n "s/^ *$1: //p" "$KUBECONFIG" | head -n 1 | base64 -d; }
field certificate-authority-data >"$state/ca.crt"
field client-certificate-data >"$state/admin.crt"; field client-key-data >"$state/admin.key"
curl -sS --cacert "$state/ca.crt" --cert "$state/admin.crt" --key "$state/admin.key" -H 'Accept: application/json' \
    "https://127.0.0.1:$API_PORT/openapi/v2" >"$state/openapi.json"

here=$PWD
cd "$state" # it leaves folders where it runs
SCHEMATHESIS_HOOKS=schemathesis_hooks PYTHONPATH=$here/python "$state/venv/bin/st" run openapi.json \
    --url "https://127.0.0.1:$API_PORT" --tls-verify ca.crt --request-cert admin.crt --request-cert-key admin.key \
    --checks not_a_server_error --continue-on-failure --phases "${PHASES:-fuzzing}" --max-examples "${CASES:-1}" \
    --exclude-path-regex '/proxy(/|$)' ${LIMIT:+--max-time "$LIMIT"} ${SEED:+--seed "$SEED"} --request-timeout 30 --suppress-health-check all \
    --no-shrink --generation-database none --warnings off --no-color >st.log 2>&1 || fail "schemathesis: $(tail -n 200 st.log)"
ok "$(grep -m 1 'generated' st.log | xargs), of $(grep -m 1 'Tested:' st.log | grep -o '[0-9]*') operations, without a 5xx"
stop
