# More connections than the gateway has places for: it stays alive and small, says 429, and serves everybody else.
# CONNECTIONS and TIME (seconds, of each of two rounds) make it longer: `make overload`.
. ./lib.sh

API_PORT=${API_PORT:-16843} start martlet-gateway
out=$(python3 python/overload.py "$daemon" "${CONNECTIONS:-1200}" "${TIME:-8}" 2>&1) || fail "overload.py: $out"
sed 's/^/   ok: /' <<<"$out"
stop
