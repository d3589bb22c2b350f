#!/usr/bin/env bash
# Makes kube-apiserver, the gateway's rival in `make bench-gateway`, from Debian's source package `kubernetes` with
# Debian's Go. Debian has no binary of it.
#
#   kube-apiserver.sh FOLDER    leaves FOLDER/kube-apiserver; takes some ten minutes and 3 GB once
set -euo pipefail

folder=$(mkdir -p "${1:?the folder to build in}" && cd "$1" && pwd)
[ -x "$folder/kube-apiserver" ] && exit 0
say() { printf '== %s\n' "$*" >&2; }

command -v go >/dev/null && command -v dpkg-source >/dev/null || {
    say "Installing Go and dpkg-dev"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go dpkg-dev >/dev/null
}

say "Fetching Debian's source of Kubernetes"
parts=$folder/sources
mkdir -p "$parts/lists/partial"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    [ -f "$file" ] || continue
    sed -e 's/^deb /deb-src /' -e 's/^Types: deb$/Types: deb-src/' "$file" >"$parts/$(basename "$file")"
done
source_apt() {
    apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$parts" \
        -o "Dir::State::lists=$parts/lists" "$@"
}
source_apt update
(cd "$folder" && source_apt -o APT::Sandbox::User=root source --download-only kubernetes)
export GOPATH=$folder/go GO111MODULE=off GOFLAGS= CGO_ENABLED=0 GOCACHE=$folder/cache
tree=$GOPATH/src/k8s.io/kubernetes
rm -rf "$tree"
mkdir -p "$tree"
tar xf "$folder"/kubernetes_*.orig.tar.* -C "$tree" --strip-components=1
cd "$tree"

say "Generating its OpenAPI definitions"
go build -o "$folder/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
packages=$(grep -rl --include='*.go' '+k8s:openapi-gen=' pkg staging/src vendor/k8s.io | xargs -n1 dirname | sort -u |
    grep -v '_test\|testdata\|/examples\|sample-' |
    sed -e 's#^staging/src/#k8s.io/kubernetes/vendor/#' -e 's#^pkg/#k8s.io/kubernetes/pkg/#' \
        -e 's#^vendor/#k8s.io/kubernetes/vendor/#' | sort -u | paste -sd,)
"$folder/openapi-gen" -O zz_generated.openapi --go-header-file hack/boilerplate/boilerplate.generatego.txt \
    --output-base "$GOPATH/src" -p k8s.io/kubernetes/pkg/generated/openapi -i "$packages" -r /dev/null

say "Building kube-apiserver"
go build -o "$folder/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
rm -rf "$folder/cache" "$GOPATH"
