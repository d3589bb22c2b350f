#include "martlet_sign.h"

#include "internal.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

/// Bytes of one coordinate on P-256.
#define POINT_SIZE 32

struct mtls_key {
    EVP_PKEY *pair;
    enum mtls_algorithm algorithm;
};

static int refuse_password(char *buffer, int size, int writing, void *unused) {
    (void)buffer;
    (void)size;
    (void)writing;
    (void)unused;
    return -1;
}

/// A private key, or else a public one.
static EVP_PKEY *read_pair(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]) {
    EVP_PKEY *pair = mtls_read_key(pem, count, error);
    if (pair != NULL || count > INT_MAX) return pair;
    BIO *bio = BIO_new_mem_buf(count == 0 ? (const void *)"" : pem, (int)count);
    if (bio != NULL) pair = PEM_read_bio_PUBKEY(bio, NULL, refuse_password, NULL);
    BIO_free(bio);
    if (pair == NULL) mtls_explain(error, "there is no key in the PEM text");
    ERR_clear_error();
    return pair;
}

/// Which signature a pair makes; 0 for none that is known.
static int algorithm_of(EVP_PKEY *pair) {
    if (EVP_PKEY_is_a(pair, "RSA")) return EVP_PKEY_get_bits(pair) >= 2048 ? MTLS_RS256 : 0;
    char group[64] = "";
    if (!EVP_PKEY_is_a(pair, "EC") || EVP_PKEY_get_group_name(pair, group, sizeof group, NULL) != 1) return 0;
    return strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0 ? MTLS_ES256 : 0;
}

mtls_key *mtls_key_read(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]) {
    EVP_PKEY *pair = read_pair(pem, count, error);
    if (pair == NULL) return NULL;
    int algorithm = algorithm_of(pair);
    mtls_key *key = algorithm == 0 ? NULL : calloc(1, sizeof *key);
    if (key == NULL) {
        ERR_clear_error();
        mtls_explain(error, "the key is neither RSA of 2048 bits or more nor ECDSA on P-256");
        EVP_PKEY_free(pair);
        return NULL;
    }
    key->pair = pair;
    key->algorithm = (enum mtls_algorithm)algorithm;
    return key;
}

void mtls_key_free(mtls_key *key) {
    if (key == NULL) return;
    EVP_PKEY_free(key->pair);
    free(key);
}

enum mtls_algorithm mtls_key_algorithm(const mtls_key *key) { return key->algorithm; }

/// Gives `data` away as bytes that mtls_bytes_free frees.
static int give(struct mtls_bytes *out, const uint8_t *data, size_t count, char error[MTLS_ERROR_SIZE]) {
    out->data = OPENSSL_malloc(count == 0 ? 1 : count);
    out->count = 0;
    if (out->data == NULL) {
        mtls_explain(error, "no memory");
        return -1;
    }
    memcpy(out->data, data, count);
    out->count = count;
    return 0;
}

/// From ASN.1 to r and s.
static int flatten(const uint8_t *der, size_t count, uint8_t out[2 * POINT_SIZE]) {
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)count);
    if (pair == NULL) return -1;
    int is_good = BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, POINT_SIZE) == POINT_SIZE &&
                  BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + POINT_SIZE, POINT_SIZE) == POINT_SIZE;
    ECDSA_SIG_free(pair);
    return is_good ? 0 : -1;
}

int mtls_key_sign(const mtls_key *key, const uint8_t *message, size_t count, struct mtls_bytes *signature,
                  char error[MTLS_ERROR_SIZE]) {
    signature->data = NULL;
    signature->count = 0;
    ERR_clear_error();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t made[1024];
    size_t size = sizeof made;
    int is_good = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pair) == 1 &&
                  EVP_DigestSign(context, made, &size, message, count) == 1;
    EVP_MD_CTX_free(context);
    uint8_t flat[2 * POINT_SIZE];
    if (is_good && key->algorithm == MTLS_ES256) {
        is_good = flatten(made, size, flat) == 0;
        if (is_good) return give(signature, flat, sizeof flat, error);
    }
    if (is_good) return give(signature, made, size, error);
    mtls_explain(error, "the key cannot sign");
    return -1;
}

/// From r and s to ASN.1, to be freed by OPENSSL_free; the count, or -1.
static int wrap(const uint8_t flat[2 * POINT_SIZE], uint8_t **der) {
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(flat, POINT_SIZE, NULL);
    BIGNUM *s = BN_bin2bn(flat + POINT_SIZE, POINT_SIZE, NULL);
    if (pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return -1;
    }
    int count = i2d_ECDSA_SIG(pair, der);
    ECDSA_SIG_free(pair);
    return count > 0 ? count : -1;
}

int mtls_key_verify(const mtls_key *key, const uint8_t *message, size_t count, const uint8_t *signature,
                    size_t signature_count) {
    uint8_t *der = NULL;
    if (key->algorithm == MTLS_ES256) {
        int size = signature_count == 2 * POINT_SIZE ? wrap(signature, &der) : -1;
        if (size < 0) return 0;
        signature = der;
        signature_count = (size_t)size;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int is_good = context != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->pair) == 1 &&
                  EVP_DigestVerify(context, signature, signature_count, message, count) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    ERR_clear_error();
    return is_good;
}

int mtls_key_number(const mtls_key *key, enum mtls_number number, struct mtls_bytes *out,
                    char error[MTLS_ERROR_SIZE]) {
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_EC_PUB_X,
                                        OSSL_PKEY_PARAM_EC_PUB_Y};
    out->data = NULL;
    out->count = 0;
    ERR_clear_error();
    BIGNUM *value = NULL;
    uint8_t bytes[2048];
    int count = 0;
    if (EVP_PKEY_get_bn_param(key->pair, names[number], &value) == 1 && BN_num_bytes(value) <= (int)sizeof bytes) {
        count = number >= MTLS_POINT_X ? BN_bn2binpad(value, bytes, POINT_SIZE) : BN_bn2bin(value, bytes);
    }
    BN_free(value);
    if (count > 0) return give(out, bytes, (size_t)count, error);
    mtls_explain(error, "the key has no such number");
    return -1;
}

int mtls_key_der(const mtls_key *key, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]) {
    out->data = NULL;
    out->count = 0;
    ERR_clear_error();
    uint8_t *der = NULL;
    int count = i2d_PUBKEY(key->pair, &der);
    if (count <= 0) {
        mtls_explain(error, "the public key cannot be written");
        return -1;
    }
    out->data = der;
    out->count = (size_t)count;
    return 0;
}
