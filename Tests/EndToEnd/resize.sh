# A running container gets other CPU and memory with `kubectl patch --subresource resize`: its cgroup says so.
. ./lib.sh

kubectl=$(kubectls 1.32 1.33 | tail -n 1)
minor=$([ -z "$kubectl" ] || "$kubectl" version --client -o json | jq -r '.clientVersion.minor | sub("[^0-9].*"; "")')
[ "${minor:-0}" -ge 32 ] || { echo "   SKIPPED: there is no kubectl of 1.32 or later, which know the subresource"; exit 0; }
mkdir -p "$state/images"
"$BIN/martlet" image busybox --tag ocf.test/ocfweb:1 --output "$state/images/ocfweb.tar" -- sh >/dev/null
start martletd --ephemeral --images "$state/images" --edge-address 127.0.0.1:18443 --edge-http-address none

cat >"$state/pod.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: ocf.test/ocfweb:1
      command: [sleep, "3600"]
      resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 200m, memory: 64Mi}}
    - name: again
      image: ocf.test/ocfweb:1
      command: [sleep, "3600"]
      resources: {limits: {memory: 64Mi}}
      resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]
Y
"$kubectl" apply -f "$state/pod.yaml" >/dev/null
field() { "$kubectl" get pod web -o "jsonpath=$1"; }
wait_for 60 "the pod runs" bash -c "$kubectl get pod web --no-headers | grep -q ' 2/2 .*Running '"

# The process of a container, and what its cgroup holds it to: of either version.
process() { for pid in $(pgrep -x sleep); do grep -qz "^HOSTNAME=web$" "/proc/$pid/environ" 2>/dev/null && grep -q "${1#containerd://}" "/proc/$pid/cgroup" && echo "$pid" && return; done; }
limit() {
    local path
    path=$(grep -E "^[0-9]+:$2:|^0::" "/proc/$1/cgroup" | head -n 1 | cut -d: -f3)
    cat "/sys/fs/cgroup/$2$path/$3" 2>/dev/null || cat "/sys/fs/cgroup$path/$4"
}
memory() { limit "$(process "$(field "{.status.containerStatuses[?(@.name==\"$1\")].containerID}")")" memory memory.limit_in_bytes memory.max; }
cpu() { limit "$(process "$(field "{.status.containerStatuses[?(@.name==\"$1\")].containerID}")")" cpu,cpuacct cpu.cfs_quota_us cpu.max 2>/dev/null || limit "$(process "$(field "{.status.containerStatuses[?(@.name==\"$1\")].containerID}")")" cpu cpu.cfs_quota_us cpu.max; }

expect "as the pod was made: memory" "$(memory web)" '^67108864$'
expect "as the pod was made: CPU" "$(cpu web)" '^20000'
first=$(process "$(field '{.status.containerStatuses[?(@.name=="web")].containerID}')")
"$kubectl" patch pod web --subresource resize --patch '{"spec": {"containers": [{"name": "web", "resources": {"requests": {"cpu": "300m"}, "limits": {"cpu": "500m", "memory": "96Mi"}}}]}}' >/dev/null
wait_for 30 "the status says so" bash -c "$kubectl get pod web -o jsonpath='{.status.containerStatuses[?(@.name==\"web\")].resources.limits}' | grep -q 96Mi"
expect "resized: memory" "$(memory web)" '^100663296$'
expect "resized: CPU" "$(cpu web)" '^50000'
expect "what is set aside" "$(field '{.status.containerStatuses[?(@.name=="web")].allocatedResources.cpu}')" '^300m$'
[ "$first" = "$(process "$(field '{.status.containerStatuses[?(@.name=="web")].containerID}')")" ] || fail "the container was started again"
ok "it is the same process"
expect "no restarts" "$(field '{.status.containerStatuses[*].restartCount}')" '^0 0$'
"$kubectl" patch pod web --subresource resize --patch '{"spec": {"containers": [{"name": "again", "resources": {"limits": {"memory": "32Mi"}, "requests": {"memory": "32Mi"}}}]}}' >/dev/null
wait_for 30 "the other container is started again" bash -c "$kubectl get pod web -o jsonpath='{.status.containerStatuses[?(@.name==\"again\")].restartCount}' | grep -q '^1$'"
wait_for 30 "it runs" bash -c "$kubectl get pod web --no-headers | grep -q ' 2/2 .*Running '"
expect "started again with less memory" "$(memory again)" '^33554432$'
"$kubectl" patch pod web --subresource resize --patch '{"spec": {"containers": [{"name": "web", "resources": {"requests": {"cpu": "1000"}, "limits": {"cpu": "1000"}}}]}}' >/dev/null
wait_for 30 "what the node will never have" bash -c "$kubectl get pod web -o jsonpath='{.status.conditions[?(@.type==\"PodResizePending\")].reason}' | grep -q Infeasible"
expect "why" "$(field '{.status.conditions[?(@.type=="PodResizePending")].message}')" "Node didn't have enough capacity: cpu, requested: 1000000, capacity: "
expect "and the container has what it had" "$(cpu web)" '^50000'
expect "another class of service" "$("$kubectl" patch pod web --subresource resize --patch '{"spec": {"containers": [{"name": "web", "resources": {"limits": {"memory": null}}}]}}' 2>&1 || true)" 'resource limits cannot be removed'
stop
