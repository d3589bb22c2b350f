public import MartletObject

/// Which Ingresses are served here: those of our classes.
public struct IngressClasses: Sendable, Hashable {
    /// The controller that an IngressClass must name to be served here.
    public static let controllerName = "martlet.io/ingress"
    private static let classAnnotation = "kubernetes.io/ingress.class"
    private static let defaultAnnotation = "ingressclass.kubernetes.io/is-default-class"

    private var ours: Set<String> = []
    private var defaults: Set<String> = []

    init() {}

    /// Reads the IngressClasses.
    public init(from snapshot: Snapshot) {
        for object in snapshot.list(.ingressClass) { put(object) }
    }

    mutating func put(_ object: JSON) {
        remove(object.name)
        guard object["spec", "controller"]?.string == Self.controllerName else { return }
        ours.insert(object.name)
        if object.annotations[Self.defaultAnnotation] == "true" { defaults.insert(object.name) }
    }

    mutating func remove(_ name: String) {
        ours.remove(name)
        defaults.remove(name)
    }

    /// Whether an Ingress is served here. One that names no class is when our class is the default.
    public func serve(_ ingress: JSON) -> Bool {
        let name = ingress["spec", "ingressClassName"]?.string ?? ingress.annotations[Self.classAnnotation]
        return name.map(ours.contains) ?? !defaults.isEmpty
    }
}
