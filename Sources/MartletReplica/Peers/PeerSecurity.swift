public import MartletHTTP

/// Mutual TLS between peers.
///
/// Both sides show a certificate. The side that listens checks that it comes from its authorities and that
/// ``allows`` takes its subject; the side that connects checks that it is for ``serverName``.
public struct PeerSecurity: Sendable {
    /// The listening side; it must require certificates of clients.
    public var server: TLSServer
    /// The connecting side; it shows this member's certificate.
    public var client: TLSClient
    /// The name in the certificates of peers; nil: the address that was connected to.
    public var serverName: String?
    /// Whether a certificate that the authorities signed belongs to a member.
    public var allows: @Sendable (CertificateSubject) -> Bool

    /// Mutual TLS from its parts.
    public init(
        server: TLSServer, client: TLSClient, serverName: String? = nil,
        allows: @escaping @Sendable (CertificateSubject) -> Bool = { _ in true }
    ) {
        self.server = server
        self.client = client
        self.serverName = serverName
        self.allows = allows
    }
}
