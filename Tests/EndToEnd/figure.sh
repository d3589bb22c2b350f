# The figure, in its short form: visitors ask two sites by a virtual IP while parts die, move and change.
. ./lib.sh

command -v python3 >/dev/null || { echo "   SKIPPED: there is no python3"; exit 0; }
# A debug build and a small machine: fewer requests than there.
PREFIX=mf PACE=0.3 ../Hosts/figure short
