internal import MartletBase
internal import MartletIO

/// The folder of all state, and where what lies in it.
struct DataDirectory {
    /// The version of the layout that this program writes, and the newest that it reads.
    static let format = 1

    let path: String
    /// Whether there was nothing before: a start that fails may then remove all that it has made.
    let isNew: Bool
    var pki: String { path + "/pki" }
    var store: String { path + "/store" }
    var node: String { path + "/node" }
    var containers: String { path + "/containers" }
    var kubeletKubeconfig: String { path + "/kubelet.kubeconfig" }
    var adminKubeconfig: String { path + "/admin.kubeconfig" }

    /// Makes the folder when it is not there, and refuses one that a newer program has written. A relative path is
    /// taken from the working folder: programs that we start work in another.
    /// - Throws: ``ClusterError``.
    init(preparing given: String) throws {
        let path = given.hasPrefix("/") ? given : Machine.workingDirectory + "/" + given
        self.path = path
        let marker = path + "/FORMAT"
        isNew = !Files.exists(marker)
        do {
            try Files.makeDirectory(path, mode: 0o711)
            if !isNew {
                let text = String(decoding: try Files.read(marker), as: UTF8.self)
                let version = text.split(separator: "\n").first.flatMap { Int($0) }
                guard let version else {
                    throw ClusterError.unusable(
                        "\(marker) is not a format number; this is not a Martlet data folder: choose another one")
                }
                if version > Self.format {
                    throw ClusterError.unusable(
                        "\(path) has data format \(version), this program reads up to \(Self.format): "
                            + "run the newer release")
                }
            } else {
                if let stranger = try Files.list(path).first(where: {
                    !ClusterConfiguration.newFolderHolds.contains($0)
                }) {
                    throw ClusterError.unusable(
                        "\(path) holds \(stranger) but no FORMAT file; this is not a Martlet data folder: "
                            + "choose an empty one")
                }
                try Files.write(Array("\(Self.format)\n".utf8), to: marker)
            }
        } catch let error as Errno {
            throw ClusterError.unusable("\(path): \(error); choose another folder with --data-dir, or run as root")
        }
    }
}

/// Why a cluster did not start.
public enum ClusterError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Something that the start needs is not as it must be; the text says what, and what to do.
    case unusable(String)
    /// An endpoint cannot be listened on.
    case endpoint(role: String, endpoint: String, why: String, option: String)

    /// One line for people.
    public var description: String {
        switch self {
        case .unusable(let text): text
        case .endpoint(let role, let endpoint, let why, let option):
            "the \(role) cannot listen on \(endpoint): \(why); choose another with \(option)"
        }
    }
}
