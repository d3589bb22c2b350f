internal import CMartletTLS
public import MartletBase
internal import Synchronization

/// A certificate chain and its private key, both PEM. Parsed once and shared.
public final class TLSIdentity: Sendable {
    /// Never changes after `init`, and the C side only reads it.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// Reads PEM texts: the chain with the leaf first, and an unencrypted key.
    /// - Throws: ``TLSError`` naming what is wrong (no certificate, key does not match, ...).
    public init(certificateChainPEM: [UInt8], privateKeyPEM: [UInt8]) throws {
        pointer = try TLSError.check { error in
            mtls_identity_new(
                certificateChainPEM, certificateChainPEM.count, privateKeyPEM, privateKeyPEM.count, error)
        }
    }

    deinit { mtls_identity_free(pointer) }

    /// Whether a client that wants this host takes the certificate for good (RFC 9525).
    func covers(_ host: String) -> Bool {
        !host.isEmpty && !host.utf8.contains(0) && mtls_identity_covers(pointer, host) != 0
    }
}

/// Why TLS failed: the text names the peer's or the file's fault.
public struct TLSError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }

    /// Calls C code that makes something, or says why it did not.
    static func check(_ make: (UnsafeMutablePointer<CChar>) -> OpaquePointer?) throws(TLSError) -> OpaquePointer {
        var text = [CChar](repeating: 0, count: Int(MTLS_ERROR_SIZE))
        let made = text.withUnsafeMutableBufferPointer { buffer in buffer.baseAddress.flatMap(make) }
        if let made { return made }
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        throw TLSError(String(decoding: bytes, as: UTF8.self))
    }
}

/// The settings of one side in C.
private final class TLSContext: Sendable {
    /// Never changes after `init`; OpenSSL guards what handshakes share. Connections keep a reference of their own.
    nonisolated(unsafe) let pointer: OpaquePointer

    init(_ make: (UnsafeMutablePointer<CChar>) -> OpaquePointer?) throws(TLSError) {
        pointer = try TLSError.check(make)
    }

    deinit { mtls_context_free(pointer) }
}

/// The server's side of TLS 1.2 and 1.3. Identities and trusted authorities may be swapped while connections live: new
/// handshakes use them.
public final class TLSServer: Sendable {
    /// What to ask of clients.
    public enum ClientCertificates: Sendable {
        /// Do not ask.
        case none
        /// Ask; a connection without one is allowed, one signed by none of these authorities (PEM) is not.
        case optional(authoritiesPEM: [UInt8])
        /// Ask; whoever shows one that none of these authorities (PEM) signed, or that is no good for another reason,
        /// is let in without an identity, as one who shows none. For who may say otherwise who they are.
        case requested(authoritiesPEM: [UInt8])
        /// Ask, and refuse the handshake without a good one.
        case required(authoritiesPEM: [UInt8])
    }

    private struct State {
        var context: TLSContext
        var identities: IdentityTable
    }
    private let state: Mutex<State>
    private let protocols: [UInt8]

    /// A server with one identity for every name.
    /// - Parameter alpn: protocols offered, preferred first, as `["h2", "http/1.1"]`. A client that names
    ///   protocols, but none of these, is refused.
    /// - Throws: ``TLSError``.
    public init(identity: TLSIdentity, clients: ClientCertificates = .none, alpn: [String] = ["http/1.1"]) throws {
        protocols = try protocolList(alpn)
        state = Mutex(
            State(
                context: try Self.context(clients, protocols),
                identities: IdentityTable(byName: [:], fallback: identity)))
    }

    private static func context(_ clients: ClientCertificates, _ protocols: [UInt8]) throws(TLSError) -> TLSContext {
        let (policy, authorities): (mtls_client_certificates, [UInt8]) =
            switch clients {
            case .none: (MTLS_CLIENTS_NONE, [])
            case .optional(let authorities): (MTLS_CLIENTS_OPTIONAL, authorities)
            case .requested(let authorities): (MTLS_CLIENTS_REQUESTED, authorities)
            case .required(let authorities): (MTLS_CLIENTS_REQUIRED, authorities)
            }
        return try TLSContext { error in
            mtls_server_new(policy, authorities, authorities.count, protocols, protocols.count, error)
        }
    }

    /// Replaces the identity of every name without one of its own, and which clients are let in. Atomic; open
    /// connections go on as they are, and no session of before is resumed.
    /// - Throws: ``TLSError``; then nothing has changed.
    public func replace(identity: TLSIdentity, clients: ClientCertificates) throws {
        let context = try Self.context(clients, protocols)
        state.withLock {
            $0.context = context
            $0.identities.fallback = identity
        }
    }

