#include "internal.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/// Texts of one kind.
struct list {
    char **items;
    size_t count;
};

struct mtls_certificate {
    X509 *x509;
    struct list texts[MTLS_TEXT_KINDS];
};

/// Appends `text`, which becomes the list's; a NULL is skipped. 0, or -1 without memory.
static int append(struct list *list, char *text) {
    if (text == NULL) return 0;
    char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items == NULL) {
        free(text);
        return -1;
    }
    list->items = items;
    list->items[list->count++] = text;
    return 0;
}

/// A copy of `count` bytes with a final zero; NULL when there is a zero inside (a name that would read differently
/// in other programs) or no memory.
static char *copy_text(const unsigned char *bytes, int count) {
    if (count < 0 || memchr(bytes, 0, (size_t)count) != NULL) return NULL;
    return strndup((const char *)bytes, (size_t)count);
}

/// Collects CN (the last counts) and each O of a name.
static int collect_name(mtls_certificate *certificate, const X509_NAME *name, int common, int organization) {
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
        if (nid != NID_commonName && nid != NID_organizationName) continue;
        unsigned char *utf8 = NULL;
        int count = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
        if (count < 0) continue;
        char *text = copy_text(utf8, count);
        OPENSSL_free(utf8);
        struct list *list = &certificate->texts[nid == NID_commonName ? common : organization];
        if (nid == NID_commonName && list->count > 0) {
            free(list->items[0]);
            list->count = 0;
        }
        if (append(list, text) != 0) return -1;
    }
    return 0;
}

/// The text of an address of 4 or 16 bytes; NULL for any other.
static char *address_text(const ASN1_OCTET_STRING *address) {
    char text[INET6_ADDRSTRLEN];
    int count = ASN1_STRING_length(address);
    int family = count == 4 ? AF_INET : AF_INET6;
    if (count != 4 && count != 16) return NULL;
    if (inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof text) == NULL) return NULL;
    return strdup(text);
}

/// Collects the subject alternative names.
static int collect_alternatives(mtls_certificate *certificate) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate->x509, NID_subject_alt_name, NULL, NULL);
    int result = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && result == 0; i++) {
        int type = 0;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type == GEN_DNS) {
            char *text = copy_text(ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
            result = append(&certificate->texts[MTLS_DNS_NAME], text);
        } else if (type == GEN_IPADD) {
            result = append(&certificate->texts[MTLS_ADDRESS], address_text(value));
        }
    }
    GENERAL_NAMES_free(names);
    return result;
}

/// Collects the serial number as hex.
static int collect_serial(mtls_certificate *certificate) {
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate->x509), NULL);
    char *hex = number == NULL ? NULL : BN_bn2hex(number);
    char *text = hex == NULL ? NULL : strdup(hex);
    OPENSSL_free(hex);
    BN_free(number);
    for (char *c = text; c != NULL && *c != 0; c++) {
        if (*c >= 'A' && *c <= 'F') *c = (char)(*c - 'A' + 'a');
    }
    return append(&certificate->texts[MTLS_SERIAL], text);
}

mtls_certificate *mtls_certificate_adopt(X509 *x509) {
    mtls_certificate *certificate = calloc(1, sizeof *certificate);
    if (certificate == NULL) {
        X509_free(x509);
        return NULL;
    }
    certificate->x509 = x509;
    if (collect_name(certificate, X509_get_subject_name(x509), MTLS_COMMON_NAME, MTLS_ORGANIZATION) != 0 ||
        collect_name(certificate, X509_get_issuer_name(x509), MTLS_ISSUER_COMMON_NAME,
                     MTLS_ISSUER_ORGANIZATION) != 0 ||
        collect_alternatives(certificate) != 0 || collect_serial(certificate) != 0) {
        mtls_certificate_free(certificate);
        certificate = NULL;
    }
    ERR_clear_error();
    return certificate;
}

mtls_certificate *mtls_certificate_read(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]) {
    STACK_OF(X509) *list = mtls_read_certificates(pem, count, error);
    if (list == NULL) return NULL;
    mtls_certificate *certificate = mtls_certificate_adopt(sk_X509_shift(list));
    sk_X509_pop_free(list, X509_free);
    if (certificate == NULL) mtls_explain(error, "no memory for a certificate");
    return certificate;
}

