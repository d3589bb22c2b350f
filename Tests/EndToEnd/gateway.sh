# What users type, with kubectls of several versions at once, against the REST gateway alone: nothing schedules or runs here.
. ./lib.sh

# does PATTERN ARGUMENTS...: the command must succeed and say that.
# refuses STATUS PATTERN ARGUMENTS...: it must end with this status and say that.
does() { refuses 0 "$@"; }
refuses() {
    local want=$1 pattern=$2 text status=0; shift 2
    text=$(timeout 30 "$k" "$@" 2>&1) || status=$?
    [ "$status" = "$want" ] && grep -q -- "$pattern" <<<"$text" ||
        fail "$name $*: status $status, expected $want with \"$pattern\": $text"
}
# creates ARGUMENTS...: something new.
creates() { does 'created' create "$@"; }
# part TITLE: what comes next.
part() { [ -z "${title:-}" ] || ok "$name: $title"; title=$1; }
# is TEXT OBJECT TEMPLATE: what a field of an object is now.
is() { local text; text=$("$k" get "$2" -o "jsonpath=$3" 2>&1) || true; [ "$text" = "$1" ] || fail "$name $2 $3: expected \"$1\": $text"; }
is_gone() { refuses 1 'NotFound' get "$1"; }
configmap() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, labels: {set: "%s"}}\ndata: {a: "%s"}\n' "$1" "${3:-none}" "$2"; }
deployment() {
    printf -- '---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s}, spec: {replicas: %s, selector: {matchLabels: {app: x}}, ' "$1" "$2"
    printf 'template: {metadata: {labels: {app: x}}, spec: {containers: [{name: c, image: "%s", ports: [{containerPort: 80}]}]}}}}\n' "$3"
}

# revision NUMBER: a replica set as the deployment's controller would keep it.
revision() {
    printf -- '---\n{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-%s, labels: {app: x}, annotations: ' "$1"
    printf '{deployment.kubernetes.io/revision: "%s"}, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, ' "$1"
    printf 'controller: true, uid: %s}]}, spec: {replicas: 0, ' "$("$k" get deployment web -o 'jsonpath={.metadata.uid}')"
    deployment web 0 "nginx:rev$1" | sed -n 's/.*\(selector:.*\)/\1/p'
}

looking_around() {
    part "the server and its kinds"
    does 'Server Version: .*v1' version; does 'Kubernetes control plane.* is running at' cluster-info
    does '^apiextensions.k8s.io/v1$' api-versions
    does '^deployments *deploy *apps/v1 *true *Deployment *create,delete,deletecollection,get,list,patch,update,watch *all$' api-resources -o wide
    does '^poddisruptionbudgets *pdb' api-resources --api-group=policy --verbs=list; does '^ok$' get --raw /livez
    does 'readyz check passed' get --raw '/readyz?verbose'
    part "explain"
    does 'containers.*<\[\]Container> -required-' explain pod.spec
    does '^FIELD: port <IntOrString>' explain pods.spec.containers.livenessProbe.httpGet.port
    does '^ *matchExpressions.*<\[\]LabelSelectorRequirement>' explain deployment --recursive
    refuses 1 'field "nothing" does not exist' explain pod.spec.nothing
    part "who may do what"
    does '^yes$' auth can-i '*' '*'; refuses 1 '^no' auth can-i create pods --as=jane
    does '^yes$' auth can-i get pods --as=jane --as-group=system:masters
    does '^selfsubjectreviews.authentication.k8s.io ' auth can-i --list --as=jane
    refuses 1 'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace' get pods --as=jane
    [ "$name" = kubectl.1.27 ] || does '^Username *jane' auth whoami --as=jane
}

