public import MartletBase

/// A certificate chain and its private key, both PEM. Parsed once and shared.
public final class TLSIdentity: Sendable {
    /// Reads PEM texts.
    /// - Throws: ``TLSError`` naming what is wrong (no certificate, key does not match, ...).
    public init(certificateChainPEM: [UInt8], privateKeyPEM: [UInt8]) throws {
        throw TLSError("not built yet")
    }
}

/// Why TLS failed: the text names the peer's or the file's fault.
public struct TLSError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}

/// The server's side of TLS 1.2 and 1.3. Identities may be swapped while connections live: new handshakes use them.
public final class TLSServer: Sendable {
    /// What to ask of clients.
    public enum ClientCertificates: Sendable {
        /// Do not ask.
        case none
        /// Ask; a connection without one is allowed, one signed by none of these authorities (PEM) is not.
        case optional(authoritiesPEM: [UInt8])
        /// Ask, and refuse the handshake without a good one.
        case required(authoritiesPEM: [UInt8])
    }

    /// A server with one identity for every name.
    /// - Parameter alpn: protocols offered, preferred first, as `["h2", "http/1.1"]`.
    /// - Throws: ``TLSError``.
    public init(identity: TLSIdentity, clients: ClientCertificates = .none, alpn: [String] = ["http/1.1"]) throws {
        throw TLSError("not built yet")
    }

    /// Replaces what is served: `identities` by exact lower-case host name or `*.suffix` (one label), and
    /// `fallback` for every other name. Atomic; open connections keep what they have.
    public func setIdentities(_ identities: [String: TLSIdentity], fallback: TLSIdentity) {}

    /// Shakes hands over `stream`.
    /// - Throws: ``TLSError`` or ``NetworkError``.
    public func accept(_ stream: any ByteStream) async throws -> TLSStream { throw TLSError("not built yet") }
}

/// The client's side of TLS 1.2 and 1.3.
public final class TLSClient: Sendable {
    /// A client that trusts `authoritiesPEM` and shows `identity` when asked. With nil authorities, those of the
    /// system.
    /// - Throws: ``TLSError``.
    public init(authoritiesPEM: [UInt8]?, identity: TLSIdentity? = nil, alpn: [String] = ["http/1.1"]) throws {
        throw TLSError("not built yet")
    }

    /// Shakes hands over `stream`; the peer's certificate must be for `serverName` (a DNS name or an IP address).
    /// - Throws: ``TLSError`` or ``NetworkError``.
    public func connect(_ stream: any ByteStream, serverName: String) async throws -> TLSStream {
        throw TLSError("not built yet")
    }
}

/// TLS over a byte stream.
public final class TLSStream: ByteStream {
    /// The verified client certificate's subject (server side).
    public var peerCertificate: CertificateSubject? { nil }
    /// The server name that the client named.
    public var serverName: String? { nil }
    /// The protocol agreed by ALPN.
    public var applicationProtocol: String? { nil }

    init() {}

    public func read(atMost limit: Int) async throws -> [UInt8] { [] }
    public func write(_ bytes: [UInt8]) async throws {}
    public func closeWrite() async {}
    public func close() {}
    public var peer: Endpoint? { nil }
}
