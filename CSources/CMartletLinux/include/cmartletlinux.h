#ifndef CMartletLinux_H
#define CMartletLinux_H
int cmartletlinux_version(void);
#endif
