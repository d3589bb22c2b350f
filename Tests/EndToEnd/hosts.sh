# Six hosts in namespaces, in the short form of `make hosts`.
. ./lib.sh

command -v dig >/dev/null || { echo "   SKIPPED: there is no dig (bind9-dnsutils)"; exit 0; }
PREFIX=me ../Hosts/story short
