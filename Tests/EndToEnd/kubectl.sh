# What a user types, with every kubectl at hand, against one node with real containers.
. ./lib.sh

mkdir -p "$state/images"
"$BIN/martlet" image busybox --tag ocf.test/ocfweb:1 --output "$state/images/ocfweb.tar" -- sh >/dev/null
"$BIN/martlet" image busybox --tag ocf.test/ocfweb:2 --output "$state/images/ocfweb2.tar" -- sh >/dev/null
start martletd --ephemeral --images "$state/images" --edge-address 127.0.0.1:18443 --edge-http-address none

ca=$state/ca.crt; crt=$state/admin.crt; key=$state/admin.key
field() { sed -n "s/^ *$1: //p" "$KUBECONFIG" | head -n 1 | base64 -d; }
field certificate-authority-data >"$ca"; field client-certificate-data >"$crt"; field client-key-data >"$key"
expect "curl with the client certificate reads pods" \
    "$(curl -s --cacert "$ca" --cert "$crt" --key "$key" https://127.0.0.1:16443/api/v1/pods)" '"kind": *"PodList"'
expect "curl without one gets 403" \
    "$(curl -s --cacert "$ca" -w ' %{http_code}' https://127.0.0.1:16443/api/v1/pods)" ' 403$'

[ -n "$(kubectls)" ] || { echo "   SKIPPED: there is no kubectl"; stop; exit 0; }
# told WHAT PATTERN ARGUMENTS...: kubectl of this round says so.
told() { local what=$1 pattern=$2; shift 2; expect "$name $what" "$(timeout 90 "$k" -n "$made" "$@" 2>&1 || true)" "$pattern"; }
image() { "$k" -n "$made" get deployment d -o 'jsonpath={.spec.template.spec.containers[0].image}'; }
owners() { "$k" -n "$made" get "$1" -l app=d -o 'jsonpath={.items[*].metadata.ownerReferences[*].kind}'; }
has_pods() { [ "$(pods)" = "$1" ]; }
pods() { "$k" -n "$made" get pods -l app=d --no-headers 2>/dev/null | wc -l; }

# A command that ends when it is told to.
waits=(sh -c 'trap "exit 0" TERM; sleep 1000 & wait')

# A deployment's rollouts, as its controller makes them.
rollouts() {
    told "rollout status" 'successfully rolled out' rollout status deployment/d
    told "set image" 'image updated' set image deployment/d ocfweb=ocf.test/ocfweb:2
    told "rollout status of a new image" 'successfully rolled out' rollout status deployment/d
    told "rollout history" '^2 ' rollout history deployment/d
    told "rollout history of a revision" 'Image:.*ocf.test/ocfweb:1' rollout history deployment/d --revision=1
    told "rollout undo" 'rolled back' rollout undo deployment/d
    told "rollout status after it" 'successfully rolled out' rollout status deployment/d
    [ "$(image)" = ocf.test/ocfweb:1 ] || fail "$name rollout undo left $(image)"
    told "the history goes on" '^3 ' rollout history deployment/d
    told "rollout pause" 'paused' rollout pause deployment/d
    told "set image of what is paused" 'image updated' set image deployment/d ocfweb=ocf.test/ocfweb:2
    told "what is paused stays" '^ocf.test/ocfweb:1$' get pods -l app=d -o 'jsonpath={.items[0].spec.containers[0].image}{"\n"}'
    told "undo of what is paused" 'cannot rollback a paused deployment' rollout undo deployment/d
    told "rollout resume" 'resumed' rollout resume deployment/d
    told "rollout status of what was resumed" 'successfully rolled out' rollout status deployment/d
    told "rollout restart" 'restarted' rollout restart deployment/d
    told "rollout status of a restart" 'successfully rolled out' rollout status deployment/d
    told "wait for a condition" 'condition met' wait --for=condition=Available deployment/d --timeout=30s
    wait_for 60 "$name: a restart's old pods go" has_pods 1
    told "a replica set for each template" '^3$' get replicasets -l app=d -o 'go-template={{len .items}}{{"\n"}}'
}

