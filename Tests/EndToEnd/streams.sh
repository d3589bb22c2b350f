# Exec, attach, cp, port-forward and logs with every kubectl at hand: those before 1.31 speak SPDY, the others WebSocket.
. ./lib.sh

[ -n "$(kubectls)" ] || { echo "   SKIPPED: there is no kubectl"; exit 0; }
mkdir -p "$state/images"
"$BIN/martlet" image busybox --tag ocf.test/ocfweb:1 --output "$state/images/ocfweb.tar" -- sh >/dev/null
start martletd --ephemeral --images "$state/images" --edge-address 127.0.0.1:18443 --edge-http-address none

cat >"$state/pod.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: ocf.test/ocfweb:1
      command: [sh, -c, 'mkdir -p /www; echo hello >/www/index.html; head -c 5000000 /dev/urandom >/www/big; exec httpd -f -p 8000 -h /www']
Y
# `talk` ends and is started again, `once` ends, `tick` goes on, `none` has no image.
{
    pod() { printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  terminationGracePeriodSeconds: 1\n  restartPolicy: %s\n  containers: [{name: %s, image: "%s", imagePullPolicy: Never, command: [sh, -c, "%s"]}]\n' "$1" "$2" "$1" "$3" "$4"; }
    pod talk Always ocf.test/ocfweb:1 'echo begin; echo err >&2; for i in 1 2 3; do echo line $i; done; sleep 2; echo end; exit 3'
    pod tick Always ocf.test/ocfweb:1 'while :; do echo tick; sleep 1; done'
    pod none Always ocf.test/none:1 'true'
} >"$state/talk.yaml"
pod once Never ocf.test/ocfweb:1 'for i in 1 2 3 4; do echo once $i; sleep 1; done' >"$state/once.yaml"
kubectl=$(kubectls | tail -n 1)
"$kubectl" apply -f "$state/talk.yaml" >/dev/null
"$kubectl" apply -f "$state/pod.yaml" >/dev/null
"$kubectl" apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8000}]}
Y
wait_for 60 "the pod runs" bash -c "$kubectl get pod web --no-headers | grep -q ' Running '"

"$kubectl" apply -f "$state/once.yaml" >/dev/null
wait_for 30 "the pod that ends runs" bash -c "$kubectl get pod once --no-headers | grep -q ' Running '"
expect "logs -f: all that comes, up to the end" "$(timeout 60 "$kubectl" logs -f once | tr '\n' ' ')" '^once 1 once 2 once 3 once 4 $'
wait_for 60 "the pod that ends is started again" bash -c "$kubectl get pod talk -o jsonpath='{.status.containerStatuses[0].restartCount}' | grep -qv '^0'"
expect "logs --previous: the run before" "$("$kubectl" logs talk --previous | sort | tr '\n' ' ')" '^begin end err line 1 line 2 line 3 $'
wait_for 60 "a start is waited for" bash -c "$kubectl get pod talk --no-headers | grep -q CrashLoopBackOff"
expect "logs --previous while a start is waited for" "$("$kubectl" logs talk --previous --tail=1)" '^end$'
expect "logs: what ended last" "$("$kubectl" logs talk | sort | tr '\n' ' ')" '^begin end err line 1 line 2 line 3 $'
expect "logs --timestamps: nine digits" "$("$kubectl" logs talk --timestamps | grep -c '^[0-9-]*T[0-9:]*\.[0-9]\{9\}Z [a-z]')" '^6$'
expect "logs --limit-bytes" "$("$kubectl" logs once --limit-bytes=9)" '^once 1$'
expect "logs --since: long ago, and not at all" "$("$kubectl" logs once --since=1h | wc -l) $("$kubectl" logs once --since-time=2100-01-01T00:00:00Z | wc -l)" '^4 0$'
expect "logs of a container without an image" "$("$kubectl" logs none 2>&1 || true)" 'container "none" in pod "none" is waiting to start: ErrImageNeverPull'
expect "logs --previous of the first run" "$("$kubectl" logs tick --previous 2>&1 || true)" 'previous terminated container "tick" in pod "tick" not found'
expect "logs with what cannot be" "$("$kubectl" get --raw '/api/v1/namespaces/default/pods/tick/log?limitBytes=0' 2>&1 || true)" 'limitBytes: Invalid value: 0: must be greater than 0'
head -c 3000000 /dev/urandom >"$state/big"
sum=$(sha256sum <"$state/big" | cut -d' ' -f1)
open_files() { find "/proc/$daemon/fd" -mindepth 1 | wc -l; }

