# The API's way to pods, services and nodes (proxy), and evictions that disruption budgets refuse, with kubectl drain.
. ./lib.sh

[ -n "$(kubectls)" ] || { echo "   SKIPPED: there is no kubectl"; exit 0; }
mkdir -p "$state/images"
"$BIN/martlet" image busybox --tag ocf.test/ocfweb:1 --output "$state/images/ocfweb.tar" -- sh >/dev/null
start martletd --ephemeral --images "$state/images" --edge-address 127.0.0.1:18443 --edge-http-address none
kubectl=$(kubectls | tail -n 1)
k() { "$kubectl" "$@"; }

k apply -f - >/dev/null <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: ocf.test/ocfweb:1
          command: [sh, -c, 'mkdir -p /www/sub; echo hello >/www/index.html; echo deep >/www/sub/a; exec httpd -f -p 8000 -h /www']
          ports: [{name: http, containerPort: 8000}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: front, port: 80, targetPort: http}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: web}}
Y
k rollout status deployment web --timeout=60s >/dev/null
pod=$(k get pods -o jsonpath="{.items[0].metadata.name}")
root=/api/v1/namespaces/default

expect "proxy to a pod's port" "$(k get --raw "$root/pods/$pod:8000/proxy/sub/a")" '^deep$'
expect "proxy to a pod's first port" "$(k get --raw "$root/pods/$pod/proxy/")" '^hello$'
wait_for 20 "the service's endpoints" k get --raw "$root/services/web:front/proxy/"
expect "proxy to a service by its port's name" "$(k get --raw "$root/services/http:web:front/proxy/sub/a")" '^deep$'
expect "proxy to a service by its port" "$(k get --raw "$root/services/web:80/proxy/")" '^hello$'
expect "proxy to a service's other port" "$(k get --raw "$root/services/web:81/proxy/" 2>&1 || true)" 'no service port 81 found for service "web"'
expect "the backend's own refusal" "$(k get --raw "$root/pods/$pod:8000/proxy/none" 2>&1 || true)" 'could not find the requested resource\|404'
node=$(k get nodes -o 'jsonpath={.items[0].metadata.name}')
expect "proxy to a node's agent" "$(k get --raw "/api/v1/nodes/$node/proxy/healthz")" 'ok'

allowed() { [ "$(k get pdb web -o 'jsonpath={.status.disruptionsAllowed}')" = "$1" ]; }
wait_for 20 "the budget allows one" allowed 1
expect "the budget's columns" "$(k get pdb web --no-headers)" '^web *1 *N/A *1 '
for version in $(kubectls 1.27 1.29 1.31 1.33); do
    kubectl=$version; name=$(basename "$version")
    k patch pdb web --type=merge -p '{"spec":{"minAvailable":1}}' >/dev/null
    wait_for 20 "the budget allows one" allowed 1
    k drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=8s >"$state/drain.out" 2>&1 &&
        fail "$name drain went through the budget"
    expect "$name drain is held up by the budget" "$(cat "$state/drain.out")" \
        "Cannot evict pod as it would violate the pod's disruption budget"
    expect "$name: one pod has gone, one stays" "$(k get pods --no-headers | grep -c Running)" '^1$'
    k patch pdb web --type=merge -p '{"spec":{"minAvailable":0}}' >/dev/null
    expect "$name drain goes on when the budget lets go" "$(k drain "$node" --ignore-daemonsets --timeout=60s 2>&1)" 'drained'
    expect "$name: nothing runs on a drained node" "$(k get pods --no-headers | grep -c Running || true)" '^0$'
    k uncordon "$node" >/dev/null
    k rollout status deployment web --timeout=60s >/dev/null
    ok "$name uncordon: the pods come back"
done
stop