applying() {
    part "apply, client side"
    deployment web 1 nginx:1 >"$here/web.yaml"
    does '^deployment.apps/web created$' apply -f "$here/web.yaml"
    does '^deployment.apps/web unchanged$' apply -f "$here/web.yaml"
    does 'web configured (server dry run)$' apply --dry-run=server -f - < <(deployment web 7 nginx:1)
    does 'web configured (dry run)$' apply --dry-run=client -f - < <(deployment web 7 nginx:1)
    does 'web configured$' apply -f - < <(deployment web 2 nginx:1); is 2 deployment/web '{.spec.replicas}'
    does '"image": "nginx:1"' apply view-last-applied deployment/web -o json
    refuses 1 'unknown field "spec.nothing"' apply -f - < <(deployment web 2 nginx:1 | sed 's/replicas:/nothing: 1, replicas:/')
    refuses 1 'spec.template.metadata.labels: Invalid value' apply -f - < <(deployment bad 1 nginx:1 | sed 's/app: x/app: z/')
    refuses 1 'is invalid: spec.selector: Invalid value.*field is immutable' apply -f - < <(deployment web 2 nginx:1 | sed 's/app: x/app: z/g')
    configmap one 1 p | does 'one created' apply -f -
    configmap two 2 p | does 'two created' apply -f -
    configmap two 2 p | does 'one pruned' apply --prune -l set=p -f -; is_gone configmap/one
    configmap three 3 | KUBECTL_APPLYSET=true does 'three created' apply --prune --applyset=set -n "$ns" -f -
    configmap four 4 | KUBECTL_APPLYSET=true does 'three pruned' apply --prune --applyset=set -n "$ns" -f -
    printf 'resources: [web.yaml]\nnamePrefix: k-\nconfigMapGenerator: [{name: g, literals: [a=b]}]\n' >"$here/kustomization.yaml"
    does 'deployment.apps/k-web created' apply -k "$here"; does '"k-web" deleted' delete -k "$here"
    part "diff"
    does '' diff -f - < <(deployment web 2 nginx:1)
    refuses 1 '^+.*image: nginx:2' diff -f - < <(deployment web 2 nginx:2)
    refuses 1 '^+.*name: fresh' diff -f - < <(configmap fresh 1)
    refuses 1 '^+ *a: "9"' diff --server-side --field-manager=f --force-conflicts -f - < <(configmap two 9 p)
    part "apply, server side"
    configmap shared 1 | does 'shared serverside-applied' apply --server-side --field-manager=first -f -
    configmap shared 1 | does 'serverside-applied' apply --server-side --field-manager=second -f -
    configmap shared 2 | refuses 1 'conflict with "first": .data.a' apply --server-side --field-manager=second -f -
    is 1 configmap/shared '{.data.a}'
    configmap shared 2 | does 'serverside-applied (server dry run)' apply --server-side --field-manager=second --force-conflicts --dry-run=server -f -
    configmap shared 2 | does 'serverside-applied' apply --server-side --field-manager=second --force-conflicts -f -
    is 2 configmap/shared '{.data.a}'; is 'first second' configmap/shared '{.metadata.managedFields[*].manager}'
    does 'serverside-applied' apply --server-side -f "$here/web.yaml"; is 1 deployment/web '{.spec.replicas}'
}

