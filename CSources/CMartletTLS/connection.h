#ifndef MARTLET_TLS_CONNECTION_H
#define MARTLET_TLS_CONNECTION_H

#include <stdatomic.h>

#include "internal.h"

struct mtls_identity {
    X509 *leaf;
    EVP_PKEY *key;
    /// What signed the leaf, as far as given; without the leaf.
    STACK_OF(X509) *chain;
};

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
};

struct mtls_connection {
    mtls_context *context;
    SSL *ssl;
    /// From the peer; owned by `ssl`.
    BIO *input;
    /// To the peer; owned by `ssl`.
    BIO *output;
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
