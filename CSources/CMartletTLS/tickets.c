#include "connection.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

/// Copies the key that new tickets are sealed with, or the one of a name; -1 when there is none. `*place` is its place.
static int find(mtls_context *context, const uint8_t *name, struct mtls_ticket_key *out, size_t *place) {
    int found = -1;
    pthread_mutex_lock(&context->tickets_lock);
    for (size_t i = 0; i < context->tickets_count && found != 0; i++) {
        if (name != NULL && memcmp(context->tickets[i].name, name, sizeof out->name) != 0) continue;
        *out = context->tickets[i];
        *place = i;
        found = 0;
    }
    pthread_mutex_unlock(&context->tickets_lock);
    return found;
}

/// Gives OpenSSL the key of one ticket: AES-256-CBC and HMAC-SHA-256 (RFC 5077, 4).
static int choose_ticket_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                             EVP_MAC_CTX *mac, int seals) {
    mtls_connection *connection = SSL_get_app_data(ssl);
    struct mtls_ticket_key key;
    size_t place = 0;
    // Zero means: a ticket that nobody knows, so that the handshake is a full one.
    if (find(connection->context, seals ? NULL : name, &key, &place) != 0) return 0;
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof key.mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    int is_good = EVP_MAC_CTX_set_params(mac, parameters) == 1;
    if (is_good && seals) {
        memcpy(name, key.name, sizeof key.name);
        is_good = RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1;
    }
    is_good = is_good && EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, seals) == 1;
    OPENSSL_cleanse(&key, sizeof key);
    if (!is_good) return -1;
    // Two means: a new ticket, please. TLS 1.3 shows each ticket once, and old keys are to be forgotten.
    return !seals && (SSL_version(ssl) == TLS1_3_VERSION || place != 0) ? 2 : 1;
}

int mtls_tickets_begin(mtls_context *context) {
    if (RAND_priv_bytes((uint8_t *)&context->tickets[0], sizeof context->tickets[0]) != 1) return -1;
    context->tickets_count = 1;
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(context->ssl, choose_ticket_key) == 1 ? 0 : -1;
}

void mtls_server_set_ticket_keys(mtls_context *context, const uint8_t *keys, size_t count) {
    if (count > MTLS_TICKET_KEYS) count = MTLS_TICKET_KEYS;
    pthread_mutex_lock(&context->tickets_lock);
    memcpy(context->tickets, keys, count * MTLS_TICKET_KEY_SIZE);
    context->tickets_count = count;
    pthread_mutex_unlock(&context->tickets_lock);
}
