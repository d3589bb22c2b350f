# What an operator plans: none of it may cost a request. Sourced by the story.

master_restarts() {
    stop_daemon "$1"
    start_daemon "$1"
    await 30 "$1 answers again" answers "$1"
    await 20 "all masters are there" all_alive
}
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
    await 60 "the askers are back" pods_ready app=asker 3
    await 10 "the asker of $1 runs" asker "${1#worker}"
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

upkeep() {
    say "What is planned, under load"
    heading
    during "a master is stopped and started" planned "$(others "$every_master" coup)" "$every_service" \
        master_restarts coup
    local leading; leading=$(leader)
    during "the leader is stopped and started" planned "$(others "$every_master" "$leading")" "$every_service" \
        master_restarts "$leading"
    during "a worker is stopped and started" planned "$every_master" "$every_service" worker_restarts worker2
    # Who asks from there leaves with the pods.
    end_load_of worker3
    during "a worker is drained and taken back" planned "$every_master" "$(others "$every_service" pod3)" \
        worker_is_drained worker3
    load_from_pod 3
    during "all certificates are renewed" planned "$every_master" "$every_service" leaves_are_rotated
    during "a snapshot is saved and drilled" planned "$every_master" "$every_service" snapshot_is_drilled
    [ "$length" != short ] || return 0
    during "a fourth and a fifth master join" planned "$every_master" "$every_service" masters_are_added
    during "both leave again" planned "$every_master" "$every_service" masters_are_removed
    copy_programs "$state/new"
    # One byte more is another program, which does the same.
    for program in martlet martletd martlet-cni; do printf 0 >>"$state/new/$program"; done
    for host in $upgraded; do
        during "$host is upgraded" planned "$(others "$every_master" "$host")" "$every_service" \
            machine_is_upgraded "$host"
    done
    during "every authority is renewed" planned "$every_master" "$every_service" authorities_are_rotated
    # Of before all that.
    during "all masters stop; the snapshot is restored" masters 30 any "$every_service" snapshot_is_restored
}
machine_is_upgraded() {
    on "$1" martlet upgrade "$state/new" >"$state/upgrade"
    grep -q 'martletd is replaced' "$state/upgrade"
    on "$1" cmp "$state/new/martletd" "$BIN/martletd"
    on "$1" test -f "$BIN/martletd.previous"
    await 30 "all masters are there" all_alive
    await 60 "all workers are Ready" nodes_ready
}
leaves_are_rotated() { on deadlock martlet pki rotate leaf >"$state/rotation"; }
snapshot_is_drilled() {
    note_down before 1
    on deadlock martlet snapshot save "$state/snapshot" >/dev/null
    note_down before 2
    note_down after 1
    on deadlock martlet snapshot drill "$state/snapshot" >"$state/drill"
    grep -qx 'the snapshot is good' "$state/drill"
}
# As docs/bootstrap.md has it: the masters begin anew from the snapshot, and workers and their pods do not mind.
snapshot_is_restored() {
    local host
    for host in $masters; do stop_daemon "$host"; done
    on deadlock martlet snapshot restore --yes "$state/snapshot" >/dev/null
    start_daemon deadlock
    await 30 "deadlock answers again" answers deadlock
    for host in coup autocrat; do
        on "$host" martlet reset --keep-membership --yes >/dev/null
        # shellcheck disable=SC2046
        on "$host" $(on deadlock martlet member add) >/dev/null
        take_kubeconfig "$host"
    done
    await 30 "three masters vote" voters 3
    await 60 "all workers are Ready" nodes_ready
    [ "$(noted before)" = 1 ] || { complain "what was there before the snapshot is \"$(noted before)\""; return 1; }
    [ "$(noted after)" = "" ] || { complain "what was made after the snapshot is there"; return 1; }
}
note_down() {
    apply - <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: $1}
data: {number: "$2"}
Y
}
noted() { get configmaps "$1" 2>/dev/null | jq -r .data.number; }
