# Cached views of clients stay exact while the gateway is killed: the short form of `make informers`.
. ./lib.sh

out=$("$BIN/martlet-bench" informers --changes 3000 --restarts 5 --informers 1 --naps 0 --directory "$state" 2>&1) ||
    fail "informers: $out"
expect "3,000 changes and 5 restarts leave every cached view exact" "$out" "5 restarts, .* 0 faults"
