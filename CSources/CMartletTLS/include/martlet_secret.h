#ifndef MARTLET_SECRET_H
#define MARTLET_SECRET_H

#include <stddef.h>
#include <stdint.h>

// Passwords and signatures of tokens.

/// PBKDF2 with HMAC-SHA-256 (RFC 8018). 0, or -1 when the library refuses.
int mtls_pbkdf2_sha256(const uint8_t *password, size_t password_count, const uint8_t *salt, size_t salt_count,
                       unsigned iterations, uint8_t *out, size_t out_count);
/// HMAC-SHA-256 (RFC 2104) into 32 bytes. 0, or -1 when the library refuses.
int mtls_hmac_sha256(const uint8_t *key, size_t key_count, const uint8_t *bytes, size_t count, uint8_t out[32]);
/// Whether two byte strings of one length are equal, in a time that does not tell where they differ.
int mtls_equal(const uint8_t *a, const uint8_t *b, size_t count);

/// Bytes that sealing adds: a nonce before, a tag behind.
#define MTLS_SEAL_SIZE 28
/// AES-256-GCM under a random nonce into `count + MTLS_SEAL_SIZE` bytes. 0, or -1 when the library refuses.
int mtls_seal(const uint8_t key[32], const uint8_t *bytes, size_t count, uint8_t *out);
/// Opens what mtls_seal made of `count - MTLS_SEAL_SIZE` bytes. 0, or -1 when it was made with another key or changed.
int mtls_open(const uint8_t key[32], const uint8_t *bytes, size_t count, uint8_t *out);

/// Whether a password is the one that a line of htpasswd was made of: `$apr1$`, `{SHA}`, and what crypt(3) of this
/// machine knows (bcrypt `$2y$`, `$5$`, `$6$`, `$1$`, yescrypt, DES). 1 if so, 0 if not, -1 when the form is not
/// known. Takes as long as the hash's cost says.
int mtls_password_matches(const char *password, const char *hash);

#endif
