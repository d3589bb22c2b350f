#ifndef MARTLET_TLS_CONNECTION_H
#define MARTLET_TLS_CONNECTION_H

#include <pthread.h>
#include <stdatomic.h>

#include "internal.h"

struct mtls_identity {
    X509 *leaf;
    EVP_PKEY *key;
    /// What signed the leaf, as far as given; without the leaf.
    STACK_OF(X509) *chain;
};

/// A key of session tickets, as mtls_server_set_ticket_keys takes it.
struct mtls_ticket_key {
    uint8_t name[16];
    uint8_t cipher[32];
    uint8_t mac[32];
};
_Static_assert(sizeof(struct mtls_ticket_key) == MTLS_TICKET_KEY_SIZE, "the size that callers know");

struct mtls_context {
    SSL_CTX *ssl;
    /// The owner's reference and one for each connection.
    atomic_int references;
    int is_server;
    /// SSL_VERIFY_...
    int verification;
    /// Whether a client whose certificate cannot be verified is let in as one without.
    int passes_unverified;
    unsigned char *alpn;
    size_t alpn_count;
    /// Server: the first seals new tickets, all open those that clients show.
    struct mtls_ticket_key tickets[MTLS_TICKET_KEYS];
    size_t tickets_count;
    /// Handshakes of other threads read the keys while they are changed.
    pthread_mutex_t tickets_lock;
};

/// Draws a key for the tickets of a new server. 0, or -1 when the library refuses.
int mtls_tickets_begin(mtls_context *context);

/// Ciphertext for the peer. It goes straight to where mtls_write wants it, as far as that has room; the rest waits.
struct mtls_output {
    uint8_t *lent;
    size_t room;
    uint8_t *bytes;
    size_t count;
    size_t size;
};

/// What OpenSSL writes to; NULL when there is no memory. `output` outlives it.
BIO *mtls_output_new(struct mtls_output *output);
/// Moves what waits to `bytes`; returns how much.
size_t mtls_output_take(struct mtls_output *output, uint8_t *bytes, size_t capacity);
void mtls_output_free(struct mtls_output *output);

struct mtls_connection {
    mtls_context *context;
    SSL *ssl;
    /// From the peer; owned by `ssl`.
    BIO *input;
    struct mtls_output output;
    int has_identity;
    int is_established;
    int has_failed;
    /// The peer's certificate was let pass although it cannot be verified: it says nothing of who the peer is.
    int is_unverified;
    /// Bytes encrypted with the present key.
    uint64_t written;
    /// Client: what the server's certificate must be for.
    char *wanted;
    char error[MTLS_ERROR_SIZE];
};

#endif
