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
worker_dies() {
    kill_daemon "$1"
    sleep 1
    start_daemon "$1"
    await 30 "the node agent of $1 answers" on "$1" curl -sk --max-time 1 -o /dev/null https://127.0.0.1:10250/healthz
    await 60 "$1 is Ready" nodes_ready "$1"
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
    seen=$(now)
    await 5 "the pods of $1 are out of service" out_of_service "$number"
    printf '   %s was seen dead; %s s later its endpoints were out of the API\n' "$1" "$(seconds $(($(now) - seen)))"
    hosts heal "$1"
    await 60 "$1 is Ready again" nodes_ready "$1"
    await 30 "the pods of $1 are in service again" in_service "$number"
}
seen_dead() { ! nodes_ready "$1"; }
endpoints() { get endpointslices -l kubernetes.io/service-name=web | jq -r ".endpoints[]? |
    select(.nodeName == \"worker$1\") | .conditions.ready"; }
out_of_service() { ! endpoints "$1" | grep -q true; }
in_service() { endpoints "$1" | grep -q true; }

faults() {
    local host
    say "What goes wrong, under load"
    heading
    for host in $1; do
        during "$host dies and starts again" fault 10 "$(others "$every_master" "$host")" "$every_service" \
            master_dies "$host"
    done
    for host in $2; do
        during "the daemon of $host dies, its pods run on" fault 3 "$every_master" "$every_service" worker_dies "$host"
    done
    for host in $1; do
        during "$host is cut off and healed" fault 10 "$(others "$every_master" "$host")" "$every_service" \
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
    local late from=$(("$seen" + 1000)) n=${1#worker} services
    services=$(others pod1\|pod2\|pod3 "pod$n")
    late=$(failed "$from" $((from + 3000)) "$services" | wc -l)
    [ "$late" = 0 ] && return
    complain "$late requests went to $1 more than a second after it was seen dead"
    failures=$((failures + 1))
}