# The kubectls of each protocol that are at hand, beside those of the other parts.
folder=$(dirname "$(readlink -f "$(command -v kubectl)")")
more=$(for v in 1.27 1.29 1.31 1.33; do [ -x "$folder/kubectl.$v" ] && echo "$folder/kubectl.$v" || true; done)
port=28100
for k in ${more:-$(kubectls)}; do
    name=$(basename "$k")
    number=${name//[^0-9]/}
    code=0
    "$k" exec web -- sh -c 'echo out; echo err >&2; exit 7' >"$state/out" 2>"$state/err" || code=$?
    [ "$code" = 7 ] || fail "$name exec: exit code $code: $(cat "$state/err")"
    expect "$name exec: the output" "$(cat "$state/out")" '^out$'
    expect "$name exec: the error output and the exit code" "$(cat "$state/err")" '^err$'
    expect "$name exec -i: 3 MB and their end" "$("$k" exec -i web -- sha256sum <"$state/big")" "$sum"
    expect "$name exec -t: a terminal" "$(script -qec "$k exec -it web -- tty" /dev/null </dev/null)" '/dev/pts/'
    "$k" cp "$state/big" web:/tmp/big 2>/dev/null && "$k" cp web:/tmp/big "$state/back" >/dev/null 2>&1 || true
    cmp "$state/big" "$state/back" || fail "$name cp"
    ok "$name cp there and back"
    expect "$name attach" "$(timeout 4 "$k" attach tick 2>/dev/null || true)" '^tick$'
    expect "$name logs --tail" "$("$k" logs tick -c tick --tail=2 | tr '\n' ' ')" '^tick tick $'
    expect "$name run --rm -i" "$("$k" run "r-$number" --rm -i --restart=Never --image=ocf.test/ocfweb:1 -- \
        sh -c 'read x; echo got $x' <<<hi 2>&1)" 'got hi'
    # What ends before kubectl has attached is not seen, so each waits for a word or a second; and containerd lets go
    # of the output when the input ends.
    debug="debug tick --image=ocf.test/ocfweb:1"
    # shellcheck disable=SC2086
    expect "$name debug --target: the processes of another container" "$("$k" $debug -i --target=tick -c "look-$number" -- sh -c 'read x; ps; sleep 1' < <(echo go; sleep 30) 2>&1)" 'do echo tick'
    # shellcheck disable=SC2086
    expect "$name debug -i" "$("$k" $debug -i -c "talk-$number" -- sh -c 'read x; echo got $x; sleep 1' < <(echo hi; sleep 30) 2>&1)" 'got hi'
    expect "$name debug -it: a terminal" "$(script -qec "$k $debug -it -c term-$number -- sh -c 'sleep 1; tty'" /dev/null </dev/null)" '/dev/pts/'
    expect "$name logs of an ephemeral container" "$("$k" logs tick -c "look-$number")" 'do echo tick'
    expect "$name exec: no such container" "$("$k" exec web -c nope -- true 2>&1 || true)" 'container nope is not valid for pod web'
    "$k" exec web -- sh -c 'for i in 1 2 3; do echo "line $i" >/proc/1/fd/1; done'
    expect "$name logs --tail --prefix -l" "$("$k" logs -l app=web --tail=1 --prefix)" '^\[pod/web/web\] line 3$'
    "$k" logs -f --tail=0 service/web >"$state/follow" 2>&1 &
    follower=$!
    sleep 1
    "$k" exec service/web -- sh -c 'echo followed >/proc/1/fd/1'
    wait_for 10 "$name logs -f" grep -q '^followed$' "$state/follow"
    kill "$follower"; wait "$follower" 2>/dev/null || true
    ok "$name logs -f of a service's pod, and exec into it"
    mkdir -p "$state/tree/sub"; echo deep >"$state/tree/sub/a"
    "$k" cp "$state/tree" web:/tmp/tree >/dev/null 2>&1
    expect "$name cp of a folder" "$("$k" exec web -- cat /tmp/tree/sub/a)" '^deep$'
    "$k" exec web -- rm -r /tmp/tree
    port=$((port + 1))
    "$k" port-forward service/web "$port:80" >"$state/forward.log" 2>&1 &
    forward=$!
    wait_for 20 "$name port-forward of a service" curl -sf "http://127.0.0.1:$port/"
    kill "$forward"; wait "$forward" 2>/dev/null || true
    ok "$name port-forward of a service"
    port=$((port + 1))
    "$k" port-forward pod/web "$port:8000" >"$state/forward.log" 2>&1 &
    forward=$!
    wait_for 20 "$name port-forward" curl -sf "http://127.0.0.1:$port/"
    for i in 1 2 3; do curl -sf -o "$state/got.$i" "http://127.0.0.1:$port/big" & pids[i]=$!; done
    for i in 1 2 3; do wait "${pids[i]}" || fail "$name port-forward: connection $i"; done
    [ "$(cat "$state"/got.[123] | wc -c)" = 15000000 ] || fail "$name port-forward: 15 MB over three connections"
    kill "$forward"; wait "$forward" 2>/dev/null || true
    ok "$name port-forward: three connections at once, 5 MB each"

    before=$(open_files)
    for i in $(seq 20); do "$k" exec web -- echo "$i" >"$state/many.$i" 2>&1 & pids[i]=$!; done
    for i in $(seq 20); do wait "${pids[i]}" || fail "$name: exec $i of 20: $(cat "$state/many.$i")"; done
    [ "$(sort -n "$state"/many.* | tr '\n' ' ')" = "$(seq -s ' ' 20) " ] || fail "$name: 20 execs at once: $(cat "$state"/many.*)"
    rm -f "$state"/many.*
    "$k" exec -i web -- cat >/dev/null < <(sleep 30) &
    victim=$!
    sleep 1
    kill -9 "$victim"; wait "$victim" 2>/dev/null || true
    wait_for 10 "$name: nothing is left of a client that was killed" bash -c "[ \$(find /proc/$daemon/fd -mindepth 1 | wc -l) -le $((before + 4)) ]"
    expect "$name: its command has ended" "$("$k" exec web -- sh -c 'ps | grep -c "[ ]cat$" || true')" '^0$'
    ok "$name: 20 execs at once, and one that was killed"
done
expect "ephemeral containers ran once, the pod beside them on" \
    "$("$kubectl" get pod tick -o jsonpath='{.status.ephemeralContainerStatuses[*].state.terminated.exitCode} {.status.containerStatuses[0].restartCount} {.status.phase}')" \
    '^0 0 0 .*0 Running$'
stop
