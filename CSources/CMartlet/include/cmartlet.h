#ifndef CMARTLET_H
#define CMARTLET_H

#include "cmartlet_log.h"
#include "cmartlet_ring.h"
#include "cmartlet_socket.h"

#endif
