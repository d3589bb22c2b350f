# What a user types, with every kubectl at hand, against one node with real containers.
. ./lib.sh

mkdir -p "$state/images"
"$BIN/martlet" image busybox --tag ocf.test/ocfweb:1 --output "$state/images/ocfweb.tar" -- sh >/dev/null
start martletd --ephemeral --images "$state/images" --edge-address 127.0.0.1:18443 --edge-http-address none

ca=$state/ca.crt; crt=$state/admin.crt; key=$state/admin.key
field() { sed -n "s/^ *$1: //p" "$KUBECONFIG" | head -n 1 | base64 -d; }
field certificate-authority-data >"$ca"; field client-certificate-data >"$crt"; field client-key-data >"$key"
expect "curl with the client certificate reads pods" \
    "$(curl -s --cacert "$ca" --cert "$crt" --key "$key" https://127.0.0.1:16443/api/v1/pods)" '"kind": *"PodList"'
expect "curl without one gets 401" \
    "$(curl -s --cacert "$ca" -w ' %{http_code}' https://127.0.0.1:16443/api/v1/pods)" ' 401$'

[ -n "$(kubectls)" ] || { echo "   SKIPPED: there is no kubectl"; stop; exit 0; }
for k in $(kubectls); do
    name=$(basename "$k")
    expect "$name version" "$("$k" version 2>&1)" 'Server Version: v1'
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
    expect "$name create deployment" "$("$k" -n "$made" create deployment d --image=ocf.test/ocfweb:1 -- sleep 1000 2>&1)" 'created'
    expect "$name rollout status of it" "$(timeout 60 "$k" -n "$made" rollout status deployment/d 2>&1)" 'successfully'
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