# What hangs on what, and goes with it or stays.
cascades() {
    told "delete --cascade=orphan" 'deleted' delete deployment d --cascade=orphan
    [ -z "$(owners replicasets)" ] && [ "$(owners pods)" = ReplicaSet ] || fail "$name orphans: $(owners replicasets)"
    ok "$name: its replica sets stay and belong to nobody"
    told "delete --cascade=foreground" 'deleted' delete replicasets -l app=d --cascade=foreground
    has_pods 0 || fail "$name: the replica sets went before their $(pods) pods"
    ok "$name: the pods went first"
    told "create deployment anew" 'created' create deployment d --image=ocf.test/ocfweb:1 -- "${waits[@]}"
    told "wait for it" 'condition met' wait --for=condition=Available deployment/d --timeout=60s
    told "delete --cascade=background" 'deleted' delete deployment d --cascade=background
    told "wait for the end of its pods" 'condition met\|no matching resources' wait --for=delete pod -l app=d --timeout=60s
    wait_for 30 "$name: everything that hung on it is gone" bash -c "[ -z \"\$($k -n $made get replicasets,pods -o name)\" ]"
}

for k in $(kubectls 1.27 1.29 1.31 1.33); do
    name=$(basename "$k")
    expect "$name version" "$("$k" version 2>&1)" 'Server Version: .*v1'
    expect "$name api-resources" "$("$k" api-resources 2>&1)" 'deployments *deploy *apps/v1 *true *Deployment'
    "$k" apply -f ../../docs/examples/ocfweb.yaml >"$state/apply.txt" 2>&1 || fail "$name apply: $(cat "$state/apply.txt")"
    ok "$name apply"
    expect "$name apply again changes nothing" "$("$k" apply -f ../../docs/examples/ocfweb.yaml 2>&1)" 'deployment.apps/templates unchanged'
    expect "$name rollout status" "$(timeout 120 "$k" -n ocfweb rollout status deployment/templates 2>&1)" 'successfully rolled out'
    expect "$name get pods" "$("$k" get pods -A 2>&1)" '^ocfweb *templates-[a-z0-9]*-[a-z0-9]* *3/3 *Running *0'
    expect "$name get nodes -o wide" "$("$k" get nodes -o wide 2>&1)" 'Ready .*containerd://'
    pod=$("$k" -n ocfweb get pods -l app=templates -o 'jsonpath={.items[0].metadata.name}')
    expect "$name logs -c web" "$("$k" -n ocfweb logs "$pod" -c web 2>&1)" 'web listens on 8000'
    expect "$name logs without a container" "$("$k" -n ocfweb logs "$pod" 2>&1 || true)" 'web'
    expect "$name logs -f" "$(timeout 4 "$k" -n ocfweb logs -f "$pod" -c worker --tail=1 2>&1 || true)" 'job [0-9]* done'
    expect "$name describe" "$("$k" -n ocfweb describe pod "$pod" 2>&1)" 'Started container worker'
    expect "$name describe deployment" "$("$k" -n ocfweb describe deployment templates 2>&1)" 'Scaled up replica set templates-'
    timeout 5 "$k" get configmaps -w --no-headers >"$state/watch.txt" 2>&1 &
    watcher=$!
    sleep 1
    "$k" create configmap "seen-$$" --from-literal=a=b >/dev/null
    "$k" label configmap "seen-$$" colour=blue >/dev/null
    "$k" delete configmap "seen-$$" >/dev/null
    wait "$watcher" || true
    [ "$(grep -c "^seen-$$" "$state/watch.txt")" -ge 3 ] || fail "$name get -w: $(cat "$state/watch.txt")"
    ok "$name get -w sees a create, a change and a deletion"
    made=made-${name##*.}
    "$k" create namespace "$made" >/dev/null
    expect "$name create secret" "$("$k" -n "$made" create secret generic s --from-literal=a=b 2>&1)" 'secret/s created'
    expect "$name create deployment" "$("$k" -n "$made" create deployment d --image=ocf.test/ocfweb:1 -- "${waits[@]}" 2>&1)" 'created'
    rollouts
    cascades
    "$k" delete namespace "$made" --wait=false >/dev/null
    expect "$name scale" "$("$k" -n ocfweb scale deployment/hello --replicas=2 2>&1)" 'scaled'
    expect "$name rollout status after scale" "$(timeout 60 "$k" -n ocfweb rollout status deployment/hello 2>&1)" 'successfully'
    expect "$name set env rolls" "$("$k" -n ocfweb set env deployment/hello "ROUND=$name" 2>&1)" 'updated'
    expect "$name rollout status after a new template" "$(timeout 90 "$k" -n ocfweb rollout status deployment/hello 2>&1)" 'successfully'
    expect "$name delete" "$("$k" delete -f ../../docs/examples/ocfweb.yaml --timeout=90s 2>&1)" 'deployment.apps "templates" deleted'
    wait_for 60 "the namespace goes" bash -c "! $k get namespace ocfweb"
    ok "$name: the namespace is gone"
done
stop
