#include "cmartletlinux.h"

int cmartletlinux_version(void) { return 1; }
