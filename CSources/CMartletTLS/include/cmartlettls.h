#ifndef CMartletTLS_H
#define CMartletTLS_H
int cmartlettls_version(void);
#endif
