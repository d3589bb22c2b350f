#ifndef CMartlet_H
#define CMartlet_H
int cmartlet_version(void);
#endif
