#include "internal.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void mtls_explain(char error[MTLS_ERROR_SIZE], const char *text) {
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    if (reason != NULL) {
        snprintf(error, MTLS_ERROR_SIZE, "%s (OpenSSL: %s)", text, reason);
    } else {
        snprintf(error, MTLS_ERROR_SIZE, "%s", text);
    }
    ERR_clear_error();
}

/// Appends as much of `text` as fits.
static void append(char *out, size_t capacity, const char *text) {
    size_t used = strlen(out);
    if (used < capacity) snprintf(out + used, capacity - used, "%s", text);
}

/// Appends text from outside: what is not plain ASCII becomes '?', so that a name cannot forge a log line.
static void append_foreign(char *out, size_t capacity, const char *text) {
    size_t used = strlen(out);
    for (; *text != 0 && used + 1 < capacity; text++) {
        out[used++] = (*text >= ' ' && *text <= '~') ? *text : '?';
    }
    out[used] = 0;
}

/// Writes a date as 2026-01-31 12:00:00 UTC.
static void write_date(char *out, size_t capacity, const ASN1_TIME *time) {
    time_t seconds = (time_t)mtls_seconds(time);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL || strftime(out, capacity, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0) {
        snprintf(out, capacity, "an unreadable date");
    }
}

/// Appends what names and addresses a certificate is for.
static void append_names(char *out, size_t capacity, X509 *x509) {
    X509_up_ref(x509);
    mtls_certificate *certificate = mtls_certificate_adopt(x509);
    if (certificate == NULL) return;
    const char *separator = "; it is for ";
    for (int kind = MTLS_DNS_NAME; kind <= MTLS_ADDRESS; kind++) {
        const char *text;
        for (size_t i = 0; (text = mtls_certificate_text(certificate, kind, i)) != NULL; i++) {
            append(out, capacity, separator);
            append_foreign(out, capacity, text);
            separator = ", ";
        }
    }
    mtls_certificate_free(certificate);
}

void mtls_explain_verification(char error[MTLS_ERROR_SIZE], int code, X509 *certificate, const char *whose,
                               const char *wanted) {
    char subject[128] = "";
    char date[64] = "";
    if (certificate != NULL) {
        X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof subject);
    }
    snprintf(error, MTLS_ERROR_SIZE, "the %s's certificate", whose);
    if (subject[0] != 0) {
        append(error, MTLS_ERROR_SIZE, " (");
        append_foreign(error, MTLS_ERROR_SIZE, subject);
        append(error, MTLS_ERROR_SIZE, ")");
    }
    switch (code) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        append(error, MTLS_ERROR_SIZE, " was signed by an authority that is not trusted here");
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        if (certificate != NULL) write_date(date, sizeof date, X509_get0_notAfter(certificate));
        append(error, MTLS_ERROR_SIZE, " expired on ");
        append(error, MTLS_ERROR_SIZE, date);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        if (certificate != NULL) write_date(date, sizeof date, X509_get0_notBefore(certificate));
        append(error, MTLS_ERROR_SIZE, " is not valid before ");
        append(error, MTLS_ERROR_SIZE, date);
        append(error, MTLS_ERROR_SIZE, "; compare the clocks of both machines");
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        append(error, MTLS_ERROR_SIZE, " is not for ");
        append_foreign(error, MTLS_ERROR_SIZE, wanted == NULL ? "this name" : wanted);
        if (certificate != NULL) append_names(error, MTLS_ERROR_SIZE, certificate);
        break;
    case X509_V_ERR_INVALID_PURPOSE:
        append(error, MTLS_ERROR_SIZE, " is not meant to be shown by a TLS ");
        append(error, MTLS_ERROR_SIZE, whose);
        append(error, MTLS_ERROR_SIZE, " (extended key usage)");
        break;
    default:
        append(error, MTLS_ERROR_SIZE, " was refused: ");
        append(error, MTLS_ERROR_SIZE, X509_verify_cert_error_string(code));
    }
}

/// What a reason of OpenSSL's TLS code means to people; NULL when its own words must do.
static const char *meaning(int reason, int is_server) {
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "the client sent no certificate, and one is required here";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return "no TLS version in common; TLS 1.2 and 1.3 are spoken here";
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return "the peer spoke plain HTTP to a TLS port";
    case SSL_R_WRONG_VERSION_NUMBER:
        return "the peer does not speak TLS 1.2 or 1.3";
    case SSL_R_NO_SHARED_CIPHER:
        return "no cipher in common with the client";
    case SSL_R_NO_APPLICATION_PROTOCOL:
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
        return "no application protocol in common (ALPN)";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "the peer does not trust the authority that signed our certificate";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "the peer says that our certificate expired";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
        return "the peer refused our certificate";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "the server requires a client certificate";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return is_server ? "the client refused the handshake"
                         : "the server refused the handshake (no cipher in common, or it requires a certificate)";
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_SSLV3_ALERT_BAD_RECORD_MAC:
        return "a record was changed on its way";
    default:
        return NULL;
    }
}

void mtls_explain_failure(char error[MTLS_ERROR_SIZE], int is_server) {
    unsigned long code = ERR_peek_error();
    const char *text = ERR_GET_LIB(code) == ERR_LIB_SSL ? meaning(ERR_GET_REASON(code), is_server) : NULL;
    mtls_explain(error, text == NULL ? "the TLS connection failed" : text);
}
