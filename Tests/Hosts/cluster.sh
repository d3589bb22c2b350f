# Six hosts, the cluster on them, and how its parts are reached. Sourced by the story.

# FLAGS of init, where a play wants some.
init_flags=""
# Those of them that get other programs later.
upgraded="coup worker3"
masters="deadlock coup autocrat" workers="worker1 worker2 worker3"
hosts() { PREFIX=$prefix ROOMS=$state/rooms HOSTS=${HOSTS:-} "$here/hosts" "$@"; }
# on HOST COMMAND...: runs a command on a host, where Martlet's programs are in the path.
on() { hosts exec "$1" env "PATH=$BIN:$PATH" "${@:2}"; }
address() { hosts address "$1"; }
# martlet from outside, by the administrator's kubeconfig of the first master.
outside() { on client martlet "$@" --kubeconfig "$state/deadlock.kubeconfig"; }
apply() { on client martlet apply --kubeconfig "$state/deadlock.kubeconfig" -f "$1" >/dev/null; }
# get KIND [NAME] [FLAGS]: objects as JSON, one a line.
get() { on client martlet get --kubeconfig "$state/deadlock.kubeconfig" -o json "$@"; }
now() { date +%s%3N; }

# await SECONDS WHAT COMMAND...: waits until the command succeeds.
await() {
    local end=$((SECONDS + $1)) what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { complain "gave up waiting: $what"; return 1; }
        sleep 0.1
    done
}

# --- the cluster

raise_hosts() {
    mkdir -p "$state/rooms"
    HOSTS="$masters $workers client" hosts up
    for host in $upgraded; do own_programs "$host"; done
    # Names of the world are asked of the client's resolver.
    for host in $masters $workers; do on "$host" sh -c "echo nameserver $(address client) >/etc/resolv.conf"; done
    on client sh -c "
        mkdir -p $state/outside/cgi-bin && cd $state/outside
        printf '#!/bin/sh\necho; echo \$REMOTE_ADDR\n' >cgi-bin/who && chmod +x cgi-bin/who
        busybox httpd -p 8088 -h $state/outside"
    if command -v dnsmasq >/dev/null; then
        echo '192.0.2.7 www.outside.test' >"$state/names"
        on client dnsmasq -k -z -a "$(address client)" --no-resolv --no-hosts --addn-hosts="$state/names" \
            --local=/test/ -C /dev/null --pid-file= -u root >"$state/dnsmasq.log" 2>&1 &
    fi
}

# Programs of a host's own, in the place of those that all share: they can be exchanged there alone.
own_programs() {
    copy_programs "$state/programs/$1"
    on "$1" mount --bind "$state/programs/$1" "$BIN"
}
copy_programs() { mkdir -p "$1" && cp "$BIN"/martlet{,d,-cni,-bench} "$1"; }

# The documented commands, on each host its own. What is printed on the first master is typed on the others.
found_cluster() {
    local printed worker master host joining=()
    # shellcheck disable=SC2086
    printed=$(on deadlock martlet init $init_flags)
    worker=$(grep -A1 '^A worker joins' <<<"$printed" | tail -n 1)
    master=$(grep -A1 '^One more master' <<<"$printed" | tail -n 1)
    take_kubeconfig deadlock
    for host in $workers; do
        # shellcheck disable=SC2086
        on "$host" $worker "--with=--images=$state/images" >"$state/$host.join" 2>&1 &
        joining+=($!)
    done
    # shellcheck disable=SC2086
    on coup $master >/dev/null
    # shellcheck disable=SC2046
    on autocrat $(on deadlock martlet member add --kubeconfig /var/lib/martlet/admin.kubeconfig) >/dev/null
    await 10 "three masters are known" all_alive
    for host in "${joining[@]}"; do wait "$host" || { cat "$state"/worker*.join >&2; return 1; }; done
    for host in coup autocrat; do take_kubeconfig "$host"; done
}
# The administrator's kubeconfig of a master, as one from outside has it; whole at any moment.
take_kubeconfig() {
    on "$1" sed "s/127.0.0.1/$(address "$1")/" /var/lib/martlet/admin.kubeconfig >"$state/$1.kubeconfig.new"
    mv "$state/$1.kubeconfig.new" "$state/$1.kubeconfig"
}
nodes_ready() {
    local ready
    ready=$(get nodes | jq -r 'select(.status.conditions[]? | .type == "Ready" and .status == "True") | .metadata.name')
    for host in "${@:-$workers}"; do
        for name in $host; do grep -qx "$name" <<<"$ready" || return 1; done
    done
}
dns_answers() {
    local host
    for host in $workers; do on "$host" dig @169.254.20.10 +short +time=1 +tries=1 kubernetes.default.svc.cluster.local |
        grep -q '^10\.96\.' || return 1; done
}

# --- daemons

# Dead at once, as by kill -9; pods run on.
kill_daemon() { on "$1" sh -c 'kill -9 "$(cat /var/lib/martlet/martletd.pid)"'; }
# Ends as systemctl stop has it end.
stop_daemon() {
    on "$1" sh -c 'p=$(cat /var/lib/martlet/martletd.pid); kill "$p"; while [ -e /proc/$p ]; do sleep 0.05; done'
}
start_daemon() {
    on "$1" sh -c 'martletd --data-dir /var/lib/martlet >>/var/lib/martlet/martletd.log 2>&1 </dev/null &
        echo $! >/var/lib/martlet/martletd.pid'
}
# The masters that answer for their store, as the leader sees it.
alive() { outside status -o json | jq -r '.members.members[] | select(.name != "" and .votes and .alive != false) | .name'; }
voters() { [ "$(outside status -o json | jq '[.members.members[] | select(.votes)] | length')" = "$1" ]; }
all_alive() { [ "$(alive | wc -l)" = "$(outside status -o json | jq '.members.members | length')" ]; }
answers() { on client curl -sk --max-time 1 "https://$(address "$1"):6443/readyz" | grep -q '^ok'; }
leader() { outside status -o json | jq -r .members.leader; }

# --- pods

pods() { # LABEL: name, node, address and readiness of each
    get pods -l "$1" | jq -r 'select(.metadata.deletionTimestamp == null) | [.metadata.name, .spec.nodeName,
        .status.podIP // "-", ([.status.conditions[]? | select(.type == "Ready") | .status][0] // "-")] | @tsv'
}
# The address of the pod with that label.
pod_address() { pods "$1" | awk 'NR == 1 { print $3 }'; }
pods_ready() { [ "$(pods "$1" | grep -cw True)" -ge "$2" ]; }
# The process of the asker on a worker, as that worker counts it.
asker() { on "worker$1" pgrep -o -f "sleep 100000$1"; }
# in_pod N COMMAND...: runs a command of this machine in the network of the asker on worker N.
in_pod() { on "worker$1" nsenter --net --target "$(asker "$1")" -- "${@:2}"; }
# as_pod N COMMAND...: the same with the pod's own resolv.conf. (No program of a container that is busybox alone asks
# a resolver: a static glibc has none.)
as_pod() {
    local process; process=$(asker "$1")
    on "worker$1" nsenter --net --target "$process" -- unshare --mount sh -c \
        "cp /proc/$process/root/etc/resolv.conf /run/pod.conf && mount --bind /run/pod.conf /etc/resolv.conf &&
        exec \"\$@\"" sh "${@:2}"
}
