# What goes wrong: daemons that die, hosts that are cut off. Sourced by the story.

every_master='any|deadlock|coup|autocrat'
every_service='pod1|pod2|pod3|nodeport'
# others EXPRESSION NAME: without that name.
others() { tr '|' '\n' <<<"$1" | grep -vx "$2" | paste -sd '|'; }

master_dies() {
    kill_daemon "$1"
    sleep 1
    start_daemon "$1"
    await 30 "$1 answers again" answers "$1"
}
# How soon the API takes writes again: the longest time without one, of clients that ask every 20 ms.
leader_dies() {
    local leading begin writer
    leading=$(leader)
    on client martlet-bench load --kubeconfig "$state/deadlock.kubeconfig" --every 20 --writes \
        --api "writes=$(for host in $(others "$every_master" "$leading" | tr '|' ' '); do
            [ "$host" = any ] || printf '%s:6443,' "$(address "$host")"; done | sed 's/,$//')" \
        >"$state/load-writes.log" 2>/dev/null &
    writer=$!
    sleep 2
    begin=$(now)
    kill_daemon "$leading"
    sleep 3
    printf '   %s led and was killed: writes were taken again after %s s (goal: 0.5 s)\n' "$leading" \
        "$(seconds "$(silence "$((begin - 500))" "$((begin + 2500))" writes)")"
    start_daemon "$leading"
    await 30 "$leading answers again" answers "$leading"
    on client pkill -TERM -f 'load .* --writes' || true
    wait "$writer" || true
}
worker_dies() {
    kill_daemon "$1"
    sleep 1
    start_daemon "$1"
    await 30 "the node agent of $1 answers" agent_answers "$1"
    await 60 "$1 is Ready" nodes_ready "$1"
}
# Asked as a master asks it, by its certificate.
agent_answers() {
    on deadlock sh -c "cd /var/lib/martlet/pki && curl -s --max-time 1 --cacert ca.crt --cert \
        apiserver-kubelet-client.crt --key apiserver-kubelet-client.key https://$(address "$1"):10250/healthz" |
        grep -q '^ok'
}
master_is_cut() {
    hosts cut "$1"
    sleep 4
    hosts heal "$1"
    await 30 "$1 answers again" answers "$1"
}

# A worker that is away for longer than its Lease lasts: it is seen dead, and Services leave its pods out.
worker_is_cut() {
    local number=${1#worker}
    hosts cut "$1"
    await 60 "$1 is seen dead" seen_dead "$1"
    local seen; seen=$(now)
    echo "$seen" >"$state/seen"
    await 5 "the pods of $1 are out of service" out_of_service "$number"
    printf '   %s was seen dead; %s s later its endpoints were out of the API\n' "$1" "$(seconds $(($(now) - seen)))"
    hosts heal "$1"
    await 60 "$1 is Ready again" nodes_ready "$1"
    await 30 "the pods of $1 are in service again" in_service "$number"
}
seen_dead() { ! nodes_ready "$1"; }
endpoints() { get endpointslices -l kubernetes.io/service-name=web | jq -r ".endpoints[]? |
    select(.nodeName == \"worker$1\") | .conditions.ready"; }
out_of_service() { ! in_service "$1"; }
in_service() { endpoints "$1" | grep true >/dev/null; }

faults() {
    local host
    say "What goes wrong, under load"
    heading
    during "the leader dies and starts again" masters 10 any "$every_service" leader_dies
    for host in $1; do
        during "$host dies and starts again" masters 10 "$(others "$every_master" "$host")" "$every_service" \
            master_dies "$host"
    done
    for host in $2; do
        during "the daemon of $host dies, its pods run on" planned "$every_master" "$every_service" worker_dies "$host"
    done
    for host in $1; do
        during "$host is cut off and healed" masters 10 "$(others "$every_master" "$host")" "$every_service" \
            master_is_cut "$host"
    done
    for host in $3; do
        # Its own pod sees nothing meanwhile, and who asks it by its address.
        during "$host is cut off, seen dead and healed" fault 60 "$every_master" \
            "$(others "$(others "$every_service" "pod${host#worker}")" "$([ "$host" = worker1 ] && echo nodeport)")" \
            worker_is_cut "$host"
        lost_after_seen "$host"
    done
}
# Once a dead worker is seen, a second may pass until nobody is sent there any more.
lost_after_seen() {
    local late from=$(($(cat "$state/seen") + 1000)) n=${1#worker} services
    services=$(others pod1\|pod2\|pod3 "pod$n")
    late=$(failed "$from" $((from + 3000)) "$services" | wc -l)
    [ "$late" = 0 ] && return
    failure "$late requests went to $1 more than a second after it was seen dead"
}
