#include "connection.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/buffer.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/// An empty memory buffer that grew beyond this is given back when its connection waits. Most requests take less.
#define KEPT_BUFFER 2048
/// The largest plaintext of one record (RFC 8446, 5.1).
#define RECORD_SIZE 16384
/// So many bytes are encrypted with one key; AES-GCM bears 2^24.5 full records of it (RFC 8446, 5.5).
#define KEY_LIFE (UINT64_C(1) << 36)

/// Notes in words why a certificate is refused, while it is at hand.
static int note_verification(int is_good, X509_STORE_CTX *store) {
    if (is_good) return 1;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    mtls_connection *connection = SSL_get_app_data(ssl);
    if (connection->context->passes_unverified) {
        connection->is_unverified = 1;
        // No session begins that could be taken for one of a verified client.
        SSL_set_num_tickets(ssl, 0);
        return 1;
    }
    mtls_explain_verification(connection->error, X509_STORE_CTX_get_error(store),
                              X509_STORE_CTX_get_current_cert(store),
                              connection->context->is_server ? "client" : "server", connection->wanted);
    return 0;
}

/// Makes the peer's certificate be for `name`, and names it in the hello when it is a DNS name (RFC 6066, 3).
static int expect_server(mtls_connection *connection, const char *name) {
    X509_VERIFY_PARAM *parameters = SSL_get0_param(connection->ssl);
    unsigned char address[16];
    connection->wanted = strdup(name);
    if (connection->wanted == NULL || name[0] == 0) return -1;
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1 ? 0 : -1;
    }
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_host(parameters, name, 0) != 1) return -1;
    return SSL_set_tlsext_host_name(connection->ssl, name) == 1 ? 0 : -1;
}

mtls_connection *mtls_connection_new(mtls_context *context, const char *server_name, char error[MTLS_ERROR_SIZE]) {
    ERR_clear_error();
    mtls_connection *connection = calloc(1, sizeof *connection);
    BIO *input = BIO_new(BIO_s_mem());
    BIO *output = connection == NULL ? NULL : mtls_output_new(&connection->output);
    if (connection == NULL || input == NULL || output == NULL) goto failed;
    connection->ssl = SSL_new(context->ssl);
    if (connection->ssl == NULL) goto failed;
    atomic_fetch_add(&context->references, 1);
    connection->context = context;
    SSL_set_app_data(connection->ssl, connection);
    SSL_set_bio(connection->ssl, input, output);
    connection->input = input;
    SSL_set_verify(connection->ssl, context->verification, note_verification);
    if (context->is_server) {
        SSL_set_accept_state(connection->ssl);
        return connection;
    }
    SSL_set_connect_state(connection->ssl);
    if (server_name == NULL || expect_server(connection, server_name) != 0) {
        mtls_explain(error, "the server's name is neither a DNS name nor an IP address");
        mtls_connection_free(connection);
        return NULL;
    }
    return connection;
failed:
    mtls_explain(error, "no memory for a TLS connection");
    BIO_free(input);
    BIO_free(output);
    free(connection);
    return NULL;
}

void mtls_connection_free(mtls_connection *connection) {
    if (connection == NULL) return;
    SSL_free(connection->ssl);
    mtls_context_free(connection->context);
    mtls_output_free(&connection->output);
    free(connection->wanted);
    free(connection);
}

/// Turns OpenSSL's result of a call into ours.
static enum mtls_status conclude(mtls_connection *connection, int result) {
    switch (SSL_get_error(connection->ssl, result)) {
    case SSL_ERROR_NONE:
        return MTLS_DONE;
    case SSL_ERROR_WANT_READ:
        return MTLS_WANT_INPUT;
    case SSL_ERROR_WANT_X509_LOOKUP:
        return MTLS_WANT_IDENTITY;
    case SSL_ERROR_ZERO_RETURN:
        return MTLS_END;
    default:
        connection->has_failed = 1;
        if (connection->error[0] == 0) mtls_explain_failure(connection->error, connection->context->is_server);
        ERR_clear_error();
        return MTLS_FAILED;
    }
}

