#include "internal.h"
#include "connection.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

mtls_identity *mtls_identity_new(const uint8_t *chain, size_t chain_count, const uint8_t *key, size_t key_count,
                                 char error[MTLS_ERROR_SIZE]) {
    ERR_clear_error();
    mtls_identity *identity = calloc(1, sizeof *identity);
    if (identity == NULL) {
        mtls_explain(error, "no memory");
        return NULL;
    }
    identity->chain = mtls_read_certificates(chain, chain_count, error);
    if (identity->chain == NULL) goto failed;
    identity->leaf = sk_X509_shift(identity->chain);
    identity->key = mtls_read_key(key, key_count, error);
    if (identity->key == NULL) goto failed;
    if (X509_check_private_key(identity->leaf, identity->key) != 1) {
        ERR_clear_error();
        mtls_explain(error, "the private key does not belong to the certificate");
        goto failed;
    }
    return identity;
failed:
    mtls_identity_free(identity);
    return NULL;
}

void mtls_identity_free(mtls_identity *identity) {
    if (identity == NULL) return;
    sk_X509_pop_free(identity->chain, X509_free);
    X509_free(identity->leaf);
    EVP_PKEY_free(identity->key);
    free(identity);
}

int mtls_identity_covers(const mtls_identity *identity, const char *host) {
    const unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    return X509_check_host(identity->leaf, host, strlen(host), flags, NULL) == 1;
}

/// Lets the identity's owner choose: the handshake pauses until mtls_use_identity was called.
static int choose_identity(SSL *ssl, void *unused) {
    (void)unused;
    mtls_connection *connection = SSL_get_app_data(ssl);
    return connection->has_identity ? 1 : -1;
}

/// Tells the client that its server name counts, so that sessions are bound to it.
static int accept_server_name(SSL *ssl, int *alert, void *unused) {
    (void)alert;
    (void)unused;
    return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) == NULL ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

/// Picks the first of our protocols that the client offers; none in common ends the handshake (RFC 7301, 3.2).
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_count, const unsigned char *in,
                           unsigned in_count, void *unused) {
    (void)unused;
    const mtls_connection *connection = SSL_get_app_data(ssl);
    const mtls_context *context = connection->context;
    unsigned char *chosen = NULL;
    int found = SSL_select_next_proto(&chosen, out_count, context->alpn, (unsigned)context->alpn_count, in, in_count);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// Trusts these authorities; a server also tells its clients their names.
static int trust(SSL_CTX *ssl, const uint8_t *authorities, size_t count, int announce, char error[MTLS_ERROR_SIZE]) {
    STACK_OF(X509) *list = mtls_read_certificates(authorities, count, error);
    if (list == NULL) return -1;
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    int failed = 0;
    for (int i = 0; i < sk_X509_num(list) && !failed; i++) {
        X509 *x509 = sk_X509_value(list, i);
        failed = X509_STORE_add_cert(store, x509) != 1 || (announce && SSL_CTX_add_client_CA(ssl, x509) != 1);
    }
    sk_X509_pop_free(list, X509_free);
    if (failed) mtls_explain(error, "an authority's certificate cannot be used");
    return failed ? -1 : 0;
}

/// Settings that servers and clients share: modern TLS only.
static mtls_context *new_context(const SSL_METHOD *method, const uint8_t *alpn, size_t alpn_count,
                                 char error[MTLS_ERROR_SIZE]) {
    ERR_clear_error();
    mtls_context *context = calloc(1, sizeof *context);
    if (context == NULL) goto failed;
    atomic_init(&context->references, 1);
    pthread_mutex_init(&context->tickets_lock, NULL);
    context->ssl = SSL_CTX_new(method);
    context->alpn = malloc(alpn_count + 1);
    if (context->ssl == NULL || context->alpn == NULL) goto failed;
    if (alpn_count > 0) memcpy(context->alpn, alpn, alpn_count);
    context->alpn_count = alpn_count;
    static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                  "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                  "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
    static const char suites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
    if (SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context->ssl, ciphers) != 1 ||
        SSL_CTX_set_ciphersuites(context->ssl, suites) != 1 ||
        SSL_CTX_set1_groups_list(context->ssl, "X25519:P-256") != 1) {
        goto failed;
    }
    SSL_CTX_set_options(context->ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                          SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS);
    // Sessions live in tickets that clients keep; nothing grows here.
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
    return context;
failed:
    mtls_explain(error, "TLS cannot be set up");
    mtls_context_free(context);
    return NULL;
}

