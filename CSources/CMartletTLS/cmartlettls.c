#include "cmartlettls.h"

int cmartlettls_version(void) { return 1; }