/// A ticket outlives the check of the certificate it stands for, so its end is looked at once more.
static int resumed_with_expired(const mtls_connection *connection) {
    X509 *peer = SSL_get0_peer_certificate(connection->ssl);
    if (peer == NULL || !SSL_session_reused(connection->ssl)) return 0;
    return X509_cmp_current_time(X509_get0_notAfter(peer)) < 0;
}

enum mtls_status mtls_handshake(mtls_connection *connection) {
    if (connection->has_failed) return MTLS_FAILED;
    if (connection->is_established) return MTLS_DONE;
    ERR_clear_error();
    int result = SSL_do_handshake(connection->ssl);
    enum mtls_status status = result == 1 ? MTLS_DONE : conclude(connection, result);
    if (status == MTLS_DONE && resumed_with_expired(connection)) {
        connection->is_unverified = 1;
    }
    if (status == MTLS_DONE && connection->is_unverified && !connection->context->passes_unverified) {
        mtls_explain_verification(connection->error, X509_V_ERR_CERT_HAS_EXPIRED,
                                  SSL_get0_peer_certificate(connection->ssl),
                                  connection->context->is_server ? "client" : "server", NULL);
        connection->has_failed = 1;
        return MTLS_FAILED;
    }
    if (status == MTLS_DONE) connection->is_established = 1;
    return status;
}

enum mtls_status mtls_use_identity(mtls_connection *connection, const mtls_identity *identity) {
    ERR_clear_error();
    if (SSL_use_cert_and_key(connection->ssl, identity->leaf, identity->key, identity->chain, 1) != 1) {
        mtls_explain(connection->error, "the server's certificate cannot be used");
        connection->has_failed = 1;
        return MTLS_FAILED;
    }
    connection->has_identity = 1;
    return MTLS_DONE;
}

enum mtls_status mtls_feed(mtls_connection *connection, const uint8_t *bytes, size_t count) {
    size_t written = 0;
    if (count == 0) return MTLS_DONE;
    if (BIO_write_ex(connection->input, bytes, count, &written) == 1 && written == count) return MTLS_DONE;
    mtls_explain(connection->error, "no memory for a TLS connection");
    connection->has_failed = 1;
    return MTLS_FAILED;
}

size_t mtls_output(const mtls_connection *connection) { return connection->output.count; }

size_t mtls_take(mtls_connection *connection, uint8_t *bytes, size_t capacity) {
    return mtls_output_take(&connection->output, bytes, capacity);
}

size_t mtls_readable(const mtls_connection *connection) {
    // A record's head may be inside OpenSSL already, so that the bytes here complete up to one record more.
    return BIO_ctrl_pending(connection->input) + (size_t)SSL_pending(connection->ssl) + RECORD_SIZE;
}

enum mtls_status mtls_read(mtls_connection *connection, uint8_t *bytes, size_t capacity, size_t *count) {
    *count = 0;
    if (connection->has_failed) return MTLS_FAILED;
    ERR_clear_error();
    while (*count < capacity) {
        size_t read = 0;
        int result = SSL_read_ex(connection->ssl, bytes + *count, capacity - *count, &read);
        if (result == 1) {
            *count += read;
            continue;
        }
        enum mtls_status status = conclude(connection, result);
        // What was read before an end or a failure is good; the next call reports the rest.
        return *count > 0 ? MTLS_DONE : status;
    }
    return MTLS_DONE;
}

