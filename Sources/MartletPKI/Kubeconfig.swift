internal import MartletBase

/// A kubeconfig with one cluster, one user and one context (`k8s.io/client-go/tools/clientcmd/api/v1`).
struct Kubeconfig {
    var cluster: String
    var server: String
    var authorityPEM: [UInt8]
    var user: String
    var client: KeyPair

    /// The file's text. Every value is a double-quoted YAML scalar, so that no name can be read as something else.
    var yaml: [UInt8] {
        let context = "\(user)@\(cluster)"
        let text = """
            apiVersion: v1
            kind: Config
            clusters:
            - name: \(Self.quote(cluster))
              cluster:
                server: \(Self.quote(server))
                certificate-authority-data: \(Base64.encode(authorityPEM))
            users:
            - name: \(Self.quote(user))
              user:
                client-certificate-data: \(Base64.encode(client.certificatePEM))
                client-key-data: \(Base64.encode(client.privateKeyPEM))
            contexts:
            - name: \(Self.quote(context))
              context:
                cluster: \(Self.quote(cluster))
                user: \(Self.quote(user))
            current-context: \(Self.quote(context))
            preferences: {}

            """
        return Array(text.utf8)
    }

    /// A double-quoted scalar (YAML 1.2, 7.3.1).
    static func quote(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value):
                let hex = String(scalar.value, radix: 16)
                quoted += "\\x" + (hex.utf8.count == 1 ? "0" : "") + hex
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
