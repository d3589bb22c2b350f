#include "internal.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct mtls_draft {
    int64_t not_before;
    int64_t not_after;
    unsigned purposes;
    X509_NAME *subject;
    GENERAL_NAMES *names;
};

mtls_draft *mtls_draft_new(int64_t not_before, int64_t not_after, unsigned purposes) {
    mtls_draft *draft = calloc(1, sizeof *draft);
    if (draft == NULL) return NULL;
    draft->not_before = not_before;
    draft->not_after = not_after;
    draft->purposes = purposes;
    draft->subject = X509_NAME_new();
    draft->names = sk_GENERAL_NAME_new_null();
    if (draft->subject != NULL && draft->names != NULL) return draft;
    mtls_draft_free(draft);
    return NULL;
}

void mtls_draft_free(mtls_draft *draft) {
    if (draft == NULL) return;
    X509_NAME_free(draft->subject);
    GENERAL_NAMES_free(draft->names);
    free(draft);
}

/// Adds CN or O to the subject.
static int add_to_subject(mtls_draft *draft, int nid, const char *text, char error[MTLS_ERROR_SIZE]) {
    const unsigned char *bytes = (const unsigned char *)text;
    if (X509_NAME_add_entry_by_NID(draft->subject, nid, MBSTRING_UTF8, bytes, -1, -1, 0) == 1) return 0;
    mtls_explain(error, "a name does not fit a certificate's subject (1 to 64 characters)");
    return -1;
}

/// A subject alternative name with an ASN.1 string inside.
static GENERAL_NAME *make_name(int type, ASN1_STRING *value) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (name == NULL || value == NULL) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, type, value);
    return name;
}

/// A DNS name; NULL when it is no plain ASCII.
static GENERAL_NAME *make_dns_name(const char *text) {
    if (text[0] == 0 || strlen(text) > 253) return NULL;
    for (const char *c = text; *c != 0; c++) {
        if (*c <= ' ' || *c > '~') return NULL;
    }
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();
    if (value == NULL || ASN1_STRING_set(value, text, -1) != 1) {
        ASN1_STRING_free(value);
        return NULL;
    }
    return make_name(GEN_DNS, value);
}

int mtls_draft_add(mtls_draft *draft, enum mtls_text kind, const char *text, char error[MTLS_ERROR_SIZE]) {
    ERR_clear_error();
    GENERAL_NAME *name = NULL;
    switch (kind) {
    case MTLS_COMMON_NAME:
        return add_to_subject(draft, NID_commonName, text, error);
    case MTLS_ORGANIZATION:
        return add_to_subject(draft, NID_organizationName, text, error);
    case MTLS_DNS_NAME:
        name = make_dns_name(text);
        break;
    case MTLS_ADDRESS:
        name = make_name(GEN_IPADD, a2i_IPADDRESS(text));
        break;
    default:
        break;
    }
    if (name != NULL && sk_GENERAL_NAME_push(draft->names, name) > 0) return 0;
    GENERAL_NAME_free(name);
    mtls_explain(error, kind == MTLS_ADDRESS ? "not an IP address" : "not a DNS name");
    return -1;
}

/// A random positive serial number of 128 bits (RFC 5280, 4.1.2.2 allows 20 octets).
static int set_serial(X509 *x509) {
    BIGNUM *number = BN_new();
    int is_good = number != NULL && BN_rand(number, 128, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL;
    BN_free(number);
    return is_good;
}

/// Adds an extension from OpenSSL's text form of its value.
static int add_extension(X509 *x509, X509V3_CTX *context, int nid, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
    int is_good = extension != NULL && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_good;
}

/// The extensions of RFC 5280, 4.2.1. The values are constants; names from outside never pass through text.
static int add_extensions(const mtls_draft *draft, X509 *x509, X509 *issuer) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    int is_authority = (draft->purposes & MTLS_AUTHORITY) != 0;
    const char *basic = is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE";
    const char *usage = is_authority ? "critical,digitalSignature,keyCertSign,cRLSign"
                                     : "critical,digitalSignature";
    if (!add_extension(x509, &context, NID_basic_constraints, basic) ||
        !add_extension(x509, &context, NID_key_usage, usage) ||
        !add_extension(x509, &context, NID_subject_key_identifier, "hash") ||
        !add_extension(x509, &context, NID_authority_key_identifier, "keyid")) {
        return 0;
    }
    unsigned extended = draft->purposes & (MTLS_SERVER | MTLS_CLIENT);
    if (extended != 0) {
        const char *value = extended == MTLS_SERVER   ? "serverAuth"
                            : extended == MTLS_CLIENT ? "clientAuth"
                                                      : "serverAuth,clientAuth";
        if (!add_extension(x509, &context, NID_ext_key_usage, value)) return 0;
    }
    if (sk_GENERAL_NAME_num(draft->names) == 0) return 1;
    return X509_add1_ext_i2d(x509, NID_subject_alt_name, draft->names, 0, 0) == 1;
}

