#ifndef MARTLET_TLS_INTERNAL_H
#define MARTLET_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "martlet_tls.h"
#include "martlet_x509.h"

/// Writes "TEXT" or "TEXT (OpenSSL: REASON)" with the oldest error of this thread's queue, and empties the queue.
void mtls_explain(char error[MTLS_ERROR_SIZE], const char *text);

/// Reads a private key from PEM; an encrypted one is refused, never asked about. NULL with the reason in `error`.
EVP_PKEY *mtls_read_key(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]);
/// Reads all certificates of a PEM text, at least one. NULL with the reason in `error`.
STACK_OF(X509) *mtls_read_certificates(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]);
/// Writes a certificate as PEM. 0, or -1 with the reason in `error`.
int mtls_write_certificate(X509 *x509, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]);
/// Reads a request for a certificate, signed by its own key. NULL with the reason in `error`.
X509_REQ *mtls_read_request(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]);
/// Writes a request for a certificate as PEM. 0, or -1 with the reason in `error`.
int mtls_write_request(X509_REQ *request, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]);
/// Looks into a certificate; takes over the caller's reference, on failure too. NULL without memory.
mtls_certificate *mtls_certificate_adopt(X509 *x509);
/// An ASN.1 time as seconds since 1970; 0 when it is malformed.
int64_t mtls_seconds(const ASN1_TIME *time);

/// Says in words why the verification of a certificate ended with `code`.
/// `whose` is "client" or "server", `wanted` the name it had to be for (or NULL).
void mtls_explain_verification(char error[MTLS_ERROR_SIZE], int code, X509 *certificate, const char *whose,
                               const char *wanted);
/// Says in words why a TLS call failed, from this thread's error queue, and empties the queue.
void mtls_explain_failure(char error[MTLS_ERROR_SIZE], int is_server);

#endif
