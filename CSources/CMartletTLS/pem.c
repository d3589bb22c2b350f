#include "internal.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

void mtls_bytes_free(struct mtls_bytes *bytes) {
    if (bytes->data != NULL) OPENSSL_clear_free(bytes->data, bytes->count);
    bytes->data = NULL;
    bytes->count = 0;
}

/// Never asks for a pass phrase.
static int refuse_password(char *buffer, int size, int writing, void *unused) {
    (void)buffer;
    (void)size;
    (void)writing;
    (void)unused;
    return -1;
}

/// A read-only view of a PEM text.
static BIO *open_text(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]) {
    BIO *bio = count > INT_MAX ? NULL : BIO_new_mem_buf(count == 0 ? (const void *)"" : pem, (int)count);
    if (bio == NULL) mtls_explain(error, "the PEM text is too large");
    return bio;
}

EVP_PKEY *mtls_read_key(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]) {
    ERR_clear_error();
    BIO *bio = open_text(pem, count, error);
    if (bio == NULL) return NULL;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, refuse_password, NULL);
    BIO_free(bio);
    if (key == NULL) mtls_explain(error, "there is no unencrypted private key in the PEM text");
    return key;
}

STACK_OF(X509) *mtls_read_certificates(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]) {
    ERR_clear_error();
    BIO *bio = open_text(pem, count, error);
    if (bio == NULL) return NULL;
    STACK_OF(X509) *list = sk_X509_new_null();
    X509 *x509;
    while (list != NULL && (x509 = PEM_read_bio_X509(bio, NULL, refuse_password, NULL)) != NULL) {
        if (sk_X509_push(list, x509) == 0) {
            X509_free(x509);
            break;
        }
    }
    BIO_free(bio);
    unsigned long last = ERR_peek_last_error();
    int is_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    if (list != NULL && is_end && sk_X509_num(list) > 0) {
        ERR_clear_error();
        return list;
    }
    mtls_explain(error, is_end ? "there is no certificate in the PEM text" : "a certificate in the PEM text is broken");
    sk_X509_pop_free(list, X509_free);
    return NULL;
}

X509_REQ *mtls_read_request(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]) {
    ERR_clear_error();
    BIO *bio = open_text(pem, count, error);
    if (bio == NULL) return NULL;
    X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, refuse_password, NULL);
    BIO_free(bio);
    EVP_PKEY *key = request == NULL ? NULL : X509_REQ_get0_pubkey(request);
    if (key != NULL && X509_REQ_verify(request, key) == 1) return request;
    mtls_explain(error, request == NULL ? "there is no request for a certificate in the PEM text"
                                        : "the request for a certificate is not signed by its own key");
    X509_REQ_free(request);
    return NULL;
}

/// Moves what was written to a memory BIO into `out`, and frees the BIO.
static int finish(BIO *bio, int is_good, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]) {
    char *data = NULL;
    long count = is_good ? BIO_get_mem_data(bio, &data) : 0;
    out->count = 0;
    out->data = count > 0 ? OPENSSL_malloc((size_t)count) : NULL;
    if (out->data != NULL) {
        memcpy(out->data, data, (size_t)count);
        out->count = (size_t)count;
    } else {
        mtls_explain(error, "the PEM text cannot be written");
    }
    BIO_free(bio);
    return out->data == NULL ? -1 : 0;
}

int mtls_write_certificate(X509 *x509, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]) {
    BIO *bio = BIO_new(BIO_s_mem());
    return finish(bio, bio != NULL && PEM_write_bio_X509(bio, x509) == 1, out, error);
}

int mtls_write_request(X509_REQ *request, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]) {
    BIO *bio = BIO_new(BIO_s_mem());
    return finish(bio, bio != NULL && PEM_write_bio_X509_REQ(bio, request) == 1, out, error);
}

/// Writes a key as PKCS#8, and frees it.
static int write_key(EVP_PKEY *key, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]) {
    out->data = NULL;
    out->count = 0;
    if (key == NULL) {
        mtls_explain(error, "a key cannot be made");
        return -1;
    }
    BIO *bio = BIO_new(BIO_s_secmem());
    int is_good = bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    EVP_PKEY_free(key);
    return finish(bio, is_good, out, error);
}

int mtls_make_ec_key(struct mtls_bytes *key, char error[MTLS_ERROR_SIZE]) {
    ERR_clear_error();
    return write_key(EVP_EC_gen("P-256"), key, error);
}

int mtls_make_rsa_key(unsigned bits, struct mtls_bytes *key, char error[MTLS_ERROR_SIZE]) {
    ERR_clear_error();
    return write_key(EVP_RSA_gen(bits), key, error);
}

int mtls_public_key(const uint8_t *key, size_t key_count, struct mtls_bytes *public_key,
                    char error[MTLS_ERROR_SIZE]) {
    public_key->data = NULL;
    public_key->count = 0;
    EVP_PKEY *pair = mtls_read_key(key, key_count, error);
    if (pair == NULL) return -1;
    BIO *bio = BIO_new(BIO_s_mem());
    int is_good = bio != NULL && PEM_write_bio_PUBKEY(bio, pair) == 1;
    EVP_PKEY_free(pair);
    return finish(bio, is_good, public_key, error);
}

int mtls_key_has_public(const uint8_t *key, size_t key_count, const uint8_t *public_key, size_t public_count,
                        char error[MTLS_ERROR_SIZE]) {
    EVP_PKEY *pair = mtls_read_key(key, key_count, error);
    if (pair == NULL) return -1;
    BIO *bio = open_text(public_key, public_count, error);
    EVP_PKEY *other = bio == NULL ? NULL : PEM_read_bio_PUBKEY(bio, NULL, refuse_password, NULL);
    if (bio != NULL && other == NULL) mtls_explain(error, "there is no public key in the PEM text");
    int result = other == NULL ? -1 : EVP_PKEY_eq(pair, other) == 1;
    BIO_free(bio);
    EVP_PKEY_free(other);
    EVP_PKEY_free(pair);
    ERR_clear_error();
    return result;
}
