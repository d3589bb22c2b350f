# The load that runs all the time, and the table of what it met. Sourced by the story.

loads=()
start_load() {
    local all="" host n
    for host in $masters; do all+="${all:+,}$(address "$host"):6443"; done
    # Masters one by one, and as clients do that know several.
    # shellcheck disable=SC2046
    on client martlet-bench load --kubeconfig "$state/deadlock.kubeconfig" --every "$pace" --api "any=$all" \
        $(for host in $masters; do echo "--api $host=$(address "$host"):6443"; done) \
        --url "nodeport=http://$(address worker1):30080/" >"$state/load-client.log" 2>"$state/load-client.err" &
    loads+=($!)
    for n in 1 2 3; do load_from_pod "$n"; done
}
# What the asker on worker N asks of the Service; it ends with that pod.
load_from_pod() {
    in_pod "$1" martlet-bench load --every "$pace" --patience 2000 --url "pod$1=http://10.96.0.80/" \
        >>"$state/load-pod$1.log" 2>"$state/load-pod$1.err" &
    loads+=($!)
}
end_load_of() { on "$1" pkill -TERM -f 'martlet-bench load' || true; }
end_load() {
    local host
    for host in client $workers; do end_load_of "$host"; done
    wait "${loads[@]}" || true
    loads=()
}

# failed BEGIN END TARGETS: requests of these targets (an expression) that were sent between and failed.
failed() { awk -v b="$1" -v e="$2" -v t="^($3)\$" '$1 >= b && $1 < e && $3 ~ t && $4 != "ok"' "$state"/load-*.log; }
# silence BEGIN END TARGETS: the longest time without an answer of one target, in milliseconds.
silence() {
    awk -v b="$1" -v e="$2" -v t="^($3)\$" '$4 == "ok" && $3 ~ t && $1 + $2 >= b && $1 + $2 < e { printf "%.0f %s\n", $1 + $2, $3 }' \
        "$state"/load-*.log | sort -n | awk -v b="$1" -v e="$2" '
        { gap = $1 - (($2 in last) ? last[$2] : b); if (gap > longest) longest = gap; last[$2] = $1 }
        END { if (!NR) longest = e - b; for (name in last) if (e - last[name] > longest) longest = e - last[name]; print longest + 0 }'
}

table=()
# during WHAT PLAN API SERVICES COMMAND...: does something under the load, and adds a line to the table. The targets API
# and SERVICES (expressions) are those that it may concern. PLAN is `planned`, of which no request may fail;
# `masters SECONDS`, of which no request to a service may fail, and the API must be answered again within so many
# seconds; or `fault SECONDS`, after which everything must be answered again within so many.
during() {
    local what=$1 plan=$2 limit=0 api services begin end status=0; shift 2
    [ "$plan" = planned ] || { limit=$1; shift; }
    api=$1 services=$2; shift 2
    begin=$(now)
    # In a shell of its own, which the first command that fails ends.
    set +e
    (set -e; "$@")
    status=$?
    set -e
    # What was sent in time may still fail, and what comes after belongs to it too.
    sleep 2
    end=$(now)
    local of_api of_services gap verdict=ok
    of_api=$(failed "$begin" "$end" "$api" | wc -l) of_services=$(failed "$begin" "$end" "$services" | wc -l)
    gap=$(silence "$begin" "$end" "$api|$services")
    [ "$status" = 0 ] || verdict="FAILED: it was not done"
    if [ "$plan" = planned ]; then
        [ $((of_api + of_services)) = 0 ] || verdict="FAILED: it cost requests"
    elif [ "$plan" = masters ] && [ "$of_services" != 0 ]; then
        verdict="FAILED: services lost requests"
    elif [ "$gap" -gt $((limit * 1000)) ]; then
        verdict="FAILED: more than $limit s"
    fi
    [ "$verdict" = ok ] || {
        echo "$what: $verdict" >>"$state/failures"
        failed "$begin" "$end" "$api|$services" | awk "NR <= 5" | cut -c 1-200 | sed 's/^/      /'
    }
    table+=("$(printf '%-46s %6.1f s %8d %8d %9.1f s  %s' "$what" "$(seconds $((end - begin - 2000)))" "$of_api" \
        "$of_services" "$(seconds "$gap")" "$verdict")")
    printf '   %s\n' "${table[-1]}"
}
seconds() { awk -v ms="$1" 'BEGIN { print ms / 1000 }'; }
heading() { printf '   %-46s %8s %8s %8s %11s\n' "" took "API lost" "svc lost" "silence"; }