changing() {
    part "edit"
    printf '#!/bin/sh\nsed -i "s/replicas: 1/replicas: 3/" "$1"\n' >"$here/edit"
    printf '#!/bin/sh\nsed -i "s/containerPort: 80$/containerPort: 80000/" "$1"\n' >"$here/spoil"
    chmod +x "$here/edit" "$here/spoil"
    EDITOR=$here/edit does 'deployment.apps/web edited' edit deployment web; is 3 deployment/web '{.spec.replicas}'
    EDITOR=$here/spoil refuses 1 'deployments.apps "web" is invalid' edit deployment web
    part "patch and replace"
    does 'web patched' patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"c","env":[{"name":"A","value":"1"}]}]}}}}'
    is 'nginx:1 1' deployment/web '{.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].env[0].value}'
    does 'web patched (no change)' patch deployment web -p '{"spec":{"replicas":3}}'
    does 'web patched' patch deployment web --type=merge -p '{"metadata":{"labels":{"by":"merge"}}}'
    does 'web patched' patch deployment web --type=json -p '[{"op":"test","path":"/spec/replicas","value":3},{"op":"replace","path":"/spec/replicas","value":4}]'
    refuses 1 'the server rejected our request due to an error in our request' patch deployment web --type=json -p '[{"op":"remove","path":"/spec/none"}]'
    does 'web patched' patch deployment web --subresource=scale --type=merge -p '{"spec":{"replicas":1}}'
    does 'web patched' patch deployment web --subresource=status --type=merge -p '{"status":{"readyReplicas":0,"observedGeneration":1}}'
    is 1 deployment/web '{.spec.replicas}'
    configmap shared 3 | does 'shared replaced' replace -f -
    configmap shared 4 | does 'shared replaced' replace --force -f -
    configmap none 1 | refuses 1 'configmaps "none" not found' replace -f -
    configmap shared 5 | sed 's/{name:/{resourceVersion: "1", name:/' | refuses 1 'the object has been modified' replace -f -
    is 4 configmap/shared '{.data.a}'
    part "label, annotate, set, scale, expose, autoscale"
    does 'shared labeled' label configmap shared colour=blue
    refuses 1 "'colour' already has a value (blue), and --overwrite is false" label configmap shared colour=red
    does 'shared labeled' label configmap shared colour=red --overwrite
    does 'shared unlabeled' label configmap shared colour-; does 'shared annotate' annotate configmap shared note='a b'
    refuses 1 'invalid label value' label configmap shared colour=_
    does 'image updated' set image deployment/web c=nginx:3; does 'env updated' set env deployment/web B=2
    does '^B=2' set env deployment/web --list
    does 'resource requirements updated' set resources deployment/web --limits=cpu=1,memory=1Gi --requests=cpu=500m
    does 'serviceaccount updated' set serviceaccount deployment/web default
    is 'nginx:3 500m default' deployment/web '{.spec.template.spec.containers[0].image} {..requests.cpu} {..serviceAccountName}'
    refuses 1 'requests: Invalid value: "2": must be less than or equal to cpu limit' set resources deployment/web --requests=cpu=2
    does 'scaled' scale deployment/web --current-replicas=1 --replicas=2
    refuses 1 'xpected replicas to be 9' scale deployment/web --current-replicas=9 --replicas=1
    does 'service/web exposed' expose deployment web --port=80 --target-port=8080 --type=NodePort
    is '80 8080' service/web '{.spec.ports[0].port} {.spec.ports[0].targetPort}'
    does 'autoscaled' autoscale deployment web --max=5 --min=2 --cpu-percent=70
    does 'Deployment/web .*/70% *2 *5' get hpa web
    part "rollout"
    does 'paused' rollout pause deployment/web; does 'resumed' rollout resume deployment/web
    does 'restarted' rollout restart deployment/web; refuses 1 'no rollout history found' rollout undo deployment/web
    does 'Waiting for deployment' rollout status deployment/web --watch=false
    does 'created' apply -f - < <(revision 1; revision 2)
    does 'annotate' annotate deployment web deployment.kubernetes.io/revision=2
    does '^2 ' rollout history deployment/web; does 'rolled back' rollout undo deployment/web --to-revision=1
    is nginx:rev1 deployment/web '{.spec.template.spec.containers[0].image}'
    refuses 1 'unable to find specified revision 9' rollout undo deployment/web --to-revision=9
}

creating() {
    part "create"
    configmap conf 1 | does 'conf created' create -f -
    configmap conf 1 | refuses 1 'configmaps "conf" already exists' create -f -
    does 'conf2 created (server dry run)' create configmap conf2 --from-literal=a=b --dry-run=server
    does 'conf2 created (dry run)' create configmap conf2 --from-literal=a=b --dry-run=client; is_gone configmap/conf2
    creates secret generic s --from-literal=a=b
    creates secret docker-registry reg --docker-server=a --docker-username=b --docker-password=c
    creates deployment dep --image=a --image=b --replicas=2 --port=80; creates job j --image=a -- true
    creates cronjob cj --image=a --schedule='*/5 * * * *' -- true
    does 'job.batch/from created' create job from --from=cronjob/cj
    refuses 1 'spec.schedule: Invalid value: "nonsense"' create cronjob bad --image=a --schedule=nonsense
    creates role r --verb=get,list --resource=pods,deployments.apps --resource-name=x
    creates rolebinding rb --role=r --serviceaccount="$ns:sa" --user=jane
    refuses 1 'cannot change roleRef' apply --server-side --force-conflicts -f - < <("$k" create rolebinding rb --clusterrole=view --user=jane --dry-run=client -o yaml)
    creates clusterrole "$ns-cr" --verb=get --non-resource-url=/logs
    creates clusterrolebinding "$ns-crb" --clusterrole="$ns-cr" --group=g
    does '^yes$' auth can-i get pods/x --as=jane
    creates quota q --hard=pods=9,services=9; creates priorityclass "$ns-pc" --value=100 --description=d
    creates poddisruptionbudget pdb --selector=app=x --min-available=50%
    creates ingress ing --class=c --rule='host.test/path*=web:80,tls=s'; creates service clusterip svc --tcp=80:8080
    creates service nodeport np --tcp=80; creates namespace "$ns-more"; creates serviceaccount sa
    does '^ey[A-Za-z0-9_-]*\.ey' create token sa --duration=1h --audience=a
    does 'pod/p created' run p --image=a --labels=app=x --env=A=b --overrides='{"spec":{"nodeName":"'"$ns-node"'"}}'
    does 'reconciled' auth reconcile -f - < <("$k" create role r -n "$ns" --verb=watch --resource=pods --dry-run=client -o yaml)
}