/// Fills in all but the signature.
static int fill(const mtls_draft *draft, X509 *x509, X509 *issuer, EVP_PKEY *key) {
    return X509_set_version(x509, X509_VERSION_3) == 1 && set_serial(x509) &&
           X509_set_subject_name(x509, draft->subject) == 1 &&
           X509_set_issuer_name(x509, X509_get_subject_name(issuer)) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)draft->not_before) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)draft->not_after) != NULL &&
           X509_set_pubkey(x509, key) == 1 && add_extensions(draft, x509, issuer);
}

/// Signs for a key, which stays the caller's.
static int sign_for(const mtls_draft *draft, EVP_PKEY *key, const uint8_t *issuer, size_t issuer_count,
                    const uint8_t *issuer_key, size_t issuer_key_count, struct mtls_bytes *certificate,
                    char error[MTLS_ERROR_SIZE]) {
    int result = -1;
    STACK_OF(X509) *issuers = NULL;
    EVP_PKEY *signer = NULL;
    X509 *x509 = NULL;
    if (issuer != NULL) {
        issuers = mtls_read_certificates(issuer, issuer_count, error);
        signer = issuers == NULL ? NULL : mtls_read_key(issuer_key, issuer_key_count, error);
        if (signer == NULL) goto done;
        if (X509_check_private_key(sk_X509_value(issuers, 0), signer) != 1) {
            ERR_clear_error();
            mtls_explain(error, "the authority's private key does not belong to its certificate");
            goto done;
        }
    }
    x509 = X509_new();
    if (x509 == NULL || !fill(draft, x509, issuers == NULL ? x509 : sk_X509_value(issuers, 0), key) ||
        X509_sign(x509, signer == NULL ? key : signer, EVP_sha256()) == 0) {
        mtls_explain(error, "the certificate cannot be made");
        goto done;
    }
    result = mtls_write_certificate(x509, certificate, error);
done:
    X509_free(x509);
    EVP_PKEY_free(signer);
    sk_X509_pop_free(issuers, X509_free);
    ERR_clear_error();
    return result;
}

int mtls_draft_sign(const mtls_draft *draft, const uint8_t *subject_key, size_t subject_key_count,
                    const uint8_t *issuer, size_t issuer_count, const uint8_t *issuer_key, size_t issuer_key_count,
                    struct mtls_bytes *certificate, char error[MTLS_ERROR_SIZE]) {
    certificate->data = NULL;
    certificate->count = 0;
    EVP_PKEY *key = mtls_read_key(subject_key, subject_key_count, error);
    if (key == NULL) return -1;
    int result = sign_for(draft, key, issuer, issuer_count, issuer_key, issuer_key_count, certificate, error);
    EVP_PKEY_free(key);
    return result;
}

int mtls_draft_sign_request(const mtls_draft *draft, const uint8_t *request, size_t request_count,
                            const uint8_t *issuer, size_t issuer_count, const uint8_t *issuer_key,
                            size_t issuer_key_count, struct mtls_bytes *certificate, char error[MTLS_ERROR_SIZE]) {
    certificate->data = NULL;
    certificate->count = 0;
    X509_REQ *read = mtls_read_request(request, request_count, error);
    if (read == NULL) return -1;
    int result = sign_for(draft, X509_REQ_get0_pubkey(read), issuer, issuer_count, issuer_key, issuer_key_count,
                          certificate, error);
    X509_REQ_free(read);
    return result;
}

int mtls_draft_request(const mtls_draft *draft, const uint8_t *key, size_t key_count, struct mtls_bytes *request,
                       char error[MTLS_ERROR_SIZE]) {
    request->data = NULL;
    request->count = 0;
    EVP_PKEY *pair = mtls_read_key(key, key_count, error);
    if (pair == NULL) return -1;
    int result = -1;
    X509_REQ *made = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    int is_good = made != NULL && extensions != NULL && X509_REQ_set_version(made, X509_REQ_VERSION_1) == 1 &&
                  X509_REQ_set_subject_name(made, draft->subject) == 1 && X509_REQ_set_pubkey(made, pair) == 1;
    if (is_good && sk_GENERAL_NAME_num(draft->names) > 0) {
        X509_EXTENSION *names = X509V3_EXT_i2d(NID_subject_alt_name, 0, draft->names);
        is_good = names != NULL && sk_X509_EXTENSION_push(extensions, names) > 0 &&
                  X509_REQ_add_extensions(made, extensions) == 1;
    }
    if (is_good && X509_REQ_sign(made, pair, EVP_sha256()) > 0) {
        result = mtls_write_request(made, request, error);
    } else {
        mtls_explain(error, "the request for a certificate cannot be made");
    }
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(made);
    EVP_PKEY_free(pair);
    ERR_clear_error();
    return result;
}
