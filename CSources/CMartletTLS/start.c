// How OpenSSL begins in a process that links Martlet.
#include <openssl/crypto.h>

// A reactor's thread may still use TLS while another one leaves by exit(3). OpenSSL's own handler for that moment would
// free its tables under the running thread; the kernel takes the memory back anyway. It must be said before any other
// call begins OpenSSL, so the loader says it.
__attribute__((constructor)) static void start_without_cleanup_at_exit(void) {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}
