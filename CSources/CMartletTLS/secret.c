#include "martlet_secret.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

int mtls_pbkdf2_sha256(const uint8_t *password, size_t password_count, const uint8_t *salt, size_t salt_count,
                       unsigned iterations, uint8_t *out, size_t out_count) {
    if (password_count > INT_MAX || salt_count > INT_MAX || out_count > INT_MAX || iterations > INT_MAX) return -1;
    return PKCS5_PBKDF2_HMAC((const char *)password, (int)password_count, salt, (int)salt_count, (int)iterations,
                             EVP_sha256(), (int)out_count, out) == 1
               ? 0
               : -1;
}

int mtls_hmac_sha256(const uint8_t *key, size_t key_count, const uint8_t *bytes, size_t count, uint8_t out[32]) {
    if (key_count > INT_MAX) return -1;
    unsigned size = 32;
    return HMAC(EVP_sha256(), key, (int)key_count, bytes, count, out, &size) != NULL && size == 32 ? 0 : -1;
}

int mtls_equal(const uint8_t *a, const uint8_t *b, size_t count) { return CRYPTO_memcmp(a, b, count) == 0; }
