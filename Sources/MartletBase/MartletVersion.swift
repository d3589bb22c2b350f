/// What this is, in versions.
public enum MartletVersion {
    /// The level of Kubernetes' API that is spoken.
    public static let level = "1.36"
    /// The Kubernetes whose API it is, as `/version` says it.
    public static let kubernetes = "v\(level).0"

    /// What a program says to `--version`.
    public static func line(of program: String) -> String {
        "\(program), unreleased; speaks the API of Kubernetes \(kubernetes)"
    }
}