/// Encrypts all of `bytes`.
static enum mtls_status encrypt(mtls_connection *connection, const uint8_t *bytes, size_t count) {
    size_t written = 0;
    if (connection->has_failed) return MTLS_FAILED;
    if (count == 0) return MTLS_DONE;
    ERR_clear_error();
    connection->written += count;
    if (connection->written > KEY_LIFE && SSL_version(connection->ssl) == TLS1_3_VERSION &&
        mtls_update_keys(connection, 0) != MTLS_DONE) {
        return MTLS_FAILED;
    }
    int result = SSL_write_ex(connection->ssl, bytes, count, &written);
    if (result == 1 && written == count) return MTLS_DONE;
    if (conclude(connection, result) == MTLS_FAILED) return MTLS_FAILED;
    mtls_explain(connection->error, "the TLS connection takes no more bytes");
    connection->has_failed = 1;
    return MTLS_FAILED;
}

enum mtls_status mtls_write(mtls_connection *connection, const uint8_t *bytes, size_t count, uint8_t *records,
                            size_t capacity, size_t *made) {
    struct mtls_output *output = &connection->output;
    size_t before = mtls_output_take(output, records, capacity);
    output->lent = records + before;
    output->room = capacity - before;
    enum mtls_status status = encrypt(connection, bytes, count);
    *made = capacity - output->room;
    output->lent = NULL;
    output->room = 0;
    return status;
}

enum mtls_status mtls_update_keys(mtls_connection *connection, int ask_peer) {
    int type = ask_peer ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;
    if (connection->has_failed) return MTLS_FAILED;
    ERR_clear_error();
    connection->written = 0;
    int result = SSL_key_update(connection->ssl, type) == 1 ? SSL_do_handshake(connection->ssl) : -1;
    if (result == 1) return MTLS_DONE;
    mtls_explain(connection->error, "the key of the TLS connection cannot be changed");
    connection->has_failed = 1;
    return MTLS_FAILED;
}

void mtls_shutdown(mtls_connection *connection) {
    if (!connection->is_established || connection->has_failed) return;
    ERR_clear_error();
    if ((SSL_get_shutdown(connection->ssl) & SSL_SENT_SHUTDOWN) == 0) SSL_shutdown(connection->ssl);
    ERR_clear_error();
}

/// Bytes that a memory buffer takes.
static size_t buffer_size(BIO *bio) {
    BUF_MEM *memory = NULL;
    BIO_get_mem_ptr(bio, &memory);
    return memory == NULL ? 0 : memory->max;
}

size_t mtls_buffer_size(const mtls_connection *connection) {
    return buffer_size(connection->input) + connection->output.size;
}

/// Whether a memory buffer is empty and large.
static int is_wasteful(BIO *bio) { return buffer_size(bio) > KEPT_BUFFER && BIO_ctrl_pending(bio) == 0; }

void mtls_trim(mtls_connection *connection) {
    if (!is_wasteful(connection->input)) return;
    BIO *fresh = BIO_new(BIO_s_mem());
    if (fresh == NULL) return;
    SSL_set0_rbio(connection->ssl, fresh);
    connection->input = fresh;
}

const char *mtls_error(const mtls_connection *connection) { return connection->error; }

const char *mtls_server_name(const mtls_connection *connection) {
    return SSL_get_servername(connection->ssl, TLSEXT_NAMETYPE_host_name);
}

const uint8_t *mtls_protocol(const mtls_connection *connection, size_t *count) {
    const unsigned char *protocol = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(connection->ssl, &protocol, &length);
    *count = length;
    return protocol;
}

const char *mtls_version(const mtls_connection *connection) { return SSL_get_version(connection->ssl); }

int mtls_peer_is_unverified(const mtls_connection *connection) { return connection->is_unverified; }

mtls_certificate *mtls_peer_certificate(const mtls_connection *connection) {
    if (!connection->is_established || connection->is_unverified) return NULL;
    if (SSL_get_verify_result(connection->ssl) != X509_V_OK) return NULL;
    X509 *peer = SSL_get1_peer_certificate(connection->ssl);
    return peer == NULL ? NULL : mtls_certificate_adopt(peer);
}
