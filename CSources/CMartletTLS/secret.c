#include "martlet_secret.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

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

#define NONCE_SIZE 12
#define TAG_SIZE 16

int mtls_seal(const uint8_t key[32], const uint8_t *bytes, size_t count, uint8_t *out) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t *body = out + NONCE_SIZE;
    int size = 0;
    int end = 0;
    int is_good = context != NULL && count <= INT_MAX - MTLS_SEAL_SIZE && RAND_bytes(out, NONCE_SIZE) == 1 &&
                  EVP_EncryptInit_ex2(context, EVP_aes_256_gcm(), key, out, NULL) == 1 &&
                  EVP_EncryptUpdate(context, body, &size, bytes, (int)count) == 1 &&
                  EVP_EncryptFinal_ex(context, body + size, &end) == 1 &&
                  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, body + count) == 1;
    EVP_CIPHER_CTX_free(context);
    return is_good ? 0 : -1;
}

int mtls_open(const uint8_t key[32], const uint8_t *bytes, size_t count, uint8_t *out) {
    if (count < MTLS_SEAL_SIZE || count > INT_MAX) return -1;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    size_t inside = count - MTLS_SEAL_SIZE;
    uint8_t tag[TAG_SIZE];
    for (int i = 0; i < TAG_SIZE; i++) tag[i] = bytes[count - TAG_SIZE + (size_t)i];
    int size = 0;
    int end = 0;
    int is_good = context != NULL && EVP_DecryptInit_ex2(context, EVP_aes_256_gcm(), key, bytes, NULL) == 1 &&
                  EVP_DecryptUpdate(context, out, &size, bytes + NONCE_SIZE, (int)inside) == 1 &&
                  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1 &&
                  EVP_DecryptFinal_ex(context, out + size, &end) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!is_good) OPENSSL_cleanse(out, inside);
    return is_good ? 0 : -1;
}
