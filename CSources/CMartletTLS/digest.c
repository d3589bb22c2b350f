#include "martlet_digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct mtls_sha256 {
    EVP_MD_CTX *context;
};

mtls_sha256 *mtls_sha256_new(void) {
    mtls_sha256 *digest = calloc(1, sizeof *digest);
    if (digest == NULL) return NULL;
    digest->context = EVP_MD_CTX_new();
    if (digest->context == NULL || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1) {
        mtls_sha256_free(digest);
        return NULL;
    }
    return digest;
}

int mtls_sha256_update(mtls_sha256 *digest, const void *bytes, size_t count) {
    return EVP_DigestUpdate(digest->context, bytes, count) == 1 ? 0 : -1;
}

int mtls_sha256_finish(mtls_sha256 *digest, uint8_t out[MTLS_SHA256_SIZE]) {
    if (EVP_DigestFinal_ex(digest->context, out, NULL) != 1) return -1;
    return EVP_DigestInit_ex(digest->context, NULL, NULL) == 1 ? 0 : -1;
}

void mtls_sha256_free(mtls_sha256 *digest) {
    if (digest == NULL) return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

int mtls_sha1(const void *bytes, size_t count, uint8_t out[MTLS_SHA1_SIZE]) {
    return EVP_Digest(bytes, count, out, NULL, EVP_sha1(), NULL) == 1 ? 0 : -1;
}