reading() {
    part "get in every form"
    does '^NAME *READY *STATUS *RESTARTS *AGE *IP *NODE *NOMINATED NODE *READINESS GATES$' get pods -o wide
    does "^$ns  *p  *0/1 .*app=x" get pods -A --show-labels
    does '^NAME *READY *UP-TO-DATE *AVAILABLE *AGE *APP' get deployments -L app; does '^pod/p$' get pods -o name
    does '"apiVersion": "v1"' get pod p -o json; does '^  kind: Pod$\|^kind: List$' get pods,services -o yaml
    does "^p $ns-node;" get pods -o 'jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName};{end}'
    does '^p  *a$' get pods -o custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[*].image
    does '^<p>$' get pods -o 'go-template={{range .items}}<{{.metadata.name}}>{{end}}'
    printf '{.metadata.name}' >"$here/path"; does '^p$' get pod p -o "jsonpath-file=$here/path"
    does '^ *"a"$' get pod p -o 'jsonpath-as-json={.spec.containers[*].image}'
    printf '<{{.metadata.name}}>' >"$here/template"; does '^<p>$' get pod p -o "go-template-file=$here/template"
    printf 'NAME IMAGE\n.metadata.name .spec.containers[*].image\n' >"$here/columns"
    does '^p  *a$' get pods -o "custom-columns-file=$here/columns"
    does '^conf' get configmaps --sort-by=.metadata.name --no-headers
    does '^pod/p$' get pods -l 'app in (x,z),!none' -o name; does '^No resources found' get pods -l app=none
    does '^pod/p$' get pods --field-selector="spec.nodeName=$ns-node,status.phase=Pending" -o name
    refuses 1 'field label not supported: spec.none' get pods --field-selector=spec.none=1; does 'service/web ' get all
    does 'manager: ' get pod p -o yaml --show-managed-fields; refuses 1 'pods "none" not found' get pod none
    does '' get pod none --ignore-not-found
    refuses 1 'the server doesn.t have a resource type "nothing"' get nothing
    does '"replicas":2' get --raw "/apis/apps/v1/namespaces/$ns/deployments/dep/scale"
    does '^dep *2 ' get deployment dep --subresource=scale; does 'Image: *a' describe pod p
    does 'services *[0-9] *9\|services *9' describe quota q; does 'PolicyRule' describe role r
    creates quota full --hard=pods=0
    refuses 1 'pods "p2" is forbidden: exceeded quota: full, requested: pods=1, used: pods=[01], limited: pods=0' run p2 --image=a
    timeout 30 "$k" get pods -w --output-watch-events --no-headers >"$here/watch.txt" 2>&1 &
    local watcher=$!
    wait_for 10 "$name get -w shows what there is" grep -q '^ADDED *p ' "$here/watch.txt"
    does 'annotate' annotate pod p seen=yes
    wait_for 10 "$name get -w shows a change" grep -q '^MODIFIED *p ' "$here/watch.txt"
    kill "$watcher"; wait "$watcher" || true
    part "wait"
    does 'condition met' wait --for=jsonpath='{.status.phase}'=Pending pod/p --timeout=5s
    refuses 1 'timed out waiting for the condition' wait --for=condition=Ready pod/p --timeout=1s
    does 'pod/p patched' patch pod p --subresource=status -p '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
    does 'condition met' wait --for=condition=Ready pod -l app=x --timeout=5s
    does '' wait --for=delete pod/none --timeout=5s
    part "nodes"
    does 'created' create -f - <<<"# YAML"$'\n'"{apiVersion: v1, kind: Node, metadata: {name: $ns-node}}"
    does 'tainted' taint node "$ns-node" key=value:NoSchedule
    refuses 1 'already has key taint' taint node "$ns-node" key=other:NoSchedule; does 'cordoned' cordon "$ns-node"
    does 'SchedulingDisabled' get node "$ns-node"; does 'uncordoned' uncordon "$ns-node"
    does 'Unschedulable: *false' describe node "$ns-node"; does 'untainted' taint node "$ns-node" key-
}

