# Spoilt requests against the running gateway, byte for byte over TLS: CASES of them from SEED (`make fuzz-gateway` sends
# more), after every known way to smuggle a request past a server.
. ./lib.sh

API_PORT=${API_PORT:-16743} start martlet-gateway
out=$(python3 python/rawfuzz.py "$daemon" "${CASES:-2000}" "${SEED:-1}" 2>&1) || fail "rawfuzz.py: $out"
sed 's/^/   ok: /' <<<"$out"
stop
