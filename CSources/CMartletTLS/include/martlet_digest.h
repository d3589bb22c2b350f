#ifndef MARTLET_DIGEST_H
#define MARTLET_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/// Bytes of a SHA-256 digest.
#define MTLS_SHA256_SIZE 32

/// A running SHA-256 (FIPS 180-4).
typedef struct mtls_sha256 mtls_sha256;
/// Starts a digest. NULL without memory.
mtls_sha256 *mtls_sha256_new(void);
/// Takes in more bytes. 0, or -1 when the library refuses.
int mtls_sha256_update(mtls_sha256 *digest, const void *bytes, size_t count);
/// Writes the digest of all that was taken in, and starts anew. 0, or -1 when the library refuses.
int mtls_sha256_finish(mtls_sha256 *digest, uint8_t out[MTLS_SHA256_SIZE]);
/// Frees a digest.
void mtls_sha256_free(mtls_sha256 *digest);

/// Bytes of a SHA-1 digest.
#define MTLS_SHA1_SIZE 20
/// The SHA-1 of bytes, for protocols that name it (WebSocket); it proves nothing. 0, or -1 when the library refuses.
int mtls_sha1(const void *bytes, size_t count, uint8_t out[MTLS_SHA1_SIZE]);

#endif
