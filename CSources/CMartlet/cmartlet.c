#include "cmartlet.h"

int cmartlet_version(void) { return 1; }
