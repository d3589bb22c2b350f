# Six hosts in namespaces, in the short form of `make hosts`.
. ./lib.sh

command -v dig >/dev/null || { echo "   SKIPPED: there is no dig (bind9-dnsutils)"; exit 0; }
# A debug build and a small machine: fewer requests than there.
PREFIX=me PACE=300 ../Hosts/story short
