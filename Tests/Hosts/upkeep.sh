# What an operator plans: none of it may cost a request. Sourced by the story.

master_restarts() {
    stop_daemon "$1"
    start_daemon "$1"
    await 30 "$1 answers again" answers "$1"
    await 20 "all masters are there" all_alive
}
all_alive() { [ "$(alive | wc -l)" = "$(outside status -o json | jq '.members.members | length')" ]; }
worker_restarts() {
    stop_daemon "$1"
    start_daemon "$1"
    await 60 "$1 is Ready" nodes_ready "$1"
}
masters_are_added() {
    local host
    for host in master4 master5; do
        hosts add "$host"
        # shellcheck disable=SC2046
        on "$host" $(on deadlock martlet member add --kubeconfig /var/lib/martlet/admin.kubeconfig) >/dev/null
    done
    await 30 "five masters vote" voters 5
}
masters_are_removed() {
    local host
    for host in master5 master4; do on "$host" martlet reset --yes >/dev/null; done
    await 30 "three masters vote" voters 3
}
worker_is_drained() {
    outside node drain "$1" --ignore-daemonsets --delete-emptydir-data --timeout 60s >/dev/null
    await 10 "no pod of the servers is left on $1" nothing_on "$1"
    outside node uncordon "$1" >/dev/null
    await 60 "the servers are back" pods_ready app=web 3
}
# Those outside get their new kubeconfig while the old one is good.
authorities_are_rotated() {
    local host rotation
    on deadlock martlet pki rotate ca --overlap 10s --timeout 2m >"$state/rotation" &
    rotation=$!
    await 60 "both authorities are trusted" grep -q "both are trusted until" "$state/rotation"
    for host in deadlock coup autocrat; do take_kubeconfig "$host"; done
    wait "$rotation"
}
nothing_on() { ! pods app=web | awk '{ print $2 }' | grep -qx "$1"; }
knows() { "$BIN/martlet" "$@" --help >/dev/null 2>&1 && "$BIN/martlet" "$@" --help | grep -q "martlet $*"; }

upkeep() {
    say "What is planned, under load"
    heading
    during "a master is stopped and started" planned "$(others "$every_master" coup)" "$every_service" \
        master_restarts coup
    local leading; leading=$(leader)
    during "the leader is stopped and started" planned "$(others "$every_master" "$leading")" "$every_service" \
        master_restarts "$leading"
    during "a worker is stopped and started" planned "$every_master" "$every_service" worker_restarts worker2
    during "a fourth and a fifth master join" planned "$every_master" "$every_service" masters_are_added
    during "both leave again" planned "$every_master" "$every_service" masters_are_removed
    if knows node drain; then
        during "a worker is drained and taken back" planned "$every_master" "$every_service" worker_is_drained worker3
    fi
    if knows pki rotate; then
        during "all certificates are renewed" planned "$every_master" "$every_service" \
            on deadlock martlet pki rotate leaf
        during "every authority is renewed" planned "$every_master" "$every_service" authorities_are_rotated
    fi
    if knows snapshot save; then
        during "a snapshot is saved and drilled" planned "$every_master" "$every_service" snapshot_is_drilled
    fi
}
snapshot_is_drilled() {
    on deadlock martlet snapshot save --kubeconfig /var/lib/martlet/admin.kubeconfig "$state/snapshot"
    on deadlock martlet snapshot drill "$state/snapshot"
}
