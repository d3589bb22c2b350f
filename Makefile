# make demo   the whole story on one machine       make test   all tests
# make up     the same cluster, without the story  make help   the rest
SHELL := /bin/bash
.DEFAULT_GOAL := help

# What the build and the programs need from Debian. Swift 6.3 comes from swift.org.
BUILD_PACKAGES := liburing-dev libssl-dev libsqlite3-dev libnghttp2-dev zlib1g-dev pkg-config
RUN_PACKAGES := containerd runc containernetworking-plugins nftables iptables iproute2 busybox-static curl jq openssl procps
# What the tests meet beside these: etcd's own client.
TEST_PACKAGES := etcd-client bind9-dnsutils dnsmasq-base keepalived faketime nghttp2-client pebble testssl.sh
FLAGS := --explicit-target-dependency-import-check error
# All at once they would wait for each other longer than their limits.
TESTS_AT_ONCE := --experimental-maximum-parallelization-width $(shell echo $$(($$(nproc) * 2)))
# Programs carry the Swift runtime with them: a machine of a cluster needs no toolchain, and a daemon less memory.
RELEASE_FLAGS := -c release --static-swift-stdlib $(FLAGS)
RELEASE_BIN := .build/release
DEBUG_BIN := .build/debug

.PHONY: help demo up hosts figure test compatibility configuration fuzz fuzz-gateway schemathesis overload build release fmt lint simulate torture bench-log bench-store bench-gateway bench-dns bench-network bench-edge informers packages clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