custom_kinds() {
    part "custom kinds"
    local group=$ns.example.com schema='{type: object, properties: {spec: {type: object, required: [size], properties: {size: {type: integer, minimum: 1, description: How large.}}}}}'
    does 'created' apply -f - <<CRD
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.$group}
spec:
  group: $group
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd$ns], categories: [all]}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: $schema}, subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}, additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]}
CRD
    does 'condition met' wait --for=condition=established "crd/widgets.$group" --timeout=10s
    widget() { printf -- '---\n{apiVersion: %s/v1, kind: Widget, metadata: {name: %s}, spec: {size: %s}}\n' "$group" "$1" "$2"; }
    wait_for 10 "the kind is found" bash -c "$k api-resources --cached=false | grep -q 'widgets.*wd$ns.*Widget'"
    widget w 2 | does 'w created' apply -f -
    widget w 2 | does 'w unchanged' apply -f -
    widget w 3 | does 'w serverside-applied' apply --server-side --force-conflicts -f -
    does '^w *3$' get "wd$ns" --no-headers
    widget bad 0 | refuses 1 'spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1' apply -f -
    widget bad 1 | sed 's/size:/other: 1, size:/' | refuses 1 'unknown field "spec.other"' apply -f -
    does 'size.*<integer> -required-' explain "widgets.$group.spec"
    does 'How large.' explain widget.spec.size --api-version="$group/v1"
    does 'w scaled' scale "widgets.$group/w" --replicas=5
    does 'patched' patch "widgets.$group" w --type=merge -p '{"spec":{"size":6}}'
    refuses 1 'strategic merge patch is not supported\|the body of the request was in an unknown format' patch "widgets.$group" w --type=strategic -p '{}'
    does 'Size: *6' describe "widgets.$group" w; does 'w deleted\|"w" deleted' delete "widgets.$group" w
    does 'deleted' delete crd "widgets.$group" --timeout=20s
    refuses 1 "the server doesn't have a resource type" get "widgets.$group"
}

deleting() {
    part "delete"
    does '"conf" deleted' delete configmap conf --dry-run=server; does '"conf" deleted' delete configmap conf --now
    does '"dep" deleted' delete deployment dep --cascade=background
    does '"j" deleted' delete job j --cascade=orphan --wait=false; is '["orphan"]' job/j '{.metadata.finalizers}'
    does '"from" deleted' delete job from --cascade=foreground --wait=false
    is '["foregroundDeletion"]' job/from '{.metadata.finalizers}'
    does '"p" force deleted' delete pod p --grace-period=0 --force; is_gone pod/p
    does '"web" deleted' delete -f "$here/web.yaml" --ignore-not-found; does 'deleted' delete configmap,secret --all
    does 'deleted' delete clusterrole,clusterrolebinding,priorityclass,node "$ns-cr" "$ns-crb" "$ns-pc" "$ns-node" --ignore-not-found
    does 'deleted' delete namespace "$ns-more" --wait=false; does 'Terminating' get namespace "$ns-more"
}

# One user: own kubectl, own namespace, own folder.
user() {
    k=$1; name=$(basename "$k"); ns=user-${name##*.}; here=$state/$name
    mkdir -p "$here"
    cp "$KUBECONFIG" "$here/config"
    export KUBECONFIG=$here/config KUBECACHEDIR=$here/cache TMPDIR=$here
    does 'created' create namespace "$ns"; does 'modified' config set-context --current --namespace="$ns"
    looking_around; applying; changing; creating; reading; custom_kinds; deleting
    part done
}

users=$(kubectls 1.27 1.29 1.31 1.33)
[ -n "$users" ] || { echo "   SKIPPED: there is no kubectl"; exit 0; }
# What waits for a controller is looked at while it waits.
start martlet-gateway --no-controllers
pids=()
for k in $users; do user "$k" >"$state/$(basename "$k").txt" 2>&1 & pids+=($!); done
failed=
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
cat "$state"/kubectl*.txt
[ -z "$failed" ] || fail "see above"
stop
