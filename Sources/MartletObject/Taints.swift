/// One toleration of a pod (core/v1 Toleration).
public struct Toleration: Sendable, Hashable {
    var key: String
    var exists: Bool
    var value: String
    var effect: String
    /// How long a pod stays that it holds for; nil for ever. Less than none is none.
    public var seconds: Int64?

    /// Reads one of `spec.tolerations`.
    public init(_ json: JSON) {
        key = json["key"]?.string ?? ""
        exists = json["operator"]?.string == "Exists"
        value = json["value"]?.string ?? ""
        effect = json["effect"]?.string ?? ""
        seconds = json["tolerationSeconds"]?.int.map { max(0, Int64($0)) }
    }

    /// Whether it tolerates `taint` (core/v1 Toleration.ToleratesTaint).
    public func tolerates(_ taint: Taint) -> Bool {
        if !effect.isEmpty && effect != taint.effect { return false }
        if !key.isEmpty && key != taint.key { return false }
        return exists || (!key.isEmpty && value == taint.value)
    }
}

/// One taint of a node (core/v1 Taint).
public struct Taint: Sendable, Hashable {
    /// As `node.kubernetes.io/not-ready`.
    public var key: String
    /// Often empty.
    public var value: String
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    public var effect: String
    /// Since when it is there; nil where nobody has said it.
    public var timeAdded: String?

    /// Reads one of `spec.taints`.
    public init(_ json: JSON) {
        key = json["key"]?.string ?? ""
        value = json["value"]?.string ?? ""
        effect = json["effect"]?.string ?? ""
        timeAdded = json["timeAdded"]?.string
    }

    /// What ends pods that do not tolerate it.
    public static let noExecute = "NoExecute"
    /// What keeps pods away that do not tolerate it.
    public static let noSchedule = "NoSchedule"
}
