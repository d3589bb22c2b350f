#ifndef MARTLET_TLS_H
#define MARTLET_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "martlet_x509.h"

// TLS 1.2 and 1.3 as a byte pump: ciphertext goes in and comes out through memory, nothing here touches a socket.
//
// A context and an identity may be used by many threads at one time. A connection may be used by one at a time.

/// What a call on a connection came to.
enum mtls_status {
    /// Done.
    MTLS_DONE = 0,
    /// The peer's next bytes are needed: send what mtls_take gives, then mtls_feed.
    MTLS_WANT_INPUT = 1,
    /// Server: the client's hello is read; choose by mtls_server_name, call mtls_use_identity, and go on.
    MTLS_WANT_IDENTITY = 2,
    /// The peer ended its side with close_notify.
    MTLS_END = 3,
    /// Failed for good; mtls_error says why. An alert for the peer may be waiting in mtls_take.
    MTLS_FAILED = 4,
};

/// What a server asks of its clients.
enum mtls_client_certificates {
    /// Nothing.
    MTLS_CLIENTS_NONE = 0,
    /// A certificate may be missing, but not be signed by somebody else.
    MTLS_CLIENTS_OPTIONAL = 1,
    /// No connection without a good certificate.
    MTLS_CLIENTS_REQUIRED = 2,
    /// A certificate that cannot be verified is let pass like none: the client has no identity then.
    MTLS_CLIENTS_REQUESTED = 3,
};

/// A certificate chain with its private key.
typedef struct mtls_identity mtls_identity;
/// Settings shared by all connections of one server or client.
typedef struct mtls_context mtls_context;
/// One connection.
typedef struct mtls_connection mtls_connection;

/// Reads a chain (leaf first) and its key from PEM. NULL on failure, with the reason in `error`.
mtls_identity *mtls_identity_new(const uint8_t *chain, size_t chain_count, const uint8_t *key, size_t key_count,
                                 char error[MTLS_ERROR_SIZE]);
/// Frees an identity; connections that use it keep what they need.
void mtls_identity_free(mtls_identity *identity);
/// Whether the identity's certificate is good for a host name, as clients look at it (RFC 9525): 1 or 0.
int mtls_identity_covers(const mtls_identity *identity, const char *host);

/// Makes a server's settings. `authorities` (PEM) are those that sign clients; unused with MTLS_CLIENTS_NONE.
/// `alpn` is a list of protocols as in RFC 7301 (a length byte before each), preferred first; it may be empty.
/// NULL on failure, with the reason in `error`.
mtls_context *mtls_server_new(enum mtls_client_certificates clients, const uint8_t *authorities,
                              size_t authorities_count, const uint8_t *alpn, size_t alpn_count,
                              char error[MTLS_ERROR_SIZE]);
/// The bytes of one key of session tickets: its name (16), a key of AES-256 (32) and one of HMAC-SHA-256 (32).
#define MTLS_TICKET_KEY_SIZE 80
/// So many keys of session tickets a server knows.
#define MTLS_TICKET_KEYS 4
/// Replaces the keys of a server's session tickets (RFC 5077, RFC 8446 4.6.1), which are its own at first: the first
/// seals new tickets, all open those that clients show; servers with the same keys resume each other's sessions.
/// `keys` are `count` keys, at least one; more than MTLS_TICKET_KEYS are left out.
void mtls_server_set_ticket_keys(mtls_context *context, const uint8_t *keys, size_t count);
/// Makes a client's settings: the authorities (PEM) that sign servers, or NULL for the system's; the identity shown
/// when a server asks, or NULL; and the protocols as in mtls_server_new. NULL on failure, with the reason in `error`.
mtls_context *mtls_client_new(const uint8_t *authorities, size_t authorities_count, const mtls_identity *identity,
                              const uint8_t *alpn, size_t alpn_count, char error[MTLS_ERROR_SIZE]);
/// Lets a client's connections take any certificate: to fetch what is public and checked by other means.
void mtls_client_trust_anyone(mtls_context *context);
/// Frees a context; its connections live on.
void mtls_context_free(mtls_context *context);

/// Makes a connection. `server_name` (a DNS name or an IP address) is what the server's certificate must be for;
/// NULL on the server's side. NULL on failure, with the reason in `error`.
mtls_connection *mtls_connection_new(mtls_context *context, const char *server_name, char error[MTLS_ERROR_SIZE]);
/// Frees a connection.
void mtls_connection_free(mtls_connection *connection);

/// Goes on with the handshake: MTLS_DONE when it is complete, else any status but MTLS_END.
enum mtls_status mtls_handshake(mtls_connection *connection);
/// Answers MTLS_WANT_IDENTITY. MTLS_DONE or MTLS_FAILED.
enum mtls_status mtls_use_identity(mtls_connection *connection, const mtls_identity *identity);

/// Takes in ciphertext from the peer. MTLS_DONE or MTLS_FAILED (no memory).
enum mtls_status mtls_feed(mtls_connection *connection, const uint8_t *bytes, size_t count);
/// How many bytes of ciphertext wait for the peer.
size_t mtls_output(const mtls_connection *connection);
/// Moves up to `capacity` bytes of waiting ciphertext out; returns how many.
size_t mtls_take(mtls_connection *connection, uint8_t *bytes, size_t capacity);
/// Bytes of memory that the buffers of ciphertext take, full or empty.
size_t mtls_buffer_size(const mtls_connection *connection);

/// At most how many bytes of plaintext mtls_read could give without more input.
size_t mtls_readable(const mtls_connection *connection);
/// Decrypts all records that are here, as far as `capacity` reaches. MTLS_DONE with `*count` above zero, else
/// MTLS_WANT_INPUT, MTLS_END or MTLS_FAILED.
enum mtls_status mtls_read(mtls_connection *connection, uint8_t *bytes, size_t capacity, size_t *count);
/// Encrypts all of `bytes` into records of at most 16 KiB; changes the key in time (RFC 8446, 5.5). What waited for
/// the peer, and the new records behind it, go to `records`; `*made` says how much. What finds no room there waits for
/// mtls_take. MTLS_DONE or MTLS_FAILED.
enum mtls_status mtls_write(mtls_connection *connection, const uint8_t *bytes, size_t count, uint8_t *records,
                            size_t capacity, size_t *made);
/// TLS 1.3: encrypts from now on with a new key, and with `ask_peer` wants the peer to do the same (RFC 8446, 4.6.3).
/// MTLS_DONE or MTLS_FAILED.
enum mtls_status mtls_update_keys(mtls_connection *connection, int ask_peer);
/// Makes the close_notify that ends our side. Reading may go on.
void mtls_shutdown(mtls_connection *connection);
/// Gives back a large buffer that is empty now; for a connection that is about to wait.
void mtls_trim(mtls_connection *connection);

/// Why the connection failed, in one line; "" when it did not. Valid as long as the connection.
const char *mtls_error(const mtls_connection *connection);
/// The server name that the client named, or NULL. Valid as long as the connection.
const char *mtls_server_name(const mtls_connection *connection);
/// The protocol agreed by ALPN; not terminated, valid as long as the connection. `*count` is zero when there is none.
const uint8_t *mtls_protocol(const mtls_connection *connection, size_t *count);
/// "TLSv1.2" or "TLSv1.3".
const char *mtls_version(const mtls_connection *connection);
/// The peer's verified certificate, to be freed by mtls_certificate_free, or NULL.
mtls_certificate *mtls_peer_certificate(const mtls_connection *connection);
/// Whether the peer showed a certificate that cannot be verified, and was let in all the same.
int mtls_peer_is_unverified(const mtls_connection *connection);

#endif
