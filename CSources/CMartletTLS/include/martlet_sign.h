#ifndef MARTLET_SIGN_H
#define MARTLET_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "martlet_x509.h"

// Signatures of JSON Web Tokens (RFC 7518): RS256 with RSA keys, ES256 with ECDSA keys on P-256.

/// A key that signs or verifies. It never changes: many threads may use one.
typedef struct mtls_key mtls_key;

/// Which signature a key makes.
enum mtls_algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    MTLS_RS256 = 1,
    /// ECDSA on P-256 with SHA-256; the signature is r and s, 32 bytes each.
    MTLS_ES256 = 2,
};

/// The numbers of a public key, as a JSON Web Key names them.
enum mtls_number {
    /// RSA modulus `n`.
    MTLS_MODULUS = 0,
    /// RSA exponent `e`.
    MTLS_EXPONENT = 1,
    /// EC point `x`.
    MTLS_POINT_X = 2,
    /// EC point `y`.
    MTLS_POINT_Y = 3,
};

/// Reads a private or a public key (PEM). NULL with the reason in `error`: neither is there, or it is neither RSA of
/// at least 2048 bits nor ECDSA on P-256.
mtls_key *mtls_key_read(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]);
/// Frees a key.
void mtls_key_free(mtls_key *key);
/// The signature that the key makes.
enum mtls_algorithm mtls_key_algorithm(const mtls_key *key);
/// Signs a message. 0, or -1 with the reason in `error` (a public key cannot sign).
int mtls_key_sign(const mtls_key *key, const uint8_t *message, size_t count, struct mtls_bytes *signature,
                  char error[MTLS_ERROR_SIZE]);
/// 1 when the signature is the key's and of this message, else 0.
int mtls_key_verify(const mtls_key *key, const uint8_t *message, size_t count, const uint8_t *signature,
                    size_t signature_count);
/// A number of the public half, big-endian; a point's are 32 bytes. 0, or -1 with the reason in `error`.
int mtls_key_number(const mtls_key *key, enum mtls_number number, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]);
/// The public half as SubjectPublicKeyInfo, DER. 0, or -1 with the reason in `error`.
int mtls_key_der(const mtls_key *key, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]);

#endif