/// A certificate, never signed, that says what a request asks for.
static X509 *as_certificate(X509_REQ *request) {
    X509 *x509 = X509_new();
    if (x509 == NULL || X509_set_subject_name(x509, X509_REQ_get_subject_name(request)) != 1 ||
        X509_set_pubkey(x509, X509_REQ_get0_pubkey(request)) != 1) {
        X509_free(x509);
        return NULL;
    }
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++) {
        X509_add_ext(x509, sk_X509_EXTENSION_value(extensions, i), -1);
    }
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return x509;
}

mtls_certificate *mtls_request_read(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]) {
    X509_REQ *request = mtls_read_request(pem, count, error);
    if (request == NULL) return NULL;
    X509 *x509 = as_certificate(request);
    X509_REQ_free(request);
    mtls_certificate *certificate = x509 == NULL ? NULL : mtls_certificate_adopt(x509);
    if (certificate == NULL) mtls_explain(error, "no memory for a request");
    return certificate;
}

int mtls_certificate_key(const mtls_certificate *certificate, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]) {
    unsigned char *der = NULL;
    int count = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate->x509), &der);
    out->data = count > 0 ? OPENSSL_malloc((size_t)count) : NULL;
    out->count = out->data == NULL ? 0 : (size_t)count;
    if (out->data != NULL) memcpy(out->data, der, out->count);
    OPENSSL_free(der);
    if (out->data != NULL) return 0;
    mtls_explain(error, "the public key cannot be written");
    return -1;
}

void mtls_certificate_free(mtls_certificate *certificate) {
    if (certificate == NULL) return;
    for (int kind = 0; kind < MTLS_TEXT_KINDS; kind++) {
        struct list *list = &certificate->texts[kind];
        for (size_t i = 0; i < list->count; i++) free(list->items[i]);
        free(list->items);
    }
    X509_free(certificate->x509);
    free(certificate);
}

const char *mtls_certificate_text(const mtls_certificate *certificate, enum mtls_text kind, size_t index) {
    if ((unsigned)kind >= MTLS_TEXT_KINDS || index >= certificate->texts[kind].count) return NULL;
    return certificate->texts[kind].items[index];
}

int64_t mtls_seconds(const ASN1_TIME *time) {
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
    return (int64_t)timegm(&parts);
}

int64_t mtls_certificate_not_before(const mtls_certificate *certificate) {
    return mtls_seconds(X509_get0_notBefore(certificate->x509));
}

int64_t mtls_certificate_not_after(const mtls_certificate *certificate) {
    return mtls_seconds(X509_get0_notAfter(certificate->x509));
}

unsigned mtls_certificate_purposes(const mtls_certificate *certificate) {
    unsigned purposes = X509_check_ca(certificate->x509) == 1 ? MTLS_AUTHORITY : 0;
    if ((X509_get_extension_flags(certificate->x509) & EXFLAG_XKUSAGE) == 0) return purposes;
    unsigned extended = X509_get_extended_key_usage(certificate->x509);
    if (extended & XKU_SSL_SERVER) purposes |= MTLS_SERVER;
    if (extended & XKU_SSL_CLIENT) purposes |= MTLS_CLIENT;
    return purposes;
}

int mtls_certificate_strength(const mtls_certificate *certificate) {
    const EVP_PKEY *key = X509_get0_pubkey(certificate->x509);
    return key == NULL ? 0 : EVP_PKEY_get_security_bits(key);
}

int mtls_certificate_signed_by(const mtls_certificate *certificate, const mtls_certificate *issuer) {
    int is_good = X509_check_issued(issuer->x509, certificate->x509) == X509_V_OK &&
                  X509_verify(certificate->x509, X509_get0_pubkey(issuer->x509)) == 1;
    ERR_clear_error();
    return is_good;
}

int mtls_certificate_has_key(const mtls_certificate *certificate, const uint8_t *key, size_t key_count,
                             char error[MTLS_ERROR_SIZE]) {
    EVP_PKEY *pair = mtls_read_key(key, key_count, error);
    if (pair == NULL) return -1;
    int result = X509_check_private_key(certificate->x509, pair) == 1;
    EVP_PKEY_free(pair);
    ERR_clear_error();
    return result;
}
