public import MartletBase
public import MartletObject

/// What a new machine shows to be let in: `ID.SECRET.PIN`. The first two are a bootstrap token as Kubernetes knows it;
/// the pin is the SHA-256 of the public key of the cluster's authority, by which the machine knows the cluster.
public struct JoinToken: Sendable, Hashable {
    /// What a token lets in.
    public enum Role: String, Sendable, CaseIterable {
        /// One that holds the store and the API. Such a token is good for one machine.
        case master
        /// One that runs pods.
        case worker

        /// The group of those who show such a token.
        public var group: String { "system:bootstrappers:martlet:\(rawValue)" }
    }

    /// Six letters or digits: the token's name.
    public var id: String
    /// Sixteen of them that nobody else knows.
    public var secret: String
    /// 64 hexadecimal digits.
    public var pin: String

    /// Reads `ID.SECRET.PIN`; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        func isMade(_ part: String, _ count: Int, of digits: String) -> Bool {
            part.utf8.count == count && part.allSatisfy(digits.contains)
        }
        guard parts.count == 3, isMade(parts[0], 6, of: Self.letters), isMade(parts[1], 16, of: Self.letters),
            isMade(parts[2], 64, of: "0123456789abcdef")
        else { return nil }
        (id, secret, pin) = (parts[0], parts[1], parts[2])
    }

    /// A new token of a cluster whose authority has that pin.
    public init(pin: String, in world: any World) {
        let letters = Array(Self.letters)
        func draw(_ count: Int) -> String {
            // 36 divides 2^64 nearly evenly: no letter is more likely than another by more than 10^-17.
            String((0..<count).map { _ in letters[Int(world.random() % UInt64(letters.count))] })
        }
        id = draw(6)
        secret = draw(16)
        self.pin = pin
    }

    private static let letters = "0123456789abcdefghijklmnopqrstuvwxyz"

    /// The whole of it, for `--token`.
    public var text: String { "\(id).\(secret).\(pin)" }
    /// What is shown to the API.
    public var bearer: String { "\(id).\(secret)" }
    /// The name of its Secret in `kube-system`.
    public var secretName: String { Self.secretName(id) }
    /// The type of its Secret.
    static let secretType = "bootstrap.kubernetes.io/token"
    static func secretName(_ id: String) -> String { "bootstrap-token-\(id)" }

    /// The Secret that makes the API know the token, as kubeadm's.
    public func secretObject(for role: Role, until end: WallTime) -> JSON {
        func data(_ text: String) -> JSON { .string(Base64.encode(Array(text.utf8))) }
        return [
            "apiVersion": "v1", "kind": "Secret", "type": .string(Self.secretType),
            "metadata": ["name": .string(secretName), "namespace": "kube-system"],
            "data": [
                "token-id": data(id), "token-secret": data(secret), "expiration": data(end.rfc3339),
                "usage-bootstrap-authentication": data("true"), "auth-extra-groups": data(role.group),
                "description": data("lets a \(role.rawValue) join, made by martlet"),
            ],
        ]
    }

    /// One value of a token's Secret.
    public static func value(_ name: String, in secret: JSON) -> String? {
        secret["data", name]?.string.flatMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) }
    }
}