    /// Replaces what is served: `identities` by exact lower-case host name or `*.suffix` (one label), and
    /// `fallback` for every other name. Atomic; open connections keep what they have.
    public func setIdentities(_ identities: [String: TLSIdentity], fallback: TLSIdentity) {
        let table = IdentityTable(byName: identities, fallback: fallback)
        state.withLock { $0.identities = table }
    }

    /// Replaces the keys that sessions are kept under in clients' tickets, which are this server's own at first: the
    /// first seals new tickets, all open those that clients show. Servers with the same keys resume each other's
    /// sessions. ``replace(identity:clients:)`` forgets them.
    /// - Parameter keys: at least one, each of ``ticketKeySize`` random bytes; more than ``mostTicketKeys`` are left
    ///   out.
    public func setTicketKeys(_ keys: [[UInt8]]) {
        precondition(!keys.isEmpty && keys.allSatisfy { $0.count == Self.ticketKeySize }, "a key has 80 bytes")
        let flat = keys.flatMap { $0 }
        let context = state.withLock { $0.context }
        mtls_server_set_ticket_keys(context.pointer, flat, keys.count)
        withExtendedLifetime(context) {}
    }

    /// The bytes of a key of session tickets.
    public static let ticketKeySize = Int(MTLS_TICKET_KEY_SIZE)
    /// How many keys of session tickets a server knows at most.
    public static let mostTicketKeys = Int(MTLS_TICKET_KEYS)

    /// Shakes hands over `stream`. On failure the client is told by an alert, and the stream is closed once it has
    /// had a chance to read that: when it closes, or has sent some more. Close `stream` to bound the wait.
    /// A client that speaks HTTP without TLS is told so.
    /// - Throws: ``TLSError``, ``NetworkError``, or what names a client without TLS.
    public func accept(_ stream: any ByteStream) async throws -> TLSStream {
        var pump = try makePump()
        do {
            try await shakeHands(
                &pump, over: stream, recognises: PlainHTTP.check, identity: { name in self.identity(for: name) })
        } catch {
            if error is PlainHTTP {
                try? await stream.write(PlainHTTP.answer)
                await stream.closeWrite()
            }
            if error is TLSError || error is PlainHTTP { await linger(stream) }
            stream.close()
            throw error
        }
        return TLSStream(over: stream, pump: pump)
    }

    /// A connection before its first byte.
    func makePump() throws(TLSError) -> TLSPump {
        let context = state.withLock { $0.context }
        defer { withExtendedLifetime(context) {} }
        return try TLSPump(context: context.pointer, serverName: nil)
    }

    /// Whether the certificate that clients are shown that name `one` is as good for `other`: it is the one that they
    /// would be shown for that, too, or names it.
    ///
    /// What is shown now decides, not what a connection was shown before a certificate changed. A client that has seen
    /// an older one and is refused comes anew and sees the one that there is; one that is not refused asks for a host
    /// that whoever comes anew is served, too.
    public func showsIdentity(to one: String, for other: String) -> Bool {
        let shown = identity(for: one)
        return shown === identity(for: other) || shown.covers(other)
    }

    /// Who we are for a client that names `name`.
    func identity(for name: String?) -> TLSIdentity {
        let table = state.withLock { $0.identities }
        return table.identity(for: name)
    }
}

/// Who a server is, by the name that the client asks for. A value that never changes: swapping replaces it whole.
struct IdentityTable: Sendable {
    /// Keys are lower-case host names or `*.suffix`.
    var byName: [String: TLSIdentity]
    /// For all other names, and for clients that give none.
    var fallback: TLSIdentity

    /// The exact name goes before the wildcard; a wildcard stands for exactly one label (RFC 9525, 6.3).
    func identity(for name: String?) -> TLSIdentity {
        guard var name = name?.lowercased() else { return fallback }
        if name.hasSuffix(".") { name.removeLast() }
        if let exact = byName[name] { return exact }
        guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return fallback }
        return byName["*" + name[dot...]] ?? fallback
    }
}

/// The client's side of TLS 1.2 and 1.3. What it shows and trusts may be swapped: new handshakes use it.
public final class TLSClient: Sendable {
    private let context: Mutex<TLSContext>
    private let protocols: [UInt8]

    /// A client that trusts `authoritiesPEM` and shows `identity` when asked. With nil authorities, those of the
    /// system.
    /// - Throws: ``TLSError``.
    public init(authoritiesPEM: [UInt8]?, identity: TLSIdentity? = nil, alpn: [String] = ["http/1.1"]) throws {
        protocols = try protocolList(alpn)
        context = Mutex(try Self.context(authoritiesPEM, identity, protocols))
    }

