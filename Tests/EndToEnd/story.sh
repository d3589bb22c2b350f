# The demo, as a user runs it, twice in a row.
. ./lib.sh
export MARTLET_DEMO_API=127.0.0.1:16443 MARTLET_DEMO_HTTPS_PORT=18443 MARTLET_DEMO_HTTP_PORT=18080
for time in first second; do
    CI=true ../../docs/examples/demo.sh story </dev/null || fail "the $time run of the story"
    ok "the $time run of the story"
done
