internal import CMartletTLS

/// One TLS connection as a byte pump: ciphertext in, plaintext out, and the other way round. No I/O and no waiting.
///
/// Sendable although it holds a C pointer: it cannot be copied, so there is one owner at a time and nobody else knows
/// the pointer.
struct TLSPump: ~Copyable, @unchecked Sendable {
    /// Ciphertext asked of the transport at one time.
    static let inputSize = 64 * 1024
    /// Plaintext encrypted at one time: several records of 16 KiB leave in one write of the transport.
    static let batchSize = 128 * 1024
    /// Plaintext of one record, at most (RFC 8446, 5.1).
    private static let recordSize = 16 * 1024
    /// What a record's head, nonce and tag commonly add.
    private static let recordCost = 64
    /// Ciphertext that a peer may make us queue without our writing (answers to key updates). Above it, it is a flood.
    static let unsentLimit = 16 * 1024

    private let connection: OpaquePointer

    init(context: OpaquePointer, serverName: String?) throws(TLSError) {
        connection = try TLSError.check { error in
            guard let serverName else { return mtls_connection_new(context, nil, error) }
            return serverName.withCString { mtls_connection_new(context, $0, error) }
        }
    }

    deinit { mtls_connection_free(connection) }

    /// What a step of the handshake came to.
    enum HandshakeStep: Hashable {
        case done
        case wantsInput
        case failed(String)
    }

    /// Goes on with the handshake. A server is asked once for its identity, by the name that the client gave.
    mutating func handshake(identity: (String?) -> TLSIdentity?) -> HandshakeStep {
        while true {
            switch mtls_handshake(connection) {
            case MTLS_DONE: return .done
            case MTLS_WANT_INPUT: return .wantsInput
            case MTLS_WANT_IDENTITY:
                guard let identity = identity(serverName) else { return .failed("no certificate to show") }
                // The C side keeps references of its own, so the identity may go after this.
                let status = withExtendedLifetime(identity) { mtls_use_identity(connection, $0.pointer) }
                if status != MTLS_DONE { return .failed(failure) }
            default: return .failed(failure)
            }
        }
    }

    /// Takes in ciphertext. A failure (no memory) shows at the next step.
    mutating func feed(_ bytes: [UInt8]) { feed(bytes.span) }

    /// As above.
    mutating func feed(_ bytes: Span<UInt8>) {
        _ = bytes.withUnsafeBufferPointer { mtls_feed(connection, $0.baseAddress, $0.count) }
    }

    /// How many bytes of ciphertext wait to be sent.
    var outputCount: Int { mtls_output(connection) }

    /// Bytes of memory that ciphertext takes or took, both ways.
    var bufferSize: Int { mtls_buffer_size(connection) }

    /// The ciphertext to be sent now, in the order in which it was made.
    mutating func takeOutput() -> [UInt8] {
        let count = outputCount
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = mtls_take(connection, buffer.baseAddress, count)
        }
    }

    /// What reading came to.
    enum Plaintext: Hashable {
        case bytes([UInt8])
        case wantsInput
        case end
        case failed(String)
    }

    /// Decrypts all records that are here, as far as `limit` reaches.
    mutating func read(atMost limit: Int) -> Plaintext {
        var status = MTLS_WANT_INPUT
        let capacity = max(1, min(limit, mtls_readable(connection)))
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, filled in
            status = mtls_read(connection, buffer.baseAddress, capacity, &filled)
        }
        switch status {
        case MTLS_DONE: return .bytes(bytes)
        case MTLS_END: return .end
        case MTLS_WANT_INPUT:
            if outputCount > Self.unsentLimit { return .failed("the peer floods us with TLS messages") }
            mtls_trim(connection)
            return .wantsInput
        default: return .failed(failure)
        }
    }

    /// The records that hold `bytes`, after whatever else is to be sent first; nil when the connection takes no more.
    ///
    /// OpenSSL writes them here at once; no buffer of its own stays behind while a slow peer is waited for.
    mutating func seal(_ bytes: Span<UInt8>) -> [UInt8]? {
        let records = bytes.count / Self.recordSize + 1
        var isGood = true
        var sealed = [UInt8](
            unsafeUninitializedCapacity: outputCount + bytes.count + records * Self.recordCost
        ) { buffer, filled in
            var start = 0
            while isGood && start < bytes.count {
                let record = bytes.extracting(start..<min(bytes.count, start + Self.recordSize))
                start += record.count
                var made = 0
                let place = buffer.baseAddress.map { $0 + filled }
                let status = record.withUnsafeBufferPointer {
                    mtls_write(connection, $0.baseAddress, $0.count, place, buffer.count - filled, &made)
                }
                isGood = status == MTLS_DONE
                filled += made
            }
        }
        // More than records (a change of keys) may have been made.
        if outputCount > 0 { sealed += takeOutput() }
        return isGood ? sealed : nil
    }

    /// Encrypts with a new key from now on (TLS 1.3), and asks the peer to do so too. It happens by itself after
    /// 64 GiB; tests do not wait for that.
    mutating func updateKeys() -> Bool { mtls_update_keys(connection, 1) == MTLS_DONE }

    /// Makes the close_notify that ends our side.
    mutating func shutdown() { mtls_shutdown(connection) }

    /// Why it failed.
    var failure: String { String(cString: mtls_error(connection)) }
    /// The server name that the client named.
    var serverName: String? { mtls_server_name(connection).map { String(cString: $0) } }
    /// `TLSv1.2` or `TLSv1.3`.
    var version: String { String(cString: mtls_version(connection)) }

    /// The protocol agreed by ALPN.
    var applicationProtocol: String? {
        var count = 0
        guard let name = mtls_protocol(connection, &count), count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: count), as: UTF8.self)
    }

    /// Whether the peer showed a certificate that is no good, and was let in all the same.
    var peerIsUnverified: Bool { mtls_peer_is_unverified(connection) != 0 }

    /// The subject of the peer's verified certificate; nil also when it has no usable CN.
    var peerSubject: CertificateSubject? {
        guard let certificate = mtls_peer_certificate(connection) else { return nil }
        defer { mtls_certificate_free(certificate) }
        guard let name = mtls_certificate_text(certificate, MTLS_COMMON_NAME, 0) else { return nil }
        var subject = CertificateSubject(commonName: String(cString: name), organizations: [])
        while let group = mtls_certificate_text(certificate, MTLS_ORGANIZATION, subject.organizations.count) {
            subject.organizations.append(String(cString: group))
        }
        return subject
    }
}
