#ifndef MARTLET_X509_H
#define MARTLET_X509_H

#include <stddef.h>
#include <stdint.h>

// Keys and X.509 certificates (RFC 5280): making, signing, reading.

/// Room for the one-line reason of a failure, with its final zero.
#define MTLS_ERROR_SIZE 512

/// Bytes made by a call; free them with mtls_bytes_free.
struct mtls_bytes {
    uint8_t *data;
    size_t count;
};
/// Frees what `bytes` holds, wiping it first, and empties it.
void mtls_bytes_free(struct mtls_bytes *bytes);

/// Texts of a certificate.
enum mtls_text {
    /// Subject CN.
    MTLS_COMMON_NAME = 0,
    /// Each subject O.
    MTLS_ORGANIZATION = 1,
    /// Each subject alternative name that is a DNS name.
    MTLS_DNS_NAME = 2,
    /// Each subject alternative name that is an IP address, in text form.
    MTLS_ADDRESS = 3,
    /// Issuer CN (read only).
    MTLS_ISSUER_COMMON_NAME = 4,
    /// Each issuer O (read only).
    MTLS_ISSUER_ORGANIZATION = 5,
    /// The serial number in lower-case hex (read only).
    MTLS_SERIAL = 6,
    /// How many kinds there are.
    MTLS_TEXT_KINDS = 7,
};

/// Purposes of a certificate, to be added up.
enum mtls_purpose {
    /// It signs other certificates.
    MTLS_AUTHORITY = 1,
    /// A TLS server shows it.
    MTLS_SERVER = 2,
    /// A TLS client shows it.
    MTLS_CLIENT = 4,
};

/// Makes an ECDSA key on P-256, as PKCS#8 PEM. 0, or -1 with the reason in `error`.
int mtls_make_ec_key(struct mtls_bytes *key, char error[MTLS_ERROR_SIZE]);
/// Makes an RSA key of so many bits, as PKCS#8 PEM. 0, or -1 with the reason in `error`.
int mtls_make_rsa_key(unsigned bits, struct mtls_bytes *key, char error[MTLS_ERROR_SIZE]);
/// The public half of a private key (PEM), as SubjectPublicKeyInfo PEM. 0, or -1 with the reason in `error`.
int mtls_public_key(const uint8_t *key, size_t key_count, struct mtls_bytes *public_key,
                    char error[MTLS_ERROR_SIZE]);
/// 1 when `public_key` (PEM) is the public half of `key` (PEM), 0 when not, -1 with the reason in `error`.
int mtls_key_has_public(const uint8_t *key, size_t key_count, const uint8_t *public_key, size_t public_count,
                        char error[MTLS_ERROR_SIZE]);

/// What a certificate is to say; filled step by step, then signed.
typedef struct mtls_draft mtls_draft;
/// A draft valid between two times (seconds since 1970), for the added-up purposes. NULL without memory.
mtls_draft *mtls_draft_new(int64_t not_before, int64_t not_after, unsigned purposes);
/// Adds a text: MTLS_COMMON_NAME, MTLS_ORGANIZATION, MTLS_DNS_NAME or MTLS_ADDRESS. 0, or -1 with the reason in
/// `error` (not an IP address, not ASCII, too long for its field).
int mtls_draft_add(mtls_draft *draft, enum mtls_text kind, const char *text, char error[MTLS_ERROR_SIZE]);
/// Signs: the certificate (PEM) is for the key `subject_key` (PEM). `issuer` and `issuer_key` are the authority's
/// (PEM); with a NULL `issuer` the certificate signs itself. 0, or -1 with the reason in `error`.
int mtls_draft_sign(const mtls_draft *draft, const uint8_t *subject_key, size_t subject_key_count,
                    const uint8_t *issuer, size_t issuer_count, const uint8_t *issuer_key, size_t issuer_key_count,
                    struct mtls_bytes *certificate, char error[MTLS_ERROR_SIZE]);
/// As mtls_draft_sign, for the key of a request (PEM, PKCS #10). Nothing else of the request is taken over.
int mtls_draft_sign_request(const mtls_draft *draft, const uint8_t *request, size_t request_count,
                            const uint8_t *issuer, size_t issuer_count, const uint8_t *issuer_key,
                            size_t issuer_key_count, struct mtls_bytes *certificate, char error[MTLS_ERROR_SIZE]);
/// Makes a request (PEM, PKCS #10) for the key `key` (PEM), with the draft's names. 0, or -1 with the reason in
/// `error`.
int mtls_draft_request(const mtls_draft *draft, const uint8_t *key, size_t key_count, struct mtls_bytes *request,
                       char error[MTLS_ERROR_SIZE]);
/// Frees a draft.
void mtls_draft_free(mtls_draft *draft);

/// A certificate that was read.
typedef struct mtls_certificate mtls_certificate;
/// Reads the first certificate of a PEM text. NULL on failure, with the reason in `error`.
mtls_certificate *mtls_certificate_read(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]);
/// Frees a certificate.
void mtls_certificate_free(mtls_certificate *certificate);
/// Reads a request (PEM, PKCS #10) that its own key has signed, as a certificate that nobody has. NULL on failure,
/// with the reason in `error`.
mtls_certificate *mtls_request_read(const uint8_t *pem, size_t count, char error[MTLS_ERROR_SIZE]);
/// The public key as SubjectPublicKeyInfo, DER. 0, or -1 with the reason in `error`.
int mtls_certificate_key(const mtls_certificate *certificate, struct mtls_bytes *out, char error[MTLS_ERROR_SIZE]);
/// The text of a kind by index, or NULL past the last. Names with a zero byte inside are left out. Of several CN the
/// last counts, as in Kubernetes. Valid as long as the certificate.
const char *mtls_certificate_text(const mtls_certificate *certificate, enum mtls_text kind, size_t index);
/// Valid from, in seconds since 1970.
int64_t mtls_certificate_not_before(const mtls_certificate *certificate);
/// Valid until, in seconds since 1970.
int64_t mtls_certificate_not_after(const mtls_certificate *certificate);
/// Its purposes, added up (enum mtls_purpose).
unsigned mtls_certificate_purposes(const mtls_certificate *certificate);
/// How strong its key is, in bits of a symmetric key (NIST SP 800-57): 112 for RSA-2048, 128 for P-256.
int mtls_certificate_strength(const mtls_certificate *certificate);
/// Whether `issuer` signed it.
int mtls_certificate_signed_by(const mtls_certificate *certificate, const mtls_certificate *issuer);
/// 1 when the private key (PEM) belongs to it, 0 when not, -1 with the reason in `error` when the key is unreadable.
int mtls_certificate_has_key(const mtls_certificate *certificate, const uint8_t *key, size_t key_count,
                             char error[MTLS_ERROR_SIZE]);

#endif