mtls_context *mtls_server_new(enum mtls_client_certificates clients, const uint8_t *authorities,
                              size_t authorities_count, const uint8_t *alpn, size_t alpn_count,
                              char error[MTLS_ERROR_SIZE]) {
    static const unsigned char session_context[] = "martlet";
    mtls_context *context = new_context(TLS_server_method(), alpn, alpn_count, error);
    if (context == NULL) return NULL;
    context->is_server = 1;
    SSL_CTX_set_cert_cb(context->ssl, choose_identity, NULL);
    SSL_CTX_set_tlsext_servername_callback(context->ssl, accept_server_name);
    if (alpn_count > 0) SSL_CTX_set_alpn_select_cb(context->ssl, choose_protocol, NULL);
    SSL_CTX_set_session_id_context(context->ssl, session_context, sizeof session_context - 1);
    SSL_CTX_set_num_tickets(context->ssl, 1);
    SSL_CTX_set_timeout(context->ssl, 3600);
    if (mtls_tickets_begin(context) != 0) {
        mtls_explain(error, "TLS cannot be set up");
        mtls_context_free(context);
        return NULL;
    }
    context->verification = SSL_VERIFY_NONE;
    if (clients == MTLS_CLIENTS_NONE) return context;
    context->verification = SSL_VERIFY_PEER;
    if (clients == MTLS_CLIENTS_REQUIRED) context->verification |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    context->passes_unverified = clients == MTLS_CLIENTS_REQUESTED;
    if (trust(context->ssl, authorities, authorities_count, 1, error) != 0) {
        mtls_context_free(context);
        return NULL;
    }
    return context;
}

mtls_context *mtls_client_new(const uint8_t *authorities, size_t authorities_count, const mtls_identity *identity,
                              const uint8_t *alpn, size_t alpn_count, char error[MTLS_ERROR_SIZE]) {
    mtls_context *context = new_context(TLS_client_method(), alpn, alpn_count, error);
    if (context == NULL) return NULL;
    context->verification = SSL_VERIFY_PEER;
    if (authorities == NULL) {
        if (SSL_CTX_set_default_verify_paths(context->ssl) != 1) {
            mtls_explain(error, "the system's authorities cannot be read");
            goto failed;
        }
    } else if (trust(context->ssl, authorities, authorities_count, 0, error) != 0) {
        goto failed;
    }
    if (identity != NULL &&
        SSL_CTX_use_cert_and_key(context->ssl, identity->leaf, identity->key, identity->chain, 1) != 1) {
        mtls_explain(error, "the client certificate cannot be used");
        goto failed;
    }
    // Unlike all other calls, this one returns zero for success.
    if (alpn_count > 0 && SSL_CTX_set_alpn_protos(context->ssl, alpn, (unsigned)alpn_count) != 0) {
        mtls_explain(error, "the list of application protocols is malformed");
        goto failed;
    }
    return context;
failed:
    mtls_context_free(context);
    return NULL;
}

void mtls_client_trust_anyone(mtls_context *context) { context->verification = SSL_VERIFY_NONE; }

void mtls_context_free(mtls_context *context) {
    if (context == NULL || atomic_fetch_sub(&context->references, 1) != 1) return;
    SSL_CTX_free(context->ssl);
    OPENSSL_cleanse(context->tickets, sizeof context->tickets);
    pthread_mutex_destroy(&context->tickets_lock);
    free(context->alpn);
    free(context);
}