    /// A client that takes whatever certificate it is shown: for what is public and checked by other means.
    /// - Throws: ``TLSError``.
    public init(trustingAnyone: Void, alpn: [String] = ["http/1.1"]) throws {
        protocols = try protocolList(alpn)
        let made = try Self.context(nil, nil, protocols)
        mtls_client_trust_anyone(made.pointer)
        context = Mutex(made)
    }

    private static func context(
        _ authorities: [UInt8]?, _ identity: TLSIdentity?, _ protocols: [UInt8]
    ) throws(TLSError) -> TLSContext {
        let shown = identity?.pointer
        defer { withExtendedLifetime(identity) {} }
        guard let authorities else {
            return try TLSContext { mtls_client_new(nil, 0, shown, protocols, protocols.count, $0) }
        }
        guard !authorities.isEmpty else { throw TLSError("the PEM text of the trusted authorities is empty") }
        return try TLSContext { error in
            mtls_client_new(authorities, authorities.count, shown, protocols, protocols.count, error)
        }
    }

    /// Trusts these authorities and shows this identity from now on. Open connections go on as they are.
    /// - Throws: ``TLSError``; then nothing has changed.
    public func replace(authoritiesPEM: [UInt8], identity: TLSIdentity?) throws {
        let made = try Self.context(authoritiesPEM, identity, protocols)
        context.withLock { $0 = made }
    }

    /// Shakes hands over `stream`; the peer's certificate must be for `serverName` (a DNS name or an IP address).
    /// With TLS 1.3 a server that refuses the client's certificate says so after the handshake: the first read
    /// throws then.
    /// - Throws: ``TLSError`` or ``NetworkError``.
    public func connect(_ stream: any ByteStream, serverName: String) async throws -> TLSStream {
        var pump = try makePump(serverName: serverName)
        do {
            try await shakeHands(&pump, over: stream, recognises: { _ in }, identity: { _ in nil })
        } catch {
            stream.close()
            throw error
        }
        return TLSStream(over: stream, pump: pump)
    }

    /// A connection before its first byte.
    func makePump(serverName: String) throws(TLSError) -> TLSPump {
        guard !serverName.isEmpty, !serverName.utf8.contains(0) else {
            throw TLSError("the server's name is empty or has a zero byte inside")
        }
        let context = context.withLock { $0 }
        defer { withExtendedLifetime(context) {} }
        return try TLSPump(context: context.pointer, serverName: serverName)
    }
}

/// Application protocols as ALPN writes them: each with its length before it (RFC 7301, 3.1).
private func protocolList(_ names: [String]) throws(TLSError) -> [UInt8] {
    var list: [UInt8] = []
    for name in names {
        guard let length = UInt8(exactly: name.utf8.count), length > 0 else {
            throw TLSError("the application protocol \"\(name)\" must have 1 to 255 bytes")
        }
        list.append(length)
        list.append(contentsOf: name.utf8)
    }
    return list
}

/// Runs a handshake to its end. On failure an alert is sent when there is one, and our side of the stream is ended.
private func shakeHands(
    _ pump: inout TLSPump, over stream: any ByteStream, recognises: ([UInt8]) throws -> Void,
    identity: (String?) -> TLSIdentity?
) async throws {
    var isFirst = true
    do {
        while true {
            let step = pump.handshake(identity: identity)
            let output = pump.takeOutput()
            if !output.isEmpty { try await stream.write(output) }
            switch step {
            case .done: return
            case .failed(let reason): throw TLSError(reason)
            case .wantsInput:
                let bytes = try await stream.read(atMost: TLSPump.inputSize)
                if bytes.isEmpty { throw TLSError("the peer closed the connection during the TLS handshake") }
                if isFirst { try recognises(bytes) }
                isFirst = false
                pump.feed(bytes)
            }
        }
    } catch {
        if !(error is PlainHTTP) { await stream.closeWrite() }
        throw error
    }
}

/// A client that speaks HTTP where TLS is spoken.
struct PlainHTTP: Error, CustomStringConvertible {
    let description = "the client speaks HTTP without TLS"

    /// What such a client is told, in words that Go's programs know.
    static let answer = Array(
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n".utf8)

    /// - Throws: ``PlainHTTP`` when the first bytes begin a request: no record of TLS begins with a letter.
    static func check(_ bytes: [UInt8]) throws {
        let methods = ["GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET", "CONNE"]
        if methods.contains(where: { bytes.starts(with: $0.utf8) }) { throw PlainHTTP() }
    }
}

/// Reads away what a client sends before it has seen our alert. TCP resets a connection that is closed with bytes
/// unread, and the alert would be lost with it: a client whose certificate was refused could not say why.
private func linger(_ stream: any ByteStream) async {
    for _ in 0..<8 {
        guard let bytes = try? await stream.read(atMost: TLSPump.inputSize), !bytes.isEmpty else { return }
    }
}