packages:  ## install missing Debian packages (needs root)
	@missing=; for p in $(BUILD_PACKAGES) $(RUN_PACKAGES) $(EXTRA_PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'install ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" != 0 ]; then echo "missing packages, install them as root: apt-get install$$missing" >&2; exit 1; fi; \
	  echo "== Installing$$missing"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
	@command -v swift >/dev/null || { echo "swift is missing: install the Swift 6.3 toolchain from swift.org" >&2; exit 1; }

build: packages  ## debug build of everything, warnings are errors
	@echo "== Building (debug)"
	@swift build --build-tests $(FLAGS)

release: packages  ## release build of the programs
	@echo "== Building (release)"
	@swift build $(RELEASE_FLAGS)

demo: release  ## the whole story on one machine
	@[ "$$(id -u)" = 0 ] || { echo "make demo runs real containers and needs root: sudo make demo" >&2; exit 1; }
	@BIN=$(RELEASE_BIN) docs/examples/demo.sh story

up: release  ## start the same cluster and stay up
	@[ "$$(id -u)" = 0 ] || { echo "make up runs real containers and needs root: sudo make up" >&2; exit 1; }
	@BIN=$(RELEASE_BIN) docs/examples/demo.sh up

hosts: EXTRA_PACKAGES = $(TEST_PACKAGES)
hosts: release  ## the story of six hosts: set up, real packets, faults and an operator's work under load
	@[ "$$(id -u)" = 0 ] || { echo "make hosts makes network namespaces and needs root: sudo make hosts" >&2; exit 1; }
	@BIN=$(RELEASE_BIN) Tests/Hosts/story

figure: EXTRA_PACKAGES = $(TEST_PACKAGES) python3
figure: release  ## the figure on six hosts: visitors ask two sites by a virtual IP while everything dies, moves and changes
	@[ "$$(id -u)" = 0 ] || { echo "make figure makes network namespaces and needs root: sudo make figure" >&2; exit 1; }
	@BIN=$(RELEASE_BIN) Tests/Hosts/figure

test: EXTRA_PACKAGES = $(TEST_PACKAGES)
test: build  ## all tests
	@echo "== Checking the format"
	@swift format lint --strict -r Sources Frontends Tests docs Package.swift
	@echo "== Testing"
	@SWIFT_DETERMINISTIC_HASHING=1 swift test --skip-build $(FLAGS) $(TESTS_AT_ONCE)
	@if [ "$$(id -u)" = 0 ]; then \
	  echo "== The story, end to end"; CI=true BIN=$(DEBUG_BIN) Tests/EndToEnd/run; \
	else echo "== SKIPPED the end-to-end story: it needs root"; fi
	@echo "== All tests passed"

compatibility:  ## write docs/compatibility.md from the tables of kinds
	@MARTLET_UPDATE_DOCS=1 swift test $(FLAGS) --filter CompatibilityTests

configuration:  ## write the table of docs/configuration.md from the flags
	@MARTLET_UPDATE_DOCS=1 swift test $(FLAGS) --filter ConfigurationPageTests

FUZZ_RUNS ?= 1000000
fuzz: build  ## every fuzz test, a million rounds each (FUZZ_RUNS=, and MARTLET_FUZZ_SEED= for other rounds)
	@MARTLET_FUZZ_RUNS=$(FUZZ_RUNS) swift test --skip-build $(FLAGS) --filter '[Ff]uzz'

CASES := 10000
fuzz-gateway: build  ## spoilt requests and smuggling against the running gateway (CASES=, SEED=)
	@CI=true BIN=$(DEBUG_BIN) CASES=$(CASES) SEED=$(SEED) PARTS=fuzz Tests/EndToEnd/run

LIMIT := 300
schemathesis: build  ## PyPI's schemathesis against our own OpenAPI document, for LIMIT=300 seconds
	@CI=true BIN=$(DEBUG_BIN) CASES=5 LIMIT=$(LIMIT) SEED=$(SEED) PARTS=schemathesis Tests/EndToEnd/run

overload: release  ## more connections than the gateway has places for, twice (CONNECTIONS=3000, TIME=30 seconds)
	@CI=true BIN=$(RELEASE_BIN) CONNECTIONS=$(or $(CONNECTIONS),3000) TIME=$(or $(TIME),30) PARTS=overload Tests/EndToEnd/run

fmt:  ## format all Swift
	@swift format -i -r Sources Frontends Tests docs Package.swift

lint:  ## check the format
	@swift format lint --strict -r Sources Frontends Tests docs Package.swift

SEEDS := 10000
simulate: packages  ## SEEDS=10000 simulated clusters under load and faults
	@swift build $(RELEASE_FLAGS) --product martlet-simulate
	@$(RELEASE_BIN)/martlet-simulate --seeds $(SEEDS) --jobs $$(nproc)

SECONDS_OF_TORTURE := 600
torture: packages  ## real members, killed and stopped at random under load for ten minutes
	@swift build $(RELEASE_FLAGS) && $(RELEASE_BIN)/martlet-bench torture --seconds $(SECONDS_OF_TORTURE)

bench-log: packages  ## the write-ahead log beside a bare fdatasync loop
	@swift build $(RELEASE_FLAGS) && $(RELEASE_BIN)/martlet-bench log

bench-store: packages  ## the replicated store beside etcd (BENCH_FLAGS="--runs 5 --tls --etcd PATH ...")
	@command -v etcd >/dev/null || [[ "$(BENCH_FLAGS)" == *--etcd* ]] || { \
	  [ "$$(id -u)" = 0 ] || { echo "etcd is missing, install it as root: apt-get install etcd-server" >&2; exit 1; }; \
	  echo "== Installing etcd-server"; apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends etcd-server >/dev/null; }
	@swift build $(RELEASE_FLAGS) && $(RELEASE_BIN)/martlet-bench store $(BENCH_FLAGS)

bench-gateway: packages  ## the REST gateway beside kube-apiserver, which is built from Debian's source once (BENCH_FLAGS=)
	@command -v etcd >/dev/null || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends etcd-server >/dev/null; }
	@Tests/Rivals/kube-apiserver.sh .build/rivals
	@swift build $(RELEASE_FLAGS) && $(RELEASE_BIN)/martlet-bench gateway --apiserver .build/rivals/kube-apiserver $(BENCH_FLAGS)

bench-dns: EXTRA_PACKAGES = dnsperf dnsmasq-base unbound
bench-dns: packages  ## the node's DNS beside dnsmasq, unbound and a bare echo, asked by dnsperf (BENCH_FLAGS=)
	@swift build $(RELEASE_FLAGS) && $(RELEASE_BIN)/martlet-bench dns $(BENCH_FLAGS)

bench-edge: EXTRA_PACKAGES = nginx-light wrk
bench-edge: packages  ## ingress and edge beside nginx: one hop, two, new and resumed TLS, many hosts (BENCH_FLAGS=)
	@swift build $(RELEASE_FLAGS) && $(RELEASE_BIN)/martlet-bench edge $(BENCH_FLAGS)

bench-network: EXTRA_PACKAGES = iperf3 iputils-ping
bench-network: packages  ## the pod network beside the same devices by hand, and changes of one Service among many (BENCH_FLAGS=)
	@swift build $(RELEASE_FLAGS) && $(RELEASE_BIN)/martlet-bench network $(BENCH_FLAGS)

informers: packages  ## cached views of clients while the gateway is killed 100 times under 100,000 changes
	@swift build $(RELEASE_FLAGS) && $(RELEASE_BIN)/martlet-bench informers

clean:  ## remove what was built
	@rm -rf .build
